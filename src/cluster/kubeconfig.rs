//! The kubeconfig as kubectl finds, merges and reads it.
//!
//! Which files: `--kubeconfig` alone, else the `KUBECONFIG` list (missing files are skipped, the first to set a value wins),
//! else `~/.kube/config`. Source: "Organizing Cluster Access Using kubeconfig Files" in the Kubernetes documentation.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use kube::config::{ExecInteractiveMode, Kubeconfig, KubeconfigError};

use super::Error;

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
        let config = Kubeconfig::read_from(path).map_err(|error| from_kube(path, error))?;
        merged = Some(match merged {
            None => config,
            Some(before) => before.merge(config).map_err(|error| from_kube(path, error))?,
        });
    }
    let mut merged = merged.filter(|config| explicit || !config.contexts.is_empty() || !config.clusters.is_empty());
    if let Some(config) = &mut merged {
        keep_plugins_off_the_terminal(config);
    }
    Ok(merged)
}

/// Exec plugins otherwise inherit our stdin and stderr: they would eat keys and draw over the screen.
fn keep_plugins_off_the_terminal(config: &mut Kubeconfig) {
    for user in config.auth_infos.iter_mut().filter_map(|named| named.auth_info.as_mut()) {
        if let Some(exec) = &mut user.exec {
            exec.interactive_mode = Some(ExecInteractiveMode::Never);
        }
    }
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

/// Checks that what `context` refers to is there: its cluster and user entries, and the files those name.
///
/// # Errors
/// [`Error::BadContext`], naming the entry or file.
pub fn check(config: &Kubeconfig, context: &str) -> Result<(), Error> {
    let bad = |why: String| Error::BadContext { context: context.to_owned(), why };
    let Some(chosen) = config.contexts.iter().find(|c| c.name == context).and_then(|c| c.context.as_ref()) else {
        return Err(bad("its entry in the kubeconfig is empty".to_owned()));
    };
    let Some(cluster) = config.clusters.iter().find(|c| c.name == chosen.cluster).and_then(|c| c.cluster.as_ref()) else {
        return Err(bad(format!("the kubeconfig has no cluster {:?}, which it names", chosen.cluster)));
    };
    let mut files = vec![(
        "certificate-authority",
        cluster.certificate_authority.as_ref().filter(|_| cluster.certificate_authority_data.is_none()),
    )];
    if let Some(name) = chosen.user.as_ref().filter(|name| !name.is_empty()) {
        let Some(user) = config.auth_infos.iter().find(|u| u.name == *name).and_then(|u| u.auth_info.as_ref()) else {
            return Err(bad(format!("the kubeconfig has no user {name:?}, which it names")));
        };
        files.extend([
            ("client-certificate", user.client_certificate.as_ref().filter(|_| user.client_certificate_data.is_none())),
            ("client-key", user.client_key.as_ref().filter(|_| user.client_key_data.is_none())),
        ]);
    }
    for (what, path) in files.into_iter().filter_map(|(what, path)| Some((what, path.filter(|p| !p.is_empty())?))) {
        if let Err(error) = std::fs::File::open(path) {
            return Err(bad(format!("its {what} {path} cannot be read: {error}")));
        }
    }
    Ok(())
}

/// A parse error is told by line and kind only: its own text may quote the file, which holds credentials.
fn from_kube(path: &Path, error: KubeconfigError) -> Error {
    let path = path.to_owned();
    match error {
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
