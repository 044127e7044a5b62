//! The person's editor on a text: `$KUBE_EDITOR`, `$EDITOR` or `vi`, as kubectl does.

use std::path::Path;
use std::process::Command;

use super::files;
use crate::actions::edit;
use crate::kinds::ObjectRef;

/// Runs the editor on the object's text; the merge patch of what was changed, as JSON. The file is removed, unless it cannot be used.
///
/// # Errors
/// A sentence: the editor cannot be run or failed, or what was written cannot be used.
pub fn run(object: &ObjectRef, text: &str) -> Result<Option<String>, String> {
    let name = files::stamped(&format!("{}-{}", object.kind.to_lowercase(), object.name), "yaml");
    let path = files::save("edits", &name, text).map_err(|error| format!("cannot write a file to edit: {error}"))?;
    let edited = edit_file(&path)
        .and_then(|after| edit::patch_of(text, &after).map_err(|why| format!("{why}; it is kept in {}", path.display())));
    if edited.is_ok() {
        let _ = std::fs::remove_file(&path);
    }
    edited
}

fn edit_file(path: &Path) -> Result<String, String> {
    let set = |name: &str| std::env::var(name).ok().filter(|value| !value.trim().is_empty());
    let editor = set("KUBE_EDITOR").or_else(|| set("EDITOR")).unwrap_or_else(|| "vi".to_owned());
    // Through the shell: `EDITOR="code --wait"` has arguments.
    let status = Command::new("sh").arg("-c").arg(format!("{editor} \"$1\"")).arg("sh").arg(path).status();
    match status {
        Ok(status) if status.success() => {
            std::fs::read_to_string(path).map_err(|error| format!("cannot read what was written: {error}"))
        }
        Ok(status) => Err(format!("the editor {editor} failed ({status}): nothing was changed")),
        Err(error) => Err(format!("cannot run the editor {editor}: {error}")),
    }
}
