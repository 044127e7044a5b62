//! API priority and fairness: the objects every server makes for itself, and whether a FlowSchema's priority level is there. No
//! request is ever queued by them.
//!
//! Source: `apiserver/pkg/apis/flowcontrol/bootstrap/default.go` for what there is, `util/flowcontrol` for the condition.

use std::time::Duration;

use serde_json::{Value, json};

use super::clock::Clock;
use super::controllers::{Change, Controller, Key};
use super::object;
use super::resources::{FLOW_SCHEMAS, PRIORITY_LEVEL_CONFIGURATIONS, ResourceType};
use super::store::{Store, Writer};

const PRODUCER: &str = "api-priority-and-fairness-config-producer-v1";
const CONSUMER: &str = "api-priority-and-fairness-config-consumer-v1";

/// A limited level: name, nominal shares, lendable percent, and its queues as number, hand size, length; none where it rejects.
type Level = (&'static str, i64, i64, Option<(i64, i64, i64)>);

const LEVELS: &[Level] = &[
    ("catch-all", 5, 0, None),
    ("global-default", 20, 50, Some((128, 6, 50))),
    ("leader-election", 10, 0, Some((16, 4, 50))),
    ("node-high", 40, 25, Some((64, 6, 50))),
    ("system", 30, 33, Some((64, 6, 50))),
    ("workload-high", 40, 50, Some((128, 6, 50))),
    ("workload-low", 100, 90, Some((128, 6, 50))),
];

/// A schema: name, level, precedence, by what its flows are told apart (empty: one flow), subjects, and what it is about.
type Schema = (&'static str, &'static str, i64, &'static str, &'static [Subject], &'static [Scope]);
/// Kind and name of a subject; a service account is one of `kube-system`.
type Subject = (&'static str, &'static str);
/// Verbs, groups, resources, namespaces, and whether cluster-scoped requests count too.
type Scope = (&'static [&'static str], &'static [&'static str], &'static [&'static str], &'static [&'static str], bool);

const ANY: &[&str] = &["*"];
const ALL_SCOPES: &[Scope] = &[(ANY, ANY, ANY, ANY, true)];
const LOCK: &[&str] = &["get", "create", "update"];
const LOCKS_OF_SYSTEM: &[Scope] = &[(LOCK, &["coordination.k8s.io"], &["leases"], ANY, false)];
const SIGNED_IN: &[Subject] = &[("Group", "system:unauthenticated"), ("Group", "system:authenticated")];
const EVERY_SYSTEM_ACCOUNT: &[Subject] = &[("ServiceAccount", "*")];
const MANAGER: &[Subject] = &[("User", "system:kube-controller-manager")];
const NODES: &[Subject] = &[("Group", "system:nodes")];

const SCHEMAS: &[Schema] = &[
    ("exempt", "exempt", 1, "", &[("Group", "system:masters")], ALL_SCOPES),
    ("probes", "exempt", 2, "", SIGNED_IN, &[]),
    (
        "system-leader-election",
        "leader-election",
        100,
        "ByUser",
        &[("User", "system:kube-controller-manager"), ("User", "system:kube-scheduler"), ("ServiceAccount", "*")],
        LOCKS_OF_SYSTEM,
    ),
    (
        "endpoint-controller",
        "workload-high",
        150,
        "ByUser",
        &[
            ("User", "system:kube-controller-manager"),
            ("ServiceAccount", "endpoint-controller"),
            ("ServiceAccount", "endpointslicemirroring-controller"),
        ],
        &[(&["get", "create", "update"], &[""], &["endpoints"], ANY, false)],
    ),
    ("workload-leader-election", "leader-election", 200, "ByUser", EVERY_SYSTEM_ACCOUNT, LOCKS_OF_SYSTEM),
    (
        "system-node-high",
        "node-high",
        400,
        "ByUser",
        NODES,
        &[(ANY, &[""], &["nodes", "nodes/status"], ANY, true), (ANY, &["coordination.k8s.io"], &["leases"], ANY, false)],
    ),
    ("system-nodes", "system", 500, "ByUser", NODES, ALL_SCOPES),
    ("kube-controller-manager", "workload-high", 800, "ByNamespace", MANAGER, ALL_SCOPES),
    ("kube-scheduler", "workload-high", 800, "ByNamespace", &[("User", "system:kube-scheduler")], ALL_SCOPES),
    ("kube-system-service-accounts", "workload-high", 900, "ByNamespace", EVERY_SYSTEM_ACCOUNT, ALL_SCOPES),
    ("service-accounts", "workload-low", 9000, "ByUser", &[("Group", "system:serviceaccounts")], ALL_SCOPES),
    ("global-default", "global-default", 9900, "ByUser", SIGNED_IN, ALL_SCOPES),
    ("catch-all", "catch-all", 10_000, "ByUser", SIGNED_IN, ALL_SCOPES),
];

/// Makes the server's own levels and schemas.
pub fn bootstrap(store: &Store) {
    let exempt = json!({"type": "Exempt", "exempt": {"nominalConcurrencyShares": 0, "lendablePercent": 0}});
    make(store, &PRIORITY_LEVEL_CONFIGURATIONS, "exempt", &exempt);
    for (name, shares, lendable, queues) in LEVELS {
        let response = match queues {
            Some((queues, hand, length)) => {
                json!({"type": "Queue", "queuing": {"queues": queues, "handSize": hand, "queueLengthLimit": length}})
            }
            None => json!({"type": "Reject"}),
        };
        let limited = json!({"nominalConcurrencyShares": shares, "lendablePercent": lendable, "limitResponse": response});
        make(store, &PRIORITY_LEVEL_CONFIGURATIONS, name, &json!({"type": "Limited", "limited": limited}));
    }
    for schema in SCHEMAS {
        make(store, &FLOW_SCHEMAS, schema.0, &spec_of(schema));
    }
}

fn make(store: &Store, resource: &'static ResourceType, name: &str, spec: &Value) {
    let metadata = json!({"name": name, "annotations": {"apf.kubernetes.io/autoupdate-spec": "true"}});
    let _ = store.create(resource, json!({"metadata": metadata, "spec": spec, "status": {}}), Writer::update(PRODUCER));
}

fn spec_of((name, level, precedence, method, subjects, scopes): &Schema) -> Value {
    let subjects: Vec<Value> = subjects.iter().map(subject).collect();
    let mut rule = json!({"subjects": subjects});
    if !scopes.is_empty() {
        let rules: Vec<Value> = scopes.iter().map(resource_rule).collect();
        object::put(&mut rule, &["resourceRules"], json!(rules));
    }
    let paths: &[&str] = if *name == "probes" { &["/healthz", "/readyz", "/livez"] } else { ANY };
    if *name == "probes" || *scopes == ALL_SCOPES {
        let verbs: &[&str] = if *name == "probes" { &["get"] } else { ANY };
        object::put(&mut rule, &["nonResourceRules"], json!([{"verbs": verbs, "nonResourceURLs": paths}]));
    }
    let mut spec = json!({"priorityLevelConfiguration": {"name": level}, "matchingPrecedence": precedence, "rules": [rule]});
    if !method.is_empty() {
        object::put(&mut spec, &["distinguisherMethod"], json!({"type": method}));
    }
    spec
}

fn subject((kind, name): &Subject) -> Value {
    match *kind {
        "User" => json!({"kind": kind, "user": {"name": name}}),
        "Group" => json!({"kind": kind, "group": {"name": name}}),
        _ => json!({"kind": kind, "serviceAccount": {"name": name, "namespace": "kube-system"}}),
    }
}

fn resource_rule((verbs, groups, resources, namespaces, cluster): &Scope) -> Value {
    let mut rule = json!({"verbs": verbs, "apiGroups": groups, "resources": resources, "namespaces": namespaces});
    if *cluster {
        object::put(&mut rule, &["clusterScope"], json!(true));
    }
    rule
}

/// Says of every FlowSchema whether its priority level is there.
pub struct FlowControl {
    store: Store,
    clock: Clock,
}

impl FlowControl {
    /// A controller over a store.
    pub fn new(store: Store, clock: Clock) -> Self {
        Self { store, clock }
    }
}

impl Controller for FlowControl {
    fn watches(&self) -> Vec<&'static ResourceType> {
        vec![&FLOW_SCHEMAS, &PRIORITY_LEVEL_CONFIGURATIONS]
    }

    fn keys(&mut self, change: &Change) -> Vec<Key> {
        let key = |schema: &Value| (String::new(), object::name(schema).to_owned());
        if change.resource == &FLOW_SCHEMAS {
            return vec![key(&change.object)];
        }
        self.store.list(&FLOW_SCHEMAS, None).iter().map(|schema| key(schema)).collect()
    }

    fn reconcile(&mut self, key: &Key) -> Option<Duration> {
        let schema = self.store.get(&FLOW_SCHEMAS, "", &key.1)?;
        let level = object::text(&schema, "/spec/priorityLevelConfiguration/name");
        let names = format!("This FlowSchema references the PriorityLevelConfiguration object named {level:?}");
        let (status, reason, message) = match self.store.get(&PRIORITY_LEVEL_CONFIGURATIONS, "", level) {
            Some(_) => ("False", "Found", format!("{names} and it exists")),
            None => ("True", "NotFound", format!("{names} but there is no such object")),
        };
        let present = object::condition(&schema, "Dangling");
        if present.is_some_and(|known| object::text(known, "/status") == status && object::text(known, "/message") == message) {
            return None;
        }
        let condition = json!({"type": "Dangling", "status": status, "reason": reason, "message": message,
            "lastTransitionTime": object::stamp(self.clock.now())});
        let _ = self.store.modify(&FLOW_SCHEMAS, "", &key.1, Writer::status(CONSUMER), |schema| {
            object::put(schema, &["status", "conditions"], json!([condition]));
        });
        None
    }
}
