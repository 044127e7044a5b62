//! Admission: what the API server asks before it takes a new object in. Each plugin is a file; the first refusal counts.
//!
//! Order as in `pkg/kubeapiserver/options/plugins.go`: service account, priority, LimitRange (which also fills in), Pod Security,
//! quota last. Invariant: a refusal is a 403 in the plugin's own words. To add a plugin: a file and a line in [`PLUGINS`]. Webhooks
//! and policies, which are objects themselves, are in `hooks`.

mod accounts;
mod limits;
mod pod_security;
pub mod quota;
mod storage;

pub(super) use accounts::bootstrap;

use super::hooks::{Hooks, Subject};
use super::resources::ResourceType;
use super::status::Status;
use super::store::Store;
use serde_json::Value;

/// One plugin: fills in and checks an object of a type; the error is why it is refused.
type Plugin = fn(&Store, &'static ResourceType, &mut Value) -> Result<(), String>;

static PLUGINS: &[Plugin] =
    &[accounts::service_account, accounts::priority_class, limits::check, pod_security::check, storage::check, quota::check];

/// Asks every plugin about a new object, which must have its name and namespace.
pub fn admit(store: &Store, resource: &'static ResourceType, object: &mut Value) -> Result<(), Status> {
    for plugin in PLUGINS {
        plugin(store, resource, object).map_err(|why| Status::forbidden(resource, super::object::name(object), &why))?;
    }
    Ok(())
}

/// Asks webhooks and policies about an object that a component of the practice cluster makes; who writes through the API is asked
/// for in `writes`.
pub fn ask(store: &Store, resource: &'static ResourceType, object: &Value) -> Result<(), Status> {
    let (namespace, name) = (super::object::namespace(object), super::object::name(object));
    let subject = Subject { resource, subresource: "", operation: "CREATE", namespace, name, user: None, dry_run: false };
    let hooks = Hooks::gather(store, &subject);
    if hooks.is_empty() {
        return Ok(());
    }
    let mut whole = object.clone();
    super::defaults::apply(resource, &mut whole, &super::defaults::Addresses::default());
    hooks.check(&Value::Null, &whole).map(drop)
}
