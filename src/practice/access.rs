//! Who may do what: bearer tokens, roles, the sentences of a refusal, and the self-subject reviews.
//!
//! A role is a list of rules as RBAC has them. Without a token a request is the cluster admin's, as with a client certificate.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use http::{HeaderMap, header};
use serde_json::{Value, json};

use super::json::text;
use super::request::Target;
use super::status::Status;

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
    /// Pods of one namespace and nothing else, not even their logs.
    PodsOnly(String),
    /// Reading everything that is in a namespace, in all of them, but nothing of the cluster itself: no namespaces, no nodes.
    NoCluster,
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
    rules: Vec<Rule>,
}

/// The known tokens.
#[derive(Debug, Default)]
pub struct Access {
    tokens: Mutex<HashMap<String, Identity>>,
}

/// Splits `/as/TOKEN/api/...` into the token and the real path. kubectl keeps tokens to itself on plain HTTP, so kubeconfigs
/// of users carry theirs in the server's URL as well.
pub fn split_path_token(path: &str) -> (Option<&str>, &str) {
    let Some(rest) = path.strip_prefix("/as/") else { return (None, path) };
    let (token, _) = rest.split_once('/').unwrap_or((rest, ""));
    (Some(token), rest.get(token.len()..).unwrap_or_default())
}

/// What is asked for, as reviews and RBAC name it.
struct Question<'a> {
    verb: &'a str,
    group: &'a str,
    resource: String,
    namespace: &'a str,
}

fn rule(verbs: &[&str], groups: &[&str], resources: &[&str], namespace: Option<&str>) -> Rule {
    let owned = |list: &[&str]| list.iter().map(|item| (*item).to_owned()).collect();
    Rule { verbs: owned(verbs), groups: owned(groups), resources: owned(resources), namespace: namespace.map(str::to_owned) }
}

/// What the `view` role of a real cluster lets one read, bound cluster-wide.
fn namespaced_only() -> Vec<Rule> {
    let core = ["pods", "pods/log", "events", "configmaps", "services", "endpoints", "persistentvolumeclaims", "serviceaccounts"];
    let more = ["resourcequotas", "limitranges", "replicationcontrollers", "replicationcontrollers/scale"];
    let apps = ["apps", "batch", "autoscaling", "policy", "networking.k8s.io", "discovery.k8s.io"];
    vec![rule(READ, &[""], &[core.as_slice(), &more].concat(), None), rule(READ, &apps, &["*"], None)]
}

impl Role {
    /// The roles by name, for a namespace: what `k3am demo --serve --users` writes kubeconfigs for.
    pub fn named(namespace: &str) -> [(&'static str, &'static str, Self); 7] {
        let own = || namespace.to_owned();
        [
            ("admin", "everything", Self::Admin),
            ("reader", "everything, reading only", Self::Reader),
            ("no-cluster", "reading in every namespace, no nodes and no list of namespaces", Self::NoCluster),
            ("one-namespace", "everything in one namespace", Self::NamespaceAdmin(own())),
            ("one-namespace-reader", "pods, logs and events of one namespace", Self::NamespaceReader(own())),
            ("pods-only", "pods of one namespace, not their logs", Self::PodsOnly(own())),
            ("nothing", "nothing", Self::Nothing),
        ]
    }

    fn rules(self) -> Vec<Rule> {
        let mut rules = vec![
            rule(&["create"], &["authorization.k8s.io"], &["selfsubjectaccessreviews", "selfsubjectrulesreviews"], None),
            rule(&["create"], &["authentication.k8s.io"], &["selfsubjectreviews"], None),
        ];
        match self {
            Self::Admin => rules.push(rule(&["*"], &["*"], &["*"], None)),
            Self::Reader => rules.push(rule(READ, &["*"], &["*"], None)),
            Self::NamespaceReader(namespace) => {
                rules.push(rule(READ, &[""], &["pods", "pods/log", "events"], Some(&namespace)));
            }
            Self::NamespaceAdmin(namespace) => rules.push(rule(&["*"], &["*"], &["*"], Some(&namespace))),
            Self::PodsOnly(namespace) => rules.push(rule(READ, &[""], &["pods"], Some(&namespace))),
            Self::NoCluster => rules.extend(namespaced_only()),
            Self::Nothing => {}
            Self::Rules(own) => rules.extend(own),
        }
        rules
    }
}

impl Access {
    /// Makes a user with a role; the token is `token-USER`.
    pub fn grant(&self, user: &str, role: Role) -> String {
        let token = format!("token-{user}");
        let identity = Identity { user: user.to_owned(), groups: vec!["system:authenticated".to_owned()], rules: role.rules() };
        self.tokens.lock().unwrap_or_else(PoisonError::into_inner).insert(token.clone(), identity);
        token
    }

    /// Takes a token back: it gets 401 from now on.
    pub fn revoke(&self, token: &str) {
        self.tokens.lock().unwrap_or_else(PoisonError::into_inner).remove(token);
    }

    /// Whose request this is, by the bearer token or the token in the path (`path_token`); 401 for an unknown one.
    pub fn identify(&self, headers: &HeaderMap, path_token: Option<&str>) -> Result<Identity, Status> {
        let bearer = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let Some(token) = bearer.and_then(|value| value.strip_prefix("Bearer ")).or(path_token) else {
            let groups = vec!["system:masters".to_owned(), "system:authenticated".to_owned()];
            return Ok(Identity { user: "kubernetes-admin".to_owned(), groups, rules: Role::Admin.rules() });
        };
        let tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        tokens.get(token).cloned().ok_or_else(Status::unauthorized)
    }

    /// Who acts: `identity`, or the user of the `Impersonate-User` header (`--as`), which only an admin may name. A user nobody
    /// made has no rights, as on a real cluster without a binding for it.
    pub fn act_as(&self, identity: Identity, headers: &HeaderMap) -> Result<Identity, Status> {
        let Some(user) = headers.get("impersonate-user").and_then(|value| value.to_str().ok()) else { return Ok(identity) };
        let may = Question { verb: "impersonate", group: "", resource: "users".to_owned(), namespace: "" };
        if !identity.allows(&may) {
            return Err(Status::cannot_impersonate(&identity.user, user));
        }
        let tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        let known = tokens.values().find(|known| known.user == user).cloned();
        let groups = vec!["system:authenticated".to_owned()];
        Ok(known.unwrap_or_else(|| Identity { user: user.to_owned(), groups, rules: Role::Nothing.rules() }))
    }
}

/// `pods`, `pods/log`.
fn resource_of(target: &Target) -> String {
    if target.subresource.is_empty() {
        target.served.plural.to_owned()
    } else {
        format!("{}/{}", target.served.plural, target.subresource)
    }
}

impl Identity {
    /// 403 in the authoriser's words unless a rule allows the verb on the target.
    pub fn authorise(&self, verb: &str, target: &Target) -> Result<(), Status> {
        let resource = resource_of(target);
        let namespace = if target.resource.plural == "namespaces" { target.name.as_str() } else { target.namespace.as_str() };
        let question = Question { verb, group: target.served.group, resource, namespace };
        if self.allows(&question) { Ok(()) } else { Err(self.refusal(verb, target)) }
    }

    /// The 403 itself, in the authoriser's words.
    pub fn refusal(&self, verb: &str, target: &Target) -> Status {
        let scope = if target.namespace.is_empty() {
            "at the cluster scope".to_owned()
        } else {
            format!("in the namespace {:?}", target.namespace)
        };
        let (resource, group) = (resource_of(target), target.served.group);
        let why = format!("User {:?} cannot {verb} resource {resource:?} in API group {group:?} {scope}", self.user);
        Status::forbidden(target.served, &target.name, &why)
    }

    fn allows(&self, question: &Question<'_>) -> bool {
        let any = |list: &[String], wanted: &str| list.iter().any(|item| item == "*" || item == wanted);
        self.rules.iter().any(|rule| {
            any(&rule.verbs, question.verb)
                && any(&rule.groups, question.group)
                && any(&rule.resources, &question.resource)
                && rule.namespace.as_deref().is_none_or(|namespace| namespace == question.namespace)
        })
    }

    /// Answers a review posted to one of the self-subject resources.
    pub fn review(&self, kind: &str, mut body: Value) -> Value {
        let answer = match kind {
            "SelfSubjectAccessReview" => self.access_review(&body),
            "SelfSubjectRulesReview" => self.rules_review(text(&body, "spec.namespace")),
            _ => json!({"userInfo": {"username": self.user, "groups": self.groups}}),
        };
        super::json::set(&mut body, "status", answer);
        super::json::object_mut(&mut body, "metadata");
        body
    }

    fn access_review(&self, body: &Value) -> Value {
        let asked = |field: &str| text(body, &format!("spec.resourceAttributes.{field}"));
        let subresource = asked("subresource");
        let resource =
            if subresource.is_empty() { asked("resource").to_owned() } else { format!("{}/{subresource}", asked("resource")) };
        let question = Question { verb: asked("verb"), group: asked("group"), resource, namespace: asked("namespace") };
        let path = text(body, "spec.nonResourceAttributes.path");
        let allowed = if path.is_empty() { self.allows(&question) } else { self.allows_path(path) };
        if allowed {
            json!({"allowed": true, "reason": "RBAC: allowed by ClusterRoleBinding"})
        } else {
            json!({"allowed": false})
        }
    }

    fn rules_review(&self, namespace: &str) -> Value {
        let here = self.rules.iter().filter(|rule| rule.namespace.as_deref().is_none_or(|of| of == namespace));
        let listed: Vec<Value> =
            here.map(|rule| json!({"verbs": rule.verbs, "apiGroups": rule.groups, "resources": rule.resources})).collect();
        let paths = json!([
            "/api",
            "/api/*",
            "/apis",
            "/apis/*",
            "/healthz",
            "/livez",
            "/openapi",
            "/openapi/*",
            "/readyz",
            "/version",
            "/version/"
        ]);
        json!({"resourceRules": listed, "nonResourceRules": [{"verbs": ["get"], "nonResourceURLs": paths}], "incomplete": false})
    }

    fn allows_path(&self, path: &str) -> bool {
        let public = ["/api", "/apis", "/healthz", "/livez", "/readyz", "/version", "/openapi"];
        public.iter().any(|prefix| path.starts_with(prefix))
            || self.rules.iter().any(|rule| rule.verbs.iter().any(|verb| verb == "*"))
    }
}
