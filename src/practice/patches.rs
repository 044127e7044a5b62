//! Patches: JSON, merge, strategic merge and apply.

use axum::response::Response;
use bytes::Bytes;
use http::header;
use serde_json::Value;

use super::api::Call;
use super::json::{at, text};
use super::status::{Cause, Status};
use super::store::{Operation, Writer};
use super::{apply, defaults, published, reply, strategic, validate, views, writes};

/// The patch formats by content type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// RFC 6902.
    Json,
    /// RFC 7386.
    Merge,
    /// Kubernetes' own.
    Strategic,
    /// Server-side apply.
    Apply,
}

impl Kind {
    /// The format a request says it sends; 415 for any other.
    pub fn of(call: &Call<'_>) -> Result<Self, Status> {
        let content_type = call.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        match content_type.split(';').next().unwrap_or_default() {
            "application/json-patch+json" => Ok(Self::Json),
            "application/merge-patch+json" => Ok(Self::Merge),
            "application/strategic-merge-patch+json" => Ok(Self::Strategic),
            "application/apply-patch+yaml" => Ok(Self::Apply),
            _ => Err(Status::unsupported_media_type(
                "the body of the request was in an unknown format - accepted media types include: \
                 application/json-patch+json, application/merge-patch+json, application/strategic-merge-patch+json, \
                 application/apply-patch+yaml",
            )),
        }
    }
}

/// `PATCH` of an object or its status.
pub fn patch(call: &Call<'_>, body: &Bytes) -> Result<Response, Status> {
    let kind = Kind::of(call)?;
    let patch = writes::decode(body, call.headers)?;
    let resource = call.target.resource;
    let served = call.target.served;
    if kind == Kind::Apply {
        return server_side_apply(call, patch);
    }
    let updated = writes::write(call, |live| {
        let mut new = views::to_served(served, live);
        merge(kind, &mut new, &patch)?;
        writes::check_patched(call, &patch, &mut new)?;
        let mut new = views::to_stored(served, new);
        if kind != Kind::Json {
            writes::check_version(call.target, live, &patch)?;
        }
        super::json::set(&mut new, "metadata.managedFields", at(live, "metadata.managedFields").cloned().unwrap_or_default());
        Ok(new)
    })?;
    Ok(reply::object(200, resource, &updated, call.shape))
}

/// Applies a patch of any kind but apply to a value.
pub fn merge(kind: Kind, target: &mut Value, patch: &Value) -> Result<(), Status> {
    match kind {
        Kind::Json => {
            let operations: json_patch::Patch = serde_json::from_value(patch.clone())
                .map_err(|error| Status::bad_request(format!("error decoding patch: {error}")))?;
            json_patch::patch(target, &operations).map_err(|error| {
                let mut status = Status::bad_request("the server rejected our request due to an error in our request");
                (status.code, status.reason) = (422, "Invalid");
                super::json::set(&mut status.details, "causes", serde_json::json!([{"message": error.to_string()}]));
                status
            })
        }
        Kind::Merge => {
            json_patch::merge(target, patch);
            Ok(())
        }
        Kind::Strategic | Kind::Apply => {
            strategic::merge(target, patch);
            Ok(())
        }
    }
}

fn server_side_apply(call: &Call<'_>, config: Value) -> Result<Response, Status> {
    let target = call.target;
    let resource = target.resource;
    let Some(manager) = call.query.get("fieldManager") else {
        let cause = Cause::required("fieldManager", "is required for apply patch");
        let mut status = Status::invalid(resource, "", &[cause]);
        status.message =
            "PatchOptions.meta.k8s.io \"\" is invalid: fieldManager: Required value: is required for apply patch".into();
        return Err(status);
    };
    writes::check_kind(target, &config)?;
    if !super::json::items(&config, "metadata.managedFields").is_empty() {
        return Err(Status::bad_request("metadata.managedFields must be nil"));
    }
    let subresource = (!target.subresource.is_empty()).then_some(target.subresource.as_str());
    let writer = Writer { manager, operation: Operation::Apply, subresource };
    let config = check_config(call, config)?;
    let mut config = apply::prepare(config, &resource.api_version(), resource.kind, &target.name);
    let force = call.query.is_true("force");
    let now = call.shape.now;
    let gate = writes::gate_of(call);
    if call.store.stored(resource, &target.namespace, &target.name).is_none() {
        if !target.subresource.is_empty() {
            return Err(Status::not_found(resource, &target.name));
        }
        writes::adopt_namespace(call.store, target, &mut config)?;
        validate::create(resource, &config)?;
        gate.check(None, &config)?;
        let object = apply::apply(None, &config, &writer, force, now)?;
        let created = call.store.create_with(resource, object, writer, writes::write_of(call))?;
        return Ok(reply::object(201, resource, &created, call.shape));
    }
    let part = writes::is_part(&target.subresource);
    let written = call.store.try_modify(resource, (&target.namespace, &target.name), writer, writes::write_of(call), |live| {
        writes::check_version(target, live, &config)?;
        let mut new = apply::apply(Some(live), &config, &writer, force, now)?;
        let owners = at(&new, "metadata.managedFields").cloned().unwrap_or_default();
        writes::keep_other_half(target, live, &mut new);
        super::json::set(&mut new, "metadata.managedFields", owners);
        if !part {
            defaults_for_validation(call, &mut new);
            validate::update(resource, live, &new)?;
            gate.check(Some(live), &new)?;
        }
        *live = new;
        Ok(())
    })?;
    Ok(reply::object(200, resource, &written, call.shape))
}

/// A configuration with a field no schema declares cannot be applied, whatever the field validation.
fn check_config(call: &Call<'_>, mut config: Value) -> Result<Value, Status> {
    let target = call.target;
    let served = target.served;
    let mistakes = published::decode(served, &mut config);
    let Some(first) = mistakes.unknown.first() else { return Ok(views::to_stored(served, config)) };
    let field = first.trim_start_matches("unknown field ").trim_matches('"');
    let message = format!(
        "failed to create typed patch object ({}/{}; {}, Kind={}): .{field}: field not declared in schema",
        target.namespace,
        target.name,
        served.api_version(),
        served.kind
    );
    let mut status = Status::internal("");
    status.message = message;
    Err(status)
}

fn defaults_for_validation(call: &Call<'_>, object: &mut Value) {
    if call.target.resource.plural != "services" || !text(object, "spec.clusterIP").is_empty() {
        defaults::apply(call.target.resource, object, &defaults::Addresses::default());
    }
}
