//! The files of a bundle: a folder walked in sorted order, an archive, or one file.

use std::fs;
use std::path::Path;

use super::{Skipped, archive};

/// Larger files are named and skipped: no kubectl output worth judging is this big.
const LARGEST: u64 = 1 << 30;
/// Folders nested deeper than this are a loop or not a bundle.
const DEEPEST: usize = 12;

/// One file of a bundle.
#[derive(Debug)]
pub(super) struct File {
    /// Path inside the bundle, `/`-separated.
    pub path: String,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// Why a bundle cannot be read at all.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// The path does not exist or cannot be opened.
    #[error("cannot read {path}: {source}")]
    Unreadable {
        /// The path given.
        path: String,
        /// The system's words.
        source: std::io::Error,
    },
    /// No file holds a Kubernetes object.
    #[error(
        "{path} holds no Kubernetes objects ({skipped} files skipped): give a folder, .tar or .tgz of `kubectl get -o json|yaml` files or of `kubectl cluster-info dump`"
    )]
    Nothing {
        /// The path given.
        path: String,
        /// How many files were looked at in vain.
        skipped: usize,
    },
}

/// Every file under `path`, sorted, and those that could not be read.
pub(super) fn collect(path: &Path) -> Result<(Vec<File>, Vec<Skipped>), BundleError> {
    let unreadable = |source| BundleError::Unreadable { path: path.display().to_string(), source };
    let mut skipped = Vec::new();
    let mut files = Vec::new();
    if fs::metadata(path).map_err(unreadable)?.is_dir() {
        fs::read_dir(path).map_err(unreadable)?;
        walk(path, "", 0, &mut files, &mut skipped);
    } else {
        let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        let bytes = fs::read(path).map_err(unreadable)?;
        match archive::unpack(&bytes) {
            Ok(Some(found)) => files = found,
            Ok(None) => files.push(File { path: name, bytes }),
            Err(source) => return Err(unreadable(source)),
        }
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok((files, skipped))
}

fn walk(folder: &Path, prefix: &str, depth: usize, files: &mut Vec<File>, skipped: &mut Vec<Skipped>) {
    let mut skip = |path: &str, why: String| skipped.push(Skipped { path: path.to_owned(), why, broken: true });
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) => return skip(prefix, error.to_string()),
    };
    let mut folders = Vec::new();
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = if prefix.is_empty() { name.clone() } else { format!("{prefix}/{name}") };
        let Ok(metadata) = fs::metadata(entry.path()) else {
            skip(&path, "cannot be opened".to_owned());
            continue;
        };
        if name.starts_with('.') {
            continue;
        }
        if metadata.is_dir() {
            folders.push((entry.path(), path));
        } else if metadata.len() > LARGEST {
            skip(&path, "larger than 1 GiB".to_owned());
        } else if metadata.is_file() {
            match fs::read(entry.path()) {
                Ok(bytes) => files.push(File { path, bytes }),
                Err(error) => skip(&path, error.to_string()),
            }
        }
    }
    for (folder, path) in folders {
        if depth < DEEPEST {
            walk(&folder, &path, depth + 1, files, skipped);
        } else {
            skipped.push(Skipped { path, why: "nested too deep".to_owned(), broken: true });
        }
    }
}
