//! The kubectl command that does the same, ready to paste.

use crate::kinds::ObjectRef;

/// `text` as one word of a POSIX shell: as it is when harmless, else in single quotes.
pub fn quoted(text: &str) -> String {
    let harmless = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/' | ':' | '=' | '@' | '%' | '+' | ',');
    if !text.is_empty() && text.chars().all(harmless) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// `kubectl VERB... NAME [-n NAMESPACE] ARGUMENT...`, for verbs that know their kind: `drain`, `create job`.
pub fn kubectl_named(verb: &str, object: &ObjectRef, arguments: &[String]) -> String {
    let mut words = vec!["kubectl".to_owned(), verb.to_owned(), quoted(&object.name)];
    words.extend(arguments.iter().map(|argument| quoted(argument)));
    if !object.namespace.is_empty() {
        words.extend(["-n".to_owned(), quoted(&object.namespace)]);
    }
    words.join(" ")
}

/// `kubectl VERB... KIND/NAME [-n NAMESPACE] ARGUMENT...`, quoted.
pub fn kubectl(verb: &str, object: &ObjectRef, arguments: &[String]) -> String {
    let mut words = vec!["kubectl".to_owned(), verb.to_owned(), quoted(&object.to_string())];
    words.extend(arguments.iter().map(|argument| quoted(argument)));
    if !object.namespace.is_empty() {
        words.extend(["-n".to_owned(), quoted(&object.namespace)]);
    }
    words.join(" ")
}
