//! Who a request is from: bearer tokens, service accounts, impersonation; and the roles tests hand out.
//!
//! Without a token a request is the cluster admin's, as with a client certificate. What a user may do is only in the cluster's
//! RBAC objects (`rbac`): a role handed out here is written there.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use chrono::{DateTime, Utc};
use http::{HeaderMap, header};
use serde_json::{Value, json};

use super::rbac::{self, Question};
use super::resources::{CLUSTER_ROLE_BINDINGS, CLUSTER_ROLES, ROLE_BINDINGS, ROLES, ResourceType};
use super::status::Status;
use super::store::{Store, Writer};

const READ: &[&str] = &["get", "list", "watch"];

/// One RBAC rule.
#[derive(Clone, Debug)]
pub struct Rule {
    /// Verbs, or `*`.
    pub verbs: Vec<String>,
    /// API groups, or `*`.
    pub groups: Vec<String>,
    /// Resources as `pods` or `pods/log`, or `*`.
    pub resources: Vec<String>,
    /// The one namespace the rule holds in; none for the whole cluster.
    pub namespace: Option<String>,
}

/// The roles the practice cluster hands out.
#[derive(Clone, Debug)]
pub enum Role {
    /// Everything.
    Admin,
    /// Everything, reading only.
    Reader,
    /// Pods, their logs and events of one namespace, reading only.
    NamespaceReader(String),
    /// Everything in one namespace, and nothing outside: the usual role of a team.
    NamespaceAdmin(String),
    /// Pods of every namespace, reading only, and nothing else.
    PodsOnly,
    /// Everything inside namespaces and nodes, reading only, but not which namespaces there are.
    NoNamespaceList,
    /// Only what every authenticated user may.
    Nothing,
    /// Rules of one's own.
    Rules(Vec<Rule>),
}

/// An authenticated user.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The user name.
    pub user: String,
    /// The groups.
    pub groups: Vec<String>,
}

#[derive(Debug)]
struct Token {
    identity: Identity,
    expires: Option<DateTime<Utc>>,
}

/// The known tokens.
#[derive(Debug, Default)]
pub struct Access {
    tokens: Mutex<HashMap<String, Token>>,
}

/// Splits `/as/TOKEN/api/...` into the token and the real path. kubectl keeps tokens to itself on plain HTTP, so kubeconfigs
/// of users carry theirs in the server's URL as well.
pub fn split_path_token(path: &str) -> (Option<&str>, &str) {
    let Some(rest) = path.strip_prefix("/as/") else { return (None, path) };
    let (token, _) = rest.split_once('/').unwrap_or((rest, ""));
    (Some(token), rest.get(token.len()..).unwrap_or_default())
}

fn rule(verbs: &[&str], groups: &[&str], resources: &[&str], namespace: Option<&str>) -> Rule {
    let owned = |list: &[&str]| list.iter().map(|item| (*item).to_owned()).collect();
    Rule { verbs: owned(verbs), groups: owned(groups), resources: owned(resources), namespace: namespace.map(str::to_owned) }
}

impl Role {
    /// The roles by name, for a namespace: what `k3am demo --serve --users` writes kubeconfigs for.
    pub fn named(namespace: &str) -> Vec<(&'static str, &'static str, Self)> {
        let own = || namespace.to_owned();
        let pods = rule(READ, &[""], &["pods"], Some(namespace));
        vec![
            ("admin", "everything", Self::Admin),
            ("reader", "everything, reading only", Self::Reader),
            ("no-list", "reading in every namespace, but not which namespaces there are", Self::NoNamespaceList),
            ("all-pods", "pods and their logs in every namespace", Self::PodsOnly),
            ("one-namespace", "everything in one namespace", Self::NamespaceAdmin(own())),
            ("one-namespace-reader", "pods, logs and events of one namespace", Self::NamespaceReader(own())),
            ("pods-only", "pods of one namespace, not their logs", Self::Rules(vec![pods])),
            ("nothing", "nothing", Self::Nothing),
        ]
    }

    fn rules(self) -> Vec<Rule> {
        match self {
            Self::Admin => vec![rule(&["*"], &["*"], &["*"], None)],
            Self::Reader => vec![rule(READ, &["*"], &["*"], None)],
            Self::NamespaceReader(namespace) => vec![rule(READ, &[""], &["pods", "pods/log", "events"], Some(&namespace))],
            Self::NamespaceAdmin(namespace) => vec![rule(&["*"], &["*"], &["*"], Some(&namespace))],
            Self::PodsOnly => vec![rule(READ, &[""], &["pods", "pods/log"], None)],
            Self::NoNamespaceList => vec![
                rule(
                    READ,
                    &[""],
                    &[
                        "configmaps",
                        "events",
                        "nodes",
                        "persistentvolumeclaims",
                        "pods",
                        "pods/log",
                        "resourcequotas",
                        "services",
                    ],
                    None,
                ),
                rule(READ, &["apps", "autoscaling", "batch", "discovery.k8s.io", "networking.k8s.io", "policy"], &["*"], None),
            ],
            Self::Nothing => Vec::new(),
            Self::Rules(own) => own,
        }
    }
}

impl Identity {
    /// A user with the groups every user, or every service account, is in.
    pub fn of(user: &str) -> Self {
        let mut groups = Vec::new();
        if let Some((namespace, _)) = user.strip_prefix("system:serviceaccount:").and_then(|rest| rest.split_once(':')) {
            groups.extend(["system:serviceaccounts".to_owned(), format!("system:serviceaccounts:{namespace}")]);
        }
        groups.push("system:authenticated".to_owned());
        Self { user: user.to_owned(), groups }
    }
}

impl Access {
    /// Makes a user with a role, written to the cluster as RBAC objects; the token is `token-USER`.
    pub fn grant(&self, store: &Store, user: &str, role: Role) -> String {
        let token = format!("token-{user}");
        let (everywhere, somewhere): (Vec<Rule>, Vec<Rule>) = role.rules().into_iter().partition(|rule| rule.namespace.is_none());
        bind(store, user, None, &everywhere);
        let mut namespaces: Vec<&str> = somewhere.iter().filter_map(|rule| rule.namespace.as_deref()).collect();
        namespaces.sort_unstable();
        namespaces.dedup();
        for namespace in namespaces {
            let here: Vec<Rule> = somewhere.iter().filter(|rule| rule.namespace.as_deref() == Some(namespace)).cloned().collect();
            bind(store, user, Some(namespace), &here);
        }
        self.admit(&token, Identity::of(user), None);
        token
    }

    /// Makes a token known, until it expires.
    pub fn admit(&self, token: &str, identity: Identity, expires: Option<DateTime<Utc>>) {
        let mut tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        tokens.insert(token.to_owned(), Token { identity, expires });
    }

    /// Takes a token back: it gets 401 from now on.
    pub fn revoke(&self, token: &str) {
        self.tokens.lock().unwrap_or_else(PoisonError::into_inner).remove(token);
    }

    /// The user of a token that is good now.
    pub fn user_of(&self, token: &str, now: DateTime<Utc>) -> Option<Identity> {
        let tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        let known = tokens.get(token)?;
        known.expires.is_none_or(|expires| now < expires).then(|| known.identity.clone())
    }

    /// Whose request this is, by the bearer token or the token in the path (`path_token`); 401 for one that is not good.
    pub fn identify(&self, headers: &HeaderMap, path_token: Option<&str>, now: DateTime<Utc>) -> Result<Identity, Status> {
        let bearer = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let Some(token) = bearer.and_then(|value| value.strip_prefix("Bearer ")).or(path_token) else {
            let groups = vec!["system:masters".to_owned(), "system:authenticated".to_owned()];
            return Ok(Identity { user: "kubernetes-admin".to_owned(), groups });
        };
        self.user_of(token, now).ok_or_else(Status::unauthorized)
    }
}

/// Who acts: `identity`, or the user and groups of the `Impersonate-` headers (`--as`, `--as-group`), which only somebody who may
/// impersonate may name.
pub fn act_as(store: &Store, identity: Identity, headers: &HeaderMap) -> Result<Identity, Status> {
    let Some(user) = headers.get("impersonate-user").and_then(|value| value.to_str().ok()) else { return Ok(identity) };
    let named: Vec<&str> = headers.get_all("impersonate-group").iter().filter_map(|value| value.to_str().ok()).collect();
    for (kind, group, namespace, name) in impersonated(user, &named, headers) {
        let question = Question { verb: "impersonate", group, resource: kind.clone(), namespace, name };
        if !rbac::allows(store, &identity, &question) {
            return Err(Status::cannot_impersonate(&identity.user, (&kind, group, namespace), name));
        }
    }
    let mut acting = Identity::of(user);
    if !named.is_empty() {
        acting.groups = named.iter().map(|group| (*group).to_owned()).collect();
        acting.groups.push("system:authenticated".to_owned());
    }
    Ok(acting)
}

/// What a request that acts as somebody else must be allowed to impersonate: resource, API group, namespace and name.
fn impersonated<'a>(user: &'a str, groups: &[&'a str], headers: &'a HeaderMap) -> Vec<(String, &'static str, &'a str, &'a str)> {
    const AUTHENTICATION: &str = "authentication.k8s.io";
    let account = user.strip_prefix("system:serviceaccount:").and_then(|rest| rest.split_once(':'));
    let mut wanted = vec![match account {
        Some((namespace, name)) => ("serviceaccounts".to_owned(), "", namespace, name),
        None => ("users".to_owned(), "", "", user),
    }];
    wanted.extend(groups.iter().map(|group| ("groups".to_owned(), "", "", *group)));
    for (header, value) in headers {
        let Ok(value) = value.to_str() else { continue };
        if header.as_str() == "impersonate-uid" {
            wanted.push(("uids".to_owned(), AUTHENTICATION, "", value));
        } else if let Some(key) = header.as_str().strip_prefix("impersonate-extra-") {
            wanted.push((format!("userextras/{key}"), AUTHENTICATION, "", value));
        }
    }
    wanted
}

/// Writes the role of a user and its binding, cluster-wide or in one namespace.
fn bind(store: &Store, user: &str, namespace: Option<&str>, rules: &[Rule]) {
    if rules.is_empty() {
        return;
    }
    let (role, binding): (&'static ResourceType, &'static ResourceType) =
        if namespace.is_some() { (&ROLES, &ROLE_BINDINGS) } else { (&CLUSTER_ROLES, &CLUSTER_ROLE_BINDINGS) };
    let name = format!("practice:{user}");
    let mut metadata = json!({"name": name});
    if let Some(namespace) = namespace {
        super::json::set(&mut metadata, "namespace", namespace);
    }
    let written: Vec<Value> =
        rules.iter().map(|rule| json!({"verbs": rule.verbs, "apiGroups": rule.groups, "resources": rule.resources})).collect();
    let writer = Writer::update("practice");
    let place = namespace.unwrap_or_default();
    // Granting again replaces what the user had.
    let _ = store.delete(role, place, &name, None);
    let _ = store.delete(binding, place, &name, None);
    let _ = store.create(role, json!({"metadata": metadata, "rules": written}), writer);
    let reference = json!({"apiGroup": "rbac.authorization.k8s.io", "kind": role.kind, "name": name});
    let subjects = json!([{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user}]);
    let _ = store.create(binding, json!({"metadata": metadata, "roleRef": reference, "subjects": subjects}), writer);
}
