//! Refusals saved where objects were asked for: a server's `Status`, kubectl's words, the `*-errors.json` of support bundles.

use serde_json::Value;

use super::Bundle;
use super::names::kind_of_word;
use crate::snapshot::Scope;

/// Takes every refusal in `text` (`pods is forbidden: User "dev" cannot list ... in the namespace "shop"`). True when it holds one.
pub(super) fn take_text(bundle: &mut Bundle, text: &str) -> bool {
    let mut found = false;
    for line in text.lines().take(50) {
        let Some((before, _)) = line.split_once(" is forbidden: ") else { continue };
        let word = before.rsplit([' ', '"', ':']).next().unwrap_or_default();
        let Some(kind) = kind_of_word(word.split('.').next().unwrap_or_default()) else { continue };
        let scope = line
            .split_once("in the namespace \"")
            .and_then(|(_, rest)| rest.split('"').next())
            .map_or(Scope::Cluster, |namespace| Scope::Namespace(namespace.into()));
        let words = line.trim().trim_start_matches("Error from server (Forbidden): ");
        bundle.denied.insert((kind, scope), words.to_owned());
        found = true;
    }
    found
}

/// Takes a document of nothing but refusals: a `Status`, a list of sentences, a map of them by namespace.
pub(super) fn take(bundle: &mut Bundle, document: &Value) -> bool {
    match document {
        Value::String(text) => take_text(bundle, text),
        Value::Object(map) if map.get("kind").and_then(Value::as_str) == Some("Status") => {
            let message = map.get("message").and_then(Value::as_str).unwrap_or_default();
            let plural = document.pointer("/details/kind").and_then(Value::as_str).unwrap_or_default();
            if take_text(bundle, message) {
                return true;
            }
            let Some(kind) = kind_of_word(plural) else { return false };
            bundle.denied.insert((kind, Scope::Cluster), message.to_owned());
            true
        }
        Value::Object(map) if !map.is_empty() && map.values().all(Value::is_string) => {
            map.values().filter_map(Value::as_str).fold(false, |found, text| take_text(bundle, text) | found)
        }
        _ => false,
    }
}
