//! Image references and the registries behind them: which tags exist, and how each registry refuses.
//!
//! The catalogue is `assets/practice/registry.yaml`; error texts are those of containerd in the captures.

use serde_json::Value;
use std::sync::OnceLock;

static CATALOGUE: &str = include_str!("../../../assets/practice/registry.yaml");

/// A parsed image reference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// The registry's host, `docker.io` when none is written.
    pub host: String,
    /// The repository below the host.
    pub path: String,
    /// The tag, `latest` when none is written.
    pub tag: String,
}

impl Reference {
    /// Parses a reference; the parser's complaint when it is malformed.
    pub fn parse(image: &str) -> Result<Self, String> {
        let (first, rest) = image.split_once('/').unwrap_or(("", image));
        let has_host = first.contains('.') || first.contains(':') || first == "localhost";
        let (host, rest) = if has_host { (first.to_owned(), rest) } else { ("docker.io".to_owned(), image) };
        let rest = rest.split_once('@').map_or(rest, |(name, _)| name);
        let (path, tag) = rest.rsplit_once(':').unwrap_or((rest, "latest"));
        let usable =
            |text: &str| !text.is_empty() && text.chars().all(|letter| letter.is_ascii_alphanumeric() || "._-/".contains(letter));
        if path.chars().any(|letter| letter.is_ascii_uppercase()) {
            let name = path.split(':').next().unwrap_or(path);
            return Err(format!("invalid reference format: repository name ({name}) must be lowercase"));
        }
        if !usable(path) || !usable(tag) || tag.contains('/') {
            return Err("invalid reference format".to_owned());
        }
        let path = if host == "docker.io" && !path.contains('/') { format!("library/{path}") } else { path.to_owned() };
        Ok(Self { host, path, tag: tag.to_owned() })
    }

    /// The full name as containerd prints it.
    pub fn full(&self) -> String {
        format!("{}/{}:{}", self.host, self.path, self.tag)
    }

    /// Whether its default user is root: all but those that say otherwise.
    pub fn runs_as_root(&self) -> bool {
        !self.path.starts_with("acme/nonroot-")
    }

    /// The last part of the path.
    pub fn short(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or_default()
    }
}

/// What a pull of an existing image costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pulled {
    /// Bytes, as the `Pulled` event prints them.
    pub bytes: u64,
}

/// Asks the registry for an image: its size, or the error in containerd's words.
pub fn pull(reference: &Reference) -> Result<Pulled, String> {
    let name = format!("{}/{}", reference.host, reference.path);
    let rule = catalogue().iter().find(|rule| name.starts_with(rule.prefix.as_str()));
    let full = reference.full();
    let resolving = format!("failed to pull and unpack image \"{full}\": failed to resolve reference \"{full}\"");
    let missing = || Err(format!("rpc error: code = NotFound desc = {resolving}: {full}: not found"));
    let request =
        format!("failed to do request: Head \"https://{}/v2/{}/manifests/{}\"", reference.host, reference.path, reference.tag);
    match rule.map(|rule| &rule.answer) {
        Some(Answer::Status(status)) => Err(format!(
            "{resolving}: pulling from host {} failed with status code [manifests {}]: {status}",
            reference.host, reference.tag
        )),
        Some(Answer::Refused) => {
            let address = if reference.host.contains(':') { &reference.host } else { "192.0.2.80:443" };
            Err(format!("{resolving}: {request}: dial tcp {address}: connect: connection refused"))
        }
        Some(Answer::NoHost) => {
            Err(format!("{resolving}: {request}: dial tcp: lookup {} on 10.0.0.2:53: no such host", reference.host))
        }
        Some(Answer::Tls(error)) => Err(format!("{resolving}: {request}: {error}")),
        Some(Answer::NoPlatform) => Err(format!(
            "rpc error: code = NotFound desc = failed to pull and unpack image \"{full}\": no match for platform in manifest: not found"
        )),
        Some(Answer::Tags(tags, bytes)) if tags.iter().any(|tag| matches_tag(tag, &reference.tag)) => {
            Ok(Pulled { bytes: *bytes })
        }
        Some(Answer::Tags(..)) => missing(),
        None if ["typo", "nonexistent", "does-not-exist"].iter().any(|word| reference.tag.contains(word)) => missing(),
        None => Ok(Pulled { bytes: 48_230_117 }),
    }
}

fn matches_tag(pattern: &str, tag: &str) -> bool {
    pattern.strip_suffix('*').map_or_else(|| pattern == tag, |start| tag.starts_with(start))
}

struct Rule {
    prefix: String,
    answer: Answer,
}

enum Answer {
    Tags(Vec<String>, u64),
    Status(String),
    Refused,
    NoHost,
    /// The handshake fails with this error.
    Tls(String),
    /// It exists, but not for this machine.
    NoPlatform,
}

/// The rules, longest prefix first so that the most specific one answers.
fn catalogue() -> &'static [Rule] {
    static RULES: OnceLock<Vec<Rule>> = OnceLock::new();
    RULES.get_or_init(|| {
        let parsed: Value = serde_saphyr::from_str(CATALOGUE).unwrap_or_default();
        let mut rules: Vec<Rule> = parsed.as_array().into_iter().flatten().filter_map(rule).collect();
        rules.sort_by_key(|rule| std::cmp::Reverse(rule.prefix.len()));
        rules
    })
}

fn rule(entry: &Value) -> Option<Rule> {
    let prefix = entry.get("prefix")?.as_str()?.to_owned();
    let answer = match entry.get("answer").and_then(Value::as_str) {
        Some("refused") => Answer::Refused,
        Some("no such host") => Answer::NoHost,
        Some("no match for platform") => Answer::NoPlatform,
        Some(error) if error.starts_with("tls:") => Answer::Tls(error.to_owned()),
        Some(status) => Answer::Status(status.to_owned()),
        None => {
            let tags = entry.get("tags")?.as_array()?.iter().filter_map(|tag| tag.as_str().map(str::to_owned)).collect();
            Answer::Tags(tags, entry.get("bytes").and_then(Value::as_u64).unwrap_or(48_230_117))
        }
    };
    Some(Rule { prefix, answer })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_read_as_containerd_reads_them() {
        assert_eq!(Reference::parse("busybox:1.36").unwrap().full(), "docker.io/library/busybox:1.36");
        assert_eq!(Reference::parse("127.0.0.1:5001/team/app:v1").unwrap().full(), "127.0.0.1:5001/team/app:v1");
        assert_eq!(Reference::parse("grafana/loki").unwrap().full(), "docker.io/grafana/loki:latest");
        let refused = Reference::parse("Registry.Local/Orders:V1:bad").unwrap_err();
        assert_eq!(refused, "invalid reference format: repository name (Orders) must be lowercase");
    }

    #[test]
    fn the_catalogue_is_readable_and_refuses_an_unknown_tag() {
        assert!(catalogue().len() > 5);
        let known = Reference::parse("registry.local/orders:v1").unwrap();
        assert!(pull(&known).is_ok());
        let typo = Reference::parse("127.0.0.1:5001/team/app:v1.0.O").unwrap();
        let expected = "rpc error: code = NotFound desc = failed to pull and unpack image \"127.0.0.1:5001/team/app:v1.0.O\": failed to resolve reference \"127.0.0.1:5001/team/app:v1.0.O\": 127.0.0.1:5001/team/app:v1.0.O: not found";
        assert_eq!(pull(&typo).unwrap_err(), expected);
    }
}
