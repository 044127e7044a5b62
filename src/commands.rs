//! The commands that end: `diagnose`, `explain`. Each returns what to print and the exit status, so that tests need no process.

use std::collections::BTreeSet;
use std::process::ExitCode;
use std::time::Duration;

use crate::cli::{DiagnoseArgs, Global, ReportFormat};
use crate::cluster::{ConnectOptions, Connection, connect_hearing};
use crate::diagnosis::engine;
use crate::kinds::KindId;
use crate::report::{Report, SourceKind, json, markdown, text};
use crate::snapshot::{CoverageState, Delta, Identity, Snapshot};
use crate::source::bundle;
use crate::source::live::collect;

mod explain;

pub use explain::explain;

/// What a command prints and how the process ends.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outcome {
    /// For standard output.
    pub out: String,
    /// For standard error, one line each.
    pub notes: Vec<String>,
    /// 0 nothing wrong, 1 something is broken, 2 could not look.
    pub status: u8,
}

impl Outcome {
    /// Could not do it: one clear line, status 2.
    pub fn refused(line: String) -> Self {
        Self { out: String::new(), notes: vec![line], status: 2 }
    }

    /// Prints both and gives the status. A closed pipe (`k3am diagnose | head`) is not an error.
    pub fn print(&self) -> ExitCode {
        use std::io::Write;
        for note in &self.notes {
            let _ = writeln!(std::io::stderr(), "k3am: {}", crate::text::clean(note));
        }
        let mut stdout = std::io::stdout().lock();
        let _ = stdout.write_all(self.out.as_bytes()).and_then(|()| stdout.flush());
        ExitCode::from(self.status)
    }
}

/// `k3am diagnose`: of a bundle with `--from`, else of the cluster of the kubeconfig.
pub fn diagnose(global: &Global, args: &DiagnoseArgs) -> Outcome {
    match &args.from {
        Some(path) => diagnose_bundle(path, &global.namespaces, args),
        None => match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
            Ok(runtime) => runtime.block_on(diagnose_cluster(global, args)),
            Err(error) => Outcome::refused(format!("cannot start: {error}")),
        },
    }
}

/// `k3am diagnose` on a live cluster: one look, then the report on it.
pub async fn diagnose_cluster(global: &Global, args: &DiagnoseArgs) -> Outcome {
    let options = ConnectOptions {
        kubeconfig: global.kubeconfig.clone(),
        context: global.context.clone(),
        impersonate: global.as_user.clone(),
        impersonate_groups: global.as_groups.clone(),
        namespaces: global.namespaces.clone(),
    };
    let started = std::time::Instant::now();
    let (connection, identity) = match reached(&options, args.timeout).await {
        Ok(found) => found,
        Err(refused) => return Outcome::refused(refused),
    };
    let mut collected = collect(&connection, args.timeout.saturating_sub(started.elapsed())).await;
    collected.snapshot.apply(Delta::Identity(identity));
    if collected.snapshot.coverage.is_complete(KindId::Namespace, "")
        && let Some(refusal) = unknown_namespace(&collected.snapshot, &global.namespaces)
    {
        return refusal;
    }
    if let Some(refusal) = nothing_seen(&collected.snapshot) {
        return refusal;
    }
    let now = args.at.unwrap_or_else(|| connection.now());
    let diagnosis = engine::diagnose(&collected.snapshot, now);
    finish(&Report::new(SourceKind::Cluster, &collected.snapshot, diagnosis, now), args)
}

/// A connection to a cluster that answers, in time.
async fn reached(options: &ConnectOptions, limit: Duration) -> Result<(Connection, Identity), String> {
    let deadline = tokio::time::Instant::now() + limit;
    let (says, mut said) = tokio::sync::mpsc::unbounded_channel();
    let Ok(connected) = tokio::time::timeout_at(deadline, connect_hearing(options, Some(says))).await else {
        // Only a credential plugin takes time before the server is asked; it was ended with this.
        let words: Vec<String> = std::iter::from_fn(|| said.try_recv().ok()).collect();
        let words = if words.is_empty() { String::new() } else { format!("; it said: {}", words.join(" ")) };
        return Err(format!("the credential plugin of this context did not end within {limit:?} (see --timeout){words}"));
    };
    let connection = connected.map_err(|error| error.to_string())?;
    let Ok(identity) = tokio::time::timeout_at(deadline, connection.identify()).await else {
        return Err(format!("no answer from {} within {limit:?} (see --timeout)", connection.host()));
    };
    let identity = identity.map_err(|error| error.to_string())?;
    Ok((connection, identity))
}

/// `k3am diagnose --from PATH`.
pub fn diagnose_bundle(path: &std::path::Path, namespaces: &[String], args: &DiagnoseArgs) -> Outcome {
    let mut bundle = match bundle::read(path) {
        Ok(bundle) => bundle,
        Err(error) => return Outcome::refused(error.to_string()),
    };
    let snapshot = bundle.take_snapshot();
    if let Some(refusal) = unknown_namespace(&snapshot, namespaces) {
        return refusal;
    }
    let Some(now) = args.at.or(bundle.newest) else {
        return Outcome::refused(format!("{} holds no time at all: say when it was taken with --at TIME", path.display()));
    };
    let mut report = Report::new(SourceKind::Bundle, &snapshot, engine::diagnose(&snapshot, now), now);
    if !namespaces.is_empty() {
        report.keep_namespaces(namespaces);
    }
    for skipped in bundle.skipped.iter().filter(|s| s.broken) {
        report.add_missing(&format!("file {}", skipped.path), &skipped.why);
    }
    let mut outcome = finish(&report, args);
    let unknown = bundle.skipped.iter().filter(|s| !s.broken).count();
    if unknown > 0 {
        outcome.notes.push(format!("{} of {} files hold nothing k3am reads", unknown, unknown + bundle.used));
    }
    outcome
}

/// Without the right to list anything, "nothing broken" and status 0 would be a lie.
fn nothing_seen(snapshot: &Snapshot) -> Option<Outcome> {
    // An API that is not there counts as listed, and shows nothing.
    if KindId::ALL.iter().any(|&kind| !kind.info().optional && snapshot.coverage.is_listed(kind)) {
        return None;
    }
    let why = snapshot.coverage.iter().find_map(|(_, _, state)| match state {
        CoverageState::Denied { why } => Some(why.clone()),
        _ => None,
    })?;
    Some(Outcome::refused(format!("you may not list anything here ({why}): ask for the rights of assets/rbac/read.yaml")))
}

/// A mistyped `-n` must not read as "nothing is broken".
fn unknown_namespace(snapshot: &Snapshot, asked: &[String]) -> Option<Outcome> {
    const SHOWN: usize = 12;
    let mut known: BTreeSet<String> =
        KindId::ALL.iter().flat_map(|&kind| snapshot.keys(kind)).map(|key| key.namespace.to_string()).collect();
    known.extend(snapshot.keys(KindId::Namespace).iter().map(|key| key.name.to_string()));
    known.remove("");
    let unknown = asked.iter().find(|name| !known.contains(*name))?;
    let more = if known.len() > SHOWN { ", ..." } else { "" };
    let known: Vec<String> = known.into_iter().take(SHOWN).collect();
    Some(Outcome::refused(format!("there is no namespace {unknown:?}; there are: {}{more}", known.join(", "))))
}

/// `k3am keys`: the key table as it is after the user's settings.
pub fn keys() -> Outcome {
    let (sources, mut problems) = crate::config::Sources::of_process(crate::config::Flags::default());
    let (config, more) = crate::config::Config::build(&sources);
    problems.extend(more);
    Outcome { out: config.keymap.markdown(), notes: problems.iter().map(ToString::to_string).collect(), status: 0 }
}

/// `k3am screenshots`, for those who work on k3am: run in the repository.
pub fn screenshots() -> Outcome {
    use crate::shell::screenshots::{PICTURES, RECORDING, write_all};
    match write_all(std::path::Path::new(RECORDING), std::path::Path::new(PICTURES)) {
        Ok(written) => Outcome { out: written.join("\n") + "\n", ..Outcome::default() },
        Err(error) => Outcome::refused(format!("{error:#} (run this in the repository)")),
    }
}

/// Renders a report in the format asked for, with the exit status.
pub fn finish(report: &Report, args: &DiagnoseArgs) -> Outcome {
    let out = match args.output {
        ReportFormat::Text => text::render(report),
        ReportFormat::Markdown => markdown::render(report),
        ReportFormat::Json => match json::render(report) {
            Ok(out) => out,
            Err(error) => return Outcome::refused(format!("the report cannot be written as JSON: {error}")),
        },
    };
    Outcome { out, notes: Vec::new(), status: u8::from(report.fails(args.fail_on.threshold())) }
}
