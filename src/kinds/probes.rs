//! Probes and lifecycle hooks of a container.

use serde::Deserialize;

use super::nullable;
use super::pod_spec::IntOrText;
use crate::text::Text;

/// A probe.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Probe {
    /// HTTP GET.
    pub http_get: Option<HttpGet>,
    /// TCP connect.
    pub tcp_socket: Option<TcpSocket>,
    /// Command in the container.
    pub exec: Option<Exec>,
    /// gRPC health check.
    pub grpc: Option<Grpc>,
    /// Seconds before the first probe.
    pub initial_delay_seconds: Option<i64>,
    /// Seconds between probes; default 10.
    pub period_seconds: Option<i64>,
    /// Seconds to wait for an answer; default 1.
    pub timeout_seconds: Option<i64>,
    /// Failures in a row that count; default 3.
    pub failure_threshold: Option<i64>,
    /// Successes in a row that count; default 1.
    pub success_threshold: Option<i64>,
}

/// `httpGet` of a probe or hook.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(default)]
pub struct HttpGet {
    /// URL path.
    pub path: Option<Text>,
    /// Number or name.
    pub port: IntOrText,
    /// `HTTP` or `HTTPS`.
    pub scheme: Option<Text>,
    /// Host, if not the pod's IP.
    pub host: Option<Text>,
}

/// `tcpSocket` of a probe.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(default)]
pub struct TcpSocket {
    /// Number or name.
    pub port: IntOrText,
}

/// `exec` of a probe or hook.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(default)]
pub struct Exec {
    /// Command line.
    #[serde(deserialize_with = "nullable")]
    pub command: Vec<Text>,
}

/// `grpc` of a probe.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(default)]
pub struct Grpc {
    /// Port number.
    pub port: u16,
}

/// Container hooks.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Lifecycle {
    /// Runs right after the start.
    pub post_start: Option<Handler>,
    /// Runs before SIGTERM.
    pub pre_stop: Option<Handler>,
}

/// What a hook does.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Handler {
    /// Command.
    pub exec: Option<Exec>,
    /// HTTP request.
    pub http_get: Option<HttpGet>,
    /// Sleep.
    pub sleep: Option<Sleep>,
}

/// `sleep` of a hook.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(default)]
pub struct Sleep {
    /// Seconds.
    pub seconds: i64,
}
