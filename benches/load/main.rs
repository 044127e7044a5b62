//! The one benchmark command: `cargo bench --bench load` (options: `-- --pods 10000,50000 --idle-seconds 60
//! --events-per-second 1000 --keys 200 --runs 5`).
//!
//! For each number of pods: starts the practice cluster in a process of its own, times `curl` for the lists k3am makes, then runs
//! the real binary in a pseudo-terminal and reads its screen and `/proc`: first frame, first rows, complete list, resident memory,
//! idle CPU; then the same against a cluster that changes a thousand times a second: CPU, and key to frame.
//! Linux only (`/proc`). Prints a table with the machine named; asserts nothing: targets stand beside the numbers.
#![allow(clippy::print_stdout, missing_docs)]

use std::num::NonZero;
use std::time::{Duration, Instant};

use anyhow::Result;

mod cockpit;
mod server;

use cockpit::Cockpit;
use server::Server;

struct Options {
    pods: Vec<usize>,
    idle: Duration,
    events: usize,
    keys: usize,
    runs: usize,
}

fn options() -> Options {
    let arguments: Vec<String> = std::env::args().collect();
    let text = |name: &str| arguments.iter().position(|a| a == name).and_then(|i| arguments.get(i + 1));
    let number = |name: &str, otherwise: usize| text(name).and_then(|v| v.parse().ok()).unwrap_or(otherwise);
    let pods = text("--pods").map_or("10000,50000", String::as_str).split(',').filter_map(|n| n.parse().ok()).collect();
    Options {
        pods,
        idle: Duration::from_secs(number("--idle-seconds", 60) as u64),
        events: number("--events-per-second", 1_000),
        keys: number("--keys", 200),
        runs: NonZero::new(number("--runs", 5)).map_or(1, NonZero::get),
    }
}

const JSON: &str = "application/json";
const PROTOBUF: &str = "application/vnd.kubernetes.protobuf,application/json";

/// What a quiet cluster shows.
#[derive(Debug, Default)]
struct Quiet {
    curl: f64,
    /// The same in protobuf, which k3am asks for.
    curl_protobuf: f64,
    first_frame: f64,
    first_rows: f64,
    complete: f64,
    complete_cpu: f64,
    resident: f64,
    peak: f64,
    idle: f64,
}

/// What a busy one shows.
#[derive(Debug, Default)]
struct Busy {
    cpu: f64,
    server_cpu: f64,
    resident: f64,
    median: f64,
    slowest: f64,
}

fn quiet(pods: usize, options: &Options) -> Result<Quiet> {
    let server = Server::start(pods, 0)?;
    let most = f64::MAX;
    let mut best =
        Quiet { curl: most, curl_protobuf: most, complete: most, first_frame: most, first_rows: most, ..Quiet::default() };
    // The best of several starts: on two cores, whatever else the machine does shows in the others.
    for run in 1..=options.runs {
        best.curl = best.curl.min(server.curl(JSON)?);
        best.curl_protobuf = best.curl_protobuf.min(server.curl(PROTOBUF)?);
        let cockpit = Cockpit::open(&server.kubeconfig)?;
        best.first_frame = best.first_frame.min(cockpit.wait("a first frame", |text| text.contains("k3am"))?);
        best.first_rows = best.first_rows.min(cockpit.wait("first rows", |text| cockpit::pods(text) > 0)?);
        let complete =
            cockpit.wait("the complete list", |text| cockpit::pods(text) >= pods && !text.contains("loading, pods"))?;
        best.complete = best.complete.min(complete);
        let cpu = cockpit.cpu_seconds()?;
        best.complete_cpu = if run == 1 { cpu } else { best.complete_cpu.min(cpu) };
        if run == options.runs {
            std::thread::sleep(Duration::from_secs(10));
            let before = cockpit.cpu_seconds()?;
            std::thread::sleep(options.idle);
            best.idle = (cockpit.cpu_seconds()? - before) / options.idle.as_secs_f64() * 100.0;
            (best.resident, best.peak) = (cockpit.resident_mib("VmRSS")?, cockpit.resident_mib("VmHWM")?);
        }
    }
    Ok(best)
}

fn busy(pods: usize, options: &Options) -> Result<Busy> {
    let server = Server::start(pods, options.events)?;
    let mut cockpit = Cockpit::open(&server.kubeconfig)?;
    cockpit.wait("the complete list", |text| cockpit::pods(text) >= pods && !text.contains("loading, pods"))?;
    std::thread::sleep(Duration::from_secs(10));
    let (before, server_before, start) = (cockpit.cpu_seconds()?, server.cpu_seconds()?, Instant::now());
    std::thread::sleep(options.idle / 2);
    let seconds = start.elapsed().as_secs_f64();
    let cpu = (cockpit.cpu_seconds()? - before) / seconds * 100.0;
    let server_cpu = (server.cpu_seconds()? - server_before) / seconds * 100.0;
    let mut times = Vec::new();
    for _ in 0..options.keys / 2 {
        times.push(cockpit.press(b"?", |text| text.contains("Help"))?);
        times.push(cockpit.press(b"\x1b", |text| !text.contains("Help"))?);
    }
    times.sort_by(f64::total_cmp);
    let at = |share: f64| times.get((times.len().saturating_sub(1) as f64 * share) as usize).copied().unwrap_or_default();
    Ok(Busy { cpu, server_cpu, resident: cockpit.resident_mib("VmRSS")?, median: at(0.5) * 1e3, slowest: at(0.99) * 1e3 })
}

fn machine() -> String {
    let cpuinfo = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpuinfo
        .lines()
        .find_map(|l| l.strip_prefix("model name"))
        .map_or("unknown CPU", |m| m.trim_start_matches([':', ' ', '\t']));
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split_whitespace().next().unwrap_or("?").to_owned();
    format!("{model}, {cores} cores, load {load} before the start")
}

fn main() -> Result<()> {
    let options = options();
    println!("machine: {}", machine());
    let binary = std::fs::metadata(env!("CARGO_BIN_EXE_k3am"))?.len() as f64 / f64::from(1 << 20);
    println!("stripped binary: {binary:.1} MiB (to reach: 20 MiB)\n");
    for &pods in &options.pods {
        let (memory, is_ten) = (if pods <= 10_000 { "48 MiB" } else { "160 MiB" }, pods <= 10_000);
        let goal = |goal: &'static str| if is_ten { goal } else { "" };
        let q = quiet(pods, &options)?;
        println!("| {pods} pods | value | to reach |\n|---|---|---|");
        println!("| start to first frame | {:.0} ms | {} |", q.first_frame * 1e3, goal("50 ms"));
        println!("| first rows | {:.2} s | {} |", q.first_rows, goal("0.2 s"));
        println!(
            "| complete list | {:.2} s = {:.1} x curl ({:.2} s; in protobuf {:.2} s) | {} |",
            q.complete,
            q.complete / q.curl,
            q.curl,
            q.curl_protobuf,
            goal("1.3 x")
        );
        println!("| CPU time until then | {:.2} s | |", q.complete_cpu);
        println!(
            "| resident memory after {} s | {:.0} MiB (peak {:.0}) | {memory} |",
            options.idle.as_secs() + 10,
            q.resident,
            q.peak
        );
        println!("| CPU idle | {:.2} % of a core | {} |", q.idle, goal("0.5 %"));
        let b = busy(pods, &options)?;
        let events = options.events;
        println!("| CPU at {events} watch events/s | {:.1} % (server {:.1} %) | |", b.cpu, b.server_cpu);
        println!("| resident memory then | {:.0} MiB | |", b.resident);
        println!("| key to frame then, p50 / p99 | {:.1} / {:.1} ms | {} |\n", b.median, b.slowest, goal("p99 16 ms"));
    }
    println!("Times until a complete list are the best of {}.", options.runs);
    Ok(())
}
