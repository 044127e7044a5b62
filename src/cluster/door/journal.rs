//! What was done through the door: one line of JSON a plan, in the state directory.
//!
//! Invariant: never the content of a write (a pod template holds environment values), only what it was aimed at.

use std::io::Write;
use std::path::{Path, PathBuf};

use etcetera::BaseStrategy;
use serde_json::{Value, json};

use crate::actions::{Plan, Write as ClusterWrite};
use crate::text::Time;

/// Where the journal is. `None`: no home directory, nothing is written.
pub(super) fn default_path() -> Option<PathBuf> {
    let base = etcetera::choose_base_strategy().ok()?;
    Some(base.state_dir().unwrap_or_else(|| base.data_dir()).join("k3am").join("journal.jsonl"))
}

/// The line for a plan that was carried out, or was not.
pub(super) fn line(plan: &Plan, context: &str, host: &str, at: Time, outcome: &str) -> String {
    let writes: Vec<Value> = plan.writes.iter().map(write).collect();
    json!({
        "at": at.to_rfc3339(),
        "context": context,
        "server": host,
        "title": plan.title,
        "kubectl": plan.kubectl,
        "writes": writes,
        "result": outcome,
    })
    .to_string()
}

fn write(write: &ClusterWrite) -> Value {
    json!({
        "verb": write.verb.word(),
        "kind": &*write.target.kind,
        "namespace": &*write.target.namespace,
        "name": &*write.target.name,
        "subresource": write.subresource,
    })
}

/// Appends a line; the file is readable by its owner only.
pub(super) fn append(path: &Path, line: &str) -> std::io::Result<()> {
    if let Some(dir) = path.parent() {
        std::fs::create_dir_all(dir)?;
    }
    let mut options = std::fs::OpenOptions::new();
    options.create(true).append(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)?.write_all(format!("{line}\n").as_bytes())
}
