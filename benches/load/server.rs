//! The practice cluster in a process of its own, and `curl` against it.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Instant;

use anyhow::{Context, Result, bail};

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

/// A running `k3am demo --serve`; killed when dropped.
pub struct Server {
    child: Child,
    /// Path of the kubeconfig it wrote.
    pub kubeconfig: String,
    url: String,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Server {
    pub fn start(pods: usize, events_per_second: usize) -> Result<Self> {
        let mut child = Command::new(env!("CARGO_BIN_EXE_k3am"))
            .args(["demo", "--serve", "--pods", &pods.to_string(), "--events-per-second", &events_per_second.to_string()])
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .context("starting the practice cluster")?;
        let stdout = child.stdout.take().context("no stdout")?;
        let mut server = Self { child, kubeconfig: String::new(), url: String::new() };
        let (tx, rx) = mpsc::channel();
        // Read to the end: a server whose standard output is closed under it would die of its next line.
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                let _ = tx.send(line);
            }
        });
        server.kubeconfig = rx.recv().context("the practice cluster ended without naming a kubeconfig")?;
        let text = std::fs::read_to_string(&server.kubeconfig).with_context(|| format!("reading {}", server.kubeconfig))?;
        let line = text.lines().find_map(|l| l.trim().strip_prefix("server:")).context("no server in the kubeconfig")?;
        line.trim().trim_matches('"').clone_into(&mut server.url);
        Ok(server)
    }

    /// Seconds `curl` takes for all lists over one connection, in that encoding; the best of three.
    pub fn curl(&self, accept: &str) -> Result<f64> {
        let mut best = f64::MAX;
        for _ in 0..3 {
            let mut command = Command::new("curl");
            command.args(["--silent", "--fail", "--header", &format!("Accept: {accept}")]);
            for list in LISTS {
                command.arg(format!("{}{list}", self.url)).args(["--output", "/dev/null"]);
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

    pub fn cpu_seconds(&self) -> Result<f64> {
        super::cockpit::cpu_seconds(self.child.id())
    }
}
