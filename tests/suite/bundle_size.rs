//! A bundle of a gigabyte stays under 500 MB of memory. Writes 1 GB to the temporary folder and takes minutes, so it runs only when
//! asked for: `cargo test --release --test suite bundle_size -- --ignored --nocapture` (`K3AM_BUNDLE_KEEP=DIR` keeps the files).

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

/// What the files hold in all, at least.
const BYTES: u64 = 1 << 30;
/// What reading them may take.
const MOST: u64 = 500_000_000;

/// One in so many namespaces is as broken as the capture's; the others hold what is healthy there, as often as it takes.
const BROKEN: usize = 20;
/// Pods a Deployment has where nothing is broken.
const REPLICAS: usize = 6;

/// The capture's lists of one namespace, as text; every name and uid gets the number of the copy.
fn templates(wanted: impl Fn(&Value) -> bool) -> Vec<(String, Vec<String>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/captures/fastapi-prod/resources");
    let mut files: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let read = |path: &PathBuf| {
        let list: Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
        let here = |item: &&Value| item["metadata"]["namespace"] == "fastapi-prod" && wanted(item);
        let items = list["items"].as_array().unwrap().iter().filter(here).map(Value::to_string).collect::<Vec<_>>();
        (path.file_name().unwrap().to_string_lossy().into_owned(), items)
    };
    files.iter().map(read).filter(|(_, items)| !items.is_empty()).collect()
}

/// What of the capture works, its pods more than once.
fn healthy() -> Vec<(String, Vec<String>)> {
    let works = |item: &Value| {
        let about = item.pointer("/involvedObject/name").unwrap_or(&item["metadata"]["name"]).as_str().unwrap_or_default();
        ["healthy-web", "postgres"].iter().any(|name| about.starts_with(name)) && item["kind"] != "HorizontalPodAutoscaler"
    };
    let mut lists = templates(works);
    for (_, items) in lists.iter_mut().filter(|(file, _)| file == "pods.json" || file == "events.json") {
        let again = |n: usize| {
            items.iter().map(move |item| {
                let mut item: Value = serde_json::from_str(item).unwrap();
                item["metadata"]["name"] = format!("copy{n}-{}", item["metadata"]["name"].as_str().unwrap()).into();
                item.to_string()
            })
        };
        *items = (0..REPLICAS).flat_map(again).collect();
    }
    lists
}

/// Writes copies of the capture's namespace, with a log and a large ConfigMap each, until there is enough. Returns their number.
fn write(folder: &Path) -> usize {
    let (healthy, broken) = (healthy(), templates(|_| true));
    let line =
        "2026-11-22T20:31:06.123456789Z INFO:     10.244.0.1:51234 - \"GET /api/v1/orders/42?expand=items HTTP/1.1\" 200 OK\n";
    let log = line.repeat(2000);
    let data = "key: value that nobody reads\\n".repeat(2000);
    let mut written = 0;
    let mut copies = 0;
    while written < BYTES {
        let name = format!("team-{copies:04}");
        let here = folder.join(&name);
        fs::create_dir_all(here.join("web-1")).unwrap();
        let put = |file: &str, text: &str| {
            fs::write(here.join(file), text).unwrap();
            text.len() as u64
        };
        for (file, items) in if copies % BROKEN == 0 { &broken } else { &healthy } {
            let items = items.join(",").replace("fastapi-prod", &name).replace("\"uid\":\"", &format!("\"uid\":\"{copies:04x}"));
            written += put(file, &format!(r#"{{"apiVersion":"v1","kind":"List","items":[{items}]}}"#));
        }
        let mut more = String::from(r#"{"apiVersion":"v1","kind":"List","items":["#);
        for n in 0..4 {
            let comma = if n > 0 { "," } else { "" };
            let _ = write!(
                more,
                r#"{comma}{{"apiVersion":"v1","kind":"ConfigMap","metadata":{{"name":"big-{n}","namespace":"{name}"}},"data":{{"a":"{data}"}}}}"#
            );
        }
        written += put("more.json", &(more + "]}"));
        written += put(
            "web-1/logs.txt",
            &format!(
                "==== START logs for container app of pod {name}/web-1 ====\n{log}==== END logs for container app of pod {name}/web-1 ====\n"
            ),
        );
        copies += 1;
    }
    let nodes = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/captures/fastapi-prod/resources/nodes.json");
    fs::copy(nodes, folder.join("nodes.json")).unwrap();
    copies
}

/// The most memory the process had, in bytes (`VmHWM` of Linux), asked while it runs.
fn peak(pid: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let kilobytes =
        status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?.trim().trim_end_matches(" kB").parse::<u64>().ok()?;
    Some(kilobytes << 10)
}

#[test]
#[ignore = "writes a gigabyte and takes minutes"]
fn a_bundle_of_a_gigabyte_stays_under_500_megabytes() {
    let temporary = tempfile::TempDir::new().unwrap();
    let folder = std::env::var_os("K3AM_BUNDLE_KEEP").map_or_else(|| temporary.path().to_owned(), PathBuf::from);
    let copies = if folder.join("nodes.json").exists() { 0 } else { write(&folder) };
    let start = Instant::now();
    let mut child = Command::new(assert_cmd::cargo::cargo_bin!("k3am"))
        .args(["diagnose", "--fail-on", "never", "-o", "json", "--from"])
        .arg(&folder)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut out = child.stdout.take().unwrap();
    let reader = std::thread::spawn(move || std::io::copy(&mut out, &mut std::io::sink()).unwrap());
    let mut most = 0;
    let status = loop {
        most = most.max(peak(child.id()).unwrap_or_default());
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    let said = reader.join().unwrap();
    println!(
        "{copies} namespaces, {said} bytes of report, {} MB at most, {:.1} s",
        most / 1_000_000,
        start.elapsed().as_secs_f64()
    );
    assert!(status.success());
    assert!(most < MOST, "{most} bytes");
}
