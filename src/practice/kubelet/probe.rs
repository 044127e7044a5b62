//! Liveness, readiness and startup probes.

use super::super::object;
use super::super::random::Random;
use super::container::Run;
use super::host::Host;
use chrono::{DateTime, Utc};
use serde_json::Value;
use std::time::Duration;

/// Which probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Its failure restarts the container.
    Liveness,
    /// Its failure takes the pod out of its Services.
    Readiness,
    /// Until it passes, the others wait.
    Startup,
}

impl Kind {
    /// The word events use.
    pub fn title(self) -> &'static str {
        match self {
            Self::Liveness => "Liveness",
            Self::Readiness => "Readiness",
            Self::Startup => "Startup",
        }
    }
}

/// A probe of a running container.
#[derive(Clone, Debug)]
pub struct Probe {
    /// Which.
    pub kind: Kind,
    /// When it runs next.
    pub next: DateTime<Utc>,
    spec: Value,
    passed: i64,
    failed: i64,
}

/// What a probe's thresholds say after an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Enough successes.
    Passed,
    /// Enough failures.
    Failed,
    /// Neither yet.
    Open,
}

/// One attempt.
pub struct Attempt {
    /// What the thresholds say now.
    pub verdict: Verdict,
    /// The failure in the kubelet's words.
    pub complaint: Option<String>,
    /// What the process logged about it.
    pub access_log: Option<String>,
}

impl Probe {
    /// The probes of a container that started at `since`.
    pub fn of(container: &Value, since: DateTime<Utc>, random: &mut Random) -> Vec<Self> {
        let listed = [("startupProbe", Kind::Startup), ("livenessProbe", Kind::Liveness), ("readinessProbe", Kind::Readiness)];
        let present = listed.into_iter().filter_map(|(field, kind)| container.get(field).map(|spec| (kind, spec)));
        present
            .map(|(kind, spec)| {
                let delay = Duration::from_secs(object::int(spec, "/initialDelaySeconds").unwrap_or(0).max(0) as u64);
                let next = since + delay + random.seconds(0.05, 0.6);
                Self { kind, next, spec: spec.clone(), passed: 0, failed: 0 }
            })
            .collect()
    }

    /// Puts the next run somewhere in the coming period: for containers that have been running for long.
    pub fn settle(&mut self, now: DateTime<Utc>, random: &mut Random) {
        self.next = now + self.period().mul_f64(random.fraction());
    }

    fn period(&self) -> Duration {
        Duration::from_secs(object::int(&self.spec, "/periodSeconds").unwrap_or(10).max(1) as u64)
    }

    /// Runs it against a process.
    pub fn execute(&mut self, host: &Host<'_>, run: &Run, container: &Value, random: &mut Random) -> Attempt {
        self.next = host.now + self.period();
        let elapsed = (host.now - run.since).to_std().unwrap_or_default();
        let (complaint, access_log) = self.attempt(host, run, container, elapsed, random);
        if complaint.is_some() {
            self.failed += 1;
            self.passed = 0;
        } else {
            self.passed += 1;
            self.failed = 0;
        }
        let reached = |count: i64, field: &str, default: i64| count >= object::int(&self.spec, field).unwrap_or(default).max(1);
        let verdict = if complaint.is_some() && reached(self.failed, "/failureThreshold", 3) {
            Verdict::Failed
        } else if complaint.is_none() && reached(self.passed, "/successThreshold", 1) {
            Verdict::Passed
        } else {
            Verdict::Open
        };
        Attempt { verdict, complaint, access_log }
    }

    fn attempt(
        &self,
        host: &Host<'_>,
        run: &Run,
        container: &Value,
        elapsed: Duration,
        random: &mut Random,
    ) -> (Option<String>, Option<String>) {
        let program = &run.program;
        let address = host.address();
        if let Some(get) = self.spec.get("httpGet") {
            let port = port_number(object::at(get, "/port"), container);
            let path = object::text(get, "/path");
            let url = format!("{}://{address}:{port}{path}", object::text(get, "/scheme").to_lowercase());
            if !program.listens(port, elapsed) {
                return (Some(format!("Get \"{url}\": dial tcp {address}:{port}: connect: connection refused")), None);
            }
            let status = program.answer(path, elapsed);
            let peer = format!("{}:{}", host.gateway(), 32768 + random.below(28000));
            let line = program.access_log.map(|format| format(&peer, &format!("GET {path}"), status));
            return ((status >= 400).then(|| format!("HTTP probe failed with statuscode: {status}")), line);
        }
        for field in ["tcpSocket", "grpc"] {
            if let Some(socket) = self.spec.get(field) {
                let port = port_number(object::at(socket, "/port"), container);
                let complaint =
                    (!program.listens(port, elapsed)).then(|| format!("dial tcp {address}:{port}: connect: connection refused"));
                return (complaint, None);
            }
        }
        let words: Vec<_> = object::items(&self.spec, "/exec/command").iter().filter_map(Value::as_str).collect();
        let command = words.join(" ");
        if command.contains("pg_isready") && !program.listens(5432, elapsed) {
            return (Some("/var/run/postgresql:5432 - no response\n".to_owned()), None);
        }
        let fails = command.ends_with("false") || command.contains("exit 1");
        (fails.then(String::new), None)
    }
}

/// A probe's port: a number, or the name of a container port.
fn port_number(port: &Value, container: &Value) -> i64 {
    port.as_i64().unwrap_or_else(|| {
        let name = port.as_str().unwrap_or_default();
        let named = object::items(container, "/ports").iter().find(|listed| object::text(listed, "/name") == name);
        named.and_then(|listed| object::int(listed, "/containerPort")).or_else(|| name.parse().ok()).unwrap_or(0)
    })
}
