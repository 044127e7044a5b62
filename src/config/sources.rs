//! Where settings come from, as text: the user's file, the environment, flags.

use std::path::PathBuf;

use super::Problem;
use super::file::Wire;

/// Settings given on the command line.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Flags {
    /// `--theme`.
    pub theme: Option<String>,
    /// `--readonly` was given.
    pub readonly: bool,
}

/// Every source as text. Empty: the defaults.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sources {
    /// The user's file: its name for messages, its text.
    pub file: Option<(String, String)>,
    /// Environment variables, those that count: `K3AM_*`, `NO_COLOR`, `TERM`, `COLORTERM`, `COLORFGBG`.
    pub variables: Vec<(String, String)>,
    /// Flags.
    pub flags: Flags,
}

/// Where the user's file is: `$K3AM_CONFIG`, else `$XDG_CONFIG_HOME/k3am/config.toml`, else `~/.config/k3am/config.toml`.
pub fn user_file(variable: impl Fn(&str) -> Option<String>) -> Option<PathBuf> {
    let set = |name| variable(name).filter(|value| !value.is_empty());
    let home = || set("HOME").map(|home| PathBuf::from(home).join(".config"));
    set("K3AM_CONFIG")
        .map(PathBuf::from)
        .or_else(|| set("XDG_CONFIG_HOME").map(PathBuf::from).or_else(home).map(|base| base.join("k3am/config.toml")))
}

impl Sources {
    /// The sources of this process, and why the user's file could not be read, if it is there and could not.
    pub fn of_process(flags: Flags) -> (Self, Vec<Problem>) {
        let mut problems = Vec::new();
        let file = user_file(|name| std::env::var(name).ok()).and_then(|path| match std::fs::read_to_string(&path) {
            Ok(text) => Some((path.display().to_string(), text)),
            Err(error) => {
                let asked_for = std::env::var_os("K3AM_CONFIG").is_some();
                if asked_for || error.kind() != std::io::ErrorKind::NotFound {
                    let what = format!("cannot be read: {error}");
                    problems.push(Problem { source: path.display().to_string(), line: None, what });
                }
                None
            }
        });
        let counts = |name: &str| name.starts_with("K3AM_") || matches!(name, "NO_COLOR" | "TERM" | "COLORTERM" | "COLORFGBG");
        let variables = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .filter(|(name, _)| counts(name))
            .collect();
        (Self { file, variables, flags }, problems)
    }

    pub(super) fn variable(&self, name: &str) -> Option<&str> {
        self.variables.iter().find(|(known, _)| known == name).map(|(_, value)| &**value)
    }

    /// `K3AM_*` as settings; an empty variable counts as not set.
    pub(super) fn environment(&self, problems: &mut Vec<Problem>) -> Wire {
        let set = |name| self.variable(name).filter(|value| !value.is_empty());
        let list = |name| set(name).map(|value| value.split(',').map(|item| item.trim().to_owned()).collect());
        let readonly = set("K3AM_READONLY").map(|value| match &*value.to_ascii_lowercase() {
            "1" | "true" | "yes" | "on" => true,
            "0" | "false" | "no" | "off" => false,
            _ => {
                let what = format!("`{value}` is neither true nor false; nothing will be written");
                problems.push(Problem { source: "K3AM_READONLY".to_owned(), line: None, what });
                true
            }
        });
        Wire {
            theme: set("K3AM_THEME").map(str::to_owned),
            readonly,
            favourite_namespaces: list("K3AM_FAVOURITE_NAMESPACES"),
            protected_contexts: list("K3AM_PROTECTED_CONTEXTS"),
            bind: Vec::new(),
        }
    }

    pub(super) fn flags(&self) -> Wire {
        Wire { theme: self.flags.theme.clone(), readonly: self.flags.readonly.then_some(true), ..Wire::default() }
    }
}
