//! The commands that fixes print, run by the official kubectl without changing anything: writes with `--dry-run=server`, an
//! editor that changes nothing, and where a verb has no dry run its flags alone.
//!
//! Shared by the test binaries: `scenarios` tries the commands of every practice scenario, against the very cluster that shows it,
//! `suite` those of every fixture of every rule.

use std::collections::BTreeSet;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

/// A folder of official clients: the one `.ci/run` names, or where it caches them.
pub(crate) fn official(program: &str) -> Option<PathBuf> {
    let named = std::env::var_os("K3AM_OFFICIAL_CLIENTS").map(PathBuf::from);
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache")))?.join("k3am-ci/kubectl-v37");
    named.into_iter().chain([cache]).map(|folder| folder.join(program)).find(|path| path.is_file())
}

/// Stands in the way of kubectl: nothing that a pasted command says may change the cluster.
const HARMLESS: &str = r#"#!/bin/sh
verb= second= skip=
for word in "$@"; do
  if [ -n "$skip" ]; then skip=; continue; fi
  case "$word" in
    -n|--namespace) skip=1 ;;
    -*) ;;
    *) if [ -z "$verb" ]; then verb=$word; elif [ -z "$second" ]; then second=$word; fi ;;
  esac
done
case " $* " in
  *" --dry-run"*) exec "$KUBECTL" "$@" ;;
  *" https://"*|*" replace --force "*) exec "$KUBECTL" "$@" --help ;;
esac
case "$verb $second" in
  "rollout undo") exec "$KUBECTL" "$@" --dry-run=server ;;
  "rollout history") exec "$KUBECTL" "$@" ;;
  rollout*) exec "$KUBECTL" "$@" --help ;;
esac
case "$verb" in
  annotate|apply|autoscale|cordon|create|delete|drain|expose|label|patch|replace|run|scale|set|taint|uncordon)
    exec "$KUBECTL" "$@" --dry-run=server ;;
  api-resources|auth|describe|edit|events|get|logs|top|version) exec "$KUBECTL" "$@" ;;
  *) exec "$KUBECTL" "$@" --help ;;
esac
"#;

/// What kubectl may say and yet have understood: the object is not there (any more), a container has no log yet, or the cluster
/// refuses for the very reason that the scenario is about.
const UNDERSTOOD: &[&str] = &[
    "not found",
    "is waiting to start",
    "PodInitializing",
    "ContainerCreating",
    "previous terminated container",
    "choose one of",
    "Metrics API not available",
    "metrics not available",
    "failed calling webhook",
    "denied the request",
    "is currently unable to handle the request",
    "exceeded quota",
];

/// Kinds of add-ons that the practice cluster does not serve.
const ADD_ONS: &[&str] = &[
    "certificate",
    "certificaterequests",
    "gateway",
    "httproute",
    "issuer",
    "kafkatopics",
    "servicecidrs",
    "servicemonitor",
    "widgets",
];

/// The official kubectl, what it understood, and a home of its own.
pub(crate) struct Printed {
    kubectl: PathBuf,
    home: tempfile::TempDir,
    seen: Mutex<BTreeSet<String>>,
}

impl Printed {
    /// `None` where kubectl is not there: the test says so, and fails with `CI` set.
    pub(crate) fn open() -> Option<Self> {
        let Some(kubectl) = official("kubectl") else {
            assert!(std::env::var_os("CI").is_none(), "the official kubectl is not there, and CI is set");
            let _ = writeln!(std::io::stderr(), "\n*** kubectl is not there: printed commands were NOT tested with it ***\n");
            return None;
        };
        let home = tempfile::tempdir().unwrap();
        let harmless = home.path().join("kubectl");
        std::fs::write(&harmless, HARMLESS).unwrap();
        // What a person has at hand where a command asks for it.
        std::fs::write(home.path().join("app.env"), "KEY=VALUE\n").unwrap();
        for (file, fixture) in [("tls.crt", "server.crt"), ("tls.key", "server.key")] {
            let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/tls").join(fixture);
            std::fs::copy(from, home.path().join(file)).unwrap();
        }
        std::fs::set_permissions(&harmless, PermissionsExt::from_mode(0o755)).unwrap();
        Some(Self { kubectl, home, seen: Mutex::default() })
    }

    /// What is wrong with a command that a fix prints; commands that differ in names and numbers only are tried once.
    pub(crate) fn problem(&self, kubeconfig: &Path, command: &str) -> Option<String> {
        let shape = shape(command);
        if !command.starts_with("kubectl ") || self.seen.lock().unwrap().contains(&shape) {
            return None;
        }
        let path = format!("{}:{}", self.home.path().display(), std::env::var("PATH").unwrap_or_default());
        let mut shell = Command::new("sh");
        shell.args(["-c", command]).env("PATH", path).env("HOME", self.home.path()).env("KUBECONFIG", kubeconfig);
        shell.env("REGISTRY_USER", "user").env("REGISTRY_PASSWORD", "password").current_dir(self.home.path());
        shell.env("KUBECTL", &self.kubectl).env("KUBE_EDITOR", "true");
        let output = shell.output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        let add_on = ADD_ONS.iter().any(|kind| said.contains(&format!("doesn't have a resource type \"{kind}\"")));
        if output.status.success() || add_on || UNDERSTOOD.iter().any(|words| said.contains(words)) {
            self.seen.lock().unwrap().insert(shape);
            return None;
        }
        Some(format!("{command}\n    {}", said.trim()))
    }

    /// How many were understood.
    pub(crate) fn understood(&self) -> usize {
        self.seen.lock().unwrap().len()
    }
}

/// A command without names and numbers: verbs, flags, kinds and patches are what kubectl has to understand.
pub(crate) fn shape(command: &str) -> String {
    let word = |(at, word): (usize, &str)| {
        let plain = word.trim_matches('\'');
        match plain.split_once(['/', '=']) {
            _ if plain.starts_with(['{', '[', '|', '"']) => plain.chars().filter(|c| !c.is_ascii_digit()).collect(),
            Some((kind, _)) => kind.to_owned(),
            None if plain.starts_with('-') || at < 5 && plain.chars().all(|c| c.is_ascii_lowercase()) => plain.to_owned(),
            None => "_".to_owned(),
        }
    };
    command.replace(" -n ", " ").split_whitespace().enumerate().map(word).collect::<Vec<String>>().join(" ")
}
