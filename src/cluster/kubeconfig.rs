//! The kubeconfig as kubectl finds, merges and reads it.
//!
//! Which files: `--kubeconfig` alone, else the `KUBECONFIG` list (missing files are skipped, the first to set a value wins),
//! else `~/.kube/config`. Source: "Organizing Cluster Access Using kubeconfig Files" in the Kubernetes documentation.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use kube::config::{Kubeconfig, KubeconfigError};

use super::Error;

pub mod entries;
pub(super) mod validity;

/// A context of the kubeconfig.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContextEntry {
    /// Name.
    pub name: String,
    /// Cluster entry.
    pub cluster: String,
    /// Default namespace.
    pub namespace: Option<String>,
    /// True for the one named by `current-context`.
    pub current: bool,
}

/// The files kubectl would read, in order. `explicit` is `--kubeconfig`, `variable` the value of `KUBECONFIG`.
pub fn paths(explicit: Option<&Path>, variable: Option<&OsStr>, home: Option<&Path>) -> Vec<PathBuf> {
    if let Some(path) = explicit {
        return vec![path.to_owned()];
    }
    let listed: Vec<PathBuf> =
        variable.map(|v| std::env::split_paths(v).filter(|p| !p.as_os_str().is_empty()).collect()).unwrap_or_default();
    if !listed.is_empty() {
        return listed;
    }
    home.map(|home| home.join(".kube").join("config")).into_iter().collect()
}

/// Reads and merges `paths`; those that do not exist are skipped unless `explicit`. `None`: there is none.
///
/// # Errors
/// A file cannot be read or is not a kubeconfig.
pub fn read(paths: &[PathBuf], explicit: bool) -> Result<Option<Kubeconfig>, Error> {
    let mut merged: Option<Kubeconfig> = None;
    for path in paths {
        if !explicit && !path.exists() {
            continue;
        }
        let mut config = Kubeconfig::read_from(path).map_err(|error| from_kube(path, error))?;
        if let Some(kind) = config.kind.as_deref().filter(|kind| *kind != "Config") {
            let why = format!("it is a {}, not a kubeconfig (kind: Config)", crate::text::clean(kind));
            return Err(Error::Invalid { path: path.clone(), line: None, why });
        }
        // An empty value is not set: the next file may set it.
        config.current_context = config.current_context.filter(|name| !name.is_empty());
        merged = Some(match merged {
            None => config,
            Some(before) => before.merge(config).map_err(|error| from_kube(path, error))?,
        });
    }
    Ok(merged.filter(|config| explicit || !config.contexts.is_empty() || !config.clusters.is_empty()))
}

/// The contexts of a kubeconfig, by name.
pub fn contexts(config: &Kubeconfig) -> Vec<ContextEntry> {
    let current = config.current_context.as_deref();
    let mut entries: Vec<ContextEntry> = config
        .contexts
        .iter()
        .filter_map(|named| {
            let context = named.context.as_ref()?;
            Some(ContextEntry {
                name: named.name.clone(),
                cluster: context.cluster.clone(),
                namespace: context.namespace.clone().filter(|n| !n.is_empty()),
                current: Some(&*named.name) == current,
            })
        })
        .collect();
    entries.sort_by(|a, b| a.name.cmp(&b.name));
    entries
}

/// A parse error is told by line and kind only: its own text may quote the file, which holds credentials.
fn from_kube(path: &Path, error: KubeconfigError) -> Error {
    let path = path.to_owned();
    match error {
        KubeconfigError::ReadConfig(source, path) if source.kind() == std::io::ErrorKind::InvalidData => {
            Error::Invalid { path, line: None, why: "it is not text".to_owned() }
        }
        KubeconfigError::ReadConfig(source, path) => Error::Unreadable { path, why: source.to_string() },
        KubeconfigError::Parse(error) => {
            let line = error.location().map(|at| at.line()).filter(|line| *line > 0);
            Error::Invalid { path, line, why: "it is not YAML of a kubeconfig; compare with `kubectl config view`".to_owned() }
        }
        other => Error::Invalid { path, line: None, why: other.to_string() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_flag_beats_the_variable_and_the_variable_beats_home() {
        let home = Path::new("/home/me");
        assert_eq!(paths(Some(Path::new("x")), Some(OsStr::new("a:b")), Some(home)), [PathBuf::from("x")]);
        assert_eq!(paths(None, Some(OsStr::new("a::b")), Some(home)), [PathBuf::from("a"), PathBuf::from("b")]);
        assert_eq!(paths(None, Some(OsStr::new("")), Some(home)), [PathBuf::from("/home/me/.kube/config")]);
        assert!(paths(None, None, None).is_empty());
    }
}
