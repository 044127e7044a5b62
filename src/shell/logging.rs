//! The log file: off by default, in the state directory, one a day, never on the terminal.

use tracing_appender::non_blocking::WorkerGuard;
use tracing_appender::rolling::{RollingFileAppender, Rotation};
use tracing_subscriber::EnvFilter;

use super::files;
use crate::changes::redact;
use crate::cli::LogLevel;
use crate::snapshot::Delta;

/// Files kept.
const KEEP: usize = 5;

/// Logs what a feed could not do. Never what it said: objects hold secrets.
pub fn troubles(delta: &Delta) {
    match delta {
        Delta::Denied { kind, scope, why } => tracing::warn!(kind = kind.name(), ?scope, why = redact::text(why), "denied"),
        Delta::Failing { kind, scope, error, .. } => {
            tracing::warn!(kind = kind.name(), ?scope, error = redact::text(error), "failing");
        }
        Delta::Listed { kind, scope, .. } => tracing::debug!(kind = kind.name(), ?scope, "listed"),
        _ => {}
    }
}

/// Starts logging when a level was asked for. The log ends when the guard is dropped. Without a state directory there is none.
pub fn start(level: Option<LogLevel>) -> Option<WorkerGuard> {
    let level = level?.word();
    let directory = files::directory("logs").ok()?;
    let appender = RollingFileAppender::builder()
        .rotation(Rotation::DAILY)
        .filename_prefix("k3am")
        .filename_suffix("log")
        .max_log_files(KEEP)
        .build(directory)
        .ok()?;
    let (writer, guard) = tracing_appender::non_blocking(appender);
    // kube logs request failures that we already show, with URLs; bodies and headers are nobody's business.
    let filter = EnvFilter::new(format!("k3am={level},kube_client=error,kube_runtime=error,hyper=off,rustls=off"));
    let subscriber = tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer).with_ansi(false);
    subscriber.try_init().ok()?;
    Some(guard)
}
