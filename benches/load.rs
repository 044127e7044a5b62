//! The one benchmark command: `cargo bench --bench load` (options: `-- --pods 10000 --idle-seconds 60`).
//!
//! Starts the practice cluster with N pods in a process of its own, times `curl` for the lists k3am makes, then starts the real
//! binary in a pseudo-terminal and reads its screen and `/proc`: first rows, complete list, resident memory, idle CPU.
//! Linux only (`/proc`). Prints a table with the machine named; asserts nothing: targets stand beside the numbers.
#![allow(clippy::print_stdout, missing_docs)]

use std::io::{BufRead, BufReader, Read};
use std::num::NonZero;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use portable_pty::{CommandBuilder, PtySize, native_pty_system};

/// The lists k3am makes, as paths.
const LISTS: &[&str] = &[
    "/api/v1/pods",
    "/api/v1/events",
    "/api/v1/nodes",
    "/api/v1/namespaces",
    "/api/v1/services",
    "/api/v1/configmaps",
    "/api/v1/secrets",
    "/api/v1/persistentvolumeclaims",
    "/api/v1/resourcequotas",
    "/apis/apps/v1/deployments",
    "/apis/apps/v1/replicasets",
    "/apis/apps/v1/statefulsets",
    "/apis/apps/v1/daemonsets",
    "/apis/apps/v1/controllerrevisions",
    "/apis/batch/v1/jobs",
    "/apis/batch/v1/cronjobs",
    "/apis/discovery.k8s.io/v1/endpointslices",
    "/apis/networking.k8s.io/v1/ingresses",
    "/apis/autoscaling/v2/horizontalpodautoscalers",
    "/apis/policy/v1/poddisruptionbudgets",
];

struct Options {
    pods: usize,
    idle: Duration,
}

fn options() -> Options {
    let arguments: Vec<String> = std::env::args().collect();
    let value = |name: &str| {
        arguments.iter().position(|a| a == name).and_then(|i| arguments.get(i + 1)).and_then(|v| v.parse::<u64>().ok())
    };
    Options { pods: value("--pods").unwrap_or(10_000) as usize, idle: Duration::from_secs(value("--idle-seconds").unwrap_or(60)) }
}

/// A child process that is killed when the benchmark ends, however it ends.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts `k3am demo --serve` and returns it with the kubeconfig it prints.
fn serve(pods: usize) -> Result<(Killed, String)> {
    let mut child = Command::new(env!("CARGO_BIN_EXE_k3am"))
        .args(["demo", "--serve", "--pods", &pods.to_string()])
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .context("starting the practice cluster")?;
    let stdout = child.stdout.take().context("no stdout")?;
    let server = Killed(child);
    let (tx, rx) = mpsc::channel();
    // Read to the end: a server whose standard output is closed under it would die of its next line.
    std::thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            let path = line
                .split_whitespace()
                .find(|word| word.contains("kubeconfig") && word.starts_with(['/', '.']) || word.starts_with("KUBECONFIG="))
                .map(|path| path.trim_start_matches("KUBECONFIG=").trim_matches(['"', '\'']).to_owned());
            if let Some(path) = path {
                let _ = tx.send(path);
            }
        }
    });
    let path = rx.recv().context("the practice cluster ended without printing a kubeconfig")?;
    Ok((server, path))
}

fn server_address(kubeconfig: &str) -> Result<String> {
    let text = std::fs::read_to_string(kubeconfig).with_context(|| format!("reading {kubeconfig}"))?;
    let line = text.lines().find_map(|l| l.trim().strip_prefix("server:")).context("no server in the kubeconfig")?;
    Ok(line.trim().trim_matches('"').to_owned())
}

/// Seconds `curl` takes for all lists over one connection; the best of three.
fn curl(server: &str) -> Result<f64> {
    let mut best = f64::MAX;
    for _ in 0..3 {
        let mut command = Command::new("curl");
        command.args(["--silent", "--fail"]);
        for list in LISTS {
            command.arg(format!("{server}{list}")).args(["--output", "/dev/null"]);
        }
        let start = Instant::now();
        let status = command.status().context("running curl (install it for the comparison)")?;
        if !status.success() {
            bail!("curl failed: {status}");
        }
        best = best.min(start.elapsed().as_secs_f64());
    }
    Ok(best)
}

/// What the terminal of the program under test shows, parsed as it arrives.
struct Screen(Arc<Mutex<vt100::Parser>>);

impl Screen {
    fn text(&self) -> String {
        self.0.lock().map(|parser| parser.screen().contents()).unwrap_or_default()
    }

    /// Seconds since `start` until `seen` holds, or an error with the last screen after a minute.
    fn wait(&self, start: Instant, what: &str, seen: impl Fn(&str) -> bool) -> Result<f64> {
        loop {
            let text = self.text();
            if seen(&text) {
                return Ok(start.elapsed().as_secs_f64());
            }
            if start.elapsed() > Duration::from_secs(60) {
                bail!("never saw {what}; the screen was:\n{text}");
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

fn resident_mib(pid: u32, field: &str) -> Result<f64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find(|l| l.starts_with(field)).with_context(|| format!("{field} in /proc"))?;
    let kib: f64 = line.split_whitespace().nth(1).context("no number")?.parse()?;
    Ok(kib / 1024.0)
}

/// CPU seconds (user and system) a process has used. The unit of `/proc/PID/stat` is 1/100 s on every Linux we run on.
fn cpu_seconds(pid: u32) -> Result<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let after = stat.rsplit_once(')').context("stat")?.1;
    let fields: Vec<&str> = after.split_whitespace().collect();
    let ticks: f64 = fields.iter().skip(11).take(2).filter_map(|f| f.parse::<f64>().ok()).sum();
    Ok(ticks / 100.0)
}

fn machine() -> String {
    let cpuinfo = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpuinfo
        .lines()
        .find_map(|l| l.strip_prefix("model name"))
        .map_or("unknown CPU", |m| m.trim_start_matches([':', ' ', '\t']));
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    format!("{model}, {cores} cores")
}

fn main() -> Result<()> {
    let options = options();
    let (_server, kubeconfig) = serve(options.pods)?;
    let server = server_address(&kubeconfig)?;
    let curl_seconds = curl(&server)?;

    let pty = native_pty_system().openpty(PtySize { rows: 40, cols: 120, pixel_width: 0, pixel_height: 0 })?;
    let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_k3am"));
    command.args(["--kubeconfig", &kubeconfig, "-A"]);
    command.env("TERM", "xterm-256color");
    let start = Instant::now();
    let mut child = pty.slave.spawn_command(command)?;
    drop(pty.slave);
    let size = NonZero::new(40_u16).zip(NonZero::new(120_u16)).context("size")?;
    let screen = Screen(Arc::new(Mutex::new(vt100::Parser::new(size.0, size.1, 0))));
    let mut reader = pty.master.try_clone_reader()?;
    let parser = Arc::clone(&screen.0);
    std::thread::spawn(move || {
        let mut buffer = vec![0; 65_536];
        while let Ok(n @ 1..) = reader.read(&mut buffer) {
            if let (Ok(mut parser), Some(bytes)) = (parser.lock(), buffer.get(..n)) {
                parser.process(bytes);
            }
        }
    });

    let pods = regex::Regex::new(r"pods ([0-9][0-9,]*)")?;
    let count = |text: &str| -> usize {
        pods.captures(text).and_then(|c| c.get(1)).map_or(0, |m| m.as_str().replace(',', "").parse().unwrap_or(0))
    };
    let first_frame = screen.wait(start, "a first frame", |text| text.contains("k3am"))?;
    let first_rows = screen.wait(start, "first rows", |text| count(text) > 0)?;
    let complete = screen.wait(start, "the complete list", |text| count(text) >= options.pods && !text.contains("oading"))?;
    let pid = child.process_id().context("no process id")?;
    std::thread::sleep(Duration::from_secs(5));
    let before = cpu_seconds(pid)?;
    std::thread::sleep(options.idle);
    let idle = (cpu_seconds(pid)? - before) / options.idle.as_secs_f64() * 100.0;
    let (resident, peak) = (resident_mib(pid, "VmRSS")?, resident_mib(pid, "VmHWM")?);
    child.kill()?;

    println!("k3am load benchmark, {} pods served by another process", options.pods);
    println!("machine: {}\n", machine());
    println!("| measure | value | to reach |");
    println!("|---|---|---|");
    println!("| first frame | {first_frame:.3} s | |");
    println!("| first rows | {first_rows:.3} s | 0.3 s |");
    println!("| complete list | {complete:.3} s = {:.2} x curl ({curl_seconds:.3} s) | 1.5 x curl |", complete / curl_seconds);
    println!("| resident memory | {resident:.0} MiB (peak {peak:.0} MiB) | 64 MiB |");
    println!("| idle CPU over {} s | {idle:.2} % of a core | 1 % |", options.idle.as_secs());
    Ok(())
}
