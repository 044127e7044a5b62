//! The engine with rules of its own: what it reruns, what it asks for, how it groups, folds, ranks and hides.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use k3am::diagnosis::engine::Engine;
use k3am::diagnosis::{
    CauseId, Confidence, Evidence, EvidenceRequest, EvidenceSource, Facts, Finding, Fix, Incident, Output, Risk, Root, Rule,
    Severity,
};
use k3am::kinds::{KindId, ObjectRef, Pool, Row};
use k3am::snapshot::{Changed, CoverageState, Delta, Key, LogExcerpt, LogKey, Scope, Snapshot};
use k3am::text::Time;
use serde_json::{Value, json};

fn at(second: u32) -> Time {
    format!("2026-11-22T20:{:02}:{:02}Z", 30 + second / 60, second % 60).parse().unwrap()
}

fn finding(cause: &'static str, subject: ObjectRef, workload: ObjectRef, text: &str) -> Finding {
    Finding {
        cause: CauseId(cause),
        evidence: vec![Evidence {
            object: subject.clone(),
            from: EvidenceSource::Status,
            field: "status.message".to_owned(),
            text: text.to_owned(),
            at: None,
        }],
        root: Root::Workload(workload.clone()),
        subject,
        workload,
        container: None,
        confidence: Confidence::Certain,
        severity: None,
        summary: text.to_owned(),
        facts: BTreeMap::new(),
        ruled_out: Vec::new(),
        since: Some(at(0)),
        derived: false,
    }
}

/// The annotation `find` of a pod holds the cause to report, `root` what to group by, `derived` marks symptoms.
fn annotated(facts: &Facts<'_>, row: &Row, out: &mut Output) {
    let meta = row.meta();
    let Some(cause) = meta.annotation("find").and_then(CauseId::parse) else { return };
    let subject = ObjectRef::new(row.kind().name(), &meta.namespace, &meta.name);
    let workload = facts.snapshot.top_owner(row.kind().name(), meta);
    let mut found = finding(cause.0, subject, workload, meta.annotation("text").unwrap_or("it is broken"));
    found.derived = meta.annotation("derived").is_some();
    if let Some(name) = meta.annotation("root") {
        found.root = Root::Outside { what: "registry", name: name.into() };
    }
    out.findings.push(found);
}

fn fix(_: &Facts<'_>, finding: &Finding) -> Vec<Fix> {
    vec![Fix {
        title: "Repair it".to_owned(),
        command: format!("kubectl repair {}", finding.workload),
        risk: Risk::Safe,
        why: "it is broken".to_owned(),
        action: None,
    }]
}

const fn rule(name: &'static str, subject: KindId, check: fn(&Facts<'_>, &Row, &mut Output)) -> Rule {
    Rule { name, causes: &[], doc: "", subject, needs: &[], check, fixes: fix }
}

static PODS: Rule = rule("pods", KindId::Pod, annotated);
static SERVICES: Rule = rule("services", KindId::Service, annotated);
static NODES: Rule = rule("nodes", KindId::Node, annotated);
static ALL: &[&Rule] = &[&PODS, &SERVICES, &NODES];

struct World {
    snapshot: Snapshot,
    engine: Engine,
    pool: Pool,
    version: u32,
}

impl World {
    fn new(rules: &'static [&'static Rule]) -> Self {
        let mut world =
            Self { snapshot: Snapshot::default(), engine: Engine::with_rules(rules), pool: Pool::default(), version: 0 };
        for &kind in KindId::ALL {
            world.apply(Delta::ListStarted { kind, scope: Scope::Cluster });
            world.apply(Delta::Listed { kind, scope: Scope::Cluster, at: at(0) });
        }
        world
    }

    fn apply(&mut self, delta: Delta) -> bool {
        let changed = self.snapshot.apply(delta);
        self.engine.update(&self.snapshot, &changed, at(60))
    }

    fn put(&mut self, mut object: Value) -> bool {
        self.version += 1;
        object["metadata"]["resourceVersion"] = json!(self.version.to_string());
        let kind = KindId::from_name(object["kind"].as_str().unwrap()).unwrap();
        let row = Row::from_value(kind, object, &self.pool).unwrap();
        self.apply(Delta::Upsert { scope: Scope::Cluster, row })
    }

    fn only(&self) -> &Incident {
        let [incident] = self.engine.incidents() else { panic!("{:#?}", self.engine.incidents()) };
        incident
    }
}

fn pod(name: &str, owner: &str, annotations: &Value) -> Value {
    json!({
        "kind": "Pod",
        "metadata": {
            "name": name, "namespace": "shop", "uid": name, "annotations": annotations,
            "labels": {"app": owner, "pod-template-hash": "abc"},
            "ownerReferences": [{"kind": "ReplicaSet", "name": format!("{owner}-abc"), "uid": format!("{owner}-abc"), "controller": true}],
        },
        "spec": {"nodeName": "node1", "containers": [{"name": "app", "env": [{"name": "X", "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "x"}}}]}]},
        "status": {"phase": "Running"},
    })
}

#[test]
fn pods_of_one_workload_are_one_incident_that_goes_when_they_recover() {
    let mut world = World::new(ALL);
    for n in 0..5 {
        world.put(pod(&format!("web-abc-{n}"), "web", &json!({"find": "oom-killed"})));
    }
    let incident = world.only();
    assert_eq!(incident.title, "web: it is broken");
    assert_eq!(incident.objects.len(), 5);
    assert_eq!(incident.workloads, [ObjectRef::new("Deployment", "shop", "web")]);
    assert_eq!(incident.fixes[0].command, "kubectl repair deployment/web");
    for n in 0..5 {
        assert!(world.put(pod(&format!("web-abc-{n}"), "web", &json!({}))));
    }
    assert!(world.engine.incidents().is_empty());
}

#[test]
fn workloads_behind_one_registry_are_one_incident() {
    let mut world = World::new(ALL);
    for owner in ["a", "b", "c"] {
        world.put(pod(&format!("{owner}-abc-1"), owner, &json!({"find": "image-registry-unreachable", "root": "ghcr.io"})));
    }
    world.put(pod("d-abc-1", "d", &json!({"find": "image-registry-unreachable", "root": "quay.io"})));
    let titles: Vec<&str> = world.engine.incidents().iter().map(|i| i.title.as_str()).collect();
    assert_eq!(titles, ["a and 2 more: it is broken", "d: it is broken"]);
}

#[test]
fn a_workload_with_two_roots_of_a_cause_is_in_one_incident() {
    let mut world = World::new(ALL);
    world.put(pod("a-abc-1", "a", &json!({"find": "image-registry-unreachable", "root": "ghcr.io"})));
    world.put(pod("b-abc-1", "b", &json!({"find": "image-registry-unreachable", "root": "ghcr.io"})));
    world.put(pod("b-abc-2", "b", &json!({"find": "image-registry-unreachable", "root": "quay.io"})));
    assert_eq!(world.only().objects.len(), 3);
}

#[test]
fn a_generic_finding_joins_the_cause_known_from_another_pod() {
    let mut world = World::new(ALL);
    world.put(pod("web-abc-1", "web", &json!({"find": "app-crash", "text": "it exits with 1"})));
    assert_eq!(world.only().cause.0, "app-crash");
    world.put(pod("web-abc-2", "web", &json!({"find": "database-unreachable", "text": "the database refuses"})));
    let incident = world.only();
    assert_eq!((incident.cause.0, incident.objects.len()), ("database-unreachable", 2));
    assert_eq!(incident.title, "web: the database refuses");
}

#[test]
fn symptoms_fold_under_the_cause_and_stand_alone_without_one() {
    let mut world = World::new(ALL);
    let service = |annotations: Value| {
        json!({"kind": "Service", "metadata": {"name": "web", "namespace": "shop", "uid": "s", "annotations": annotations},
        "spec": {"selector": {"app": "web"}}})
    };
    world.put(service(json!({"find": "service-no-endpoints", "derived": "yes", "text": "no endpoint is ready"})));
    world.put(pod("web-abc-1", "web", &json!({})));
    assert_eq!(world.only().cause.0, "service-no-endpoints");
    world.put(pod("web-abc-1", "web", &json!({"find": "oom-killed"})));
    let incident = world.only();
    assert_eq!(incident.cause.0, "oom-killed");
    assert_eq!(incident.symptoms, ["service web: no endpoint is ready"]);
    assert_eq!(incident.blast.services_without_endpoints, [ObjectRef::new("Service", "shop", "web")]);
    assert_eq!(incident.severity, Severity::Critical);
}

#[test]
fn a_remark_about_cost_explains_no_symptom() {
    let mut world = World::new(ALL);
    world.put(pod("web-abc-1", "web", &json!({"find": "memory-oversized"})));
    world.put(pod("web-abc-2", "web", &json!({"find": "rollout-stuck", "derived": "yes"})));
    assert_eq!(world.engine.incidents().len(), 2);
}

#[test]
fn pods_on_a_dead_node_fold_under_it_but_not_their_deletion() {
    let mut world = World::new(ALL);
    world.put(json!({"kind": "Node", "metadata": {"name": "node1", "uid": "n", "annotations": {"find": "node-not-ready"}}}));
    world.put(pod("web-abc-1", "web", &json!({"find": "readiness-probe-fails"})));
    world.put(pod("api-abc-1", "api", &json!({"find": "terminating-finalizer"})));
    let causes: Vec<&str> = world.engine.incidents().iter().map(|i| i.cause.0).collect();
    assert_eq!(causes, ["node-not-ready", "terminating-finalizer"]);
    assert!(world.engine.incidents()[0].objects.contains(&ObjectRef::new("Pod", "shop", "web-abc-1")));
}

#[test]
fn passwords_never_get_into_an_incident() {
    let mut world = World::new(ALL);
    let text = "connect to postgres://app:hunter2@db:5432/app failed, PGPASSWORD=hunter2";
    world.put(pod("web-abc-1", "web", &json!({"find": "database-auth-failed", "text": text})));
    let said = format!("{:?}", world.only());
    assert!(said.contains("postgres://app:***@db:5432/app"), "{said}");
    assert!(!said.contains("hunter2"), "{said}");
}

static LOOKS: AtomicUsize = AtomicUsize::new(0);
static COUNTING: Rule = rule("counting", KindId::Pod, |_, _, _| {
    LOOKS.fetch_add(1, Ordering::Relaxed);
});

#[test]
fn only_what_a_change_touches_is_looked_at_again() {
    static RULES: &[&Rule] = &[&COUNTING];
    let mut world = World::new(RULES);
    let looks = |world: &mut World, object: Value| {
        LOOKS.store(0, Ordering::Relaxed);
        world.put(object);
        LOOKS.load(Ordering::Relaxed)
    };
    for n in 0..20 {
        assert_eq!(looks(&mut world, pod(&format!("web-abc-{n}"), "web", &json!({}))), 1);
    }
    let event = json!({"kind": "Event", "metadata": {"name": "e", "namespace": "shop"},
        "involvedObject": {"kind": "Pod", "namespace": "shop", "name": "web-abc-3"}});
    assert_eq!(looks(&mut world, event), 1);
    assert_eq!(looks(&mut world, json!({"kind": "Node", "metadata": {"name": "node2", "uid": "n2"}})), 0);
    assert_eq!(looks(&mut world, json!({"kind": "Node", "metadata": {"name": "node1", "uid": "n1"}})), 20);
    let config = |name: &str| json!({"kind": "ConfigMap", "metadata": {"name": name, "namespace": "shop", "uid": name}});
    assert_eq!(looks(&mut world, config("settings")), 20);
    assert_eq!(looks(&mut world, config("other")), 0);
    LOOKS.store(0, Ordering::Relaxed);
    world.engine.update(&world.snapshot, &[Changed::Evidence(ObjectRef::new("Pod", "shop", "web-abc-7"))], at(60));
    assert_eq!(LOOKS.load(Ordering::Relaxed), 1);
}

fn wants_log(_: &Facts<'_>, row: &Row, out: &mut Output) {
    let meta = row.meta();
    let restart_count = meta.annotation("restarts").and_then(|n| n.parse().ok()).unwrap_or(1);
    out.requests.push(EvidenceRequest::Log { key: log_key(&meta.name), restart_count });
}

fn log_key(pod: &str) -> LogKey {
    LogKey { namespace: "shop".into(), pod: pod.into(), container: "app".into(), previous: true }
}

#[test]
fn one_log_a_workload_is_asked_for_once_a_restart() {
    static WANTING: Rule = rule("wanting", KindId::Pod, wants_log);
    static RULES: &[&Rule] = &[&WANTING];
    let mut world = World::new(RULES);
    for n in 0..5 {
        world.put(pod(&format!("web-abc-{n}"), "web", &json!({})));
    }
    let asked = |world: &mut World| -> Vec<String> {
        let requests = world.engine.take_requests().into_iter();
        requests.filter_map(|r| if let EvidenceRequest::Log { key, .. } = r { Some(key.pod.to_string()) } else { None }).collect()
    };
    assert_eq!(asked(&mut world), ["web-abc-0"]);
    world.put(pod("web-abc-0", "web", &json!({})));
    assert!(asked(&mut world).is_empty(), "asked twice for the same run");
    world.put(pod("web-abc-0", "web", &json!({"restarts": "2"})));
    assert_eq!(asked(&mut world), ["web-abc-0"], "a new run has a new log");
    let excerpt = LogExcerpt { lines: Vec::new(), unavailable: Some("gone".to_owned()), restart_count: 2 };
    world.apply(Delta::Log { key: log_key("web-abc-0"), excerpt });
    world.put(pod("web-abc-1", "web", &json!({})));
    assert_eq!(asked(&mut world), ["web-abc-1"], "the first could not be had");
    world.apply(Delta::Remove { kind: KindId::Pod, key: Key::new("shop", "web-abc-0") });
    world.apply(Delta::Remove { kind: KindId::Pod, key: Key::new("shop", "web-abc-1") });
    world.put(pod("web-abc-4", "web", &json!({})));
    assert_eq!(asked(&mut world), ["web-abc-4"], "those that spoke for it are gone");
}

#[test]
fn a_rule_whose_kinds_are_denied_does_not_run_and_says_so() {
    static NEEDY: Rule = Rule { needs: &[KindId::ConfigMap], ..rule("needy", KindId::Pod, annotated) };
    static RULES: &[&Rule] = &[&NEEDY];
    let mut world = World::new(RULES);
    world.put(pod("web-abc-1", "web", &json!({"find": "oom-killed"})));
    assert_eq!(world.engine.incidents().len(), 1);
    let why = "configmaps is forbidden".to_owned();
    world.apply(Delta::Denied { kind: KindId::ConfigMap, scope: Scope::Cluster, why });
    assert!(world.engine.incidents().is_empty());
    assert_eq!(world.engine.not_evaluated()[0].why, "configmaps: configmaps is forbidden");
    let scope = Scope::Namespace("shop".into());
    world.apply(Delta::ListStarted { kind: KindId::ConfigMap, scope: scope.clone() });
    world.apply(Delta::Listed { kind: KindId::ConfigMap, scope, at: at(1) });
    assert_eq!(world.engine.incidents().len(), 1, "the pod's namespace is known now");
    assert_eq!(world.engine.not_evaluated()[0].why, "configmaps in other namespaces: configmaps is forbidden");
    assert!(matches!(world.snapshot.coverage.of(KindId::ConfigMap, "shop"), Some(CoverageState::Synced { .. })));
}

#[test]
fn a_rule_is_run_again_when_it_asked_for_that() {
    static WAITING: Rule = rule("waiting", KindId::Pod, |facts, row, out| {
        if facts.now >= at(90) {
            let object = ObjectRef::new("Pod", "shop", &row.meta().name);
            out.findings.push(finding("terminating-slow", object.clone(), object, "it is still there"));
        } else {
            out.recheck_at(at(90));
        }
    });
    static RULES: &[&Rule] = &[&WAITING];
    let mut world = World::new(RULES);
    world.put(pod("web-abc-1", "web", &json!({})));
    assert_eq!(world.engine.next_recheck(), Some(at(90)));
    assert!(!world.engine.update(&world.snapshot, &[], at(89)));
    assert!(world.engine.update(&world.snapshot, &[], at(90)));
    assert_eq!(world.engine.incidents().len(), 1);
    assert!(world.engine.next_recheck().is_some_and(|next| next > at(90)), "what is left is the next look at everything");
}

#[test]
fn what_users_feel_comes_first() {
    let mut world = World::new(ALL);
    world.put(pod("a-abc-1", "a", &json!({"find": "oom-killed-child"})));
    world.put(pod("b-abc-1", "b", &json!({"find": "oom-killed"})));
    world.put(pod("c-abc-1", "c", &json!({"find": "oom-killed"})));
    world.put(json!({"kind": "Service", "metadata": {"name": "c", "namespace": "shop", "uid": "s"}, "spec": {"selector": {"app": "c"}}}));
    let titles: Vec<&str> = world.engine.incidents().iter().map(|i| i.title.split(':').next().unwrap()).collect();
    assert_eq!(titles, ["c", "b", "a"]);
}

#[test]
fn what_holds_a_dying_namespace_is_said_with_it() {
    let mut world = World::new(ALL_WITH_NAMESPACES);
    let annotations = json!({"find": "namespace-terminating"});
    world.put(json!({"kind": "Namespace", "metadata": {"name": "shop", "uid": "n", "annotations": annotations}}));
    world.put(pod("web-abc-1", "web", &json!({"find": "terminating-finalizer", "text": "a finalizer holds it"})));
    let incident = world.only();
    assert_eq!(incident.cause.0, "namespace-terminating");
    assert_eq!(incident.symptoms, ["web: a finalizer holds it"]);
}

static NAMESPACES: Rule = rule("namespaces", KindId::Namespace, annotated);
static ALL_WITH_NAMESPACES: &[&Rule] = &[&PODS, &NAMESPACES];

#[test]
fn a_config_map_that_a_workload_reads_is_asked_for_once_a_version_and_never_after_a_refusal() {
    let mut world = World::new(ALL);
    let asked = |world: &mut World| {
        let requests = world.engine.take_requests().into_iter();
        let of = |request| match request {
            EvidenceRequest::Config { name, version, .. } => Some(format!("{name} {version}")),
            _ => None,
        };
        requests.filter_map(of).collect::<Vec<_>>()
    };
    let config = |name: &str| json!({"kind": "ConfigMap", "metadata": {"name": name, "namespace": "shop"}});
    let deployment = json!({"kind": "Deployment", "metadata": {"name": "web", "namespace": "shop", "uid": "web"}, "spec": {
        "template": {"spec": {"containers": [{"name": "app", "envFrom": [{"configMapRef": {"name": "settings"}}, {"secretRef": {"name": "keys"}}]}]}}}});
    world.put(config("unrelated"));
    world.put(deployment);
    assert!(asked(&mut world).is_empty(), "it is not there yet");
    world.put(config("settings"));
    assert_eq!(asked(&mut world), ["settings 3"]);
    world.put(config("unrelated"));
    assert!(asked(&mut world).is_empty());
    world.put(config("settings"));
    assert_eq!(asked(&mut world), ["settings 5"]);
    world.apply(Delta::Config { key: Key::new("shop", "settings"), content: None });
    world.put(config("settings"));
    assert!(asked(&mut world).is_empty());
}
