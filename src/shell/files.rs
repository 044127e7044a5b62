//! Files in the state directory (`$XDG_STATE_HOME/k3am`, usually `~/.local/state/k3am`): logs, panic reports, saved views.

use std::io::{Error, ErrorKind, Write};
use std::path::PathBuf;

use etcetera::BaseStrategy;

/// The state directory, or one below it; made if it is not there.
///
/// # Errors
/// There is no home directory, or it cannot be made.
pub fn directory(below: &str) -> std::io::Result<PathBuf> {
    let base = etcetera::choose_base_strategy().map_err(|error| Error::new(ErrorKind::NotFound, error.to_string()))?;
    let path = base.state_dir().unwrap_or_else(|| base.data_dir()).join("k3am").join(below);
    std::fs::create_dir_all(&path)?;
    Ok(path)
}

/// A file name with the time in it, so that nothing is overwritten.
pub fn stamped(stem: &str, extension: &str) -> String {
    format!("{stem}-{}.{extension}", chrono::Utc::now().format("%Y%m%dT%H%M%S%.3fZ"))
}

/// Writes a file that only its owner can read (views may hold what should not travel). Returns its path.
///
/// # Errors
/// As the file system says.
pub fn save(below: &str, name: &str, text: &str) -> std::io::Result<PathBuf> {
    let path = directory(below)?.join(safe(name));
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(&path)?.write_all(text.as_bytes())?;
    Ok(path)
}

/// Object names are safe on their own; what a custom resource is called need not be.
fn safe(name: &str) -> String {
    let kept: String = name.chars().map(|c| if c.is_alphanumeric() || "-_.".contains(c) { c } else { '_' }).take(200).collect();
    let kept = kept.trim_start_matches('.');
    if kept.is_empty() { "view".to_owned() } else { kept.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::safe;

    #[test]
    fn a_name_cannot_leave_the_directory() {
        assert_eq!(safe("../../etc/passwd"), "_.._etc_passwd");
        assert_eq!(safe(".."), "view");
        assert_eq!(safe("orders-api.yaml"), "orders-api.yaml");
    }
}
