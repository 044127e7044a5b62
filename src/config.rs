//! Settings: defaults (`assets/`, compiled in) ← user file ← `K3AM_*` ← flags. Keys, themes, favourites, protected contexts.
//!
//! Pure: [`Config::build`] gets every source as text and returns a usable configuration with the [`Problem`]s it met; a bad
//! entry is skipped and named by its line. [`sources::Sources`] says where the texts come from.

pub mod action;
pub mod chord;
pub mod file;
pub mod keymap;
pub mod place;
pub mod sources;
pub mod theme;

use std::fmt;

pub use action::Action;
pub use chord::Chord;
pub use keymap::{Bind, BoundKey, HelpGroup, Hit, Keymap};
pub use place::Place;
pub use sources::{Flags, Sources};
pub use theme::{Role, Theme};

/// Everything a user can set.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Config {
    /// What keys do.
    pub keymap: Keymap,
    /// How it looks.
    pub theme: Theme,
    /// Every write is refused.
    pub readonly: bool,
    /// Namespaces on the keys 1 to 9 of tables.
    pub favourite_namespaces: Vec<String>,
    /// Contexts whose name must be typed before an action; `*` stands for any text.
    pub protected_contexts: Vec<String>,
}

/// Something wrong in a source, as a sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// File or variable.
    pub source: String,
    /// Line in the file, from 1.
    pub line: Option<usize>,
    /// What is wrong and what is allowed.
    pub what: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "{} line {line}: {}", self.source, self.what),
            None => write!(f, "{}: {}", self.source, self.what),
        }
    }
}

impl Config {
    /// The defaults.
    pub fn defaults() -> Self {
        Self::build(&Sources::default()).0
    }

    /// The configuration from all sources, and what was wrong in them. What is wrong is skipped.
    pub fn build(sources: &Sources) -> (Self, Vec<Problem>) {
        let mut problems = Vec::new();
        let keymap = file::read("assets/keymap.toml", include_str!("../assets/keymap.toml"), &mut problems);
        let mut merged = file::read("assets/config.toml", include_str!("../assets/config.toml"), &mut problems);
        let user = sources.file.as_ref().map(|(name, text)| (name, file::read(name, text, &mut problems)));
        let mut binds = file::default_binds("assets/keymap.toml", keymap.bind, &mut problems);
        if let Some((name, user)) = user {
            file::rebind(name, &user.bind, &mut binds, &mut problems);
            merged.take_settings(user);
        }
        merged.take_settings(sources.environment(&mut problems));
        merged.take_settings(sources.flags());
        let theme = theme_of(merged.theme.as_deref().unwrap_or("auto"), sources, &mut problems);
        let config = Self {
            keymap: Keymap::new(binds),
            theme,
            readonly: merged.readonly.unwrap_or_default(),
            favourite_namespaces: merged.favourite_namespaces.unwrap_or_default(),
            protected_contexts: merged.protected_contexts.unwrap_or_default(),
        };
        (config, problems)
    }

    /// True when actions in that context ask for its name.
    pub fn is_protected(&self, context: &str) -> bool {
        self.protected_contexts.iter().any(|pattern| glob(pattern, context))
    }
}

fn theme_of(chosen: &str, sources: &Sources, problems: &mut Vec<Problem>) -> Theme {
    let variable = |name| sources.variable(name).unwrap_or_default();
    // no-color.org: set and not empty. A theme that was asked for by name goes first.
    let fits = || theme::fitting(variable("TERM"), variable("COLORTERM"), variable("COLORFGBG"));
    let fitting = if variable("NO_COLOR").is_empty() { fits() } else { "no-colour" };
    let name = if chosen == "auto" { fitting } else { chosen };
    Theme::named(name).unwrap_or_else(|| {
        let what = format!("there is no theme `{name}`: choose auto, {}", theme::names().join(", "));
        problems.push(Problem { source: "theme".to_owned(), line: None, what });
        Theme::named(fitting).unwrap_or_default()
    })
}

/// Matches `text` against a pattern in which `*` stands for any text.
fn glob(pattern: &str, text: &str) -> bool {
    let Some((head, rest)) = pattern.split_once('*') else { return pattern == text };
    let Some(text) = text.strip_prefix(head) else { return false };
    (0..=text.len()).any(|at| text.get(at..).is_some_and(|tail| glob(rest, tail)))
}
