//! The files of a bundle, one after the other: a folder walked in sorted order, an archive, or one file.
//!
//! Nothing is kept: a visitor reads each file as a stream, so that a bundle costs what its facts cost. Symbolic links to folders
//! are not followed (loops), hidden files and files larger than [`LARGEST`] are left out, the latter by name.

use std::fs::{self, File};
use std::io::{BufReader, Read};
use std::path::Path;

use super::archive;

/// Larger files are named and skipped: no kubectl output worth judging is this big.
const LARGEST: u64 = 2 << 30;
/// Folders nested deeper than this are not a bundle's.
const DEEPEST: usize = 24;

/// Looks at the files of a bundle.
pub(super) trait Visitor {
    /// False when the file need not be opened.
    fn wants(&self, _path: &str) -> bool {
        true
    }
    /// A file: its path inside the bundle (`/`-separated) and its bytes.
    fn file(&mut self, path: &str, content: &mut dyn Read);
    /// A file or folder that cannot be read, and why, in a few words.
    fn unreadable(&mut self, path: &str, why: String);
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
        "{path} holds no Kubernetes objects ({skipped} files skipped{}): give a folder, .tar, .tgz or .zip of `kubectl get -o json|yaml` files, of `kubectl cluster-info dump`, a support bundle or a must-gather",
        first.as_ref().map(|first| format!(", first {first}")).unwrap_or_default()
    )]
    Nothing {
        /// The path given.
        path: String,
        /// How many files were looked at in vain.
        skipped: usize,
        /// The first damaged file and why, when one was damaged.
        first: Option<String>,
    },
}

/// Shows `visitor` every file under `path`.
pub(super) fn visit(path: &Path, visitor: &mut dyn Visitor) -> Result<(), BundleError> {
    let unreadable = |source| BundleError::Unreadable { path: path.display().to_string(), source };
    if fs::metadata(path).map_err(unreadable)?.is_dir() {
        fs::read_dir(path).map_err(unreadable)?;
        walk(path, "", 0, visitor);
        return Ok(());
    }
    let file = File::open(path).map_err(unreadable)?;
    let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    archive::open(&name, file, "", visitor);
    Ok(())
}

fn walk(folder: &Path, prefix: &str, depth: usize, visitor: &mut dyn Visitor) {
    let mut entries: Vec<fs::DirEntry> = match fs::read_dir(folder) {
        Ok(entries) => entries.flatten().collect(),
        Err(error) => return visitor.unreadable(prefix, error.to_string()),
    };
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let name = entry.file_name().to_string_lossy().into_owned();
        if is_hidden(&name) {
            continue;
        }
        let path = if prefix.is_empty() { name } else { format!("{prefix}/{name}") };
        let is_link = entry.file_type().is_ok_and(|kind| kind.is_symlink());
        match fs::metadata(entry.path()) {
            Err(error) => visitor.unreadable(&path, error.to_string()),
            Ok(metadata) if metadata.is_dir() && is_link => visitor.unreadable(&path, "a link to a folder".to_owned()),
            Ok(metadata) if metadata.is_dir() && depth >= DEEPEST => visitor.unreadable(&path, "nested too deep".to_owned()),
            Ok(metadata) if metadata.is_dir() => walk(&entry.path(), &path, depth + 1, visitor),
            Ok(metadata) if metadata.is_file() && metadata.len() > LARGEST => {
                visitor.unreadable(&path, "larger than 2 GiB".to_owned());
            }
            Ok(metadata) if metadata.is_file() => one(&entry.path(), &path, visitor),
            Ok(_) => {}
        }
    }
}

fn one(file: &Path, path: &str, visitor: &mut dyn Visitor) {
    match File::open(file) {
        Ok(file) if archive::may_be(path) => archive::open(path, file, path, visitor),
        Ok(file) if visitor.wants(path) => visitor.file(path, &mut BufReader::new(file)),
        Ok(_) => {}
        Err(error) => visitor.unreadable(path, error.to_string()),
    }
}

/// True for names that tools make for themselves (`.git`, `.DS_Store`, `__MACOSX`).
pub(super) fn is_hidden(name: &str) -> bool {
    name.starts_with('.') || name == "__MACOSX"
}
