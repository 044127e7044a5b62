//! What is asked about a write besides the built-in plugins: admission webhooks, and validating admission policies.
//!
//! Everything is read before the store is locked ([`Hooks::gather`]); the objects are judged when they are known
//! ([`Hooks::check`]), which reads nothing. `authorizer` and quantities are not modelled: `cel` refuses expressions with them.

use serde_json::{Value, json};

use super::access::Identity;
use super::cel::Program;
use super::json::{at, items, text};
use super::object;
use super::policies::Bound;
use super::resources::{NAMESPACES, ResourceType};
use super::status::Status;
use super::store::Store;
use super::webhooks::Hook;

/// What expressions of webhooks may name.
pub const WEBHOOK_NAMES: &[&str] = &["object", "oldObject", "request"];

/// A write on its way to admission.
#[derive(Clone, Copy)]
pub struct Subject<'a> {
    /// The type.
    pub resource: &'static ResourceType,
    /// The subresource; empty for none.
    pub subresource: &'a str,
    /// `CREATE`, `UPDATE` or `DELETE`.
    pub operation: &'a str,
    /// The namespace; empty for none.
    pub namespace: &'a str,
    /// The object's name.
    pub name: &'a str,
    /// Who asks; none for the practice cluster's own components.
    pub user: Option<&'a Identity>,
    /// Whether nothing is to be kept.
    pub dry_run: bool,
}

/// See the module.
pub struct Hooks {
    webhooks: Vec<Hook>,
    policies: Vec<Bound>,
    request: Value,
    namespace: Value,
}

/// The objects of a write, and what else expressions name.
pub struct Facts<'a> {
    /// The object as it is to be, null for a deletion.
    pub object: &'a Value,
    /// The object as it was, null for a creation.
    pub old: &'a Value,
    /// The request.
    pub request: &'a Value,
    /// The namespace of the object, null for none.
    pub namespace: &'a Value,
}

impl Facts<'_> {
    /// The object's name.
    pub fn name(&self) -> &str {
        object::name(if self.object.is_object() { self.object } else { self.old })
    }

    /// Whether a label selector selects the object as it is to be, or as it was.
    pub fn selected(&self, selector: &Value) -> bool {
        let selects = |object: &&Value| object.is_object() && object::selects(selector, object::at(object, "/metadata/labels"));
        selector.is_null() || [self.object, self.old].iter().any(selects)
    }
}

impl Hooks {
    /// Whom a write concerns.
    pub fn gather(store: &Store, subject: &Subject<'_>) -> Self {
        let nothing = Self { webhooks: Vec::new(), policies: Vec::new(), request: Value::Null, namespace: Value::Null };
        if subject.resource.group == "admissionregistration.k8s.io" {
            return nothing;
        }
        let of = if subject.resource == &NAMESPACES { subject.name } else { subject.namespace };
        let namespace = store.get(&NAMESPACES, "", of).map_or(Value::Null, |namespace| (*namespace).clone());
        let webhooks = super::webhooks::gather(store, subject, &namespace);
        let policies = super::policies::gather(store, subject, &namespace);
        if webhooks.is_empty() && policies.is_empty() {
            return nothing;
        }
        Self { webhooks, policies, request: request(subject), namespace }
    }

    /// Whether nobody has to be asked.
    pub fn is_empty(&self) -> bool {
        self.webhooks.is_empty() && self.policies.is_empty()
    }

    /// Asks them all: the warnings of those that agree, or the first refusal.
    pub fn check(&self, old: &Value, object: &Value) -> Result<Vec<String>, Status> {
        let mut request = self.request.clone();
        if text(&request, "name").is_empty() {
            object::put(&mut request, &["name"], object::at(object, "/metadata/name").clone());
        }
        let facts = Facts { object, old, request: &request, namespace: &self.namespace };
        for webhook in &self.webhooks {
            webhook.ask(&facts)?;
        }
        let mut warnings = Vec::new();
        for policy in &self.policies {
            warnings.extend(policy.ask(&facts)?);
        }
        Ok(warnings)
    }
}

/// The variable `request`.
fn request(subject: &Subject<'_>) -> Value {
    let resource = subject.resource;
    let (user, groups) = match subject.user {
        Some(user) => (user.user.as_str(), user.groups.clone()),
        None => ("system:kube-controller-manager", vec!["system:authenticated".to_owned()]),
    };
    json!({
        "kind": {"group": resource.group, "version": resource.version, "kind": resource.kind},
        "resource": {"group": resource.group, "version": resource.version, "resource": resource.plural},
        "subResource": subject.subresource, "name": subject.name, "namespace": subject.namespace,
        "operation": subject.operation, "userInfo": {"username": user, "groups": groups}, "dryRun": subject.dry_run, "options": {},
    })
}

/// Whether rules of a webhook or a policy cover a write.
pub fn covered(rules: &[Value], subject: &Subject<'_>) -> bool {
    rules.iter().any(|rule| covers(rule, subject))
}

fn covers(rule: &Value, subject: &Subject<'_>) -> bool {
    let any = |field: &str, wanted: &str| items(rule, field).iter().any(|item| item == "*" || item == wanted);
    let resource = match subject.subresource {
        "" => subject.resource.plural.to_owned(),
        below => format!("{}/{below}", subject.resource.plural),
    };
    let all_below = items(rule, "resources").iter().any(|item| item == "*/*");
    let scope = match text(rule, "scope") {
        "Namespaced" => subject.resource.namespaced,
        "Cluster" => !subject.resource.namespaced,
        _ => true,
    };
    let resources = items(rule, "resources");
    let named = resources.iter().any(|item| *item == resource) || (subject.subresource.is_empty() && any("resources", "*"));
    let names = items(rule, "resourceNames");
    scope
        && (named || all_below)
        && (names.is_empty() || names.iter().any(|name| name == subject.name))
        && any("operations", subject.operation)
        && any("apiGroups", subject.resource.group)
        && any("apiVersions", subject.resource.version)
}

/// Whether a namespace selector lets a write in: what has no namespace always is.
pub fn in_namespace(selector: Option<&Value>, namespace: &Value) -> bool {
    namespace.is_null() || selector.is_none_or(|selector| object::selects(selector, object::at(namespace, "/metadata/labels")))
}

/// The conditions under which a webhook or a policy is asked at all.
#[derive(Default)]
pub struct Conditions(Vec<(Program, String)>);

impl Conditions {
    /// The `matchConditions` of a webhook or a policy.
    pub fn of(conditions: &[Value], names: &[&str]) -> Self {
        let compiled = conditions.iter().filter_map(|condition| {
            let source = text(condition, "expression");
            Some((Program::compile(source, names).ok()?, source.to_owned()))
        });
        Self(compiled.collect())
    }

    /// Whether all hold; an error where none fails and one cannot be told, in the server's words.
    pub fn hold(&self, names: &[(&str, &Value)]) -> Result<bool, String> {
        let mut trouble = None;
        for (program, source) in &self.0 {
            match program.evaluate(names) {
                Ok(Value::Bool(true)) => {}
                Ok(Value::Bool(false)) => return Ok(false),
                Ok(_) => trouble = Some(format!("expression '{source}' resulted in error: no such overload")),
                Err(error) => trouble = Some(format!("expression '{source}' resulted in error: {error}")),
            }
        }
        trouble.map_or(Ok(true), Err)
    }
}

/// An expression of an object that is being written: the server's refusal if it cannot be compiled.
pub fn uncompiled(of: &Value, field: &str, names: &[&str]) -> Option<String> {
    let source = at(of, field)?.as_str()?;
    Program::compile(source, names).err().map(|why| format!("compilation failed: {why}"))
}
