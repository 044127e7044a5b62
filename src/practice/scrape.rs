//! What the server counts of its requests, for `/metrics` (`health`).
//!
//! Names and labels are those of `k8s.io/apiserver/pkg/endpoints/metrics`, so that queries written for a real server find them.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Mutex, PoisonError};

use axum::extract::Request;
use http::StatusCode;

use super::access;
use super::query::Query;
use super::request::Target;
use super::store::Store;

/// What one request was about, as its labels say it.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Labels {
    dry_run: &'static str,
    group: &'static str,
    version: &'static str,
    resource: &'static str,
    scope: &'static str,
    subresource: String,
    verb: String,
}

impl Labels {
    /// The labels of a request.
    pub fn of(store: &Store, request: &Request) -> Self {
        let (_, path) = access::split_path_token(request.uri().path());
        let query = Query::parse(request.uri().query().unwrap_or_default());
        let Some(target) = Target::parse(store, path) else {
            // Only known paths: an attacker's must not grow the table.
            let known = ["/api", "/apis", "/healthz", "/livez", "/metrics", "/openapi/v2", "/openapi/v3", "/readyz", "/version"];
            let subresource = known.into_iter().find(|known| *known == path).unwrap_or_default().to_owned();
            return Self { subresource, verb: request.method().to_string(), ..Self::default() };
        };
        let verb = match (target.verb(request.method(), &query), target.subresource.as_str()) {
            (_, "exec" | "attach" | "portforward" | "proxy") => "CONNECT".to_owned(),
            (Ok(verb @ ("list" | "watch" | "deletecollection")), _) => verb.to_uppercase(),
            _ => request.method().to_string(),
        };
        let scope = match (target.name.is_empty(), target.namespace.is_empty()) {
            (false, _) => "resource",
            (true, false) => "namespace",
            (true, true) => "cluster",
        };
        let known = target.served.subresource(&target.subresource).is_some();
        Self {
            dry_run: if query.is_dry_run() { "All" } else { "" },
            group: target.served.group,
            version: target.served.version,
            resource: target.served.plural,
            scope,
            subresource: if known { target.subresource } else { String::new() },
            verb,
        }
    }
}

/// How often each kind of request was answered, and how.
#[derive(Default)]
pub struct Requests(Mutex<BTreeMap<(Labels, u16), u64>>);

impl Requests {
    /// Counts an answered request.
    pub fn count(&self, labels: Labels, code: StatusCode) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *counts.entry((labels, code.as_u16())).or_default() += 1;
    }

    /// The counts as series.
    pub fn text(&self) -> String {
        let mut text = String::from(
            "# HELP apiserver_request_total [STABLE] Requests that were answered, by what they asked for and the code.\n\
             # TYPE apiserver_request_total counter\n",
        );
        for ((labels, code), count) in self.0.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            let Labels { dry_run, group, version, resource, scope, subresource, verb } = labels;
            let _ = writeln!(
                text,
                "apiserver_request_total{{code=\"{code}\",component=\"apiserver\",dry_run=\"{dry_run}\",group=\"{group}\",\
                 resource=\"{resource}\",scope=\"{scope}\",subresource=\"{subresource}\",verb=\"{verb}\",version=\"{version}\"}} \
                 {count}"
            );
        }
        text
    }
}
