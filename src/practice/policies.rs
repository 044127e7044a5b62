//! `ValidatingAdmissionPolicy`: expressions that a write must satisfy (`apiserver/pkg/admission/plugin/policy/validating`).
//!
//! A policy does nothing until a binding names it. Parameters are read by name; a binding that selects them by label is passed over.

use serde_json::{Map, Value, json};

use super::cel::Program;
use super::hooks::{self, Conditions, Facts, Subject};
use super::json::{at, items, set, text};
use super::resources::{ResourceType, VALIDATING_ADMISSION_POLICIES, VALIDATING_ADMISSION_POLICY_BINDINGS};
use super::status::Status;
use super::store::Store;

/// What expressions of policies may name.
pub const NAMES: &[&str] = &["object", "oldObject", "request", "params", "namespaceObject", "variables"];

/// A policy as a binding applies it.
pub struct Bound {
    resource: &'static ResourceType,
    policy: String,
    binding: String,
    actions: Vec<Value>,
    selectors: Vec<Value>,
    params: Value,
    has_params: bool,
    denies_without_params: bool,
    fails: bool,
    conditions: Conditions,
    variables: Vec<(String, Program)>,
    validations: Vec<Validation>,
}

struct Validation {
    program: Program,
    source: String,
    message: String,
    told: Option<Program>,
    reason: String,
}

/// The policies that have to be asked about a write.
pub fn gather(store: &Store, subject: &Subject<'_>, namespace: &Value) -> Vec<Bound> {
    let bindings = store.list(&VALIDATING_ADMISSION_POLICY_BINDINGS, None);
    let bound = bindings.iter().filter_map(|binding| {
        let policy = store.get(&VALIDATING_ADMISSION_POLICIES, "", text(binding, "spec.policyName"))?;
        let constraints = [at(&policy, "spec.matchConstraints"), at(binding, "spec.matchResources")];
        let concerned = |of: &Value| {
            let rules = items(of, "resourceRules");
            (rules.is_empty() || hooks::covered(rules, subject))
                && !hooks::covered(items(of, "excludeResourceRules"), subject)
                && hooks::in_namespace(at(of, "namespaceSelector"), namespace)
        };
        let covered = constraints.first()?.is_some_and(|of| hooks::covered(items(of, "resourceRules"), subject));
        if !covered || !constraints.iter().flatten().all(|of| concerned(of)) {
            return None;
        }
        let selectors = constraints.iter().flatten().filter_map(|of| at(of, "objectSelector").cloned()).collect();
        Some(bind(store, subject, &policy, binding, selectors))
    });
    bound.collect()
}

fn bind(store: &Store, subject: &Subject<'_>, policy: &Value, binding: &Value, selectors: Vec<Value>) -> Bound {
    let compile = |of: &Value, field: &str| Program::compile(text(of, field), NAMES).ok();
    let validations = items(policy, "spec.validations").iter().filter_map(|validation| {
        Some(Validation {
            program: compile(validation, "expression")?,
            source: text(validation, "expression").to_owned(),
            message: text(validation, "message").to_owned(),
            told: compile(validation, "messageExpression"),
            reason: text(validation, "reason").to_owned(),
        })
    });
    let variables = items(policy, "spec.variables")
        .iter()
        .filter_map(|variable| Some((text(variable, "name").to_owned(), compile(variable, "expression")?)));
    Bound {
        resource: subject.resource,
        policy: text(policy, "metadata.name").to_owned(),
        binding: text(binding, "metadata.name").to_owned(),
        actions: items(binding, "spec.validationActions").to_vec(),
        selectors,
        params: params(store, subject, policy, binding),
        has_params: at(policy, "spec.paramKind").is_some(),
        denies_without_params: text(binding, "spec.paramRef.parameterNotFoundAction") == "Deny",
        fails: text(policy, "spec.failurePolicy") != "Ignore",
        conditions: Conditions::of(items(policy, "spec.matchConditions"), NAMES),
        variables: variables.collect(),
        validations: validations.collect(),
    }
}

/// The object that holds the parameters of a binding; null for none.
fn params(store: &Store, subject: &Subject<'_>, policy: &Value, binding: &Value) -> Value {
    let (version, kind) = (text(policy, "spec.paramKind.apiVersion"), text(policy, "spec.paramKind.kind"));
    let is = |resource: &&'static ResourceType| resource.kind == kind && resource.api_version() == version;
    let Some(resource) = store.served_types().into_iter().find(is).map(ResourceType::storage) else { return Value::Null };
    let namespace = match text(binding, "spec.paramRef.namespace") {
        _ if !resource.namespaced => "",
        "" => subject.namespace,
        own => own,
    };
    let found = store.get(resource, namespace, text(binding, "spec.paramRef.name"));
    found.map_or(Value::Null, |found| (*found).clone())
}

impl Bound {
    /// The warnings of what is only warned of, or the refusal.
    pub fn ask(&self, facts: &Facts<'_>) -> Result<Vec<String>, Status> {
        if !self.selectors.iter().all(|selector| facts.selected(selector)) {
            return Ok(Vec::new());
        }
        if self.has_params && self.params.is_null() {
            let why = "no params found for policy binding with `Deny` parameterNotFoundAction";
            return if self.denies_without_params { self.act(facts, (why, "")) } else { Ok(Vec::new()) };
        }
        let mut variables = Value::Object(Map::new());
        match self.conditions.hold(&self.names(facts, &variables)) {
            Ok(true) => {}
            Err(why) if self.fails => return self.act(facts, (&why, "")),
            Ok(false) | Err(_) => return Ok(Vec::new()),
        }
        for (name, program) in &self.variables {
            let value = program.evaluate(&self.names(facts, &variables));
            if let Ok(value) = value {
                set(&mut variables, name, value);
            }
        }
        let names = self.names(facts, &variables);
        let mut warnings = Vec::new();
        for validation in &self.validations {
            if let Some(why) = validation.violation(&names, self.fails) {
                warnings.extend(self.act(facts, (&why, &validation.reason))?);
            }
        }
        Ok(warnings)
    }

    fn names<'a>(&'a self, facts: &Facts<'a>, variables: &'a Value) -> [(&'static str, &'a Value); 6] {
        [
            ("object", facts.object),
            ("oldObject", facts.old),
            ("request", facts.request),
            ("params", &self.params),
            ("namespaceObject", facts.namespace),
            ("variables", variables),
        ]
    }

    /// What the binding does about a violation.
    fn act(&self, facts: &Facts<'_>, (why, reason): (&str, &str)) -> Result<Vec<String>, Status> {
        let does = |action: &str| self.actions.iter().any(|known| known == action);
        let by = format!("'{}' with binding '{}'", self.policy, self.binding);
        if does("Deny") {
            let message = format!("ValidatingAdmissionPolicy {by} denied request: {why}");
            let mut status = Status::forbidden(self.resource, facts.name(), &message);
            (status.code, status.reason) = match reason {
                "Forbidden" => (403, "Forbidden"),
                "Unauthorized" => (401, "Unauthorized"),
                "RequestEntityTooLarge" => (413, "RequestEntityTooLarge"),
                _ => (422, "Invalid"),
            };
            set(&mut status.details, "causes", json!([{"message": message}]));
            return Err(status);
        }
        let warned = does("Warn").then(|| format!("Validation failed for ValidatingAdmissionPolicy {by}: {why}"));
        Ok(warned.into_iter().collect())
    }
}

impl Validation {
    /// Why the expression does not hold; none when it does.
    fn violation(&self, names: &[(&str, &Value)], fails: bool) -> Option<String> {
        let error = match self.program.evaluate(names) {
            Ok(Value::Bool(true)) => return None,
            Ok(Value::Bool(false)) => {
                let told = self.told.as_ref().and_then(|told| told.evaluate(names).ok());
                let told = told.and_then(|told| Some(told.as_str()?.trim().to_owned())).filter(|told| !told.is_empty());
                let own = || (!self.message.is_empty()).then(|| self.message.clone());
                return Some(told.or_else(own).unwrap_or_else(|| format!("failed expression: {}", self.source)));
            }
            Ok(_) => "no such overload".to_owned(),
            Err(error) => error,
        };
        fails.then(|| format!("expression '{}' resulted in error: {error}", self.source))
    }
}
