//! The layouts bundles come in, from the tools that make them, and what is damaged, hostile or odd in them.

use std::fs;
use std::io::Write;
use std::path::Path;

use k3am::kinds::KindId;
use k3am::snapshot::{CoverageState, LogKey, Snapshot};
use k3am::source::bundle::{self, Bundle};
use tempfile::TempDir;

/// A pod without `kind`, as items of typed lists are.
fn pod(namespace: &str, name: &str) -> String {
    format!(
        r#"{{"metadata":{{"name":"{name}","namespace":"{namespace}","resourceVersion":"7","creationTimestamp":"2026-11-22T20:00:00Z"}},
        "spec":{{"containers":[{{"name":"app","image":"web:v1"}}]}},
        "status":{{"phase":"Running","containerStatuses":[{{"name":"app","restartCount":4,"state":{{"waiting":{{"reason":"CrashLoopBackOff"}}}}}}]}}}}"#
    )
}

fn kinded(object: &str, kind: &str) -> String {
    object.replacen('{', &format!(r#"{{"apiVersion":"v1","kind":"{kind}","#), 1)
}

fn typed(kind: &str, items: &str) -> String {
    format!(r#"{{"kind":"{kind}List","apiVersion":"v1","metadata":{{}},"items":[{items}]}}"#)
}

fn folder(files: &[(&str, &[u8])]) -> TempDir {
    let folder = TempDir::new().unwrap();
    for (path, bytes) in files {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
    folder
}

fn read(files: &[(&str, &str)]) -> Bundle {
    let files: Vec<(&str, &[u8])> = files.iter().map(|(path, text)| (*path, text.as_bytes())).collect();
    bundle::read(folder(&files).path()).unwrap()
}

fn complete(snapshot: &Snapshot, kind: KindId, namespace: &str) -> bool {
    snapshot.coverage.is_complete(kind, namespace)
}

fn log<'a>(snapshot: &'a Snapshot, namespace: &str, pod: &str, previous: bool) -> &'a str {
    let key = LogKey { namespace: namespace.into(), pod: pod.into(), container: "app".into(), previous };
    &snapshot.logs.get(&key).expect("the log is there").lines[0].text
}

#[test]
fn a_support_bundle_of_troubleshoot_is_read() {
    let bundle = read(&[
        (
            "support-bundle-1/version.yaml",
            "apiVersion: troubleshoot.sh/v1beta2\nkind: SupportBundle\nspec:\n  versionNumber: v0.119.0\n",
        ),
        (
            "support-bundle-1/cluster-info/cluster_version.json",
            r#"{"info":{"major":"1","gitVersion":"v1.31.2"},"string":"v1.31.2"}"#,
        ),
        // Older versions write bare arrays of items without a kind, newer ones typed lists.
        ("support-bundle-1/cluster-resources/pods/shop.json", &format!("[{}]", pod("shop", "web-1"))),
        ("support-bundle-1/cluster-resources/pods/quiet.json", "[]"),
        ("support-bundle-1/cluster-resources/events/shop.json", &typed("Event", "")),
        ("support-bundle-1/cluster-resources/nodes.json", r#"[{"metadata":{"name":"n1"}}]"#),
        (
            "support-bundle-1/cluster-resources/pod-disruption-budgets/shop.json",
            r#"[{"metadata":{"name":"web","namespace":"shop"}}]"#,
        ),
        ("support-bundle-1/cluster-resources/pods/logs/shop/web-1/app.log", "now\n"),
        ("support-bundle-1/cluster-resources/pods/logs/shop/web-1/app-previous.log", "before\n"),
        (
            "support-bundle-1/cluster-resources/jobs-errors.json",
            r#"{"shop":"jobs.batch is forbidden: User \"kots\" cannot list resource \"jobs\" in API group \"batch\" in the namespace \"shop\""}"#,
        ),
        ("support-bundle-1/cluster-resources/services-errors.json", "null"),
        ("support-bundle-1/analysis.json", r#"[{"name":"x","insight":{"primary":"y"}}]"#),
    ]);
    let snapshot = bundle.snapshot();
    assert_eq!((snapshot.pods.len(), snapshot.nodes.len(), snapshot.disruption_budgets.len()), (1, 1, 1));
    assert_eq!(bundle.server_version.as_deref(), Some("v1.31.2"));
    assert!(complete(&snapshot, KindId::Pod, "shop") && complete(&snapshot, KindId::Pod, "quiet"));
    assert!(!complete(&snapshot, KindId::Pod, "elsewhere") && complete(&snapshot, KindId::Event, "shop"));
    assert!(complete(&snapshot, KindId::Node, ""));
    assert_eq!((log(&snapshot, "shop", "web-1", false), log(&snapshot, "shop", "web-1", true)), ("now", "before"));
    let Some(CoverageState::Denied { why }) = snapshot.coverage.of(KindId::Job, "shop") else { panic!("jobs were refused") };
    assert!(why.starts_with("jobs.batch is forbidden"), "{why}");
    assert!(bundle.skipped.iter().all(|s| !s.broken), "{:?}", bundle.skipped);
}

#[test]
fn a_must_gather_is_read() {
    let pods = "---\napiVersion: v1\nitems:\n- metadata:\n    name: web-1\n    namespace: shop\n    annotations:\n      note: |\n        - not an item\n        items:\n  spec:\n    containers:\n    - name: app\n      image: web:v1\n- metadata:\n    name: web-2\n    namespace: shop\nkind: PodList\nmetadata:\n  resourceVersion: \"9\"\n";
    let node = "---\napiVersion: v1\nkind: Node\nmetadata:\n  name: n1\n  creationTimestamp: \"2026-11-22T20:00:00Z\"\n";
    let root = "must-gather.local.1/quay-io-ocp";
    let at = |path: &str| format!("{root}/{path}");
    let files = [
        (
            "must-gather.local.1/timestamp".to_owned(),
            "2026-11-22 20:31:30.1 +0000 UTC m=+0.1\n2026-11-22 20:40:00 +0000 UTC m=+600\n",
        ),
        (at("version"), "openshift/must-gather\n4.20.1\n"),
        (at("namespaces/shop/core/pods.yaml"), pods),
        (
            at("namespaces/shop/core/services.yaml"),
            "---\napiVersion: v1\nitems: []\nkind: ServiceList\nmetadata:\n  resourceVersion: \"9\"\n",
        ),
        (at("namespaces/empty/core/pods.yaml"), "---\napiVersion: v1\nitems: []\nkind: PodList\n"),
        (at("cluster-scoped-resources/core/nodes/n1.yaml"), node),
        (at("namespaces/shop/pods/web-1/app/app/logs/current.log"), "2026-11-22T20:30:00.1Z now\n"),
        (at("namespaces/shop/pods/web-1/app/app/logs/previous.log"), "2026-11-22T20:29:00.1Z before\n"),
        (at("namespaces/shop/pods/web-1/app/app/logs/previous.insecure.log"), ""),
        (at("event-filter.html"), "<html></html>"),
    ];
    let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (path.as_str(), *text)).collect();
    let bundle = read(&files);
    let snapshot = bundle.snapshot();
    assert_eq!((snapshot.pods.len(), snapshot.nodes.len()), (2, 1), "{:?}", bundle.skipped);
    assert!(complete(&snapshot, KindId::Pod, "shop") && complete(&snapshot, KindId::Service, "shop"));
    assert!(complete(&snapshot, KindId::Pod, "empty") && !complete(&snapshot, KindId::Pod, "other"));
    assert!(complete(&snapshot, KindId::Node, ""), "a folder of nodes is the list of them");
    assert_eq!((log(&snapshot, "shop", "web-1", false), log(&snapshot, "shop", "web-1", true)), ("now", "before"));
    assert_eq!(bundle.newest, Some("2026-11-22T20:40:00Z".parse().unwrap()), "the time it was taken");
    assert!(bundle.skipped.iter().all(|s| !s.broken), "{:?}", bundle.skipped);
}

#[test]
fn a_cluster_info_dump_on_standard_output_is_read() {
    let dump = |pods: &str, services: &str, mark: &str| {
        [
            typed("Event", "") + "\n" + &typed("Service", services) + "\n" + &typed("Pod", pods),
            format!("==== START logs for container app of pod {mark} ====\n{{\"kind\":\"not an object\"\nboom\n==== END logs for container app of pod {mark} ====\n"),
        ]
        .join("\n")
    };
    let text = typed("Node", r#"{"metadata":{"name":"n1"}}"#)
        + "\n"
        + &dump(&pod("shop", "web-1"), "", "shop/web-1")
        + &dump(&pod("a", "db-0"), r#"{"metadata":{"name":"db","namespace":"a"}}"#, "a/db-0");
    let bundle = read(&[("dump.txt", &text)]);
    let snapshot = bundle.snapshot();
    assert_eq!((snapshot.pods.len(), snapshot.services.len()), (2, 1), "{:?}", bundle.skipped);
    assert!(log(&snapshot, "a", "db-0", false).starts_with("{\"kind\""));
    assert!(
        complete(&snapshot, KindId::Service, "shop")
            && complete(&snapshot, KindId::Pod, "a")
            && complete(&snapshot, KindId::Node, "")
    );
    assert!(!complete(&snapshot, KindId::Pod, "kube-system"));
    assert!(bundle.skipped.is_empty(), "{:?}", bundle.skipped);
}

#[test]
fn everything_in_one_yaml_list_of_mixed_kinds_is_read() {
    let text = "apiVersion: v1\nitems:\n- apiVersion: v1\n  kind: Pod\n  metadata:\n    name: web-1\n    namespace: shop\n\n- apiVersion: apps/v1\n  kind: Deployment\n  metadata:\n    name: web\n    namespace: shop\n- apiVersion: example.com/v1\n  kind: Widget\n  metadata:\n    name: w\nkind: List\nmetadata:\n  resourceVersion: \"\"\n";
    for text in [
        text.to_owned(),
        text.replace('\n', "\r\n"),
        text.replace("\n- ", "\n  - ")
            .replace("\n  ", "\n    ")
            .replace("\n    - ", "\n  - ")
            .replace("    resourceVersion", "  resourceVersion"),
    ] {
        let snapshot = read(&[("everything", &text)]).snapshot();
        assert_eq!((snapshot.pods.len(), snapshot.deployments.len()), (1, 1), "{text}");
        assert!(complete(&snapshot, KindId::Deployment, "other"));
    }
}

#[test]
fn lists_inside_lists_are_read() {
    let pods = typed("Pod", &pod("shop", "web-1"));
    let deeper = typed("", &kinded(&pod("shop", "web-2"), "Pod"));
    let bundle = read(&[("all.json", &typed("", &format!("{pods},{deeper}")))]);
    let names: Vec<String> = bundle.snapshot().pods.iter().map(|p| p.meta.name.to_string()).collect();
    assert_eq!(names, ["web-1", "web-2"]);
}

#[test]
fn powershell_and_editors_leave_marks_that_do_no_harm() {
    let json = typed("Pod", &pod("shop", "wéb-1"));
    let utf16: Vec<u8> = [0xff, 0xfe].into_iter().chain(json.encode_utf16().flat_map(u16::to_le_bytes)).collect();
    let bom = [b"\xef\xbb\xbf".as_slice(), typed("Pod", &pod("shop", "web-2")).as_bytes()].concat();
    let crlf = kinded(&pod("shop", "web-3"), "Pod").replace('\n', "\r\n") + "\r\n\r\n" + &kinded(&pod("shop", "web-4"), "Pod");
    let folder =
        folder(&[("a.json", &utf16), ("b.json", &bom), ("c.json", crlf.as_bytes()), ("d.json", b""), ("e.json", b" \n")]);
    let bundle = bundle::read(folder.path()).unwrap();
    let names: Vec<String> = bundle.snapshot().pods.iter().map(|p| p.meta.name.to_string()).collect();
    assert_eq!(names, ["web-2", "web-3", "web-4", "wéb-1"]);
    assert!(bundle.skipped.iter().all(|s| s.why == "empty"), "{:?}", bundle.skipped);
}

#[test]
fn the_same_object_twice_is_the_copy_that_says_more() {
    let short = r#"{"metadata":{"name":"web-1","namespace":"shop","resourceVersion":"7"},"spec":{"containers":[]}}"#;
    for files in [
        [("a.json", short.to_owned()), ("b.json", pod("shop", "web-1"))],
        [("a.json", pod("shop", "web-1")), ("b.json", short.to_owned())],
    ] {
        let files: Vec<(&str, String)> = files.into_iter().map(|(path, object)| (path, kinded(&object, "Pod"))).collect();
        let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (*path, text.as_str())).collect();
        let snapshot = read(&files).snapshot();
        assert_eq!(snapshot.pods.iter().map(|p| p.spec.containers.len()).collect::<Vec<_>>(), [1]);
    }
}

#[test]
fn what_came_before_the_damage_counts_but_the_list_is_not_complete() {
    let whole = typed("Pod", &[pod("shop", "web-1"), pod("shop", "web-2")].join(","));
    let bundle = read(&[("pods.json", &whole[..whole.len() - 40]), ("nodes.json", &typed("Node", ""))]);
    let snapshot = bundle.snapshot();
    assert_eq!(snapshot.pods.len(), 1);
    assert!(!complete(&snapshot, KindId::Pod, "shop"));
    assert!(bundle.skipped[0].broken && bundle.skipped[0].why.contains("1 objects"), "{:?}", bundle.skipped);
}

#[test]
fn refusals_saved_by_the_shell_are_refusals() {
    let words = "Error from server (Forbidden): secrets is forbidden: User \"dev\" cannot list resource \"secrets\" in API group \"\" at the cluster scope\n";
    let snapshot = read(&[("pods.json", &typed("Pod", "")), ("secrets.json", words)]).snapshot();
    assert!(
        matches!(snapshot.coverage.of(KindId::Secret, "x"), Some(CoverageState::Denied { why }) if why.starts_with("secrets is"))
    );
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    packed.write_all(bytes).unwrap();
    packed.finish().unwrap()
}

/// A tar of one file under any name.
fn tar(name: &str, body: &[u8]) -> Vec<u8> {
    let mut header = [0_u8; 512];
    header[..name.len()].copy_from_slice(name.as_bytes());
    header[124..135].copy_from_slice(format!("{:011o}", body.len()).as_bytes());
    header[156] = b'0';
    header[257..263].copy_from_slice(b"ustar\0");
    let padding = vec![0; (512 - body.len() % 512) % 512];
    [header.as_slice(), body, &padding, &[0; 1024]].concat()
}

fn zip(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, bytes) in files {
        archive.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
        archive.write_all(bytes).unwrap();
    }
    archive.finish().unwrap().into_inner()
}

fn read_bytes(name: &str, bytes: &[u8]) -> Result<Bundle, bundle::BundleError> {
    let folder = folder(&[(name, bytes)]);
    bundle::read(&folder.path().join(name))
}

#[test]
fn archives_of_every_sort_hold_the_same() {
    let json = typed("Pod", &pod("shop", "web-1"));
    let log = "2026-11-22T20:30:00.1Z now\n".as_bytes();
    let nested = tar("logs.tar.gz", &gzip(&tar("shop/web-1/app.log", log)));
    let both = zip(&[("b/pods.json", json.as_bytes()), ("b/shop/web-1/app.log", log), ("__MACOSX/x", b"x")]);
    for (name, bytes) in [
        ("a.tgz", gzip(&tar("b/pods.json", json.as_bytes()))),
        ("odd-name", tar("./../../etc/pods.json", json.as_bytes())),
        ("pods.json.gz", gzip(json.as_bytes())),
        ("a.zip", both.clone()),
    ] {
        assert_eq!(read_bytes(name, &bytes).unwrap().snapshot().pods.len(), 1, "{name}");
    }
    assert_eq!(log_in(&read_bytes("a.zip", &both).unwrap()), "now");
    let folder = folder(&[("pods.json", json.as_bytes()), ("more.tar", &nested)]);
    assert_eq!(log_in(&bundle::read(folder.path()).unwrap()), "now", "an archive in a folder, with one inside");
}

fn log_in(bundle: &Bundle) -> String {
    log(&bundle.snapshot(), "shop", "web-1", false).to_owned()
}

#[test]
fn bombs_and_loops_end_with_a_word() {
    let zeros = gzip(&[br#"{"a":""#.as_slice(), &vec![b'0'; 80 << 20]].concat());
    let started = std::time::Instant::now();
    let folder = folder(&[
        ("pods.json", typed("Pod", &pod("shop", "web-1")).as_bytes()),
        ("bomb.json.gz", &zeros),
        ("bomb.log.gz", &zeros),
    ]);
    std::os::unix::fs::symlink(folder.path(), folder.path().join("loop")).unwrap();
    std::os::unix::fs::symlink("/no/such/file", folder.path().join("dangling.json")).unwrap();
    let bundle = bundle::read(folder.path()).unwrap();
    assert_eq!(bundle.snapshot().pods.len(), 1);
    let why = |path: &str| bundle.skipped.iter().find(|s| s.path.starts_with(path)).map(|s| s.why.clone()).unwrap();
    assert!(why("bomb.log").contains("far more") && why("bomb.json").contains("far more"), "{:?}", bundle.skipped);
    assert_eq!(why("loop"), "a link to a folder");
    assert!(!why("dangling.json").is_empty());
    assert!(started.elapsed().as_secs() < 30);
}

#[test]
fn an_object_without_end_is_refused_before_it_fills_the_memory() {
    let endless = format!(r#"{{"apiVersion":"v1","kind":"Pod","metadata":{{"name":"{}"#, "x".repeat(40 << 20));
    let folder = folder(&[("pods.json", typed("Pod", &pod("shop", "web-1")).as_bytes()), ("endless.json", endless.as_bytes())]);
    let bundle = bundle::read(folder.path()).unwrap();
    assert!(bundle.skipped[0].why.contains("larger than 32 MiB"), "{:?}", bundle.skipped);
}

#[test]
fn files_that_may_not_be_read_are_named() {
    use std::os::unix::fs::PermissionsExt;
    let folder =
        folder(&[("pods.json", typed("Pod", &pod("shop", "web-1")).as_bytes()), ("secret.json", b"{}"), ("d/x.json", b"{}")]);
    for (path, mode) in [("secret.json", 0), ("d", 0)] {
        fs::set_permissions(folder.path().join(path), fs::Permissions::from_mode(mode)).unwrap();
    }
    let bundle = bundle::read(folder.path()).unwrap();
    fs::set_permissions(folder.path().join("d"), fs::Permissions::from_mode(0o755)).unwrap();
    // root may read everything: then they are merely of no use.
    assert_eq!(bundle.skipped.len(), 2, "{:?}", bundle.skipped);
}

/// Every prefix and many single-byte changes of real files: named or read, never a panic.
#[test]
fn torn_and_garbled_files_never_panic() {
    let capture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/captures/fastapi-prod");
    let json = typed("Pod", &[pod("shop", "web-1"), pod("shop", "web-2")].join(","));
    let yaml = "apiVersion: v1\nitems:\n- apiVersion: v1\n  kind: Pod\n  metadata:\n    name: web-1\n    labels: {a: b}\nkind: List\n---\n- a\n- b: |\n   x\n";
    let log = "==== START logs for container app of pod shop/web-1 ====\nboom\n==== END logs for container app of pod shop/web-1 ====\n";
    let seeds = [
        json.as_bytes().to_vec(),
        yaml.as_bytes().to_vec(),
        log.as_bytes().to_vec(),
        gzip(json.as_bytes()),
        tar("a/b.json", json.as_bytes()),
        zip(&[("pods.json", json.as_bytes())]),
    ];
    let mut state = 7_u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as usize
    };
    let folder = TempDir::new().unwrap();
    fs::copy(capture.join("resources/pods.json"), folder.path().join("pods.json")).unwrap();
    for (number, seed) in seeds.iter().enumerate() {
        for turn in 0..60 {
            let mut bytes = seed.clone();
            if turn % 2 == 0 {
                bytes.truncate(next() % seed.len());
            }
            for _ in 0..turn % 5 {
                let at = next() % bytes.len().max(1);
                if let Some(byte) = bytes.get_mut(at) {
                    *byte = next() as u8;
                }
            }
            let name = ["a.json", "a.yaml", "a.log", "a.gz", "a.tar", "a.zip"][number];
            fs::write(folder.path().join(format!("{turn}-{name}")), bytes).unwrap();
        }
    }
    let bundle = bundle::read(folder.path()).unwrap();
    assert!(bundle.snapshot().pods.len() >= 40);
    assert!(bundle.skipped.len() > 100, "{}", bundle.skipped.len());
}

#[test]
fn objects_and_logs_are_read_again_in_full_when_asked_for() {
    use k3am::kinds::ObjectRef;
    use k3am::source::bundle::Store;
    let widget =
        r#"{"apiVersion":"example.com/v1","kind":"Widget","metadata":{"name":"w","namespace":"shop"},"spec":{"size":3}}"#;
    let long: String = (0..5000).map(|n| format!("line {n}\n")).collect();
    let folder = folder(&[
        ("b/pods.json", typed("Pod", &pod("shop", "web-1")).as_bytes()),
        ("b/more.yaml", b"apiVersion: v1\nkind: Node\nmetadata:\n  name: n1\n"),
        ("b/widgets.json", widget.as_bytes()),
        ("b/shop/web-1/app.log", long.as_bytes()),
    ]);
    let archive = folder.path().join("b.tgz");
    let tar = std::process::Command::new("tar").arg("czf").arg(&archive).arg("-C").arg(folder.path()).arg("b").status();
    assert!(tar.expect("tar is installed").success());
    let store = Store::open(archive).unwrap();
    let found = store.object(&ObjectRef::new("Pod", "shop", "web-1")).unwrap();
    assert_eq!((found["kind"].as_str(), found["spec"]["containers"][0]["image"].as_str()), (Some("Pod"), Some("web:v1")));
    assert!(store.object(&ObjectRef::new("Node", "", "n1")).is_some());
    assert_eq!(store.object(&ObjectRef::new("Widget", "shop", "w")).unwrap()["spec"]["size"], 3);
    assert!(store.object(&ObjectRef::new("Pod", "shop", "gone")).is_none());
    let key = |previous| LogKey { namespace: "shop".into(), pod: "web-1".into(), container: "app".into(), previous };
    assert_eq!(store.log(&key(false), None).unwrap().len(), 5000, "more than the evidence kept");
    assert_eq!(&*store.log(&key(false), Some(2)).unwrap()[1].text, "line 4999");
    assert!(store.log(&key(true), None).unwrap_err().contains("no log of the run before"));
    let elsewhere = store.deltas(&["elsewhere".to_owned()]);
    assert!(
        !elsewhere.iter().any(|d| matches!(d, k3am::snapshot::Delta::Upsert { row, .. } if !row.meta().namespace.is_empty()))
    );
}
