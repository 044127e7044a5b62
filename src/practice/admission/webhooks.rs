//! Admission webhooks: nothing answers for them here, so what counts is whether the server could reach one that must answer.
//!
//! A webhook of failure policy `Fail` whose Service is missing or has no ready pod refuses what its rules match, in the words of
//! `apiserver/pkg/util/webhook`. One that could be reached is taken to agree, unless its configuration's annotation [`DENIES`] says
//! what it answers instead. Not modelled: `objectSelector`, `matchConditions`.

use super::super::object;
use super::super::resources::{
    MUTATING_WEBHOOK_CONFIGURATIONS, NAMESPACES, PODS, ResourceType, SERVICES, VALIDATING_WEBHOOK_CONFIGURATIONS,
};
use super::super::status::Status;
use super::super::store::Store;
use serde_json::{Value, json};

/// The annotation of a configuration by which scenarios make its webhooks answer no: the sentence they answer with.
pub const DENIES: &str = "practice.k3am.dev/denies";

/// See the module.
pub(super) fn check(store: &Store, resource: &'static ResourceType, new: &Value) -> Result<(), Status> {
    for kind in [&MUTATING_WEBHOOK_CONFIGURATIONS, &VALIDATING_WEBHOOK_CONFIGURATIONS] {
        for configuration in store.list(kind, None) {
            for webhook in object::items(&configuration, "/webhooks") {
                if !matches(store, webhook, resource, new) {
                    continue;
                }
                let must = object::text(webhook, "/failurePolicy") != "Ignore";
                let reached = reach(store, webhook);
                let denies = object::annotation(&configuration, DENIES);
                if reached.is_ok() && !denies.is_empty() {
                    return Err(Status::denied(object::text(webhook, "/name"), denies));
                }
                if must {
                    reached.map_err(Status::internal)?;
                }
            }
        }
    }
    Ok(())
}

fn matches(store: &Store, webhook: &Value, resource: &ResourceType, new: &Value) -> bool {
    let listed =
        |rule: &Value, field: &str, wanted: &str| object::items(rule, field).iter().any(|value| value == "*" || value == wanted);
    let ruled = object::items(webhook, "/rules").iter().any(|rule| {
        listed(rule, "/apiGroups", resource.group)
            && listed(rule, "/resources", resource.plural)
            && listed(rule, "/operations", "CREATE")
    });
    let namespace = store.get(&NAMESPACES, "", object::namespace(new));
    let labels = namespace.as_ref().map_or(&Value::Null, |namespace| object::at(namespace, "/metadata/labels"));
    ruled && object::selects(object::at(webhook, "/namespaceSelector"), labels)
}

fn reach(store: &Store, webhook: &Value) -> Result<(), String> {
    let service = object::at(webhook, "/clientConfig/service");
    let (namespace, name) = (object::text(service, "/namespace"), object::text(service, "/name"));
    if name.is_empty() {
        return Ok(());
    }
    let timeout = object::int(webhook, "/timeoutSeconds").unwrap_or(10);
    let port = object::int(service, "/port").unwrap_or(443);
    let path = object::text(service, "/path");
    let fail = |why: String| {
        let url = format!("https://{name}.{namespace}.svc:{port}{path}?timeout={timeout}s");
        Err(format!("failed calling webhook {:?}: failed to call webhook: Post {url:?}: {why}", object::text(webhook, "/name")))
    };
    let Some(present) = store.get(&SERVICES, namespace, name) else { return fail(format!("service {name:?} not found")) };
    let selector = json!({"matchLabels": object::at(&present, "/spec/selector")});
    let ready = store
        .list(&PODS, Some(namespace))
        .iter()
        .any(|pod| object::selects(&selector, object::at(pod, "/metadata/labels")) && object::condition_is_true(pod, "Ready"));
    if ready { Ok(()) } else { fail(format!("no endpoints available for service {name:?}")) }
}
