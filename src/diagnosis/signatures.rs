//! Log signatures: what applications write when they fail, as data in `assets/signatures.toml`.
//!
//! Matching reads lines from the last one upwards and takes the first strong match: in a traceback the root exception is last,
//! in Java the deepest `Caused by` is. Weak signatures (a framework saying that it gives up) count only when nothing stronger
//! is found above them. To add a signature: an entry in the file and a line in `tests/fixtures/failures-cases.tsv` or a fixture.

use std::sync::OnceLock;

use regex::Regex;
use regex::bytes::{RegexSet, RegexSetBuilder};
use serde::Deserialize;

/// One signature.
#[derive(Debug, Deserialize)]
pub struct Signature {
    /// Unique name.
    pub id: String,
    /// The cause it proves.
    pub cause: String,
    /// The cause instead, when what it talks to turns out not to be a database.
    #[serde(default)]
    pub otherwise: Option<String>,
    /// How much it says.
    #[serde(default)]
    pub strength: Strength,
    /// Sentence; `{host}`, `{port}`, `{user}`, `{database}`, `{name}`, `{path}` are filled from named groups, `{at}` is `host:port`.
    pub says: String,
    /// Regular expressions of the `regex` crate, matched on one line.
    pub patterns: Vec<String>,
}

/// How much a match says about the cause.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Strength {
    /// A consequence: an outer layer gives up.
    Weak,
    /// Names the failure but not against what.
    Medium,
    /// Names the cause.
    #[default]
    Strong,
}

/// A match.
#[derive(Debug, Clone)]
pub struct Match<'s> {
    /// Which signature.
    pub signature: &'s Signature,
    /// Index of the line.
    pub line: usize,
    /// Named groups with their text.
    pub groups: Vec<(String, String)>,
}

impl Match<'_> {
    /// A named group.
    pub fn group(&self, name: &str) -> Option<&str> {
        self.groups.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }
}

#[derive(Debug, Deserialize)]
struct File {
    signature: Vec<Signature>,
}

/// All signatures, compiled.
#[derive(Debug)]
pub struct Signatures {
    list: Vec<Signature>,
    set: RegexSet,
    patterns: Vec<Pattern>,
}

/// One pattern: the index of its signature, and the expression for the groups, compiled when it matches for the first time.
#[derive(Debug)]
struct Pattern {
    signature: usize,
    text: String,
    regex: OnceLock<Option<Regex>>,
}

impl Pattern {
    fn regex(&self) -> Option<&Regex> {
        self.regex.get_or_init(|| Regex::new(&self.text).ok()).as_ref()
    }
}

/// How many lines from the end are read: a traceback of a deep framework fits.
const WINDOW: usize = 300;

impl Signatures {
    /// The signatures shipped with k3am.
    pub fn shipped() -> &'static Self {
        static SHIPPED: OnceLock<Signatures> = OnceLock::new();
        SHIPPED.get_or_init(|| {
            Self::parse(include_str!("../../assets/signatures.toml")).unwrap_or_else(|_| Self {
                list: Vec::new(),
                set: RegexSet::empty(),
                patterns: Vec::new(),
            })
        })
    }

    /// Parses and compiles a signature file.
    ///
    /// # Errors
    /// The text is not such a file, or a pattern is not a regular expression.
    pub fn parse(text: &str) -> Result<Self, String> {
        let file: File = toml::from_str(text).map_err(|e| e.to_string())?;
        let mut patterns = Vec::new();
        for (index, signature) in file.signature.iter().enumerate() {
            for pattern in &signature.patterns {
                patterns.push(Pattern { signature: index, text: pattern.clone(), regex: OnceLock::new() });
            }
        }
        // ASCII classes: Unicode's letters and digits in a hundred patterns cost 20 MiB and find nothing more in logs.
        let set = RegexSetBuilder::new(patterns.iter().map(|pattern| &pattern.text)).unicode(false).build();
        let set = set.map_err(|e| e.to_string())?;
        Ok(Self { list: file.signature, set, patterns })
    }

    /// Every signature.
    pub fn all(&self) -> &[Signature] {
        &self.list
    }

    /// The first signature (in the order of the file, stronger first) that matches one line.
    pub fn of_line(&self, line: &str, index: usize) -> Option<Match<'_>> {
        let hits = self.set.matches(line.as_bytes());
        let best = hits
            .iter()
            .filter_map(|hit| self.patterns.get(hit))
            .min_by_key(|p| (std::cmp::Reverse(self.list.get(p.signature).map(|x| x.strength)), p.signature))?;
        let (signature, regex) = (self.list.get(best.signature)?, best.regex()?);
        let captures = regex.captures(line)?;
        let groups = regex
            .capture_names()
            .flatten()
            .filter_map(|name| Some((base_name(name).to_owned(), captures.name(name)?.as_str().to_owned())))
            .collect();
        Some(Match { signature, line: index, groups })
    }

    /// The root cause among the last lines: the last strong match, else the last medium one, else the last weak one.
    pub fn find(&self, lines: &[&str]) -> Option<Match<'_>> {
        let start = lines.len().saturating_sub(WINDOW);
        let mut best: Option<Match<'_>> = None;
        for (index, line) in lines.iter().enumerate().skip(start).rev() {
            let Some(found) = self.of_line(line, index) else { continue };
            if best.as_ref().is_none_or(|b| b.signature.strength < found.signature.strength) {
                let strong = found.signature.strength == Strength::Strong;
                best = Some(found);
                if strong {
                    break;
                }
            }
        }
        best
    }
}

/// `host2` fills `host`: group names must be unique within one expression.
fn base_name(name: &str) -> &str {
    name.trim_end_matches(|c: char| c.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnosis::CauseId;

    #[test]
    fn shipped_signatures_parse_and_name_known_causes() {
        let parsed = Signatures::parse(include_str!("../../assets/signatures.toml")).expect("the shipped file is valid");
        for s in parsed.all() {
            assert!(CauseId::parse(&s.cause).is_some(), "{}: no such cause {}", s.id, s.cause);
            assert!(s.patterns.iter().all(|pattern| Regex::new(pattern).is_ok()), "{}", s.id);
            assert!(s.otherwise.as_deref().is_none_or(|c| CauseId::parse(c).is_some()), "{}", s.id);
        }
    }

    #[test]
    fn the_last_strong_line_wins_over_what_gives_up_below_it() {
        let lines = [
            "psycopg2.OperationalError: connection to server at \"db\", port 5432 failed: Connection refused",
            "ERROR:    Application startup failed. Exiting.",
        ];
        let found = Signatures::shipped().find(&lines).expect("a match");
        assert_eq!(found.signature.cause, "database-unreachable");
        assert_eq!(found.group("host"), Some("db"));
    }
}
