//! Create, update, delete and deletecollection.

use axum::response::Response;
use bytes::Bytes;
use http::HeaderMap;
use serde_json::{Value, json};

use super::api::Call;
use super::hooks::{Hooks, Subject};
use super::json::{at, items, object_mut, remove, set, text};
use super::list::namespace_of;
use super::rbac::escalation::Guard;
use super::reply;
use super::request::Target;
use super::resources::NAMESPACES;
use super::selectors::Selector;
use super::status::{Cause, Status};
use super::store::{DeleteOptions, Operation, Preconditions, Store, Write, Writer};
use super::{published, validate, views};

/// Decodes a body: JSON, or YAML where the client says so (or sends an apply patch).
pub fn decode(body: &Bytes, headers: &HeaderMap) -> Result<Value, Status> {
    let content_type = headers.get(http::header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if let Some(value) = super::protobuf::decode(body) {
        return Ok(value);
    }
    if content_type.contains("protobuf") {
        let message = "the body of the request was in an unknown format - accepted media types include: application/json, \
                       application/yaml";
        return Err(Status::unsupported_media_type(message));
    }
    if let Ok(value) = serde_json::from_slice(body) {
        return Ok(value);
    }
    if content_type.contains("yaml") {
        let text = String::from_utf8_lossy(body);
        return serde_saphyr::from_str(&text).map_err(|error| Status::bad_request(format!("error decoding YAML: {error}")));
    }
    Err(Status::bad_request("the object provided is unrecognized (must be of type valid JSON)"))
}

/// The body of a request as the store has it: decoded, of the type the path names, in the stored form.
pub fn body(call: &Call<'_>, bytes: &Bytes) -> Result<Value, Status> {
    let mut sent = decode(bytes, call.headers)?;
    let target = call.target;
    if target.subresource.is_empty() || is_part(&target.subresource) {
        check_kind(target, &sent)?;
        check_fields(call, &mut sent)?;
        return Ok(views::to_stored(target.served, sent));
    }
    Ok(sent)
}

/// Field validation as the request asks for it: 400 for a value of the wrong type and, with `Strict`, for an unknown field;
/// with `Warn` (the default) a `Warning` header.
fn check_fields(call: &Call<'_>, sent: &mut Value) -> Result<(), Status> {
    let served = call.target.served;
    let mistakes = published::decode(served, sent);
    let cannot = |why: &str| {
        let kind = served.kind;
        Status::bad_request(format!("{kind} in version {:?} cannot be handled as a {kind}: {why}", served.version))
    };
    match (served.custom, mistakes.wrong_type) {
        (None, Some(why)) => return Err(cannot(&why)),
        _ if mistakes.unknown.is_empty() => return Ok(()),
        _ => {}
    }
    match call.query.get("fieldValidation") {
        Some("Strict") => Err(cannot(&format!("strict decoding error: {}", mistakes.unknown.join(", ")))),
        Some("Ignore") => Ok(()),
        _ => {
            call.warn(mistakes.unknown);
            Ok(())
        }
    }
}

/// Field validation of what a patch made of an object, which it refuses as a whole.
pub fn check_patched(call: &Call<'_>, patch: &Value, patched: &mut Value) -> Result<(), Status> {
    let mistakes = published::decode(call.target.served, patched);
    let why = match (call.target.served.custom, mistakes.wrong_type, call.query.get("fieldValidation")) {
        (None, Some(why), _) => why,
        (_, _, Some("Strict")) if !mistakes.unknown.is_empty() => {
            format!("strict decoding error: {}", mistakes.unknown.join(", "))
        }
        (_, _, Some("Ignore")) => return Ok(()),
        _ => {
            call.warn(mistakes.unknown);
            return Ok(());
        }
    };
    Err(Status::invalid_patch(patch, &why))
}

/// [`body`], where a client may send none.
pub fn body_or_empty(call: &Call<'_>, bytes: &Bytes) -> Result<Value, Status> {
    if bytes.is_empty() { Ok(Value::Object(serde_json::Map::new())) } else { decode(bytes, call.headers) }
}

/// The field manager of a request: the parameter, or the program in the user agent.
pub fn manager(call: &Call<'_>) -> String {
    let agent = call.headers.get(http::header::USER_AGENT).and_then(|value| value.to_str().ok()).unwrap_or("unknown");
    let program = agent.split('/').next().unwrap_or(agent);
    call.query.get("fieldManager").unwrap_or(program).to_owned()
}

/// 422 for a `dryRun` other than `All`.
pub fn check_dry_run(call: &Call<'_>, verb: &str) -> Result<(), Status> {
    let options = match verb {
        "create" => "CreateOptions",
        "update" => "UpdateOptions",
        "patch" => "PatchOptions",
        "delete" | "deletecollection" => "DeleteOptions",
        _ => return Ok(()),
    };
    match call.query.get("dryRun") {
        None | Some("All") => Ok(()),
        Some(other) => Err(Status::invalid_options(options, &[Cause::unsupported("dryRun", other, &["All"])])),
    }
}

/// Whether the write is kept.
pub fn write_of(call: &Call<'_>) -> Write {
    if call.query.is_dry_run() { Write::DryRun } else { Write::Real }
}

/// `POST` to a collection.
pub fn create(call: &Call<'_>, mut object: Value) -> Result<Response, Status> {
    let target = call.target;
    adopt_namespace(call.store, target, &mut object)?;
    reset_status(target, &mut object);
    for field in ["resourceVersion", "uid", "managedFields"] {
        remove(&mut object, &format!("metadata.{field}"));
    }
    sign_with_requester(call, &mut object);
    validate::create(target.resource, &object)?;
    gate_of(call).check(None, &object)?;
    let manager = manager(call);
    let created = call.store.create_with(target.resource, object, Writer::update(&manager), write_of(call))?;
    Ok(reply::object(201, target.resource, &created, call.shape))
}

/// Who asks for a certificate is what the server knows, not what the request says.
fn sign_with_requester(call: &Call<'_>, object: &mut Value) {
    if call.target.resource.plural == "certificatesigningrequests" {
        set(object, "spec.username", call.identity.user.as_str());
        set(object, "spec.groups", json!(call.identity.groups));
    }
}

/// `PUT` of an object or its status.
pub fn update(call: &Call<'_>, object: Value) -> Result<Response, Status> {
    let target = call.target;
    let name = text(&object, "metadata.name");
    if !name.is_empty() && name != target.name {
        let message = format!("the name of the object ({name}) does not match the name on the URL ({})", target.name);
        return Err(Status::bad_request(message));
    }
    let updated = write(call, |live| {
        check_version(target, live, &object)?;
        let mut new = object;
        set(&mut new, "metadata.managedFields", at(live, "metadata.managedFields").cloned().unwrap_or_default());
        set(&mut new, "apiVersion", target.resource.api_version());
        set(&mut new, "kind", target.resource.kind);
        Ok(new)
    })?;
    Ok(reply::object(200, target.resource, &updated, call.shape))
}

/// What stands before a write of an object; read before the store is locked.
pub struct Gate<'a> {
    call: &'a Call<'a>,
    guard: Guard<'a>,
    hooks: Hooks,
}

impl Gate<'_> {
    /// 403 where the caller gives away more than they have, and what webhooks and policies refuse.
    pub fn check(&self, live: Option<&Value>, new: &Value) -> Result<(), Status> {
        self.guard.check(live, new)?;
        if self.hooks.is_empty() {
            return Ok(());
        }
        let mut whole = new.clone();
        let resource = self.call.target.resource;
        set(&mut whole, "apiVersion", resource.api_version());
        set(&mut whole, "kind", resource.kind);
        super::defaults::apply(resource, &mut whole, &super::defaults::Addresses::default());
        self.call.warn(self.hooks.check(live.unwrap_or(&Value::Null), &whole)?);
        Ok(())
    }
}

/// What stands before this write, whether the object is there or not.
pub fn gate_of<'a>(call: &'a Call<'a>) -> Gate<'a> {
    let target = call.target;
    let there = call.store.stored(target.resource, &target.namespace, &target.name).is_some();
    let hooks = hooks_of(call, if there { "UPDATE" } else { "CREATE" });
    Gate { call, guard: Guard::of(call.store, call.identity, target.resource, &target.namespace), hooks }
}

/// The webhooks and policies a request concerns.
pub fn hooks_of(call: &Call<'_>, operation: &str) -> Hooks {
    let target = call.target;
    let subject = Subject {
        resource: target.resource,
        subresource: &target.subresource,
        operation,
        namespace: &target.namespace,
        name: &target.name,
        user: Some(call.identity),
        dry_run: call.query.is_dry_run(),
    };
    Hooks::gather(call.store, &subject)
}

/// Writes what `edit` makes of the live object, to the object or to its status only, after validation.
pub fn write(call: &Call<'_>, edit: impl FnOnce(&Value) -> Result<Value, Status>) -> Result<std::sync::Arc<Value>, Status> {
    let target = call.target;
    let manager = manager(call);
    let subresource = (!target.subresource.is_empty()).then_some(target.subresource.as_str());
    let writer = Writer { manager: &manager, operation: Operation::Update, subresource };
    let gate = gate_of(call);
    call.store.try_modify(target.resource, (&target.namespace, &target.name), writer, write_of(call), |live| {
        let mut new = edit(live)?;
        keep_other_half(target, live, &mut new);
        if target.subresource == "ephemeralcontainers" {
            super::defaults::apply(target.resource, &mut new, &super::defaults::Addresses::default());
        }
        if !is_part(&target.subresource) {
            let addresses = super::defaults::Addresses::default();
            if target.resource.plural != "services" {
                super::defaults::apply(target.resource, &mut new, &addresses);
            }
            validate::update(target.resource, live, &new)?;
            gate.check(Some(live), &new)?;
        }
        *live = new;
        Ok(())
    })
}

/// Subresources that are a part of the object itself, read as the object and written without the rest of it.
pub fn is_part(subresource: &str) -> bool {
    matches!(subresource, "status" | "ephemeralcontainers" | "resize" | "approval")
}

/// A write to the object leaves its status alone, a write to a part (`is_part`) leaves everything else alone.
pub fn keep_other_half(target: &Target, live: &Value, new: &mut Value) {
    match target.subresource.as_str() {
        "status" => keep_all_but(live, new, "status"),
        "ephemeralcontainers" => keep_all_but(live, new, "spec.ephemeralContainers"),
        "approval" => keep_all_but(live, new, "status.conditions"),
        "resize" => keep_all_but_resources(live, new),
        _ if target.resource.subresource("status").is_some() => {
            match live.get("status") {
                Some(status) => set(new, "status", status.clone()),
                None => drop(remove(new, "status")),
            }
            if target.resource.plural == "services" && text(new, "spec.clusterIP").is_empty() {
                for field in ["clusterIP", "clusterIPs"] {
                    if let Some(kept) = at(live, &format!("spec.{field}")) {
                        set(new, &format!("spec.{field}"), kept.clone());
                    }
                }
            }
        }
        _ => {}
    }
}

fn keep_all_but(live: &Value, new: &mut Value, part: &str) {
    let written = at(new, part).cloned();
    *new = live.clone();
    if let Some(written) = written {
        set(new, part, written);
    }
}

fn keep_all_but_resources(live: &Value, new: &mut Value) {
    let wanted = items(new, "spec.containers").to_vec();
    *new = live.clone();
    for container in new.pointer_mut("/spec/containers").and_then(Value::as_array_mut).into_iter().flatten() {
        let same = wanted.iter().find(|wanted| wanted.get("name") == container.get("name"));
        if let Some(resources) = same.and_then(|same| same.get("resources")) {
            set(container, "resources", resources.clone());
        }
    }
}

/// The namespaces the server keeps (`plugin/pkg/admission/namespace/lifecycle`, `immortalNamespaces`).
const IMMORTAL: [&str; 3] = ["default", "kube-system", "kube-public"];

/// `DELETE` of an object.
pub fn delete(call: &Call<'_>, body: &Value) -> Result<Response, Status> {
    let target = call.target;
    if target.resource == &NAMESPACES && IMMORTAL.contains(&target.name.as_str()) {
        return Err(Status::forbidden(target.resource, &target.name, "this namespace may not be deleted"));
    }
    let options = delete_options(call, body);
    let deleted = call.store.delete_with(target.resource, &target.namespace, &target.name, &options)?;
    let gone = call.store.stored(target.resource, &target.namespace, &target.name).is_none();
    if (gone || options.dry_run) && target.resource.plural != "pods" {
        return Ok(reply::json_value(200, &reply::deleted(target.resource, &deleted)));
    }
    Ok(reply::object(200, target.resource, &deleted, call.shape))
}

/// `DELETE` of a collection: everything the selectors match.
pub fn delete_collection(call: &Call<'_>, body: &Value) -> Result<Response, Status> {
    let target = call.target;
    let selector = Selector::parse(target.served, call.query)?;
    let options = delete_options(call, body);
    let (stored, version) = call.store.list_stored(target.resource, namespace_of(target));
    let mut deleted = Vec::new();
    for stored in stored {
        let object = stored.object();
        if selector.matches(target.resource, &object) {
            let (namespace, name) = (text(&object, "metadata.namespace"), text(&object, "metadata.name"));
            match call.store.delete_with(target.resource, namespace, name, &options) {
                Ok(object) => deleted.push(Bytes::from(object.to_string())),
                Err(status) if status.code == 404 => {}
                Err(status) => return Err(status),
            }
        }
    }
    let metadata = json!({"resourceVersion": version.to_string()});
    Ok(reply::json_bytes(200, reply::list_bytes(target.resource, &metadata, &deleted).concat()))
}

/// `POST pods/NAME/binding`: what a scheduler says.
pub fn bind(call: &Call<'_>, body: &Value) -> Result<Response, Status> {
    let target = call.target;
    let node = text(body, "target.name").to_owned();
    let manager = manager(call);
    let writer = Writer { subresource: Some("binding"), ..Writer::update(&manager) };
    let now = super::clock::timestamp(call.shape.now);
    call.store.try_modify(target.resource, (&target.namespace, &target.name), writer, write_of(call), |pod| {
        let bound = text(pod, "spec.nodeName");
        if !bound.is_empty() {
            let why = format!("pod {} is already assigned to node {bound:?}", target.name);
            return Err(Status::conflict(target.resource, &target.name, &why));
        }
        set(pod, "spec.nodeName", node);
        let mut conditions = items(pod, "status.conditions").to_vec();
        conditions.retain(|condition| text(condition, "type") != "PodScheduled");
        conditions.push(json!({"type": "PodScheduled", "status": "True", "lastProbeTime": null, "lastTransitionTime": now}));
        set(pod, "status.conditions", conditions);
        Ok(())
    })?;
    Ok(reply::json_value(201, &json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201})))
}

/// What a delete is to be like: its body, or its parameters.
pub fn delete_options(call: &Call<'_>, body: &Value) -> DeleteOptions {
    let own = |path: &str| at(body, path).and_then(Value::as_str).map(str::to_owned);
    DeleteOptions {
        grace_seconds: at(body, "gracePeriodSeconds").and_then(Value::as_i64).or_else(|| call.query.number("gracePeriodSeconds")),
        propagation: own("propagationPolicy").or_else(|| call.query.get("propagationPolicy").map(str::to_owned)),
        preconditions: Preconditions { uid: own("preconditions.uid"), resource_version: own("preconditions.resourceVersion") },
        dry_run: call.query.is_dry_run() || !items(body, "dryRun").is_empty(),
    }
}

/// 400 unless the body is of the type the path names.
pub fn check_kind(target: &Target, object: &Value) -> Result<(), Status> {
    let (kind, version) = (text(object, "kind"), text(object, "apiVersion"));
    let resource = target.served;
    if !version.is_empty() && version != resource.api_version() {
        let message = format!(
            "the API version in the data ({version}) does not match the expected API version ({})",
            resource.api_version()
        );
        return Err(Status::bad_request(message));
    }
    if !kind.is_empty() && kind != resource.kind {
        let message = format!("{kind} in version {:?} cannot be handled as a {}", resource.version, resource.kind);
        return Err(Status::bad_request(message));
    }
    Ok(())
}

/// Puts the namespace of the path into the object; refuses another one, one that is not there and one that is going.
pub fn adopt_namespace(store: &Store, target: &Target, object: &mut Value) -> Result<(), Status> {
    object_mut(object, "metadata");
    if !target.resource.namespaced {
        remove(object, "metadata.namespace");
        return Ok(());
    }
    let own = text(object, "metadata.namespace");
    if !own.is_empty() && own != target.namespace {
        let message = "the namespace of the provided object does not match the namespace sent on the request";
        return Err(Status::bad_request(message));
    }
    set(object, "metadata.namespace", target.namespace.as_str());
    let Some(namespace) = store.get(&NAMESPACES, "", &target.namespace) else {
        return Err(Status::not_found(&NAMESPACES, &target.namespace));
    };
    if at(&namespace, "metadata.deletionTimestamp").is_some() {
        let why = format!("unable to create new content in namespace {} because it is being terminated", target.namespace);
        return Err(Status::forbidden(target.resource, text(object, "metadata.name"), &why));
    }
    Ok(())
}

/// The status of a new object is the server's to write, but for nodes, which register with theirs.
fn reset_status(target: &Target, object: &mut Value) {
    if target.resource.subresource("status").is_some() && target.resource.plural != "nodes" {
        remove(object, "status");
    }
}

/// 409 when the writer has read another version or another incarnation of the object.
pub fn check_version(target: &Target, live: &Value, sent: &Value) -> Result<(), Status> {
    let version = text(sent, "metadata.resourceVersion");
    if !version.is_empty() && version != text(live, "metadata.resourceVersion") {
        return Err(Status::stale(target.resource, &target.name));
    }
    let uid = text(sent, "metadata.uid");
    if !uid.is_empty() && uid != text(live, "metadata.uid") {
        let why = format!("Precondition failed: UID in precondition: {uid}, UID in object meta: {}", text(live, "metadata.uid"));
        return Err(Status::conflict(target.resource, &target.name, &why));
    }
    Ok(())
}
