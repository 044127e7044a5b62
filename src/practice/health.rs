//! What the server says about itself: `/healthz`, `/livez`, `/readyz` and their single checks, `/metrics`, and the paths at `/`.
//!
//! To add a check or a path: a line in its list. Source of the wording: `apiserver/pkg/server/healthz`, `server/routes`.

use std::fmt::Write;

use axum::response::Response;
use serde_json::json;

use super::api::Api;
use super::discovery;
use super::query::Query;
use super::reply;
use super::store::Store;

/// Each check, and whether only `/readyz` makes it.
const CHECKS: &[(&str, bool)] = &[
    ("ping", false),
    ("log", false),
    ("etcd", false),
    ("etcd-readiness", true),
    ("informer-sync", true),
    ("poststarthook/start-apiserver-admission-initializer", false),
    ("poststarthook/generic-apiserver-start-informers", false),
    ("poststarthook/start-apiextensions-informers", false),
    ("poststarthook/start-apiextensions-controllers", false),
    ("poststarthook/crd-informer-synced", false),
    ("poststarthook/rbac/bootstrap-roles", false),
    ("poststarthook/scheduling/bootstrap-system-priority-classes", false),
    ("poststarthook/apiservice-registration-controller", false),
    ("poststarthook/apiservice-discovery-controller", false),
    ("poststarthook/apiservice-openapiv3-controller", false),
    ("shutdown", true),
];

const ENDPOINTS: &[&str] = &["healthz", "livez", "readyz"];

/// The answer of a path that is about the server itself; none when it is another.
pub fn serve(api: &Api, path: &str, query: &Query) -> Option<Response> {
    let path = path.trim_matches('/');
    match path {
        "" => Some(root(&api.store)),
        "metrics" => {
            Some(reply::with_type(200, "text/plain; version=0.0.4; charset=utf-8", api.requests.text() + &metrics(&api.store)))
        }
        _ => checks(path, query).map(|text| reply::with_type(200, "text/plain; charset=utf-8", text)),
    }
}

fn checks(path: &str, query: &Query) -> Option<String> {
    let (endpoint, wanted) = path.split_once('/').unwrap_or((path, ""));
    let endpoint = ENDPOINTS.iter().find(|known| **known == endpoint)?;
    let mut made = CHECKS.iter().filter(|(_, late)| !late || *endpoint == "readyz").map(|(name, _)| *name);
    if !wanted.is_empty() {
        return made.any(|name| name == wanted).then(|| "ok".to_owned());
    }
    if !query.has("verbose") {
        return Some("ok".to_owned());
    }
    let mut excluded = query.all("exclude");
    let mut text = String::new();
    for name in made {
        let before = excluded.len();
        excluded.retain(|other| other != name);
        let how = if excluded.len() < before { " excluded:" } else { "" };
        let _ = writeln!(text, "[+]{name}{how} ok");
    }
    if !excluded.is_empty() {
        let quoted: Vec<String> = excluded.iter().map(|name| format!("{name:?}")).collect();
        let _ = writeln!(text, "warn: some health checks cannot be excluded: no matches for {}", quoted.join(", "));
    }
    let _ = writeln!(text, "{endpoint} check passed");
    Some(text)
}

/// `/`: every path the server has.
fn root(store: &Store) -> Response {
    let mut paths: Vec<String> =
        ["/api", "/apis", "/metrics", "/openapi/v2", "/openapi/v3", "/version"].map(str::to_owned).into();
    for resource in store.served_types() {
        match resource.group {
            "" => paths.push(format!("/api/{}", resource.version)),
            group => paths.extend([format!("/apis/{group}"), format!("/apis/{group}/{}", resource.version)]),
        }
    }
    for endpoint in ENDPOINTS {
        paths.push(format!("/{endpoint}"));
        let made = CHECKS.iter().filter(|(_, late)| !late || *endpoint == "readyz");
        paths.extend(made.map(|(name, _)| format!("/{endpoint}/{name}")));
    }
    paths.sort_unstable();
    paths.dedup();
    reply::json_value(200, &json!({"paths": paths}))
}

/// `/metrics`: what runs, and how many objects of each type are stored.
fn metrics(store: &Store) -> String {
    let version = discovery::version();
    let label = |name: &str| version.get(name).and_then(serde_json::Value::as_str).unwrap_or_default();
    let mut text = String::from(
        "# HELP apiserver_storage_objects [STABLE] Number of stored objects at the time of last check split by kind.\n\
         # TYPE apiserver_storage_objects gauge\n",
    );
    for resource in store.stored_types() {
        let count = store.list_stored(resource, None).0.len();
        let _ = writeln!(text, "apiserver_storage_objects{{resource=\"{}\"}} {count}", resource.qualified());
    }
    let _ = write!(
        text,
        "# HELP kubernetes_build_info [ALPHA] A metric with a constant '1' value labeled by major, minor, git version, git commit, \
         git tree state, build date, Go version, and compiler from which Kubernetes was built, and platform on which it is \
         running.\n# TYPE kubernetes_build_info gauge\nkubernetes_build_info{{build_date=\"{}\",compiler=\"{}\",git_commit=\"{}\",\
         git_tree_state=\"{}\",git_version=\"{}\",go_version=\"{}\",major=\"{}\",minor=\"{}\",platform=\"{}\"}} 1\n",
        label("buildDate"),
        label("compiler"),
        label("gitCommit"),
        label("gitTreeState"),
        label("gitVersion"),
        label("goVersion"),
        label("major"),
        label("minor"),
        label("platform"),
    );
    text
}
