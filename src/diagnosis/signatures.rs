//! Log signatures: what applications write when they fail, as data in `assets/signatures.toml`.
//!
//! Matching reads lines from the last one upwards and takes the first strong match: in a traceback the root exception is last,
//! in Java the deepest `Caused by` is. Weak signatures (a framework saying that it gives up) count only when nothing stronger
//! is found above them. To add a signature: an entry in the file and a line in `tests/fixtures/failures-cases.tsv` or a fixture.

use std::borrow::Cow;
use std::sync::{LazyLock, OnceLock};

use regex::Regex;
use regex::bytes::{RegexSet, RegexSetBuilder};
use serde::Deserialize;

use crate::text::pattern::compile;

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
    /// What one of the lines just above must match for this one to count.
    #[serde(default)]
    pub above: Option<String>,
    /// Causes that bring this one about: told of shortly above, they are the answer.
    #[serde(default)]
    pub follows: Vec<String>,
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
    /// By signature: the expression of `above`.
    above: Vec<Option<Pattern>>,
}

/// One pattern: the index of its signature, and the expression for the groups, compiled when it matches for the first time.
#[derive(Debug)]
struct Pattern {
    signature: usize,
    text: String,
    regex: OnceLock<Option<Regex>>,
}

impl Pattern {
    fn new(signature: usize, text: &str) -> Self {
        Self { signature, text: text.to_owned(), regex: OnceLock::new() }
    }

    fn regex(&self) -> Option<&Regex> {
        self.regex.get_or_init(|| compile(&self.text)).as_ref()
    }
}

/// How many lines from the end are read: a traceback of a deep framework fits.
const WINDOW: usize = 300;
/// How far above a line its `above` and `follows` are looked for: the frames of a traceback, the attempts before giving up.
const NEARBY: usize = 60;

/// A program that says it came up got over what it complained of before.
static CAME_UP: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let said = r"(?i)\b(?:(?:re)?connected (?:to|successfully)|connection (?:re-?established|restored|succeeded)|connected\.?$|listening (?:on|at)|(?:up and )?running on http|startup complete|ready to (?:accept|handle|serve)|started \w+ in [\d.]+ ?s|accepting connections)|[ \x22]HTTP/[12](?:\.\d)?\x22 2\d\d\b";
    compile(said)
});
static NOT_UP: LazyLock<Option<Regex>> = LazyLock::new(|| {
    compile(
        r"(?i)\bnot (?:yet )?(?:connected|accepting|ready|listening|running)|error|fail|disconnect|cannot|could not|unable|is the server running",
    )
});

/// Telemetry that cannot be delivered and notices of a database are told of beside every other failure: nobody ends of them.
static ASIDE: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let asides = r"(?i)\botel\b|otel-|opentelemetry|\botlp|(?:traces|spans|metrics) (?:export|to )|export(?:ing|er)? (?:traces|spans|metrics|batch)|jaeger|zipkin|\bsentry\b|statsd|datadog|ddtrace|newrelic|new relic|pyroscope|telemetry|NOTICE:  ";
    compile(asides)
});

/// A line that says what is done instead: the program went on without, whatever ended it later.
static GOT_OVER: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let said = r"(?i)\bfall(?:ing|s|en)? ?back\b|\busing (?:the |an? )?(?:in-memory|local|default|built-in|asyncio|fallback)\b|\b(?:go|going|carry|carrying|continu(?:e|ing)|proceed|proceeding|start|starting|runn?|running) (?:on )?without\b|\bcontinuing (?:anyway|startup|with)\b|\b(?:is|are|now|will be|been) (?:off|disabled|skipped|ignored)\b|\bskipping\b|\bignoring\b|\bignored\b|\boptional\b|\bdisabling\b|\bdegraded mode\b";
    compile(said)
});
static TROUBLE: LazyLock<Option<Regex>> = LazyLock::new(|| compile(r"(?i)error|exception|fatal|critical|panic|traceback"));

/// What a database server tells of its clients in its own log: it does not end of them. (Process 1 is the server itself.)
static OF_CLIENT: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let said = r#"^\d{4}-\d\d-\d\d [\d:.]+ \S+ \[(?:\d{2,}|[2-9])\]:? .*(?:FATAL|ERROR|DETAIL|LOG): |"logger":"postgres"|"ctx":"conn\d+"|\[(?:Note|Warning)\] .*Access denied for user"#;
    compile(said)
});

fn says(regex: &LazyLock<Option<Regex>>, line: &str) -> bool {
    regex.as_ref().is_some_and(|regex| regex.is_match(line))
}

/// True for a complaint that ended nothing: one the program got over, when trouble of another kind follows, or one about a client.
fn ended_nothing(lines: &[&str], found: &Match<'_>) -> bool {
    let Some(line) = lines.get(found.line) else { return false };
    let cause = &*found.signature.cause;
    let of_others = cause.starts_with("database-") || matches!(cause, "dependency-unreachable" | "migration-failed");
    if of_others && says(&OF_CLIENT, line) {
        return true;
    }
    let below = lines.get(found.line + 1..).unwrap_or_default();
    says(&GOT_OVER, line) && below.iter().any(|line| says(&TROUBLE, line))
}

/// True for a line about telemetry and the like.
pub fn is_aside(line: &str) -> bool {
    ASIDE.as_ref().is_some_and(|regex| regex.is_match(line))
}

/// True for a line that says that the program came up, or answered a request well.
pub fn came_up(line: &str) -> bool {
    let matches = |regex: &LazyLock<Option<Regex>>| regex.as_ref().is_some_and(|regex| regex.is_match(line));
    matches(&CAME_UP) && !matches(&NOT_UP)
}

/// The text inside a line: JSON loggers escape quotes and put a whole traceback on one line.
fn unescaped(line: &str) -> Cow<'_, str> {
    if line.contains("\\\"") || line.contains("\\n") {
        Cow::Owned(line.replace("\\n", "\n").replace("\\t", "\t").replace("\\\"", "\""))
    } else {
        Cow::Borrowed(line)
    }
}

impl Signatures {
    /// The signatures shipped with k3am.
    pub fn shipped() -> &'static Self {
        static SHIPPED: OnceLock<Signatures> = OnceLock::new();
        SHIPPED.get_or_init(|| {
            Self::parse(include_str!("../../assets/signatures.toml")).unwrap_or_else(|_| Self {
                list: Vec::new(),
                set: RegexSet::empty(),
                patterns: Vec::new(),
                above: Vec::new(),
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
                patterns.push(Pattern::new(index, pattern));
            }
        }
        // ASCII classes: Unicode's letters and digits in a hundred patterns cost 20 MiB and find nothing more in logs.
        let set = RegexSetBuilder::new(patterns.iter().map(|pattern| &pattern.text)).unicode(false).build();
        let set = set.map_err(|e| e.to_string())?;
        let above = file.signature.iter().map(|s| s.above.as_deref().map(|text| Pattern::new(0, text))).collect();
        Ok(Self { list: file.signature, set, patterns, above })
    }

    /// Every signature.
    pub fn all(&self) -> &[Signature] {
        &self.list
    }

    /// The first signature (in the order of the file, stronger first) that matches one line by itself.
    pub fn of_line(&self, line: &str, index: usize) -> Option<Match<'_>> {
        let found = self.at(&[line], 0)?;
        Some(Match { line: index, ..found })
    }

    /// The same among lines: signatures that need one of the lines above count too, and so does each line inside a JSON string.
    fn at(&self, lines: &[&str], index: usize) -> Option<Match<'_>> {
        let line = unescaped(lines.get(index)?);
        let inside: Vec<&str> = line.lines().collect();
        let told_above = |number: usize, signature: usize| {
            let Some(regex) = self.above.get(signature).and_then(Option::as_ref).and_then(Pattern::regex) else { return false };
            let before = lines.get(index.saturating_sub(NEARBY)..index).unwrap_or_default();
            before.iter().chain(inside.iter().take(number)).any(|line| regex.is_match(line))
        };
        let found =
            inside.iter().enumerate().filter_map(|(n, line)| self.best(line, index, |signature| told_above(n, signature)));
        found.reduce(|best, next| if next.signature.strength >= best.signature.strength { next } else { best })
    }

    fn best(&self, line: &str, index: usize, told_above: impl Fn(usize) -> bool) -> Option<Match<'_>> {
        let hits = self.set.matches(line.as_bytes());
        let best = hits
            .iter()
            .filter_map(|hit| self.patterns.get(hit))
            .filter(|p| self.above.get(p.signature).is_none_or(Option::is_none) || told_above(p.signature))
            .min_by_key(|p| (std::cmp::Reverse(self.list.get(p.signature).map(|x| x.strength)), p.signature))?;
        let (signature, regex) = (self.list.get(best.signature)?, best.regex()?);
        let captures = regex.captures(line)?;
        let groups = regex
            .capture_names()
            .flatten()
            .filter_map(|name| Some((base_name(name).to_owned(), captures.name(name)?.as_str().to_owned())))
            .filter(|(_, text)| !text.is_empty())
            .collect();
        Some(Match { signature, line: index, groups })
    }

    /// Errors of Node and .NET end with bare codes: the same cause a few lines above may tell of whom and where.
    fn fuller<'s>(&'s self, lines: &[&str], found: Match<'s>) -> Match<'s> {
        if !found.groups.is_empty() {
            return found;
        }
        let above = (found.line.saturating_sub(NEARBY / 3)..found.line).rev();
        let same = |m: &Match<'_>| m.signature.cause == found.signature.cause && m.signature.strength >= found.signature.strength;
        above.filter_map(|index| self.at(lines, index)).find(|m| same(m) && !m.groups.is_empty()).unwrap_or(found)
    }

    /// The root cause among the last lines: the last strong match, else the last medium one, else the last weak one. What a
    /// program complained of before it came up counts only when it has complained of nothing since.
    pub fn find(&self, lines: &[&str]) -> Option<Match<'_>> {
        self.among(lines, |line| !is_aside(line)).or_else(|| self.among(lines, |_| true))
    }

    fn among(&self, lines: &[&str], counts: impl Fn(&str) -> bool) -> Option<Match<'_>> {
        let start = lines.len().saturating_sub(WINDOW);
        let mut best: Option<Match<'_>> = None;
        for (index, line) in lines.iter().enumerate().skip(start).rev() {
            if best.is_some() && came_up(line) {
                break;
            }
            let Some(found) = self.at(lines, index).filter(|m| counts(line) && !ended_nothing(lines, m)) else { continue };
            if best.as_ref().is_none_or(|b| b.signature.strength < found.signature.strength) {
                let strong = found.signature.strength == Strength::Strong;
                best = Some(found);
                if strong {
                    break;
                }
            }
        }
        let best = best?;
        let above = (best.line.saturating_sub(NEARBY)..best.line).rev().take_while(|_| !best.signature.follows.is_empty());
        let reason = above
            .filter_map(|index| self.at(lines, index))
            .find(|m| m.signature.strength == Strength::Strong && best.signature.follows.contains(&m.signature.cause));
        Some(self.fuller(lines, reason.unwrap_or(best)))
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
            assert!(s.patterns.iter().all(|pattern| compile(pattern).is_some()), "{}", s.id);
            let others = s.otherwise.iter().chain(&s.follows);
            assert!(others.into_iter().all(|c| CauseId::parse(c).is_some()), "{}", s.id);
            assert!(s.above.as_deref().is_none_or(|above| compile(above).is_some()), "{}", s.id);
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
