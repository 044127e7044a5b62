//! What can go wrong between us and a cluster, as sentences that say what to do.
//!
//! Invariant: no variant ever holds a token, a Secret's value or a whole response body. `kube::Error` is never displayed
//! (it prints the whole `Status` in debug form); [`Error::from_client`] takes from it what a person can use.

use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

use crate::protobuf;
use crate::text::clean;

/// Why a call to a cluster failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// There is no kubeconfig and we do not run inside a cluster.
    #[error(
        "no kubeconfig with a context: looked at {looked}, and this is not a pod. Point KUBECONFIG or --kubeconfig at one, or run `k3am demo`"
    )]
    NoKubeconfig {
        /// Which paths were tried.
        looked: String,
    },
    /// We run in a pod, whose service account cannot be used.
    #[error(
        "no kubeconfig with a context (looked at {looked}), and this pod's service account cannot be used: {why}. Does the pod set \
         automountServiceAccountToken: false?"
    )]
    NoServiceAccount {
        /// Which paths were tried.
        looked: String,
        /// Which file, and what is wrong with it.
        why: String,
    },
    /// A kubeconfig cannot be read.
    #[error("cannot read the kubeconfig {}: {why}", path.display())]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// The operating system's words.
        why: String,
    },
    /// A kubeconfig is not valid.
    #[error("the kubeconfig {}{} is not valid: {why}", path.display(), at_line(*line))]
    Invalid {
        /// Which file.
        path: PathBuf,
        /// Line in it, when known.
        line: Option<u64>,
        /// What is wrong, without quoting the file (it holds credentials).
        why: String,
    },
    /// No context of that name.
    #[error("no context named {name:?} in the kubeconfig; it knows: {}", list(known))]
    UnknownContext {
        /// What was asked for.
        name: String,
        /// What there is.
        known: Vec<String>,
    },
    /// The kubeconfig names no current context and none was asked for.
    #[error("{}", no_current(known))]
    NoCurrentContext {
        /// What there is.
        known: Vec<String>,
    },
    /// A context, cluster or user entry cannot be used.
    #[error("the context {context:?} cannot be used: {why}")]
    BadContext {
        /// Context name.
        context: String,
        /// What is wrong with it.
        why: String,
    },
    /// The exec credential plugin failed.
    #[error("the credential plugin `{command}` failed: {said}. Log in with it (or run `kubectl get pods` once), then try again")]
    AuthPlugin {
        /// The plugin's command.
        command: String,
        /// What it wrote to stderr, or why it could not be started.
        said: String,
    },
    /// The exec credential plugin is not there.
    #[error("the credential plugin `{command}` is not installed, or not on PATH; install it, then try again{}", hinted(hint))]
    NoAuthPlugin {
        /// The plugin's command.
        command: String,
        /// How to install it, in the kubeconfig's words; may be empty.
        hint: String,
    },
    /// Credentials could not be loaded or refreshed, other than by a plugin.
    #[error("cannot use the credentials of this context: {0}")]
    Credentials(String),
    /// 401: the server does not accept the credentials.
    #[error("the server does not accept the credentials (401): they may have expired. Log in again")]
    Unauthorized,
    /// The server cannot be reached.
    #[error("cannot reach {host}: {why}")]
    Unreachable {
        /// Host and port of the API server.
        host: String,
        /// Why, in a few words.
        why: String,
    },
    /// No answer in time.
    #[error("no answer from {host} within {}s: is the VPN up, is the server overloaded?", after.as_secs())]
    TimedOut {
        /// Host and port of the API server.
        host: String,
        /// How long we waited.
        after: Duration,
    },
    /// The server said no with a `Status`.
    #[error("{message}")]
    Status {
        /// HTTP status code.
        code: u16,
        /// Machine-readable reason: `Forbidden`, `NotFound`, `Conflict`, ...
        reason: String,
        /// The server's words.
        message: String,
        /// When the server wants us back (`Retry-After`), in seconds.
        retry_after: Option<u64>,
    },
    /// The answer is not what a Kubernetes server says (a proxy or login page in between?).
    #[error("{host} did not answer as a Kubernetes server does ({what}); is a proxy or login page in between?")]
    Garbage {
        /// Host and port.
        host: String,
        /// What was wrong.
        what: String,
    },
    /// The server has no such resource.
    #[error("the server has no {0}")]
    NoSuchKind(String),
    /// A write whose answer did not come.
    #[error("{why}. It may have been done all the same: look before trying again")]
    MaybeDone {
        /// What happened.
        why: String,
    },
    /// A plan of several writes that stopped in the middle.
    #[error("{done} of {of} steps were done, then: {why}")]
    PartlyDone {
        /// Writes that were done.
        done: usize,
        /// Writes of the plan.
        of: usize,
        /// Why it stopped.
        why: String,
    },
    /// Writes are off.
    #[error("read-only: {0}")]
    ReadOnly(String),
}

fn hinted(hint: &str) -> String {
    if hint.is_empty() { String::new() } else { format!(": {hint}") }
}

fn at_line(line: Option<u64>) -> String {
    line.map_or_else(String::new, |line| format!(", line {line},"))
}

fn no_current(known: &[String]) -> String {
    if known.is_empty() {
        return "the kubeconfig holds no context: add one (`kubectl config set-context`), or run `k3am demo`".to_owned();
    }
    format!("the kubeconfig has no current-context; pick one with --context: {}", list(known))
}

fn list(names: &[String]) -> String {
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

/// The parts of a `metav1.Status` we read.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Status {
    pub(crate) message: Option<String>,
    pub(crate) reason: Option<String>,
    pub(crate) code: u16,
}

impl Status {
    /// From its message in protobuf.
    pub(crate) fn of_message(raw: &[u8]) -> Option<Self> {
        protobuf::read(protobuf::schema().message("meta.v1.Status")?, raw).ok()
    }

    /// From a body in JSON or, when objects were asked for in protobuf, in that.
    fn read(body: &[u8]) -> Option<Self> {
        match protobuf::open_envelope(body) {
            Ok((_, _, raw)) => Self::of_message(raw),
            Err(_) => serde_json::from_slice(body).ok(),
        }
    }
}

impl Error {
    /// The error a response of `code` with this body means.
    pub(crate) fn from_response(host: &str, code: u16, retry_after: Option<u64>, body: &[u8]) -> Self {
        if code == 401 {
            return Self::Unauthorized;
        }
        let status = Status::read(body);
        let Some(status) = status.filter(|s| s.message.is_some() || s.reason.is_some()) else {
            let plain = plain_text(body);
            let message = match &*plain {
                "" => format!("{host} answered {code}"),
                plain => plain.to_owned(),
            };
            return Self::Status { code, reason: String::new(), message, retry_after };
        };
        Self::from_status(code, retry_after, status)
    }

    /// The error a `Status` means (of a response, or in a watch stream).
    pub(crate) fn from_status(code: u16, retry_after: Option<u64>, status: Status) -> Self {
        let reason = status.reason.unwrap_or_default();
        let message = status.message.filter(|m| !m.is_empty()).unwrap_or_else(|| format!("the server answered {code} {reason}"));
        Self::Status { code, reason, message: clean(&message), retry_after }
    }

    /// What is useful of a client error, seen while talking to `host`.
    pub(crate) fn from_client(host: &str, error: &kube::Error) -> Self {
        match error {
            kube::Error::Api(status) => {
                let own =
                    Status { message: Some(status.message.clone()), reason: Some(status.reason.clone()), code: status.code };
                Self::from_status(status.code, None, own)
            }
            kube::Error::Auth(auth) => Self::from_auth(auth),
            other => Self::unreachable(host, other),
        }
    }

    /// An I/O failure somewhere down the chain of `error`, in a few words.
    pub(crate) fn unreachable(host: &str, error: &(dyn std::error::Error + 'static)) -> Self {
        let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
        let mut innermost = String::new();
        while let Some(error) = cause {
            if let Some(kube::Error::Auth(auth)) = error.downcast_ref::<kube::Error>() {
                return Self::from_auth(auth);
            }
            if let Some(auth) = error.downcast_ref::<kube::client::AuthError>() {
                return Self::from_auth(auth);
            }
            innermost = error.to_string();
            cause = error.source();
        }
        Self::Unreachable { host: host.to_owned(), why: in_few_words(&innermost) }
    }

    fn from_auth(error: &kube::client::AuthError) -> Self {
        use kube::client::AuthError;
        match error {
            AuthError::AuthExecRun { cmd, out } => Self::AuthPlugin {
                command: program_of(cmd),
                said: match plain_text(&out.stderr) {
                    said if said.is_empty() => format!("it ended with {} and said nothing", out.status),
                    said => said,
                },
            },
            AuthError::ReadTokenFile(error, path) => {
                Self::Credentials(format!("cannot read the token file {}: {error}", path.display()))
            }
            AuthError::InvalidBearerToken(_) => Self::Credentials("the token holds characters no header may hold".to_owned()),
            _ => Self::Credentials("the login could not be completed; log in with your provider's tool".to_owned()),
        }
    }

    /// True for 403.
    pub fn is_forbidden(&self) -> bool {
        matches!(self, Self::Status { code: 403, .. })
    }

    /// True for 404.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::Status { code: 404, .. })
    }

    /// True for 410 or an expired continue token: only a new list helps.
    pub fn is_gone(&self) -> bool {
        matches!(self, Self::Status { code: 410, .. }) || matches!(self, Self::Status { reason, .. } if reason == "Expired")
    }

    /// True when the answer is not what this API answers.
    pub fn is_garbage(&self) -> bool {
        matches!(self, Self::Garbage { .. })
    }

    /// Seconds the server asked us to wait.
    pub(crate) fn retry_after(&self) -> Option<u64> {
        match self {
            Self::Status { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}

/// The start of a body or of what a plugin said, as one clean line.
pub(crate) fn plain_text(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes.get(..600).unwrap_or(bytes));
    if text.trim_start().starts_with('<') {
        return String::new();
    }
    clean(text.trim()).split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The program in a `Command`'s debug form (`VAR="x" "program" "arg"`, with escapes): never its arguments or environment, which
/// may hold secrets. The first quoted word that no `NAME=` stands before.
fn program_of(command: &str) -> String {
    let (mut word, mut in_word, mut is_value, mut before) = (String::new(), false, false, ' ');
    let mut chars = command.chars();
    while let Some(c) = chars.next() {
        match (in_word, c) {
            (false, '"') => {
                (in_word, is_value) = (true, before == '=');
                word.clear();
            }
            (true, '"') if !is_value => return clean(&word),
            (true, '"') => in_word = false,
            (true, '\\') => word.extend(chars.next()),
            (true, c) => word.push(c),
            (false, _) => {}
        }
        before = c;
    }
    "exec".to_owned()
}

fn in_few_words(innermost: &str) -> String {
    const KNOWN: &[(&str, &str)] = &[
        ("Connection refused", "connection refused (is the cluster running, is the port right?)"),
        ("deadline has elapsed", "no answer while connecting (is the VPN up?)"),
        ("timed out", "no answer while connecting (is the VPN up?)"),
        ("lookup address", "its name cannot be resolved (is the VPN up, is the name right?)"),
        ("No route to host", "no route to it (is the VPN up?)"),
        ("Network is unreachable", "the network is unreachable (is the VPN up?)"),
        (
            "UnknownIssuer",
            "its certificate is signed by an authority this context does not trust (is certificate-authority-data old?)",
        ),
        (
            "certificate expired",
            "its certificate has expired (or this machine's clock is wrong): the cluster's admin must renew it",
        ),
        ("certificate not valid yet", "its certificate is not valid yet: is this machine's clock right?"),
        ("not valid for name", "its certificate is for another name: set tls-server-name, or use a name the certificate has"),
        ("invalid peer certificate", "its certificate is not valid for this context"),
        ("corrupt message", "it does not speak TLS: is it http, or another port?"),
        ("InvalidContentType", "it does not speak TLS: is it http, or another port?"),
        ("CertificateExpired", "it says that our client certificate has expired: fetch a new kubeconfig"),
        ("CertificateRequired", "it wants a client certificate, and this context has none"),
        ("received fatal alert", "it does not accept our client certificate: fetch a new kubeconfig"),
        ("keys may not be consistent", "its client-key does not belong to its client-certificate"),
        ("invalid HTTP version", "it does not speak HTTP: is it https, or another port?"),
        ("tunnel error: unsuccessful", "the proxy does not let us through (must the server be in NO_PROXY?)"),
        ("proxy authorization required", "the proxy wants a user and a password"),
        ("SOCKS error", "the proxy cannot be reached, or does not let us through"),
        ("connection closed", "it closed the connection"),
        ("Connection reset", "it closed the connection"),
        ("unexpected end of file", "it closed the connection"),
    ];
    let known = KNOWN.iter().find(|(pattern, _)| innermost.to_lowercase().contains(&pattern.to_lowercase()));
    known.map_or_else(|| clean(innermost), |(_, words)| (*words).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_speaks_in_the_servers_words_and_401_says_what_to_do() {
        let body = br#"{"kind":"Status","message":"pods is forbidden: User \"x\" cannot list","reason":"Forbidden","code":403}"#;
        let error = Error::from_response("h:1", 403, None, body);
        assert!(error.is_forbidden());
        assert_eq!(error.to_string(), "pods is forbidden: User \"x\" cannot list");
        assert!(Error::from_response("h:1", 401, None, b"").to_string().contains("Log in again"));
    }

    #[test]
    fn a_login_page_is_not_quoted() {
        assert_eq!(Error::from_response("h:1", 502, None, b"<html>secret</html>").to_string(), "h:1 answered 502");
    }

    #[test]
    fn only_the_program_of_a_plugin_is_named() {
        assert_eq!(program_of(r#"INFO="{\"a\":\"b\"}" TOKEN="abc" "aws" "--token" "s3cr3t""#), "aws");
        assert_eq!(program_of(r#""aws" "--token" "s3cr3t""#), "aws");
    }
}
