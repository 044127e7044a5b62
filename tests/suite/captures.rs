//! Captures of real clusters, judged as a stranger would: every expected object named with an accepted cause, no healthy
//! object named. Prints a table (`cargo test --test suite captures:: -- --nocapture`).

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use k3am::diagnosis::Incident;
use k3am::diagnosis::engine::diagnose;
use k3am::kinds::ObjectRef;
use k3am::source::bundle;
use k3am::text::Time;
use serde::Deserialize;

/// Share of expected objects that must be named with an accepted cause. Only ever raised.
const RECALL: f64 = 1.0;
/// Share of incidents that must be about an expected object and cause.
const PRECISION: f64 = 0.95;
/// Share of expected objects that stand in one incident only, together with all others that share their root.
const GROUPING: f64 = 1.0;
/// Causes that lie outside the workloads: whoever has one of them, in one namespace, has it for one and the same reason.
const SHARED: &[&str] = &["database-too-many-connections", "node-not-ready", "ip-exhausted", "dns-failing", "quota-exceeded"];

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answers {
    observed_at: Time,
    expected: Vec<Expected>,
    healthy: Vec<String>,
}

#[derive(Deserialize)]
struct Expected {
    object: String,
    causes: Vec<String>,
}

fn captures() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/captures");
    let mut found: Vec<PathBuf> = std::fs::read_dir(root).unwrap().map(|e| e.unwrap().path()).collect();
    found.retain(|path| path.join("expected.json").is_file());
    found.sort();
    found
}

fn name_of(object: &ObjectRef) -> String {
    format!("{}/{}/{}", object.kind, object.namespace, object.name)
}

/// Every object an incident names as broken.
fn named(incident: &Incident) -> BTreeSet<String> {
    incident.workloads.iter().chain(&incident.objects).map(name_of).collect()
}

fn judge(path: &Path) -> (Answers, Vec<Incident>) {
    let answers: Answers = serde_json::from_str(&std::fs::read_to_string(path.join("expected.json")).unwrap()).unwrap();
    let snapshot = bundle::read(path).unwrap().snapshot();
    let (incidents, not_evaluated) = diagnose(&snapshot, answers.observed_at);
    assert!(not_evaluated.is_empty(), "{not_evaluated:?}");
    (answers, incidents)
}

#[test]
fn expected_objects_are_named_with_an_accepted_cause() {
    for path in captures() {
        let (answers, incidents) = judge(&path);
        let mut right = 0;
        let mut useful = BTreeSet::new();
        for expected in &answers.expected {
            let about: Vec<(usize, &Incident)> =
                incidents.iter().enumerate().filter(|(_, i)| named(i).contains(&expected.object)).collect();
            let hit = about.iter().find(|(_, i)| expected.causes.iter().any(|c| c == i.cause.0));
            let said: Vec<&str> = about.iter().map(|(_, i)| i.cause.0).collect();
            println!("{} {:<50} {:?} said {said:?}", if hit.is_some() { "✔" } else { "✘" }, expected.object, expected.causes);
            right += usize::from(hit.is_some());
            useful.extend(hit.map(|(index, _)| *index));
        }
        for (index, incident) in incidents.iter().enumerate().filter(|(index, _)| !useful.contains(index)) {
            println!("? #{index} {} {}", incident.cause, incident.title);
        }
        let recall = right as f64 / answers.expected.len() as f64;
        let precision = if incidents.is_empty() { 1.0 } else { useful.len() as f64 / incidents.len() as f64 };
        println!("{}: recall {recall:.2}, precision {precision:.2}, {} incidents", path.display(), incidents.len());
        assert!(recall >= RECALL, "recall {recall:.2} is below {RECALL}");
        assert!(precision >= PRECISION, "precision {precision:.2} is below {PRECISION}");
    }
}

/// Expected objects that are grouped right: in exactly one incident, and in the same one as all who share its cause outside.
fn grouped<'a>(answers: &'a Answers, incidents: &[Incident]) -> Vec<&'a str> {
    let about = |object: &str| -> Vec<usize> {
        incidents.iter().enumerate().filter(|(_, i)| named(i).contains(object)).map(|(index, _)| index).collect()
    };
    let mut roots: BTreeMap<(&str, &str), BTreeSet<Vec<usize>>> = BTreeMap::new();
    let shared = |e: &'a Expected| {
        let namespace = e.object.split('/').nth(1).unwrap_or_default();
        e.causes.iter().find(|c| SHARED.contains(&c.as_str())).map(|cause| (cause.as_str(), namespace))
    };
    for expected in &answers.expected {
        if let Some(root) = shared(expected) {
            roots.entry(root).or_default().insert(about(&expected.object));
        }
    }
    let right = |e: &&'a Expected| {
        about(&e.object).len() == 1 && shared(e).is_none_or(|root| roots.get(&root).is_some_and(|places| places.len() == 1))
    };
    answers.expected.iter().filter(right).map(|e| e.object.as_str()).collect()
}

#[test]
fn every_root_is_one_incident_and_no_object_is_in_two() {
    println!("{:<20} {:>8} {:>9} {:>7} {:>9} {:>8}", "capture", "expected", "incidents", "recall", "precision", "grouping");
    for path in captures() {
        let (answers, incidents) = judge(&path);
        let total = answers.expected.len() as f64;
        let hits = |e: &&Expected| {
            incidents.iter().any(|i| named(i).contains(&e.object) && e.causes.iter().any(|cause| cause == i.cause.0))
        };
        let recall = answers.expected.iter().filter(hits).count() as f64 / total;
        let useful = incidents.iter().filter(|i| {
            answers.expected.iter().any(|e| named(i).contains(&e.object) && e.causes.iter().any(|cause| cause == i.cause.0))
        });
        let precision = useful.count() as f64 / incidents.len().max(1) as f64;
        let right = grouped(&answers, &incidents);
        let grouping = right.len() as f64 / total;
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        println!(
            "{name:<20} {:>8} {:>9} {recall:>7.2} {precision:>9.2} {grouping:>8.2}",
            answers.expected.len(),
            incidents.len()
        );
        let wrong: Vec<_> = answers.expected.iter().map(|e| e.object.as_str()).filter(|o| !right.contains(o)).collect();
        assert!(grouping >= GROUPING, "not in exactly one incident, or apart from those with the same root: {wrong:?}");
        assert!(recall >= RECALL && precision >= PRECISION, "recall {recall:.2}, precision {precision:.2}");
        let mut roots = BTreeSet::new();
        for incident in &incidents {
            assert!(roots.insert(&incident.id), "two incidents of one root: {}", incident.title);
        }
    }
}

#[test]
fn healthy_objects_are_never_named() {
    for path in captures() {
        let (answers, incidents) = judge(&path);
        for incident in &incidents {
            let wrong: Vec<&String> = answers.healthy.iter().filter(|healthy| named(incident).contains(*healthy)).collect();
            assert!(wrong.is_empty(), "{} names {wrong:?}: {}", incident.cause, incident.title);
        }
    }
}

#[test]
fn a_workload_is_in_at_most_one_incident_a_cause() {
    for path in captures() {
        let (_, incidents) = judge(&path);
        let mut seen: BTreeMap<(&str, String), &str> = BTreeMap::new();
        for incident in &incidents {
            for object in named(incident) {
                let known = seen.insert((incident.cause.0, object.clone()), &incident.title);
                assert!(known.is_none(), "{object} is in two incidents of {}: {known:?}, {}", incident.cause, incident.title);
            }
        }
    }
}

#[test]
fn every_quote_stands_in_the_capture() {
    for path in captures() {
        let snapshot = bundle::read(&path).unwrap().snapshot();
        let (_, incidents) = judge(&path);
        let events: Vec<&str> = snapshot.events.iter().map(|e| &*e.message).collect();
        for incident in &incidents {
            assert!(!incident.evidence.is_empty(), "{}: no evidence", incident.title);
            for quote in incident.evidence.iter().filter(|q| q.from.word() == "event" && !q.text.contains("***")) {
                let text = quote.text.as_str();
                assert!(events.iter().any(|message| message.contains(text)), "{}: no event says {text:?}", incident.title);
            }
        }
    }
}

#[test]
fn the_same_capture_gives_the_same_bytes_whatever_the_order() {
    for path in captures() {
        let (answers, first) = judge(&path);
        let bundle = bundle::read(&path).unwrap();
        let mut reversed = k3am::snapshot::Snapshot::default();
        let deltas = bundle.deltas();
        let is_row = |d: &k3am::snapshot::Delta| matches!(d, k3am::snapshot::Delta::Upsert { .. });
        // Lists start before their rows and end after them; rows in between in any order.
        let (rows, marks): (Vec<_>, Vec<_>) = deltas.into_iter().partition(is_row);
        let (starts, ends): (Vec<_>, Vec<_>) =
            marks.into_iter().partition(|d| matches!(d, k3am::snapshot::Delta::ListStarted { .. }));
        for delta in starts.into_iter().chain(rows.into_iter().rev()).chain(ends) {
            reversed.apply(delta);
        }
        assert_eq!(first, diagnose(&reversed, answers.observed_at).0);
    }
}

#[test]
fn following_the_changes_ends_where_looking_at_everything_does() {
    for path in captures() {
        let (answers, whole) = judge(&path);
        // All at once, and as a busy cockpit does it: a few subjects at a time.
        for at_most in [usize::MAX, 3] {
            let mut snapshot = k3am::snapshot::Snapshot::default();
            let mut engine = k3am::diagnosis::engine::Engine::default();
            for batch in bundle::read(&path).unwrap().deltas().chunks(7) {
                let changed: Vec<_> = batch.iter().flat_map(|delta| snapshot.apply(delta.clone())).collect();
                engine.note(&snapshot, &changed, answers.observed_at);
                engine.work(&snapshot, answers.observed_at, at_most);
            }
            while engine.is_behind() {
                engine.work(&snapshot, answers.observed_at, at_most);
            }
            let titles = |incidents: Vec<&Incident>| incidents.iter().map(|i| i.title.clone()).collect::<Vec<_>>();
            let followed: Vec<&Incident> = engine.incidents().iter().map(|incident| &**incident).collect();
            assert_eq!(titles(followed.clone()), titles(whole.iter().collect()));
            for (followed, seen) in followed.into_iter().zip(&whole) {
                assert_eq!(followed, seen);
            }
        }
    }
}

/// What an incident says of objects that its findings do not quote must not grow old either.
#[test]
fn following_removals_ends_where_looking_at_the_rest_does() {
    use k3am::snapshot::{Delta, Key, Snapshot};
    for path in captures() {
        let now = judge(&path).0.observed_at;
        let (mut snapshot, mut engine) = (Snapshot::default(), k3am::diagnosis::engine::Engine::default());
        let mut follow = |deltas: &[Delta]| {
            let changed: Vec<_> = deltas.iter().flat_map(|delta| snapshot.apply(delta.clone())).collect();
            engine.update(&snapshot, &changed, now);
            let followed: Vec<Incident> = engine.incidents().iter().map(|incident| (**incident).clone()).collect();
            let whole = diagnose(&snapshot, now).0;
            for (f, w) in followed.iter().zip(&whole) {
                assert_eq!((&f.title, f.severity, f), (&w.title, w.severity, w));
            }
            assert_eq!(followed.len(), whole.len());
        };
        let deltas = bundle::read(&path).unwrap().deltas();
        follow(&deltas);
        let rows = deltas.iter().filter_map(|delta| if let Delta::Upsert { row, .. } = delta { Some(row) } else { None });
        let gone: Vec<Delta> = rows.map(|row| Delta::Remove { kind: row.kind(), key: Key::of(row.meta()) }).collect();
        // Every object goes in some step, those far apart in the list together.
        for step in 0..23 {
            follow(&gone.iter().skip(step).step_by(23).cloned().collect::<Vec<_>>());
        }
    }
}
