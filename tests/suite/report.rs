//! The report: the stable JSON schema, text a person can paste, exit statuses, nothing secret, nothing that moves a terminal.

use assert_cmd::Command;
use chrono::TimeDelta;
use k3am::actions::Intent;
use k3am::changes::{Change, ChangeKind, DiffLine, Sureness};
use k3am::diagnosis::{
    BlastRadius, CauseId, Confidence, Evidence, EvidenceSource, Fix, Incident, IncidentId, Risk, Root, Severity,
};
use k3am::kinds::ObjectRef;
use k3am::report::{Report, SourceKind, json, markdown, text};
use k3am::snapshot::Snapshot;
use k3am::text::Time;
use serde_json::{Value, json};

use crate::schema;

fn now() -> Time {
    "2026-11-22T20:31:30Z".parse().unwrap()
}

fn incident() -> Incident {
    let workload = ObjectRef::new("Deployment", "fastapi-prod", "fastapi-deployment");
    let pod = ObjectRef::new("Pod", "fastapi-prod", "fastapi-deployment-6d8db7655b-dl9x7");
    Incident {
        id: IncidentId { cause: CauseId("image-not-found"), root: Root::Workload(workload.clone()) },
        cause: CauseId("image-not-found"),
        severity: Severity::Critical,
        confidence: Confidence::Certain,
        title: "fastapi-deployment: the registry has no tag v1.0.1 of yourusername/your-app".to_owned(),
        summary: "The registry has no tag v1.0.1 of yourusername/your-app.".to_owned(),
        since: Some(now() - TimeDelta::seconds(457)),
        workloads: vec![workload.clone()],
        objects: vec![pod.clone()],
        evidence: vec![Evidence {
            object: pod,
            from: EvidenceSource::Status,
            field: "status.containerStatuses[0].state.waiting.message".to_owned(),
            text: "Back-off \u{1b}[31mpulling\u{1b}[0m image: \u{202e}not found".to_owned(),
            at: None,
        }],
        change: Some(Change {
            kind: ChangeKind::Rollout,
            object: workload.clone(),
            at: now() - TimeDelta::seconds(460),
            by: Some("kubectl-set".to_owned()),
            revision: Some(2),
            previous_revision: Some(1),
            diff: vec![DiffLine {
                field: "image".to_owned(),
                old: Some("registry.local/orders:v1".to_owned()),
                new: Some("yourusername/your-app:v1.0.1".to_owned()),
            }],
        }),
        sureness: Some(Sureness { likely: true, why: "revision 1 worked, 3 of its pods are ready".to_owned() }),
        regression: true,
        fixes: vec![Fix {
            title: "Undo the rollout (back to revision 1)".to_owned(),
            command: "kubectl rollout undo deployment/fastapi-deployment -n fastapi-prod --to-revision=1".to_owned(),
            risk: Risk::Safe,
            why: "revision 1 still has 3 ready pods".to_owned(),
            action: Some(Intent::Undo { workload, to_revision: Some(1) }),
        }],
        ruled_out: Vec::new(),
        blast: BlastRadius { pods: 1, pods_total: 4, pods_ready: 3, ..BlastRadius::default() },
        symptoms: vec!["the rollout is stuck: 1 of 3 updated".to_owned()],
    }
}

fn report() -> Report {
    let mut report = Report::new(SourceKind::Bundle, &Snapshot::default(), (vec![incident()], Vec::new()), now());
    "fastapi-prod".clone_into(&mut report.name);
    report
}

#[test]
fn json_is_the_documented_schema_to_the_letter() {
    let mut report = report();
    report.add_missing("pods in namespace x", "forbidden");
    let document: Value = serde_json::from_str(&json::render(&report).unwrap()).unwrap();
    let workload = json!({"kind": "Deployment", "namespace": "fastapi-prod", "name": "fastapi-deployment"});
    let pod = json!({"kind": "Pod", "namespace": "fastapi-prod", "name": "fastapi-deployment-6d8db7655b-dl9x7"});
    let expected = json!({
        "schema": "k3am.dev/report/v1",
        "observedAt": "2026-11-22T20:31:30Z",
        "source": {"kind": "bundle", "name": "fastapi-prod"},
        "complete": false,
        "missing": [{"what": "pods in namespace x", "why": "forbidden"}],
        "incidents": [{
            "cause": "image-not-found",
            "severity": "critical",
            "title": "fastapi-deployment: the registry has no tag v1.0.1 of yourusername/your-app",
            "since": "2026-11-22T20:23:53Z",
            "workloads": [workload],
            "objects": [pod],
            "evidence": [{"object": pod, "from": "status", "field": "status.containerStatuses[0].state.waiting.message",
                "text": "Back-off \u{1b}[31mpulling\u{1b}[0m image: \u{202e}not found", "at": null}],
            "change": {"kind": "rollout", "object": workload, "at": "2026-11-22T20:23:50Z", "by": "kubectl-set", "revision": 2,
                "diff": ["image: registry.local/orders:v1 -> yourusername/your-app:v1.0.1"],
                "sure": "likely", "because": "revision 1 worked, 3 of its pods are ready"},
            "fixes": [{"title": "Undo the rollout (back to revision 1)",
                "command": "kubectl rollout undo deployment/fastapi-deployment -n fastapi-prod --to-revision=1",
                "risk": "safe", "oneKey": true, "why": "revision 1 still has 3 ready pods"}],
        }],
        "timeline": [],
    });
    assert_eq!(document, expected);
    assert_eq!(schema::problems(&document), [""; 0]);
}

#[test]
fn text_fits_80_columns_keeps_commands_whole_and_is_clean() {
    let out = text::render(&report());
    let command = "kubectl rollout undo deployment/fastapi-deployment -n fastapi-prod --to-revision=1";
    assert!(out.contains(command));
    for line in out.lines().filter(|line| !line.contains(command)) {
        assert!(line.chars().count() <= 80, "{} columns: {line}", line.chars().count());
    }
    assert!(!out.chars().any(|c| c.is_control() && c != '\n' || c == '\u{202e}'), "{out:?}");
    let flat = out.split_whitespace().collect::<Vec<_>>().join(" ");
    for part in [
        "1 critical",
        "image-not-found · certain · since 20:23:53 (7m37s)",
        "1 of 4 pods, 3 ready",
        "revision 1 → 2",
        "by kubectl-set",
        "it introduced this",
        "image: registry.local/orders:v1 -> yourusername/your-app:v1.0.1",
        "and so: the rollout is stuck",
        "(safe): revision 1 still has 3 ready pods",
    ] {
        assert!(flat.contains(part), "{part:?} is not in\n{out}");
    }
}

#[test]
fn what_was_not_seen_is_said_even_when_nothing_is_broken() {
    let mut report = report();
    report.incidents.clear();
    assert!(text::render(&report).contains("Nothing is broken."));
    report.add_missing("secrets", "forbidden");
    let out = text::render(&report);
    assert!(out.contains("not everything could be seen") && out.contains("secrets: forbidden"), "{out}");
}

#[test]
fn markdown_cannot_be_broken_out_of() {
    let mut report = report();
    report.incidents[0].title = "web: [click](http://evil) <script> `x`".to_owned();
    let out = markdown::render(&report);
    assert!(out.contains(r"\[click\](http://evil) \<script\> \`x\`"), "{out}");
    assert!(out.contains("```sh\nkubectl rollout undo"));

    report.incidents[0].evidence[0].text = "`` a ``` b\n# heading | cell".to_owned();
    report.incidents[0].fixes[0].command = "kubectl get x\n```\n# out".to_owned();
    let out = markdown::render(&report);
    assert!(out.contains("```` `` a ``` b # heading | cell ````"), "{out}");
    assert!(out.contains("status `status.containerStatuses[0].state.waiting.message`: "), "{out}");
    assert!(!out.contains("\n# heading") && !out.contains("\n```\n# out\n```\n"), "{out}");
}

#[test]
fn markdown_is_a_ticket_in_the_order_it_is_read() {
    let out = markdown::render(&report());
    let mut rest = out.as_str();
    for part in
        ["### Summary", "### Impact", "### Timeline", "rollout of `", "it is so since", "looked at", "### Evidence", "### Fix"]
    {
        let Some((_, after)) = rest.split_once(part) else { panic!("no {part:?} in its place in\n{out}") };
        rest = after;
    }
    assert!(out.contains("- 2026-11-22 20:31:30 UTC looked at"), "{out}");
}

#[test]
fn the_capture_gives_the_same_bytes_in_every_format() {
    for format in ["text", "markdown", "json"] {
        let run =
            || k3am(&["diagnose", "--from", &capture(), "--at", "2026-11-22T20:31:30Z", "-o", format, "--fail-on", "never"]).1;
        let first = run();
        assert!(first.len() > 1000, "{first}");
        assert_eq!(first, run(), "{format}");
        assert!(!first.contains("postgres:pw@"), "{format} shows a password");
    }
}

#[test]
fn only_incidents_as_bad_as_the_threshold_fail() {
    let mut report = report();
    assert!(report.fails(Some(Severity::Critical)) && report.fails(Some(Severity::Warning)) && !report.fails(None));
    report.incidents[0].severity = Severity::Warning;
    assert!(!report.fails(Some(Severity::Critical)) && report.fails(Some(Severity::Warning)));
}

fn k3am(arguments: &[&str]) -> (i32, String, String) {
    let out = Command::cargo_bin("k3am").unwrap().args(arguments).env("KUBECONFIG", "/no/such/file").output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (out.status.code().unwrap(), text(out.stdout), text(out.stderr))
}

fn capture() -> String {
    format!("{}/tests/fixtures/captures/fastapi-prod", env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn the_binary_diagnoses_a_bundle_twice_alike_and_validly() {
    let run = || k3am(&["diagnose", "--from", &capture(), "--at", "2026-11-22T20:31:30Z", "-o", "json", "--fail-on", "never"]);
    let (status, first, _) = run();
    assert_eq!(status, 0);
    assert_eq!(first, run().1);
    let document: Value = serde_json::from_str(&first).unwrap();
    assert_eq!(document["schema"], "k3am.dev/report/v1");
    assert_eq!(document["observedAt"], "2026-11-22T20:31:30Z");
    assert_eq!(schema::problems(&document), [""; 0]);
    for incident in document["incidents"].as_array().unwrap() {
        assert!(incident["cause"].as_str().is_some_and(|cause| CauseId::parse(cause).is_some()), "{}", incident["cause"]);
    }
}

#[test]
fn what_cannot_be_done_is_one_line_and_status_2() {
    for arguments in [
        &["diagnose", "--from", "/no/such/bundle"][..],
        &["diagnose"],
        &["diagnose", "--context", "nowhere"],
        &["diagnose", "--from", &capture(), "-n", "fastapi-prdo"],
        &["explain", "imagenotfound"],
    ] {
        let (status, out, error) = k3am(arguments);
        assert_eq!((status, out.as_str()), (2, ""), "{arguments:?}: {error}");
        assert_eq!(error.lines().count(), 1, "{arguments:?}: {error}");
    }
    for arguments in [&["diagnose", "--at", "noon"][..], &["diagnose", "--nope"], &["diagnose", "-o", "xml"]] {
        assert_eq!(k3am(arguments).0, 2, "{arguments:?}");
    }
}

#[test]
fn explain_prints_every_cause_and_the_page_of_one() {
    let (status, out, _) = k3am(&["explain"]);
    assert_eq!(status, 0);
    assert!(out.contains("image-not-found") && out.contains("Terminating"));
    let (status, out, _) = k3am(&["explain", "image-not-found"]);
    assert_eq!(status, 0);
    assert!(out.starts_with("image-not-found\n"));
}
