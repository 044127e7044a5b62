//! The errors of the API: `metav1.Status` objects with the reasons and sentences of the real server.
//!
//! Invariant: every refusal a client can see is built here, in the words of `k8s.io/apimachinery/pkg/api/errors`. Add a
//! constructor for a new one.

use std::fmt;

use serde_json::{Value, json};

use super::resources::ResourceType;

/// A failed request: the HTTP code and everything the `Status` body says.
#[derive(Clone, Debug, PartialEq)]
pub struct Status {
    /// The HTTP status code.
    pub code: u16,
    /// The machine-readable reason, such as `NotFound`.
    pub reason: &'static str,
    /// The sentence for people.
    pub message: String,
    /// The `details` object, or null.
    pub details: Value,
}

/// One cause of a 422: which field, what kind of mistake, and the sentence.
#[derive(Clone, Debug, PartialEq)]
pub struct Cause {
    /// The path of the field, such as `spec.containers[0].image`.
    pub field: String,
    /// The machine-readable kind, such as `FieldValueRequired`.
    pub reason: &'static str,
    /// The sentence, without the field: `Required value`.
    pub message: String,
}

impl Cause {
    /// `field: Required value`, with an optional explanation.
    pub fn required(field: impl Into<String>, detail: &str) -> Self {
        let message = if detail.is_empty() { "Required value".to_owned() } else { format!("Required value: {detail}") };
        Self { field: field.into(), reason: "FieldValueRequired", message }
    }

    /// `field: Invalid value: value: detail`.
    pub fn invalid(field: impl Into<String>, value: &Value, detail: &str) -> Self {
        Self { field: field.into(), reason: "FieldValueInvalid", message: format!("Invalid value: {value}: {detail}") }
    }

    /// `field: Unsupported value: value: supported values: ...`.
    pub fn unsupported(field: impl Into<String>, value: &str, supported: &[&str]) -> Self {
        let listed: Vec<String> = supported.iter().map(|item| format!("{item:?}")).collect();
        let message = format!("Unsupported value: {value:?}: supported values: {}", listed.join(", "));
        Self { field: field.into(), reason: "FieldValueNotSupported", message }
    }

    /// `field: Duplicate value: value`.
    pub fn duplicate(field: impl Into<String>, value: &str) -> Self {
        Self { field: field.into(), reason: "FieldValueDuplicate", message: format!("Duplicate value: {value:?}") }
    }

    /// `field: Forbidden: detail`.
    pub fn forbidden(field: impl Into<String>, detail: &str) -> Self {
        Self { field: field.into(), reason: "FieldValueForbidden", message: format!("Forbidden: {detail}") }
    }
}

impl Status {
    fn new(code: u16, reason: &'static str, message: impl Into<String>, details: Value) -> Self {
        Self { code, reason, message: message.into(), details }
    }

    /// 404 for one object: `pods "x" not found`.
    pub fn not_found(resource: &ResourceType, name: &str) -> Self {
        let message = format!("{} \"{name}\" not found", resource.qualified());
        Self::new(404, "NotFound", message, details_of(resource, name))
    }

    /// 404 for a path that names no resource.
    pub fn unknown_path() -> Self {
        Self::new(404, "NotFound", "the server could not find the requested resource", json!({}))
    }

    /// 409: an object of that name exists.
    pub fn already_exists(resource: &ResourceType, name: &str) -> Self {
        let message = format!("{} \"{name}\" already exists", resource.qualified());
        Self::new(409, "AlreadyExists", message, details_of(resource, name))
    }

    /// 409: the write was refused because the object is not what the writer thought; `why` ends the sentence.
    pub fn conflict(resource: &ResourceType, name: &str, why: &str) -> Self {
        let message = format!("Operation cannot be fulfilled on {} \"{name}\": {why}", resource.qualified());
        Self::new(409, "Conflict", message, details_of(resource, name))
    }

    /// 409 for a stale resourceVersion.
    pub fn stale(resource: &ResourceType, name: &str) -> Self {
        let why = "the object has been modified; please apply your changes to the latest version and try again";
        Self::conflict(resource, name, why)
    }

    /// 409 of server-side apply: each cause is `(path, the manager who owns it, in its words)`.
    pub fn apply_conflict(causes: &[(String, String)]) -> Self {
        let by = causes.first().map(|(_, manager)| manager.clone()).unwrap_or_default();
        let single = causes.iter().all(|(_, manager)| *manager == by);
        let plural = if causes.len() == 1 { "conflict" } else { "conflicts" };
        let head = format!("Apply failed with {} {plural}", causes.len());
        let message = match causes {
            [(path, manager)] => format!("{head}: conflict with {manager}: {path}"),
            _ if single => {
                let paths: Vec<String> = causes.iter().map(|(path, _)| format!("- {path}")).collect();
                format!("{head}: conflicts with {by}:\n{}", paths.join("\n"))
            }
            _ => {
                let lines: Vec<String> =
                    causes.iter().map(|(path, manager)| format!("conflicts with {manager}:\n- {path}")).collect();
                format!("{head}: {}", lines.join("\n"))
            }
        };
        let listed: Vec<Value> = causes
            .iter()
            .map(|(path, manager)| {
                json!({"reason": "FieldManagerConflict", "message": format!("conflict with {manager}"), "field": path})
            })
            .collect();
        Self::new(409, "Conflict", message, json!({"causes": listed}))
    }

    /// 422 with its causes, as the validation of the real server words it.
    pub fn invalid(resource: &ResourceType, name: &str, causes: &[Cause]) -> Self {
        let sentences: Vec<String> = causes.iter().map(|cause| format!("{}: {}", cause.field, cause.message)).collect();
        let shown = if name.is_empty() { "\"\"".to_owned() } else { format!("{name:?}") };
        let list = match sentences.as_slice() {
            [one] => one.clone(),
            many => format!("[{}]", many.join(", ")),
        };
        let kind = resource.qualified_kind();
        let listed: Vec<Value> =
            causes.iter().map(|cause| json!({"reason": cause.reason, "message": cause.message, "field": cause.field})).collect();
        let mut details = json!({"kind": resource.kind, "causes": listed});
        if !name.is_empty() {
            super::json::set(&mut details, "name", json!(name));
        }
        if !resource.group.is_empty() {
            super::json::set(&mut details, "group", json!(resource.group));
        }
        Self::new(422, "Invalid", format!("{kind} {shown} is invalid: {list}"), details)
    }

    /// 422 for parameters of a request: `ListOptions.meta.k8s.io "" is invalid: ...`.
    pub fn invalid_options(kind: &str, causes: &[Cause]) -> Self {
        let sentences: Vec<String> = causes.iter().map(|cause| format!("{}: {}", cause.field, cause.message)).collect();
        let listed: Vec<Value> =
            causes.iter().map(|cause| json!({"reason": cause.reason, "message": cause.message, "field": cause.field})).collect();
        let message = format!("{kind}.meta.k8s.io \"\" is invalid: {}", sentences.join(", "));
        Self::new(422, "Invalid", message, json!({"group": "meta.k8s.io", "kind": kind, "causes": listed}))
    }

    /// 422 for a patch whose result cannot be decoded.
    pub fn invalid_patch(patch: &Value, why: &str) -> Self {
        let cause = Cause::invalid("patch", &json!(patch.to_string()), why);
        let message = format!(" \"\" is invalid: {}: {}", cause.field, cause.message);
        let listed = json!({"causes": [{"reason": cause.reason, "message": cause.message, "field": cause.field}]});
        Self::new(422, "Invalid", message, listed)
    }

    /// 403 with the authoriser's sentence for a user, see `access`.
    pub fn forbidden(resource: &ResourceType, name: &str, why: &str) -> Self {
        let subject = if name.is_empty() { resource.qualified() } else { format!("{} \"{name}\"", resource.qualified()) };
        let mut details = details_of(resource, name);
        if name.is_empty()
            && let Some(map) = details.as_object_mut()
        {
            map.remove("name");
        }
        Self::new(403, "Forbidden", format!("{subject} is forbidden: {why}"), details)
    }

    /// 403 for a path outside the resources.
    pub fn forbidden_path(user: &str, verb: &str, path: &str) -> Self {
        Self::new(403, "Forbidden", format!("forbidden: User {user:?} cannot {verb} path {path:?}"), json!({}))
    }

    /// 403 of an admission webhook that answers no: only its own words, and no details.
    pub fn denied(webhook: &str, why: &str) -> Self {
        Self::new(403, "Forbidden", format!("admission webhook {webhook:?} denied the request: {why}"), json!({}))
    }

    /// 403 for `--as` by somebody who may not: the resource as RBAC names it, its group, and the namespace of a service account.
    pub fn cannot_impersonate(user: &str, (kind, group, namespace): (&str, &str, &str), wanted: &str) -> Self {
        let qualified = if group.is_empty() { kind.to_owned() } else { format!("{kind}.{group}") };
        let place =
            if namespace.is_empty() { "at the cluster scope".to_owned() } else { format!("in the namespace {namespace:?}") };
        let message = format!(
            "{qualified} {wanted:?} is forbidden: User {user:?} cannot impersonate resource {kind:?} in API group {group:?} {place}"
        );
        Self::new(403, "Forbidden", message, json!({"name": wanted, "kind": kind}))
    }

    /// 401: the token is nobody's.
    pub fn unauthorized() -> Self {
        Self::new(401, "Unauthorized", "Unauthorized", Value::Null)
    }

    /// 400.
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(400, "BadRequest", message, Value::Null)
    }

    /// 405.
    pub fn method_not_allowed() -> Self {
        let message = "the server does not allow this method on the requested resource";
        Self::new(405, "MethodNotAllowed", message, json!({}))
    }

    /// 406: none of the accepted content types can be served.
    pub fn not_acceptable() -> Self {
        let message = "only the following media types are accepted: application/json, application/json;stream=watch";
        Self::new(406, "NotAcceptable", message, Value::Null)
    }

    /// 410: the resourceVersion or continue token is older than the history.
    pub fn expired(message: impl Into<String>) -> Self {
        Self::new(410, "Expired", message, Value::Null)
    }

    /// 415 for a patch type this resource does not take.
    pub fn unsupported_media_type(message: impl Into<String>) -> Self {
        Self::new(415, "UnsupportedMediaType", message, json!({}))
    }

    /// 429 with the seconds to wait (0: none are named); the HTTP layer adds `Retry-After`.
    pub fn too_many_requests(message: impl Into<String>, retry_after: u32) -> Self {
        let details = if retry_after == 0 { json!({}) } else { json!({"retryAfterSeconds": retry_after}) };
        Self::new(429, "TooManyRequests", message, details)
    }

    /// 503: nobody serves what was asked for now.
    pub fn unavailable() -> Self {
        let message = "the server is currently unable to handle the request";
        Self::new(503, "ServiceUnavailable", message, Value::Null)
    }

    /// 500.
    pub fn internal(message: impl fmt::Display) -> Self {
        let message = format!("Internal error occurred: {message}");
        Self::new(500, "InternalError", message.clone(), json!({"causes": [{"message": message}]}))
    }

    /// The `Status` object of this error.
    pub fn to_value(&self) -> Value {
        let mut value = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": self.message, "reason": self.reason, "code": self.code,
        });
        if !self.details.is_null() {
            super::json::set(&mut value, "details", self.details.clone());
        }
        value
    }
}

fn details_of(resource: &ResourceType, name: &str) -> Value {
    let mut details = json!({"name": name, "kind": resource.plural});
    if !resource.group.is_empty() {
        super::json::set(&mut details, "group", json!(resource.group));
    }
    details
}

impl fmt::Display for Status {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {}: {}", self.code, self.reason, self.message)
    }
}

impl std::error::Error for Status {}
