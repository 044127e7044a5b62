//! Hides what looks secret before a value of a template is shown, diffed or quoted.
//!
//! Errs on the side of hiding. A secret *name* hides the whole value; otherwise passwords inside URLs, connection strings
//! and flags are hidden, and values that have the shape of a token.

use std::sync::LazyLock;

use regex::Regex;

/// What stands for a hidden value.
pub const MASK: &str = "***";

/// Parts of a name that make its value secret wherever they stand.
const ANYWHERE: &[&str] = &[
    "PASSWORD",
    "PASSWD",
    "PASSPHRASE",
    "SECRET",
    "TOKEN",
    "CREDENTIAL",
    "PRIVATE",
    "BEARER",
    "AUTHORIZATION",
    "COOKIE",
    "SIGNATURE",
];
/// Ends of a word of a name that make its value secret: `API_KEY`, `apiKey`, `DB_PWD`, `SMTP_PASS`.
const WORD_ENDS: &[&str] = &["KEY", "KEYS", "PWD", "PASS", "SALT", "JWT", "PAT", "SIG"];
/// Words with such an end that are no secrets.
const HARMLESS: &[&str] = &["BYPASS", "COMPASS", "COMPAT", "HOTKEY", "MONKEY", "TURKEY"];
/// Words of a name that say that a long hexadecimal value is public.
const PUBLIC_HEX: &[&str] = &["SHA", "COMMIT", "REVISION", "DIGEST", "HASH", "VERSION", "CHECKSUM", "BUILD"];
/// First characters of well-known tokens.
const TOKEN_PREFIXES: &[&str] =
    &["eyJ", "-----BEGIN", "AKIA", "ASIA", "ghp_", "gho_", "ghs_", "github_pat_", "glpat-", "xox", "sk-", "sk_live_", "hvs."];

/// True when a variable, key or flag of that name holds something secret.
pub fn secret_name(name: &str) -> bool {
    let upper = name.to_ascii_uppercase();
    ANYWHERE.iter().any(|part| upper.contains(part))
        || words(&upper).any(|word| WORD_ENDS.iter().any(|end| word.ends_with(end)) && !HARMLESS.contains(&word))
}

/// The value of `name` as it may be shown: whole, with its password hidden, or [`MASK`].
pub fn value(name: &str, value: &str) -> String {
    if !value.is_empty() && (secret_name(name) || looks_like_token(name, value)) {
        return MASK.to_owned();
    }
    text(value)
}

/// Free text (a URL, a command, a connection string, a log line) with the passwords in it hidden.
pub fn text(text: &str) -> String {
    // Most lines hold nothing of the kind, and every line of every incident passes here.
    let shown = if text.contains("://") { urls(text) } else { text.to_owned() };
    let shown = if shown.contains('=') { settings(&shown) } else { shown };
    match QUOTED.as_ref().filter(|_| memchr::memchr2(b'"', b'\'', shown.as_bytes()).is_some()) {
        Some(quoted) => quoted.replace_all(&shown, format!("${{1}}{MASK}")).into_owned(),
        None => shown,
    }
}

/// `"password": "..."` of JSON, Python and Ruby. A constant pattern: it always compiles (tested).
static QUOTED: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let name = r"(?:passw|secret|token|credential|api_?key|private_?key|authorization)";
    Regex::new(&format!(r#"(?i)(["'][\w.-]*{name}[\w.-]*["']\s*(?::|=>)\s*["'])[^"']+"#)).ok()
});

/// A command line as one string, with secrets hidden, also those given as `--password SECRET`.
pub fn command_line<S: AsRef<str>>(arguments: &[S]) -> String {
    let mut hide_next = false;
    let shown: Vec<String> = arguments
        .iter()
        .map(|argument| {
            let argument = argument.as_ref();
            if std::mem::take(&mut hide_next) && !argument.starts_with('-') {
                return MASK.to_owned();
            }
            match argument.strip_prefix('-').and_then(|flag| flag.split_once('=')) {
                Some((name, _)) if secret_name(name) => format!("-{name}={MASK}"),
                Some(_) => text(argument),
                None => {
                    hide_next = argument.starts_with('-') && secret_name(argument);
                    if looks_like_token("", argument) { MASK.to_owned() } else { text(argument) }
                }
            }
        })
        .collect();
    shown.join(" ")
}

fn words(upper: &str) -> impl Iterator<Item = &str> {
    upper.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty())
}

fn looks_like_token(name: &str, value: &str) -> bool {
    if TOKEN_PREFIXES.iter().any(|prefix| value.starts_with(prefix)) && value.len() >= 16 {
        return true;
    }
    let plain = value.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '=' | '_' | '-'));
    if value.len() < 32 || !plain || !value.contains(|c: char| c.is_ascii_digit()) {
        return false;
    }
    if value.chars().all(|c| c.is_ascii_hexdigit()) {
        let upper = name.to_ascii_uppercase();
        return !words(&upper).any(|word| PUBLIC_HEX.contains(&word));
    }
    value.contains(|c: char| c.is_ascii_uppercase()) && value.contains(|c: char| c.is_ascii_lowercase()) && !value.contains('/')
}

/// Hides the password of every `scheme://user:password@host`.
fn urls(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (before, after) = rest.split_at(at + 3);
        out.push_str(before);
        let end = after.find(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '<' | '>' | ',')).unwrap_or(after.len());
        let (url, tail) = after.split_at(end);
        out.push_str(&without_password(url));
        rest = tail;
    }
    out.push_str(rest);
    out
}

/// `user:password@host/path` with the password hidden. A password may itself hold `/` or `@`, so when the host part has no
/// `@` but the rest does, everything between is hidden.
fn without_password(url: &str) -> String {
    let authority = url.find(['/', '?', '#']).map_or(url, |end| url.split_at(end).0);
    let Some(at) = authority.rfind('@').or_else(|| url.rfind('@')) else { return url.to_owned() };
    // `host:5000/team/app@sha256:...`: what follows the colon is a port, not a password.
    let port = authority.split_once(':').is_some_and(|(_, port)| !port.is_empty() && port.chars().all(|c| c.is_ascii_digit()));
    if !authority.contains('@') && port {
        return url.to_owned();
    }
    let (login, host) = url.split_at(at);
    match login.split_once(':') {
        Some((_, "")) | None => url.to_owned(),
        Some((user, _)) => format!("{user}:{MASK}{host}"),
    }
}

/// Hides the value of `password=...` and the like in connection strings and query strings.
fn settings(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('=') {
        let (name, after) = rest.split_at(at);
        out.push_str(name);
        out.push('=');
        let after = after.strip_prefix('=').unwrap_or(after);
        let word = name.rsplit(|c: char| c.is_whitespace() || matches!(c, '?' | '&' | ';' | ',' | '"' | '\'' | '{')).next();
        let end = after.find(|c: char| c.is_whitespace() || matches!(c, '&' | ';' | '"' | '\'')).unwrap_or(after.len());
        let is_file = is_key_file(after.get(..end).unwrap_or_default());
        if end > 0 && !is_file && word.is_some_and(|word| word.len() <= 64 && secret_name(word)) {
            out.push_str(MASK);
            rest = after.split_at(end).1;
        } else {
            rest = after;
        }
    }
    out.push_str(rest);
    out
}

/// A file that holds a key is named, not shown: `--key=tls.key`.
fn is_key_file(value: &str) -> bool {
    let plain = value.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '/' | '-' | '_'));
    let named =
        value.rsplit_once('.').is_some_and(|(name, kind)| !name.is_empty() && matches!(kind, "key" | "pem" | "crt" | "p12"));
    plain && named
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_mean_secrets_hide_the_whole_value() {
        for name in ["POSTGRES_PASSWORD", "apiKey", "JWT_SECRET", "github-token", "DB_PWD", "SMTP_PASS", "SIGNING_KEYS"] {
            assert_eq!(value(name, "hunter2"), MASK, "{name}");
        }
        for name in ["KEYCLOAK_HOST", "LOG_LEVEL", "COMPASS_MODE_", "PATH", "BYPASS_CACHE"] {
            assert_eq!(value(name, "debug"), "debug", "{name}");
        }
    }

    #[test]
    fn passwords_in_urls_and_connection_strings_are_hidden() {
        assert_eq!(value("DATABASE_URL", "postgresql://app:s3cret@postgres:5432/app"), "postgresql://app:***@postgres:5432/app");
        assert_eq!(
            value("DATABASE_URL", "postgresql://app:s3/cr@et@postgres:5432/app"),
            "postgresql://app:***@postgres:5432/app"
        );
        assert_eq!(value("REDIS", "redis://:pw@r:6379"), "redis://:***@r:6379");
        assert_eq!(value("URL", "postgres://app@db/x"), "postgres://app@db/x");
        assert_eq!(value("DSN", "host=db user=app password=pw dbname=x"), "host=db user=app password=*** dbname=x");
        assert_eq!(value("HOOK", "https://h.example/x?a=1&token=abc&b=2"), "https://h.example/x?a=1&token=***&b=2");
    }

    #[test]
    fn errors_of_registries_and_logs_stay_readable() {
        let kept = [
            "http://127.0.0.1:5999/v2/team/app@sha256:0123: connect: connection refused",
            r#"Get "http://10.88.0.64:9000/health": dial tcp 10.88.0.64:9000: connect: connection refused"#,
            "kubectl create secret tls shop-tls --cert=tls.crt --key=tls.key",
            r#"duplicate key value violates unique constraint "orders_pkey" DETAIL: Key (id)=(5) already exists"#,
        ];
        for line in kept {
            assert_eq!(text(line), line);
        }
        assert_eq!(text(r#"{"user": "app", "db_password": "pw"}"#), r#"{"user": "app", "db_password": "***"}"#);
        assert_eq!(text("input_value={'password': 'pw', 'port': 5}"), "input_value={'password': '***', 'port': 5}");
        assert_eq!(text("https://s3/x?X-Amz-Signature=abc&y=1"), "https://s3/x?X-Amz-Signature=***&y=1");
    }

    #[test]
    fn values_shaped_like_tokens_are_hidden_and_commits_are_not() {
        assert_eq!(value("X", "eyJhbGciOiJIUzI1NiJ9.e30.abc"), MASK);
        assert_eq!(value("X", "0123456789abcdef0123456789abcdef"), MASK);
        assert_eq!(value("GIT_COMMIT", "0123456789abcdef0123456789abcdef"), "0123456789abcdef0123456789abcdef");
        assert_eq!(
            value("IMAGE", "registry.example.com/team/a-long-application-name:v1.2.3"),
            "registry.example.com/team/a-long-application-name:v1.2.3"
        );
    }

    #[test]
    fn secrets_on_command_lines_are_hidden() {
        assert_eq!(command_line(&["server", "--password", "pw", "--port", "80"]), "server --password *** --port 80");
        assert_eq!(
            command_line(&["server", "--api-key=abc", "--db=postgres://a:b@c/d"]),
            "server --api-key=*** --db=postgres://a:***@c/d"
        );
    }
}
