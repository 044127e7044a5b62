//! Reviews and tokens: the `authorization.k8s.io` and `authentication.k8s.io` kinds, which are answered and never stored.

use axum::response::Response;
use chrono::Duration;
use serde_json::{Value, json};

use super::access::Identity;
use super::api::{Api, Call};
use super::json::{at, integer, items, object_mut, set, text};
use super::status::{Cause, Status};
use super::{base64, clock, rbac, reply};

/// Answers a review.
pub fn answer(api: &Api, identity: &Identity, call: &Call<'_>, mut body: Value) -> Response {
    let store = &api.store;
    let status = match call.target.served.kind {
        "SelfSubjectAccessReview" => rbac::review(store, identity, at(&body, "spec").unwrap_or(&Value::Null)),
        "SelfSubjectRulesReview" => rbac::rules_review(store, identity, text(&body, "spec.namespace")),
        "SubjectAccessReview" | "LocalSubjectAccessReview" => {
            let mut subject = Identity::of(text(&body, "spec.user"));
            subject.groups = items(&body, "spec.groups").iter().filter_map(Value::as_str).map(str::to_owned).collect();
            rbac::review(store, &subject, at(&body, "spec").unwrap_or(&Value::Null))
        }
        "TokenReview" => match api.access.user_of(text(&body, "spec.token"), call.shape.now) {
            Some(known) => json!({"authenticated": true, "user": {"username": known.user, "groups": known.groups}}),
            None => json!({"user": {}, "error": "[invalid bearer token, token lookup failed]"}),
        },
        _ => json!({"userInfo": {"username": identity.user, "groups": identity.groups}}),
    };
    set(&mut body, "status", status);
    set(&mut body, "apiVersion", call.target.served.api_version());
    set(&mut body, "kind", call.target.served.kind);
    object_mut(&mut body, "metadata");
    reply::json_value(201, &body)
}

/// 422 for a token that would live for less than ten minutes or more than 2^32 seconds.
fn check_lifetime(seconds: i64) -> Result<(), Status> {
    let why = match seconds {
        ..600 => "may not specify a duration less than 10 minutes",
        600..=0x1_0000_0000 => return Ok(()),
        _ => "may not specify a duration larger than 2^32 seconds",
    };
    let cause = Cause::invalid("spec.expirationSeconds", &json!(seconds), why);
    let kind = "TokenRequest.authentication.k8s.io";
    let mut status = Status::invalid_options(kind, std::slice::from_ref(&cause));
    status.message = format!("{kind} \"\" is invalid: {}: {}", cause.field, cause.message);
    set(&mut status.details, "group", "authentication.k8s.io");
    set(&mut status.details, "kind", "TokenRequest");
    Err(status)
}

/// `POST serviceaccounts/NAME/token`: a token that is good for as long as was asked for.
pub fn token(api: &Api, call: &Call<'_>, mut body: Value) -> Result<Response, Status> {
    let target = call.target;
    let account = call.store.get(target.resource, &target.namespace, &target.name);
    let account = account.ok_or_else(|| Status::not_found(target.resource, &target.name))?;
    let seconds = integer(&body, "spec.expirationSeconds").unwrap_or(3600);
    check_lifetime(seconds)?;
    let expires = call.shape.now + Duration::seconds(seconds);
    let user = format!("system:serviceaccount:{}:{}", target.namespace, target.name);
    let audience =
        at(&body, "spec.audiences").cloned().unwrap_or_else(|| json!(["https://kubernetes.default.svc.cluster.local"]));
    let claims = json!({"aud": audience, "exp": expires.timestamp(), "iat": call.shape.now.timestamp(), "sub": user,
        "kubernetes.io": {"namespace": target.namespace,
            "serviceaccount": {"name": target.name, "uid": text(&account, "metadata.uid")}}});
    let part = |text: &str| base64::encode(text.as_bytes()).trim_end_matches('=').replace('+', "-").replace('/', "_");
    let token = format!("{}.{}.practice", part("{\"alg\":\"none\",\"typ\":\"JWT\"}"), part(&claims.to_string()));
    api.access.admit(&token, Identity::of(&user), Some(expires));
    set(&mut body, "spec.audiences", audience);
    set(&mut body, "spec.expirationSeconds", seconds);
    set(&mut body, "status", json!({"token": token, "expirationTimestamp": clock::timestamp(expires)}));
    set(&mut body, "apiVersion", "authentication.k8s.io/v1");
    set(&mut body, "kind", "TokenRequest");
    set(&mut body, "metadata", json!({"name": target.name, "namespace": target.namespace}));
    Ok(reply::json_value(201, &body))
}
