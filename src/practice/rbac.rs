//! RBAC: the rules that the cluster's roles and bindings give a user, and the sentences of a refusal.
//!
//! Source: `plugin/pkg/auth/authorizer/rbac`. Only `system:masters` may everything without a binding. The roles every cluster
//! starts with are in [`bootstrap`].

use serde_json::{Value, json};

use super::access::Identity;
use super::json::{at, items, text};
use super::query::Query;
use super::request::Target;
use super::resources::{CLUSTER_ROLE_BINDINGS, CLUSTER_ROLES, ROLE_BINDINGS, ROLES};
use super::status::Status;
use super::store::{Store, Writer};

pub mod escalation;

const READ: &[&str] = &["get", "list", "watch"];
const WRITE: &[&str] = &["create", "delete", "deletecollection", "patch", "update"];

/// What is asked for, as reviews and RBAC name it.
#[derive(Clone, Debug)]
pub struct Question<'a> {
    /// The verb.
    pub verb: &'a str,
    /// The API group.
    pub group: &'a str,
    /// `pods`, or `pods/log`.
    pub resource: String,
    /// The namespace; empty for the whole cluster.
    pub namespace: &'a str,
    /// The object; empty for none.
    pub name: &'a str,
}

/// The rules that hold for a user, in one namespace and everywhere, with where each comes from; and the roles that bindings name
/// but nobody made.
pub struct Held {
    /// Rule and the sentence that names its binding.
    pub rules: Vec<(Value, String)>,
    /// `clusterrole.rbac.authorization.k8s.io "x" not found`.
    pub missing: Vec<String>,
}

/// What a user holds in a namespace (empty: cluster-wide only).
pub fn held(store: &Store, identity: &Identity, namespace: &str) -> Held {
    let mut held = Held { rules: Vec::new(), missing: Vec::new() };
    if identity.groups.iter().any(|group| group == "system:masters") {
        let everything = json!({"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]});
        let paths = json!({"verbs": ["*"], "nonResourceURLs": ["*"]});
        held.rules = vec![(everything, String::new()), (paths, String::new())];
        return held;
    }
    for binding in store.list(&CLUSTER_ROLE_BINDINGS, None) {
        held.add(store, identity, &binding, "ClusterRoleBinding");
    }
    if !namespace.is_empty() {
        for binding in store.list(&ROLE_BINDINGS, Some(namespace)) {
            held.add(store, identity, &binding, "RoleBinding");
        }
    }
    held
}

impl Held {
    fn add(&mut self, store: &Store, identity: &Identity, binding: &Value, kind: &str) {
        let Some(subject) = items(binding, "subjects").iter().find(|subject| is_subject(subject, identity)) else { return };
        let (role_kind, name) = (text(binding, "roleRef.kind"), text(binding, "roleRef.name"));
        let namespace = text(binding, "metadata.namespace");
        let role = match role_kind {
            "Role" => store.get(&ROLES, namespace, name),
            _ => store.get(&CLUSTER_ROLES, "", name),
        };
        let Some(role) = role else {
            let missing = format!("{}.rbac.authorization.k8s.io {name:?} not found", role_kind.to_lowercase());
            return self.missing.push(missing);
        };
        let path = match namespace {
            "" => text(binding, "metadata.name").to_owned(),
            namespace => format!("{}/{namespace}", text(binding, "metadata.name")),
        };
        let whom = match text(subject, "kind") {
            "ServiceAccount" => format!("ServiceAccount \"{}/{}\"", text(subject, "name"), text(subject, "namespace")),
            other => format!("{other} {:?}", text(subject, "name")),
        };
        let why = format!("RBAC: allowed by {kind} {path:?} of {role_kind} {name:?} to {whom}");
        self.rules.extend(items(&role, "rules").iter().map(|rule| (rule.clone(), why.clone())));
    }
}

fn is_subject(subject: &Value, identity: &Identity) -> bool {
    let name = text(subject, "name");
    match text(subject, "kind") {
        "User" => name == identity.user,
        "Group" => identity.groups.iter().any(|group| group == name),
        "ServiceAccount" => identity.user == format!("system:serviceaccount:{}:{name}", text(subject, "namespace")),
        _ => false,
    }
}

fn listed(rule: &Value, field: &str, wanted: &str) -> bool {
    items(rule, field).iter().any(|item| item == "*" || item == wanted)
}

fn covers(rule: &Value, question: &Question<'_>) -> bool {
    let names = items(rule, "resourceNames");
    let any_parent = question.resource.split_once('/').map(|(_, below)| format!("*/{below}"));
    listed(rule, "verbs", question.verb)
        && listed(rule, "apiGroups", question.group)
        && (listed(rule, "resources", &question.resource)
            || any_parent.is_some_and(|pattern| items(rule, "resources").contains(&json!(pattern))))
        && (names.is_empty() || names.contains(&json!(question.name)))
}

fn covers_path(rule: &Value, verb: &str, path: &str) -> bool {
    let fits = |pattern: &str| match pattern.strip_suffix('*') {
        Some(prefix) => path.starts_with(prefix),
        None => pattern == path,
    };
    listed(rule, "verbs", verb) && items(rule, "nonResourceURLs").iter().filter_map(Value::as_str).any(fits)
}

/// Whether a user may.
pub fn allows(store: &Store, identity: &Identity, question: &Question<'_>) -> bool {
    held(store, identity, question.namespace).rules.iter().any(|(rule, _)| covers(rule, question))
}

/// 403 in the authoriser's words unless a rule allows the verb on the target.
pub fn authorise(store: &Store, identity: &Identity, verb: &str, target: &Target, query: &Query) -> Result<(), Status> {
    let served = target.served;
    let resource = resource_of(target);
    let namespace = if served.plural == "namespaces" { target.name.as_str() } else { target.namespace.as_str() };
    // A list of the one object of a name is a request for that name.
    let selected = query.get("fieldSelector").and_then(|selector| selector.strip_prefix("metadata.name="));
    let name = if target.name.is_empty() { selected.unwrap_or_default() } else { &target.name };
    let question = Question { verb, group: served.group, resource, namespace, name };
    let held = held(store, identity, namespace);
    if held.rules.iter().any(|(rule, _)| covers(rule, &question)) {
        return Ok(());
    }
    Err(refusal(identity, verb, target, &held.missing))
}

/// `pods`, `pods/log`.
fn resource_of(target: &Target) -> String {
    match target.subresource.as_str() {
        "" => target.served.plural.to_owned(),
        below => format!("{}/{below}", target.served.plural),
    }
}

/// The 403 in the authoriser's words; `missing` are roles that bindings name but nobody made.
pub fn refusal(identity: &Identity, verb: &str, target: &Target, missing: &[String]) -> Status {
    let scope = match target.namespace.as_str() {
        "" => "at the cluster scope".to_owned(),
        namespace => format!("in the namespace {namespace:?}"),
    };
    let (resource, group) = (resource_of(target), target.served.group);
    let mut why = format!("User {:?} cannot {verb} resource {resource:?} in API group {group:?} {scope}", identity.user);
    if !missing.is_empty() {
        why.push_str(&format!(": RBAC: {}", list_of(missing)));
    }
    Status::forbidden(target.served, &target.name, &why)
}

fn list_of(missing: &[String]) -> String {
    match missing {
        [only] => only.clone(),
        many => format!("[{}]", many.join(", ")),
    }
}

/// 403 unless a rule allows a path outside the resources.
pub fn authorise_path(store: &Store, identity: &Identity, verb: &str, path: &str) -> Result<(), Status> {
    let held = held(store, identity, "");
    if held.rules.iter().any(|(rule, _)| covers_path(rule, verb, path)) {
        return Ok(());
    }
    Err(Status::forbidden_path(&identity.user, verb, path))
}

/// The answer to an access review: `spec` has `resourceAttributes` or `nonResourceAttributes`.
pub fn review(store: &Store, identity: &Identity, spec: &Value) -> Value {
    let attribute = |field: &str| text(spec, &format!("resourceAttributes.{field}"));
    let path = text(spec, "nonResourceAttributes.path");
    let (allowed, missing) = if path.is_empty() {
        let resource = match attribute("subresource") {
            "" => attribute("resource").to_owned(),
            below => format!("{}/{below}", attribute("resource")),
        };
        let question = Question {
            verb: attribute("verb"),
            group: attribute("group"),
            resource,
            namespace: attribute("namespace"),
            name: attribute("name"),
        };
        let held = held(store, identity, question.namespace);
        (held.rules.into_iter().find(|(rule, _)| covers(rule, &question)), held.missing)
    } else {
        let held = held(store, identity, "");
        let verb = text(spec, "nonResourceAttributes.verb");
        (held.rules.into_iter().find(|(rule, _)| covers_path(rule, verb, path)), held.missing)
    };
    match allowed {
        Some((_, reason)) if reason.is_empty() => json!({"allowed": true}),
        Some((_, reason)) => json!({"allowed": true, "reason": reason}),
        None if missing.is_empty() => json!({"allowed": false}),
        None => json!({"allowed": false, "reason": format!("RBAC: {}", list_of(&missing))}),
    }
}

/// Everything a user may in a namespace, as `kubectl auth can-i --list` asks for it.
pub fn rules_review(store: &Store, identity: &Identity, namespace: &str) -> Value {
    let held = held(store, identity, namespace);
    let (mut resources, mut paths) = (Vec::new(), Vec::new());
    for (rule, _) in held.rules {
        let holder = if at(&rule, "nonResourceURLs").is_some() { &mut paths } else { &mut resources };
        if !holder.contains(&rule) {
            holder.push(rule);
        }
    }
    json!({"resourceRules": resources, "nonResourceRules": paths, "incomplete": false})
}

/// The cluster roles and bindings every cluster starts with.
pub fn bootstrap(store: &Store) {
    let namespaced = |verbs: &[&str]| {
        let rule = |groups: &[&str], resources: &[&str]| json!({"verbs": verbs, "apiGroups": groups, "resources": resources});
        vec![
            rule(
                &[""],
                &[
                    "configmaps",
                    "endpoints",
                    "persistentvolumeclaims",
                    "pods",
                    "replicationcontrollers",
                    "serviceaccounts",
                    "services",
                ],
            ),
            rule(
                &["apps"],
                &["daemonsets", "deployments", "deployments/scale", "replicasets", "statefulsets", "statefulsets/scale"],
            ),
            rule(&["autoscaling"], &["horizontalpodautoscalers"]),
            rule(&["batch"], &["cronjobs", "jobs"]),
            rule(&["networking.k8s.io"], &["ingresses", "networkpolicies"]),
            rule(&["policy"], &["poddisruptionbudgets"]),
        ]
    };
    let mut view = namespaced(READ);
    view.push(json!({"verbs": READ, "apiGroups": [""], "resources": ["bindings", "events", "limitranges", "namespaces",
        "namespaces/status", "persistentvolumeclaims/status", "pods/log", "pods/status", "resourcequotas",
        "resourcequotas/status", "services/status"]}));
    view.push(json!({"verbs": READ, "apiGroups": ["apps"], "resources": ["controllerrevisions", "daemonsets/status",
        "deployments/status", "replicasets/status", "statefulsets/status"]}));
    view.push(json!({"verbs": READ, "apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"]}));
    let both = [READ, WRITE].concat();
    let mut edit = view.clone();
    edit.extend(namespaced(WRITE));
    edit.push(json!({"verbs": both, "apiGroups": [""], "resources": ["secrets"]}));
    edit.push(json!({"verbs": ["create", "get"], "apiGroups": [""], "resources": ["pods/attach", "pods/exec",
        "pods/portforward"]}));
    edit.push(json!({"verbs": ["create"], "apiGroups": [""], "resources": ["pods/eviction", "serviceaccounts/token"]}));
    edit.push(json!({"verbs": both, "apiGroups": ["coordination.k8s.io"], "resources": ["leases"]}));
    let mut admin = edit.clone();
    admin.push(json!({"verbs": both, "apiGroups": ["rbac.authorization.k8s.io"],
        "resources": ["rolebindings", "roles"]}));
    admin.push(json!({"verbs": ["create"], "apiGroups": ["authorization.k8s.io"], "resources": ["localsubjectaccessreviews"]}));
    let everything =
        vec![json!({"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}), json!({"verbs": ["*"], "nonResourceURLs": ["*"]})];
    let basic = vec![
        json!({"verbs": ["create"], "apiGroups": ["authorization.k8s.io"],
            "resources": ["selfsubjectaccessreviews", "selfsubjectrulesreviews"]}),
        json!({"verbs": ["create"], "apiGroups": ["authentication.k8s.io"], "resources": ["selfsubjectreviews"]}),
    ];
    let discovery = vec![json!({"verbs": ["get"], "nonResourceURLs": ["/api", "/api/*", "/apis", "/apis/*", "/healthz",
        "/livez", "/openapi", "/openapi/*", "/readyz", "/version", "/version/"]})];
    let public = vec![json!({"verbs": ["get"], "nonResourceURLs": ["/healthz", "/livez", "/readyz", "/version", "/version/"]})];
    for (name, rules, groups) in [
        ("cluster-admin", everything, &["system:masters"][..]),
        ("admin", admin, &[]),
        ("edit", edit, &[]),
        ("view", view, &[]),
        ("system:basic-user", basic, &["system:authenticated"]),
        ("system:discovery", discovery, &["system:authenticated"]),
        ("system:public-info-viewer", public, &["system:authenticated", "system:unauthenticated"]),
    ] {
        lay(store, name, &rules, groups);
    }
}

fn lay(store: &Store, name: &str, rules: &[Value], groups: &[&str]) {
    const GROUP: &str = "rbac.authorization.k8s.io";
    let metadata = json!({"name": name, "labels": {"kubernetes.io/bootstrapping": "rbac-defaults"},
        "annotations": {"rbac.authorization.kubernetes.io/autoupdate": "true"}});
    let writer = Writer::update("kube-apiserver");
    let _ = store.create(&CLUSTER_ROLES, json!({"metadata": metadata, "rules": rules}), writer);
    if groups.is_empty() {
        return;
    }
    let subjects: Vec<Value> = groups.iter().map(|group| json!({"apiGroup": GROUP, "kind": "Group", "name": group})).collect();
    let reference = json!({"apiGroup": GROUP, "kind": "ClusterRole", "name": name});
    let _ =
        store.create(&CLUSTER_ROLE_BINDINGS, json!({"metadata": metadata, "roleRef": reference, "subjects": subjects}), writer);
}
