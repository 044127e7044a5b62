//! What `/` understands: a regular expression, `!re` for lines without, `-f text` fuzzy, `-l k=v` labels. A space is a space.

use std::ops::Range;

use regex::{Regex, RegexBuilder};

/// A filter as typed, ready to use.
#[derive(Debug, Clone)]
pub struct Filter {
    /// As typed.
    pub text: String,
    how: How,
}

#[derive(Debug, Clone)]
enum How {
    Regex(Regex),
    Not(Regex),
    Fuzzy(Vec<char>),
    Labels(Vec<(String, Option<String>)>),
}

/// Upper bound for a compiled expression: nothing typed by a person needs more.
const REGEX_BYTES: usize = 1 << 20;

impl Filter {
    /// Reads what was typed; `None`: nothing, no filter. What is no regular expression is taken literally: an expression is
    /// none while it is half typed.
    pub fn parse(text: &str) -> Option<Self> {
        let how = if text.trim().is_empty() || text == "!" {
            return None;
        } else if let Some(text) = text.strip_prefix("-f ") {
            How::Fuzzy(text.chars().filter(|c| !c.is_whitespace()).flat_map(char::to_lowercase).collect())
        } else if let Some(labels) = text.strip_prefix("-l ") {
            How::Labels(labels.split(',').map(label).collect())
        } else if let Some(expression) = text.strip_prefix('!') {
            How::Not(regex(expression)?)
        } else {
            How::Regex(regex(text)?)
        };
        Some(Self { text: text.to_owned(), how })
    }

    /// True for text that stays. Labels say nothing about text.
    pub fn keeps(&self, text: &str) -> bool {
        match &self.how {
            How::Regex(regex) => regex.is_match(text),
            How::Not(regex) => !regex.is_match(text),
            How::Fuzzy(wanted) => fuzzy(wanted, text),
            How::Labels(_) => true,
        }
    }

    /// True for labels that stay; filters on text say nothing about labels.
    pub fn keeps_labels<'a>(&self, value: impl Fn(&str) -> Option<&'a str>) -> bool {
        match &self.how {
            How::Labels(wanted) => wanted.iter().all(|(key, is)| match is {
                Some(is) => value(key) == Some(is),
                None => value(key).is_some(),
            }),
            How::Regex(_) | How::Not(_) | How::Fuzzy(_) => true,
        }
    }

    /// Byte ranges of `text` that match, for highlighting.
    pub fn ranges(&self, text: &str) -> Vec<Range<usize>> {
        match &self.how {
            How::Regex(regex) => regex.find_iter(text).map(|m| m.range()).filter(|r| !r.is_empty()).take(64).collect(),
            How::Not(_) | How::Fuzzy(_) | How::Labels(_) => Vec::new(),
        }
    }
}

/// Case matters only when an upper-case letter was typed.
fn regex(expression: &str) -> Option<Regex> {
    let any_case = !expression.chars().any(char::is_uppercase);
    let build = |text: &str| RegexBuilder::new(text).case_insensitive(any_case).size_limit(REGEX_BYTES).build().ok();
    build(expression).or_else(|| build(&regex::escape(expression)))
}

fn label(text: &str) -> (String, Option<String>) {
    match text.trim().split_once('=') {
        Some((key, value)) => (key.trim_end_matches('=').to_owned(), Some(value.trim_start_matches('=').to_owned())),
        None => (text.trim().to_owned(), None),
    }
}

/// True when the characters occur in that order.
fn fuzzy(wanted: &[char], text: &str) -> bool {
    let mut chars = text.chars().flat_map(char::to_lowercase);
    wanted.iter().all(|c| chars.any(|other| other == *c))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(text: &str) -> Filter {
        Filter::parse(text).expect("not empty")
    }

    #[test]
    fn each_form_keeps_what_it_says() {
        assert!(filter("time ?out").keeps("a Timeout"));
        assert!(!filter("Time").keeps("a timeout"));
        assert!(filter("!health").keeps("GET /orders") && !filter("!health").keeps("GET /health"));
        assert!(filter("-f fadep").keeps("fastapi-deployment"));
        assert!(filter("-l app=web").keeps_labels(|key| (key == "app").then_some("web")));
        assert!(!filter("-l app=web").keeps_labels(|_| None));
        assert!(filter("f(").keeps("call f(x)"), "no expression: taken literally");
        assert!(Filter::parse(" ").is_none());
    }
}
