//! What a probe's failure says: refused, timeout, an HTTP status, a command's output; and whether it asks the wrong port.

use crate::diagnosis::finding::Evidence;
use crate::diagnosis::rule::Facts;
use crate::diagnosis::rules::draft;
use crate::diagnosis::rules::logs;
use crate::diagnosis::rules::pattern::Pattern;
use crate::diagnosis::rules::pods::ProbeKind;
use crate::kinds::KindId;
use crate::kinds::events::Event;
use crate::kinds::pod_spec::{Container, IntOrText, Probe};
use crate::kinds::pods::Pod;
use crate::text::Time;

static STATUS: Pattern = Pattern::new(r"HTTP probe failed with statuscode: (\d{3})");
static REFUSED: Pattern = Pattern::new(r"connect: connection refused");
static TIMEOUT: Pattern =
    Pattern::new(r"context deadline exceeded|Client\.Timeout exceeded|i/o timeout|timed out|DeadlineExceeded|failed: timeout: ");
static LISTENS: Pattern = Pattern::new(
    r"(?i)(?:running|listening|listen|started|serving|bound).{0,40}?(?P<host>127\.0\.0\.1|localhost|0\.0\.0\.0|\[::\]|\*)?(?::|port(?:\(s\))?[ =:]*)(?P<port>\d{2,5})\b",
);

/// The spec of that probe.
pub fn spec(container: &Container, kind: ProbeKind) -> Option<&Probe> {
    match kind {
        ProbeKind::Liveness => container.liveness_probe.as_ref(),
        ProbeKind::Startup => container.startup_probe.as_ref(),
        ProbeKind::Readiness => container.readiness_probe.as_ref(),
    }
}

/// The newest `Unhealthy` event of that probe and container since `since`.
pub fn newest<'a>(facts: &Facts<'a>, pod: &Pod, container: &str, kind: ProbeKind, since: Option<Time>) -> Option<&'a Event> {
    facts.snapshot.events_of(KindId::Pod, &pod.meta).into_iter().rev().find(|e| {
        matches!(&*e.reason, "Unhealthy" | "ProbeError")
            && e.container().is_none_or(|c| c == container)
            && e.text().starts_with(kind.word())
            && since.is_none_or(|s| e.last_seen().is_none_or(|t| t >= s))
    })
}

/// `http GET :9000/health`, for a sentence.
pub fn describe(probe: &Probe) -> String {
    if let Some(get) = &probe.http_get {
        return format!("GET {} on port {}", get.path.as_deref().unwrap_or("/"), get.port);
    }
    if let Some(tcp) = &probe.tcp_socket {
        return format!("TCP on port {}", tcp.port);
    }
    if let Some(grpc) = &probe.grpc {
        return format!("gRPC on port {}", grpc.port);
    }
    match &probe.exec {
        Some(exec) => exec.command.iter().map(|c| &**c).collect::<Vec<_>>().join(" "),
        None => "nothing".to_owned(),
    }
}

/// The number a probe's port stands for.
pub fn port(container: &Container, probe: &Probe) -> Option<u16> {
    let port = probe.http_get.as_ref().map(|g| &g.port).or(probe.tcp_socket.as_ref().map(|t| &t.port));
    match port {
        Some(IntOrText::Int(n)) => u16::try_from(*n).ok(),
        Some(IntOrText::Text(name)) => container.ports.iter().find(|p| p.name.as_ref() == Some(name)).map(|p| p.container_port),
        Some(IntOrText::Float(_)) => None,
        None => probe.grpc.as_ref().map(|g| g.port),
    }
}

/// What a failure means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// Nothing listens.
    Refused,
    /// No answer in time.
    Timeout,
    /// An HTTP status.
    Status(u16),
    /// A command's or gRPC server's words.
    Other(String),
}

impl Failure {
    /// From the text of an `Unhealthy` event.
    pub fn parse(text: &str) -> Self {
        if let Some(status) = STATUS.group(text, 1).and_then(|s| s.parse().ok()) {
            return Self::Status(status);
        }
        if REFUSED.is_match(text) {
            return Self::Refused;
        }
        if TIMEOUT.is_match(text) {
            return Self::Timeout;
        }
        let own = text.split_once(": ").map_or(text, |(_, rest)| rest);
        Self::Other(crate::text::ellipsis(own.trim(), 100))
    }

    /// For a sentence.
    pub fn words(&self) -> String {
        match self {
            Self::Refused => "the connection is refused".to_owned(),
            Self::Timeout => "no answer in time".to_owned(),
            Self::Status(404) => "404: wrong path".to_owned(),
            Self::Status(code) => format!("it answers {code}"),
            Self::Other(words) => words.clone(),
        }
    }
}

/// What the application says it listens on (its log's first such line), with whether that is only the loopback.
pub fn listening(facts: &Facts<'_>, pod: &Pod, container: &str) -> Option<(u16, bool, Evidence)> {
    let log = logs::known(facts, pod, container)?;
    log.lines.iter().find_map(|line| {
        let port = listening_port(&line.text)?;
        let loopback = line.text.contains("127.0.0.1") || line.text.contains("localhost");
        Some((port, loopback, draft::log_line(log.pod.clone(), container, log.previous, line)))
    })
}

/// The port a log line says the application listens on.
pub fn listening_port(line: &str) -> Option<u16> {
    LISTENS.captures(line)?.name("port")?.as_str().parse().ok()
}

/// The port a command line asks for: `--port 8000`, `--port=8000`, `-p 8000`, `--bind 0.0.0.0:8000`.
pub fn commanded_port(container: &Container) -> Option<u16> {
    static FLAG: Pattern = Pattern::new(
        r"(?:--port[ =]|--http-port[ =]|-p |--bind[ =]\S*:|-b \S*:|--listen[ =]\S*:|:--server\.port=|--server\.port=)(\d{2,5})\b",
    );
    let line = container.command.iter().chain(&container.args).map(|c| &**c).collect::<Vec<_>>().join(" ");
    let env = || {
        let port = container.env.iter().find(|v| matches!(&*v.name, "PORT" | "UVICORN_PORT" | "SERVER_PORT" | "HTTP_PORT"))?;
        port.value.as_deref()?.parse().ok()
    };
    FLAG.group(&line, 1).and_then(|p| p.parse().ok()).or_else(env)
}
