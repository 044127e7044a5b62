//! What keeps a user from giving away more than they have: a role may only be written by somebody who holds all its rules (or may
//! `escalate` it), a binding only by somebody who holds the rules of the role it names (or may `bind` it).
//!
//! Source: `pkg/registry/rbac/{role,rolebinding}/policybased` and `validation/rule.go` of Kubernetes.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{Question, covers, covers_path, held};
use crate::practice::access::Identity;
use crate::practice::json::{at, items, remove, text};
use crate::practice::resources::{CLUSTER_ROLES, ROLES, ResourceType};
use crate::practice::status::Status;
use crate::practice::store::Store;

const GROUP: &str = "rbac.authorization.k8s.io";

/// 403 when a user writes a role or a binding that grants what they do not hold; 404 for a binding of a role that is not there.
/// `live` is what is written over.
pub fn check(
    store: &Store,
    identity: &Identity,
    resource: &'static ResourceType,
    live: Option<&Value>,
    new: &Value,
) -> Result<(), Status> {
    if resource.group != GROUP || live.is_some_and(|live| only_collected(live, new)) {
        return Ok(());
    }
    if identity.groups.iter().any(|group| group == "system:masters") {
        return Ok(());
    }
    let namespace = text(new, "metadata.namespace");
    let may = |verb: &str, plural: &str, name: &str| {
        let question = Question { verb, group: GROUP, resource: plural.to_owned(), namespace, name };
        super::allows(store, identity, &question)
    };
    let name = text(new, "metadata.name");
    let rules = if matches!(resource.plural, "roles" | "clusterroles") {
        if may("escalate", resource.plural, name) {
            return Ok(());
        }
        items(new, "rules").to_vec()
    } else {
        let (role, place): (&'static ResourceType, &str) =
            if text(new, "roleRef.kind") == "Role" { (&ROLES, namespace) } else { (&CLUSTER_ROLES, "") };
        let named = text(new, "roleRef.name");
        if may("bind", role.plural, named) {
            return Ok(());
        }
        let role = store.get(role, place, named).ok_or_else(|| Status::not_found(role, named))?;
        items(&role, "rules").to_vec()
    };
    let missing = missing(store, identity, namespace, &rules);
    if missing.is_empty() {
        return Ok(());
    }
    let groups: Vec<String> = identity.groups.iter().map(|group| format!("{group:?}")).collect();
    let why = format!(
        "user {:?} (groups=[{}]) is attempting to grant RBAC permissions not currently held:\n{}",
        identity.user,
        groups.join(" "),
        missing.join("\n")
    );
    Err(Status::forbidden(resource, name, &why))
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
fn missing(store: &Store, identity: &Identity, namespace: &str, rules: &[Value]) -> Vec<String> {
    let own = held(store, identity, namespace).rules;
    // What is missing of a resource is told together: group, resource, path and name, with the verbs.
    let mut lacking: BTreeMap<[String; 4], Vec<String>> = BTreeMap::new();
    for rule in rules {
        for verb in words(rule, "verbs") {
            for path in words(rule, "nonResourceURLs") {
                if !own.iter().any(|(own, _)| covers_path(own, verb, path)) {
                    let key = [String::new(), String::new(), path.to_owned(), String::new()];
                    lacking.entry(key).or_default().push(verb.to_owned());
                }
            }
            for (group, resource, name) in combinations(rule) {
                let question = Question { verb, group, resource: resource.to_owned(), namespace, name };
                if !own.iter().any(|(own, _)| covers(own, &question)) {
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
