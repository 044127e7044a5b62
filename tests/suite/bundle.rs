//! Bundles in every layout they come in, and what happens to what is broken.

use std::fs;
use std::path::Path;

use k3am::kinds::{KindId, ObjectRef};
use k3am::snapshot::{LogKey, Snapshot};
use k3am::source::bundle::{self, Bundle};
use tempfile::TempDir;

const POD: &str = r#"{"apiVersion":"v1","kind":"Pod","metadata":{"name":"web-1","namespace":"shop","uid":"u1","resourceVersion":"7",
  "creationTimestamp":"2026-11-22T20:00:00Z","deletionTimestamp":"2030-01-01T00:00:00Z"},
  "spec":{"containers":[{"name":"app","image":"web:v1"}]},
  "status":{"phase":"Running","containerStatuses":[{"name":"app","restartCount":4,
    "state":{"waiting":{"reason":"CrashLoopBackOff"}},"lastState":{"terminated":{"exitCode":1,"finishedAt":"2026-11-22T20:31:07Z"}}}]}}"#;

fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = TempDir::new().unwrap();
    for (path, text) in files {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    folder
}

fn read(files: &[(&str, &str)]) -> Bundle {
    bundle::read(folder(files).path()).unwrap()
}

fn list(items: &str) -> String {
    format!(r#"{{"apiVersion":"v1","kind":"List","items":[{items}]}}"#)
}

fn log_of(snapshot: &Snapshot, previous: bool) -> &k3am::snapshot::LogExcerpt {
    let key = LogKey { namespace: "shop".into(), pod: "web-1".into(), container: "app".into(), previous };
    snapshot.logs.get(&key).expect("the log is in the snapshot")
}

#[test]
fn the_capture_layout_is_read_whole() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/captures/fastapi-prod");
    let bundle = bundle::read(&path).unwrap();
    let snapshot = bundle.snapshot();
    assert_eq!(snapshot.identity.server_version.as_deref(), Some("v1.36.2"));
    assert!(bundle.skipped.iter().all(|s| !s.broken), "{:?}", bundle.skipped);
    for &kind in KindId::ALL.iter().filter(|kind| !kind.info().optional || **kind == KindId::NetworkPolicy) {
        assert!(snapshot.coverage.is_complete(kind, "fastapi-prod"), "{kind} is not covered");
    }
    assert!(snapshot.pods.len() > 40 && !snapshot.logs.is_empty() && !snapshot.usage.is_empty());
    let key = LogKey { namespace: "fastapi-prod".into(), pod: "finalizer-stuck".into(), container: "c".into(), previous: false };
    assert!(snapshot.logs[&key].unavailable.as_deref().unwrap().starts_with("unable to retrieve container logs"));
}

#[test]
fn files_are_recognised_by_content_whatever_their_name() {
    let yaml = "apiVersion: v1\nkind: Pod\nmetadata:\n  name: web-2\n  namespace: shop\n---\napiVersion: v1\nkind: Node\nmetadata:\n  name: n1\n";
    let bundle = read(&[("a.txt", &list(POD)), ("b", yaml), ("deep/er/v.data", r#"{"gitVersion":"v1.30.1"}"#)]);
    let snapshot = bundle.snapshot();
    assert_eq!((snapshot.pods.len(), snapshot.nodes.len()), (2, 1));
    assert_eq!(bundle.server_version.as_deref(), Some("v1.30.1"));
    assert!(bundle.skipped.is_empty(), "{:?}", bundle.skipped);
}

#[test]
fn a_single_file_is_a_bundle_too() {
    let folder = folder(&[("pods.json", &list(POD))]);
    assert_eq!(bundle::read(&folder.path().join("pods.json")).unwrap().snapshot().pods.len(), 1);
}

#[test]
fn kinds_that_were_not_listed_are_not_claimed_to_be_known() {
    let config = r#"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"c","namespace":"shop"}}"#;
    let snapshot = read(&[("pods.json", &list(POD)), ("c.json", config), ("events.json", &list(""))]).snapshot();
    assert!(snapshot.coverage.is_complete(KindId::Pod, "shop"));
    assert!(snapshot.coverage.is_complete(KindId::Event, "shop"), "an empty list of events says there are none");
    assert!(!snapshot.coverage.is_complete(KindId::ConfigMap, "shop"), "one ConfigMap is not all of them");
    assert!(!snapshot.coverage.is_complete(KindId::Secret, "shop"));
}

#[test]
fn cluster_info_dump_covers_the_namespaces_it_dumped() {
    let pods = format!(r#"{{"kind":"PodList","apiVersion":"v1","items":[{}]}}"#, POD.replacen(r#""kind":"Pod","#, "", 1));
    let empty = |kind: &str| format!(r#"{{"kind":"{kind}List","apiVersion":"v1","items":[]}}"#);
    let log = "==== START logs for container app of pod shop/web-1 ====\nboom\n==== END logs for container app of pod shop/web-1 ====\n";
    let bundle = read(&[
        ("shop/pods.json", &pods),
        ("shop/services.json", &empty("Service")),
        ("shop/web-1/logs.txt", log),
        ("quiet/pods.json", &empty("Pod")),
        ("nodes.json", &empty("Node")),
    ]);
    let snapshot = bundle.snapshot();
    assert_eq!(snapshot.pods.len(), 1);
    let complete = |kind, namespace| snapshot.coverage.is_complete(kind, namespace);
    assert!(complete(KindId::Pod, "shop") && complete(KindId::Pod, "quiet") && complete(KindId::Service, "shop"));
    assert!(!complete(KindId::Pod, "elsewhere") && complete(KindId::Node, ""));
    assert_eq!(&*log_of(&snapshot, false).lines[0].text, "boom");
    assert_eq!(log_of(&snapshot, true), log_of(&snapshot, false), "while it waits, both ask for the same run");
}

#[test]
fn the_same_object_twice_counts_once_and_the_newer_wins() {
    let newer = POD.replace(r#""resourceVersion":"7""#, r#""resourceVersion":"12""#).replace("web:v1", "web:v2");
    for files in [[("a.json", POD), ("b.json", newer.as_str())], [("a.json", newer.as_str()), ("b.json", POD)]] {
        let snapshot = read(&files).snapshot();
        assert_eq!(snapshot.pods.len(), 1);
        assert_eq!(&*snapshot.pods.iter().next().unwrap().spec.containers[0].image, "web:v2");
    }
}

#[test]
fn the_time_to_judge_at_is_the_newest_past_time_of_the_objects() {
    let bundle = read(&[("pods.json", &list(POD)), ("logs/shop/web-1/app.log", "2026-11-22T21:00:00.5Z late\n")]);
    assert_eq!(bundle.newest, Some("2026-11-22T20:31:07Z".parse().unwrap()));
}

#[test]
fn logs_keep_the_kubelets_times_and_its_refusals_apart() {
    let bundle = read(&[
        ("pods.json", &list(POD)),
        (
            "logs/shop/web-1/app.previous.log",
            "2026-11-22T20:31:06.123Z \u{1b}[31mTraceback\u{1b}[0m\n2026-11-22T20:31:06.2Z boom\n",
        ),
        ("logs/shop/web-1/app.log", "unable to retrieve container logs for containerd://e754"),
    ]);
    let snapshot = bundle.snapshot();
    let log = log_of(&snapshot, true);
    assert_eq!((&*log.lines[0].text, log.restart_count), ("Traceback", 4));
    assert_eq!(log.lines[0].at, Some("2026-11-22T20:31:06.123Z".parse().unwrap()));
}

#[test]
fn what_is_broken_is_named_and_the_rest_is_used() {
    let bundle = read(&[
        ("pods.json", &list(POD)),
        ("torn.json", r#"{"apiVersion":"v1","kind":"List","items":[{"#),
        ("odd.json", r#"{"apiVersion":"v1","kind":"Pod","metadata":{"name":7}}"#),
        ("README.md", "# notes\n"),
        ("other.json", r#"{"hello":"world"}"#),
        ("watch.jsonl", &format!(r#"{{"type":"ADDED","object":{}}}"#, POD.replace('\n', ""))),
        ("image.png", "\u{0}\u{1}\u{2}"),
    ]);
    assert_eq!(bundle.snapshot().pods.len(), 1);
    let broken: Vec<&str> = bundle.skipped.iter().filter(|s| s.broken).map(|s| s.path.as_str()).collect();
    assert_eq!(broken, ["odd.json", "torn.json"]);
    assert_eq!(bundle.skipped.len(), 6);
}

#[test]
fn a_saved_refusal_is_a_denied_kind() {
    let status = r#"{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Forbidden","code":403,
        "message":"secrets is forbidden: User \"dev\" cannot list","details":{"kind":"secrets"}}"#;
    let snapshot = read(&[("pods.json", &list(POD)), ("secrets.json", status)]).snapshot();
    assert!(matches!(snapshot.coverage.of(KindId::Secret, "shop"), Some(k3am::snapshot::CoverageState::Denied { .. })));
}

#[test]
fn custom_kinds_that_share_a_name_are_not_mistaken() {
    let knative = r#"{"apiVersion":"serving.knative.dev/v1","kind":"Service","metadata":{"name":"x","namespace":"shop"}}"#;
    let snapshot = read(&[("pods.json", &list(POD)), ("k.json", knative)]).snapshot();
    assert!(snapshot.find(&ObjectRef::new("Service", "shop", "x")).is_none());
}

#[test]
fn nothing_to_judge_is_an_error_that_says_what_to_give() {
    let error = bundle::read(folder(&[("notes.txt", "hello")]).path()).unwrap_err().to_string();
    assert!(error.contains("holds no Kubernetes objects") && error.contains("cluster-info dump"), "{error}");
    assert!(bundle::read(Path::new("/no/such/bundle")).unwrap_err().to_string().contains("cannot read /no/such/bundle"));
}

#[test]
fn archives_hold_what_their_folder_holds() {
    let long = format!("{}/pods.json", "a-rather-long-folder-name/".repeat(6).trim_end_matches('/'));
    let folder = folder(&[("pods.json", &list(POD)), (&long, &list(&POD.replace("web-1", "web-2")))]);
    let archives = TempDir::new().unwrap();
    for (name, flags) in [("b.tar", "cf"), ("b.tgz", "czf")] {
        let archive = archives.path().join(name);
        let done = std::process::Command::new("tar").arg(flags).arg(&archive).arg("-C").arg(folder.path()).arg(".").status();
        assert!(done.expect("tar is installed").success());
        assert_eq!(bundle::read(&archive).unwrap().snapshot().pods.len(), 2, "{name}");
    }
    let torn = archives.path().join("torn.tgz");
    fs::write(&torn, &fs::read(archives.path().join("b.tgz")).unwrap()[..60]).unwrap();
    assert!(bundle::read(&torn).is_err());
}
