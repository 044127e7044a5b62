//! What a write of a ConfigMap or Secret changed, as far as it can be told: the keys its writer owns, and for a ConfigMap whose
//! content was seen before, the values. Of a Secret never more than the names of its keys.

use super::{DiffLine, redact};
use crate::kinds::{KindId, ObjectRef};
use crate::snapshot::{ConfigEdit, Key, Snapshot};
use crate::text::Text;

/// Changed lines of one value that are shown.
const LINES: usize = 6;
/// Key names that are named.
const NAMES: usize = 6;

/// What the last write changed; `None` when the content before it was not seen. Empty: the data stayed the same.
pub fn diff(snapshot: &Snapshot, config: &ObjectRef) -> Option<Vec<DiffLine>> {
    let key = Key { namespace: config.namespace.clone(), name: config.name.clone() };
    let row = snapshot.config_maps.get_arc(&key).filter(|_| &*config.kind == KindId::ConfigMap.name())?;
    let edits = snapshot.configs.edits(&key, &row.meta.resource_version)?;
    Some(edits.iter().flat_map(lines).collect())
}

/// The keys that the last writer of a ConfigMap or Secret owns, `A, B and 3 more`.
pub fn keys_of_writer(snapshot: &Snapshot, config: &ObjectRef) -> Option<String> {
    let row = snapshot.find(config)?;
    let keys = &row.meta().last_writer()?.owns.data;
    let more = match keys.len().saturating_sub(NAMES) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let named: Vec<&str> = keys.iter().take(NAMES).map(|key| &**key).collect();
    (!named.is_empty()).then(|| format!("{}{more}", named.join(", ")))
}

/// A line a key; of a file in a key, a line for each of its lines that differ.
fn lines(edit: &ConfigEdit) -> Vec<DiffLine> {
    let shown = |value: &Option<Text>| value.as_deref().map(|value| redact::value(&edit.key, value));
    match (&edit.old, &edit.new) {
        (Some(old), Some(new)) if old.contains('\n') || new.contains('\n') => lines_of_file(&edit.key, old, new),
        (Some(file), None) | (None, Some(file)) if file.contains('\n') => {
            let size = Some(format!("({} lines)", file.lines().count()));
            let (old, new) = if edit.old.is_some() { (size, None) } else { (None, size) };
            vec![DiffLine { field: edit.key.to_string(), old, new }]
        }
        _ => vec![DiffLine { field: edit.key.to_string(), old: shown(&edit.old), new: shown(&edit.new) }],
    }
}

fn lines_of_file(key: &str, old: &str, new: &str) -> Vec<DiffLine> {
    let (old, new): (Vec<&str>, Vec<&str>) = (old.lines().collect(), new.lines().collect());
    let before = old.iter().zip(&new).take_while(|(a, b)| a == b).count();
    let rest = old.len().min(new.len()) - before;
    let after = old.iter().rev().zip(new.iter().rev()).take(rest).take_while(|(a, b)| a == b).count();
    let middle = |lines: &[&str]| lines.get(before..lines.len() - after).unwrap_or_default().iter().map(|l| line(l)).collect();
    let (old, new): (Vec<String>, Vec<String>) = (middle(&old), middle(&new));
    let count = old.len().max(new.len());
    let mut lines: Vec<DiffLine> = (0..count.min(LINES))
        .map(|n| DiffLine { field: format!("{key}:{}", before + n + 1), old: old.get(n).cloned(), new: new.get(n).cloned() })
        .filter(|line| line.old != line.new)
        .collect();
    if count > LINES {
        lines.push(DiffLine { field: key.to_owned(), old: None, new: Some(format!("({} more lines differ)", count - LINES)) });
    }
    lines
}

/// A line of a file: what stands behind a secret's name, and passwords anywhere, are hidden.
fn line(text: &str) -> String {
    let text = text.trim();
    let name = text.split([':', '=']).next().unwrap_or_default();
    match text.strip_prefix(name).and_then(|rest| rest.split_at_checked(1)) {
        Some((sign, value)) if redact::value(name.trim(), value.trim()) == redact::MASK => {
            format!("{name}{sign} {}", redact::MASK)
        }
        _ => redact::text(text),
    }
}
