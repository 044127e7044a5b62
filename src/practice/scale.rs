//! The `scale` subresource.

use axum::response::Response;
use bytes::Bytes;
use http::Method;
use serde_json::{Value, json};

use super::api::Call;
use super::json::{at, integer, set, text};
use super::status::{Cause, Status};
use super::{patches, reply, writes};

/// Serves `GET`, `PUT` and `PATCH` of a scale.
pub fn serve(call: &Call<'_>, method: &Method, body: &Bytes) -> Result<Response, Status> {
    let target = call.target;
    if method == Method::GET {
        let object = call.store.get(target.resource, &target.namespace, &target.name);
        let object = object.ok_or_else(|| Status::not_found(target.resource, &target.name))?;
        return Ok(reply::json_value(200, &scale_of(&object)));
    }
    let sent = writes::decode(body, call.headers)?;
    let kind = if method == Method::PATCH { Some(patches::Kind::of(call)?) } else { None };
    let updated = writes::write(call, |live| {
        let mut scale = scale_of(live);
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
        set(&mut new, "spec.replicas", replicas);
        Ok(new)
    })?;
    Ok(reply::json_value(200, &scale_of(&updated)))
}

fn scale_of(object: &Value) -> Value {
    let labels = at(object, "spec.selector.matchLabels").and_then(Value::as_object);
    let pairs: Vec<String> =
        labels.into_iter().flatten().map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default())).collect();
    json!({
        "kind": "Scale", "apiVersion": "autoscaling/v1",
        "metadata": {
            "name": text(object, "metadata.name"), "namespace": text(object, "metadata.namespace"),
            "uid": text(object, "metadata.uid"), "resourceVersion": text(object, "metadata.resourceVersion"),
            "creationTimestamp": text(object, "metadata.creationTimestamp"),
        },
        "spec": {"replicas": integer(object, "spec.replicas").unwrap_or(0)},
        "status": {"replicas": integer(object, "status.replicas").unwrap_or(0), "selector": pairs.join(",")},
    })
}
