//! The `scale` subresource.

use axum::response::Response;
use bytes::Bytes;
use http::Method;
use serde_json::{Value, json};

use super::api::Call;
use super::json::{at, integer, set, text};
use super::resources::ResourceType;
use super::status::{Cause, Status};
use super::{patches, reply, writes};

/// Serves `GET`, `PUT` and `PATCH` of a scale.
pub fn serve(call: &Call<'_>, method: &Method, body: &Bytes) -> Result<Response, Status> {
    let target = call.target;
    if method == Method::GET {
        let object = call.store.get(target.resource, &target.namespace, &target.name);
        let object = object.ok_or_else(|| Status::not_found(target.resource, &target.name))?;
        return Ok(reply::json_value(200, &of(target.resource, &object)));
    }
    let sent = writes::decode(body, call.headers)?;
    let kind = if method == Method::PATCH { Some(patches::Kind::of(call)?) } else { None };
    let updated = writes::write(call, |live| {
        let mut scale = of(target.resource, live);
        match kind {
            Some(kind) => patches::merge(kind, &mut scale, &sent)?,
            None => scale = sent,
        }
        writes::check_version(target, live, &scale)?;
        let replicas = integer(&scale, "spec.replicas").unwrap_or(0);
        if replicas < 0 {
            let cause = Cause::invalid("spec.replicas", &json!(replicas), "must be greater than or equal to 0");
            let mut status = Status::invalid(target.resource, &target.name, &[cause]);
            status.message = status.message.replacen(&target.resource.qualified_kind(), "Scale.autoscaling", 1);
            return Err(status);
        }
        let mut new = live.clone();
        set_replicas(target.resource, &mut new, replicas);
        Ok(new)
    })?;
    Ok(reply::json_value(200, &of(target.resource, &updated)))
}

/// Where a type keeps its replicas: of the spec, of the status, and its label selector.
fn paths(resource: &ResourceType) -> [&str; 3] {
    match resource.custom.and_then(|custom| custom.scale.as_ref()) {
        Some(paths) => paths.each_ref().map(|path| path.trim_start_matches('.')),
        None => ["spec.replicas", "status.replicas", "spec.selector"],
    }
}

/// Sets the replicas of an object's spec.
pub fn set_replicas(resource: &ResourceType, object: &mut Value, replicas: i64) {
    set(object, paths(resource)[0], replicas);
}

/// The scale of an object.
pub fn of(resource: &ResourceType, object: &Value) -> Value {
    let [spec, status, selector] = paths(resource);
    let selector = match at(object, selector) {
        Some(Value::String(written)) => written.clone(),
        Some(selector) => super::table::selector(Some(selector)),
        None => String::new(),
    };
    json!({
        "kind": "Scale", "apiVersion": "autoscaling/v1",
        "metadata": {
            "name": text(object, "metadata.name"), "namespace": text(object, "metadata.namespace"),
            "uid": text(object, "metadata.uid"), "resourceVersion": text(object, "metadata.resourceVersion"),
            "creationTimestamp": text(object, "metadata.creationTimestamp"),
        },
        "spec": {"replicas": integer(object, spec).unwrap_or(0)},
        "status": {"replicas": integer(object, status).unwrap_or(0), "selector": selector},
    })
}
