//! `X`: the reasoning about one object, over the real capture and over what was hidden.

use std::path::Path;

use k3am::diagnosis::engine::Engine;
use k3am::diagnosis::engine::trace::{Fate, Trace};
use k3am::kinds::{KindId, ObjectRef};
use k3am::snapshot::{Delta, Scope, Snapshot};
use k3am::source::bundle;
use k3am::text::Time;

fn capture() -> (Snapshot, Time) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/captures/fastapi-prod");
    (bundle::read(&path).unwrap().snapshot(), "2026-11-22T20:31:30Z".parse().unwrap())
}

fn engine_of(snapshot: &Snapshot, now: Time) -> Engine {
    let mut engine = Engine::default();
    let changed: Vec<_> = KindId::ALL
        .iter()
        .flat_map(|&kind| snapshot.keys(kind).into_iter().map(move |key| (kind, key)))
        .map(|(kind, key)| k3am::snapshot::Changed::Object { kind, key, before: None })
        .collect();
    engine.update(snapshot, &changed, now);
    engine
}

fn trace_of(kind: &str, name: &str) -> Trace {
    let (snapshot, now) = capture();
    engine_of(&snapshot, now).trace(&snapshot, &ObjectRef::new(kind, "fastapi-prod", name), now)
}

#[test]
fn a_broken_workload_shows_what_matched_with_its_evidence_and_what_was_ruled_out() {
    let trace = trace_of("Deployment", "image-typo");
    assert_eq!(trace.incidents.iter().map(|i| i.cause.0).collect::<Vec<_>>(), ["image-not-found"]);
    let pull = trace.checks.iter().find(|c| c.rule.name == "image-pull").expect("the rule looked");
    assert!(matches!(&pull.found[..], [(finding, Fate::Incident(_)), ..] if finding.cause.0 == "image-not-found"));
    let text = trace.lines().join("\n");
    for part in [
        "What matched",
        "rule image-pull looked at 1 object",
        "image-not-found on pod/image-typo-",
        "Ruled out",
        "Looked and found nothing",
    ] {
        assert!(text.contains(part), "no {part:?} in\n{text}");
    }
    let quiet = text.split("Looked and found nothing").nth(1).unwrap();
    assert!(quiet.contains("  oom-killed (1 object): oom-killed, oom-killed-child"), "{quiet}");
}

#[test]
fn a_symptom_says_what_it_is_told_with() {
    let trace = trace_of("Deployment", "db-too-many");
    let budget = trace.checks.iter().find(|c| c.rule.name == "connection-budget").expect("the database was looked at");
    let (finding, fate) = &budget.found[0];
    assert_eq!(finding.workload.name.as_ref(), "db-too-many");
    assert!(matches!(fate, Fate::Folded(title) if title.contains("refuses more connections")), "{fate:?}");
}

#[test]
fn a_healthy_workload_is_explained_too_with_remarks_that_are_no_incident() {
    let trace = trace_of("Deployment", "db-refused");
    assert!(trace.advice.iter().any(|f| f.cause.0 == "password-in-environment"), "{:?}", trace.advice);
    let text = trace.lines().join("\n");
    assert!(text.contains("Worth knowing, no incident") && text.contains("DATABASE_URL"), "{text}");
    assert!(!text.contains("postgres:pw@"), "a password was shown:\n{text}");
    let quiet = trace_of("Deployment", "healthy-web");
    assert!(quiet.checks.iter().all(|c| c.rule.name == "autoscaler" || c.found.is_empty()), "{:?}", quiet.checks);
    assert!(quiet.checks.len() > 15, "{} rules looked", quiet.checks.len());
}

#[test]
fn what_rbac_hides_is_said() {
    let (mut snapshot, now) = capture();
    let why = "deployments.apps is forbidden: User \"dev\" cannot list".to_owned();
    snapshot.apply(Delta::Denied { kind: KindId::Deployment, scope: Scope::Cluster, why });
    let object = ObjectRef::new("Service", "fastapi-prod", "postgres");
    let trace = engine_of(&snapshot, now).trace(&snapshot, &object, now);
    let blind: Vec<_> = trace.checks.iter().filter(|c| c.blind.is_some()).map(|c| c.rule.name).collect();
    assert!(!blind.is_empty(), "every rule could look");
    let text = trace.lines().join("\n");
    assert!(text.contains("Could not be judged") && text.contains("deployments are not all known"), "{text}");
}

#[test]
fn the_same_question_gets_the_same_words_for_every_object() {
    let (snapshot, now) = capture();
    let engine = engine_of(&snapshot, now);
    for kind in [KindId::Pod, KindId::Deployment, KindId::Service, KindId::Node, KindId::Job, KindId::Namespace] {
        for key in snapshot.keys(kind) {
            let object = ObjectRef::new(kind.name(), &key.namespace, &key.name);
            let lines = engine.trace(&snapshot, &object, now).lines();
            assert!(!lines.is_empty() && lines.iter().all(|l| !l.contains(['\n', '\u{1b}'])), "{object}: {lines:?}");
            assert_eq!(lines, engine.trace(&snapshot, &object, now).lines(), "{object}");
        }
    }
}
