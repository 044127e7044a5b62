//! What keeps a user from giving away more than they have: a role may only be written by somebody who holds all its rules (or may
//! `escalate` it), a binding only by somebody who holds the rules of the role it names (or may `bind` it).
//!
//! Source: `pkg/registry/rbac/{role,rolebinding}/policybased` and `validation/rule.go` of Kubernetes.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};

use super::{Question, covers, covers_path, held};
use crate::practice::access::Identity;
use crate::practice::json::{at, items, remove, text};
use crate::practice::resources::{CLUSTER_ROLES, ROLES, ResourceType};
use crate::practice::status::Status;
use crate::practice::store::Store;

const GROUP: &str = "rbac.authorization.k8s.io";

/// What a check needs to know, read before the store is locked for a write.
pub struct Guard<'a> {
    identity: &'a Identity,
    resource: &'static ResourceType,
    own: Vec<Value>,
    roles: Vec<Arc<Value>>,
}

impl<'a> Guard<'a> {
    /// For a write to a type in a namespace (empty for none) by a user; it checks nothing but roles and bindings.
    pub fn of(store: &Store, identity: &'a Identity, resource: &'static ResourceType, namespace: &str) -> Self {
        let mut guard = Self { identity, resource, own: Vec::new(), roles: Vec::new() };
        if resource.group == GROUP {
            guard.own = held(store, identity, namespace).rules.into_iter().map(|(rule, _)| rule).collect();
            guard.roles = store.list(&CLUSTER_ROLES, None);
            guard.roles.extend(store.list(&ROLES, Some(namespace)));
        }
        guard
    }

    /// 403 when the user would grant what they do not hold; 404 for a binding of a role that is not there. `live` is what is
    /// written over.
    pub fn check(&self, live: Option<&Value>, new: &Value) -> Result<(), Status> {
        let trusted = self.identity.groups.iter().any(|group| group == "system:masters");
        if self.resource.group != GROUP || trusted || live.is_some_and(|live| only_collected(live, new)) {
            return Ok(());
        }
        let name = text(new, "metadata.name");
        let is_role = matches!(self.resource.plural, "roles" | "clusterroles");
        let rules = if is_role {
            if self.may("escalate", self.resource.plural, name) {
                return Ok(());
            }
            items(new, "rules").to_vec()
        } else {
            match self.bound(new)? {
                Some(rules) => rules,
                None => return Ok(()),
            }
        };
        let missing = missing(&self.own, &rules);
        if missing.is_empty() {
            return Ok(());
        }
        let groups: Vec<String> = self.identity.groups.iter().map(|group| format!("{group:?}")).collect();
        let why = format!(
            "user {:?} (groups=[{}]) is attempting to grant RBAC permissions not currently held:\n{}",
            self.identity.user,
            groups.join(" "),
            missing.join("\n")
        );
        Err(Status::forbidden(self.resource, name, &why))
    }

    fn may(&self, verb: &str, plural: &str, name: &str) -> bool {
        let question = Question { verb, group: GROUP, resource: plural.to_owned(), namespace: "", name };
        self.own.iter().any(|rule| covers(rule, &question))
    }

    /// The rules of the role a binding names; none when the user may bind it whatever it grants.
    fn bound(&self, binding: &Value) -> Result<Option<Vec<Value>>, Status> {
        let (kind, name) = (text(binding, "roleRef.kind"), text(binding, "roleRef.name"));
        let role: &'static ResourceType = if kind == "Role" { &ROLES } else { &CLUSTER_ROLES };
        if self.may("bind", role.plural, name) {
            return Ok(None);
        }
        let found = self.roles.iter().find(|of| text(of, "kind") == kind && text(of, "metadata.name") == name);
        let found = found.ok_or_else(|| Status::not_found(role, name))?;
        Ok(Some(items(found, "rules").to_vec()))
    }
}

/// Whether a write changes nothing but what the garbage collector may.
fn only_collected(live: &Value, new: &Value) -> bool {
    let bare = |object: &Value| {
        let mut bare = object.clone();
        for field in ["ownerReferences", "finalizers", "managedFields", "resourceVersion", "generation"] {
            remove(&mut bare, &format!("metadata.{field}"));
        }
        bare
    };
    bare(live) == bare(new)
}

/// The rules a user lacks, one line for each resource, in the words of the server.
fn missing(own: &[Value], rules: &[Value]) -> Vec<String> {
    // What is missing of a resource is told together: group, resource, path and name, with the verbs.
    let mut lacking: BTreeMap<[String; 4], Vec<String>> = BTreeMap::new();
    for rule in rules {
        for verb in words(rule, "verbs") {
            for path in words(rule, "nonResourceURLs") {
                if !own.iter().any(|own| covers_path(own, verb, path)) {
                    let key = [String::new(), String::new(), path.to_owned(), String::new()];
                    lacking.entry(key).or_default().push(verb.to_owned());
                }
            }
            for (group, resource, name) in combinations(rule) {
                let question = Question { verb, group, resource: resource.to_owned(), namespace: "", name };
                if !own.iter().any(|own| covers(own, &question)) {
                    let key = [group.to_owned(), resource.to_owned(), String::new(), name.to_owned()];
                    lacking.entry(key).or_default().push(verb.to_owned());
                }
            }
        }
    }
    let mut lines: Vec<String> = lacking.iter().map(|(key, verbs)| line(key, verbs)).collect();
    lines.sort();
    lines
}

fn combinations(rule: &Value) -> Vec<(&str, &str, &str)> {
    let mut names = words(rule, "resourceNames");
    if names.is_empty() {
        names.push("");
    }
    let mut all = Vec::new();
    for group in words(rule, "apiGroups") {
        for resource in words(rule, "resources") {
            all.extend(names.iter().map(|name| (group, resource, *name)));
        }
    }
    all
}

fn words<'a>(rule: &'a Value, field: &str) -> Vec<&'a str> {
    at(rule, field).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect()
}

/// `{APIGroups:["apps"], Resources:["deployments"], Verbs:["get" "list"]}`.
fn line([group, resource, path, name]: &[String; 4], verbs: &[String]) -> String {
    let verbs: Vec<String> = verbs.iter().map(|verb| json!(verb).to_string()).collect();
    let verbs = format!("Verbs:[{}]", verbs.join(" "));
    if !path.is_empty() {
        return format!("{{NonResourceURLs:[{path:?}], {verbs}}}");
    }
    let name = if name.is_empty() { String::new() } else { format!("ResourceNames:[{name:?}], ") };
    format!("{{APIGroups:[{group:?}], Resources:[{resource:?}], {name}{verbs}}}")
}
