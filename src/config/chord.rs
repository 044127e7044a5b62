//! Key chords as text (`ctrl-d`, `shift-n`, `space`, `f5`, `ctrl-\`, `[`) and as crossterm's plain data.
//!
//! Invariant: a chord from a file and the chord of the key event a terminal sends for it are equal, whatever protocol the
//! terminal speaks ([`Chord::of`]).

use std::fmt;
use std::str::FromStr;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

/// A key with its modifiers, in canonical form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd)]
pub struct Chord {
    /// The key; letters with Shift are upper case.
    pub code: KeyCode,
    /// Control, Alt, and Shift where the key's character does not already show it.
    pub modifiers: KeyModifiers,
}

/// Names of keys that are not a character.
const NAMES: &[(&str, KeyCode, &str)] = &[
    ("space", KeyCode::Char(' '), "Space"),
    ("enter", KeyCode::Enter, "Enter"),
    ("esc", KeyCode::Esc, "Esc"),
    ("tab", KeyCode::Tab, "Tab"),
    ("backspace", KeyCode::Backspace, "Backspace"),
    ("del", KeyCode::Delete, "Del"),
    ("ins", KeyCode::Insert, "Ins"),
    ("home", KeyCode::Home, "Home"),
    ("end", KeyCode::End, "End"),
    ("pgup", KeyCode::PageUp, "PgUp"),
    ("pgdn", KeyCode::PageDown, "PgDn"),
    ("up", KeyCode::Up, "↑"),
    ("down", KeyCode::Down, "↓"),
    ("left", KeyCode::Left, "←"),
    ("right", KeyCode::Right, "→"),
];

/// What may be written, for error messages.
pub const GRAMMAR: &str = "a character, space, enter, esc, tab, backspace, del, ins, home, end, pgup, pgdn, up, down, left, right \
                           or f1-f12, with ctrl-, alt- or shift- before it";

/// Why a text is not a chord, as a sentence.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NotAChord(String);

impl Chord {
    /// The chord of a key event, in the form [`Chord::from_str`] gives for its text.
    pub fn of(event: &KeyEvent) -> Self {
        Self::canonical(event.code, event.modifiers)
    }

    fn canonical(code: KeyCode, modifiers: KeyModifiers) -> Self {
        let mut modifiers = modifiers & (KeyModifiers::CONTROL | KeyModifiers::ALT | KeyModifiers::SHIFT);
        let code = match code {
            KeyCode::BackTab => {
                modifiers |= KeyModifiers::SHIFT;
                KeyCode::Tab
            }
            KeyCode::Char(c) if modifiers.contains(KeyModifiers::CONTROL) => KeyCode::Char(control(c)),
            KeyCode::Char(c) => {
                let c = if modifiers.contains(KeyModifiers::SHIFT) { upper(c) } else { c };
                // What Shift does is in the character already; only the space has no other form.
                if c != ' ' {
                    modifiers -= KeyModifiers::SHIFT;
                }
                KeyCode::Char(c)
            }
            KeyCode::Null => {
                modifiers |= KeyModifiers::CONTROL;
                KeyCode::Char(' ')
            }
            other => other,
        };
        Self { code, modifiers }
    }

    /// True for what is typed as text: a character without Control or Alt.
    pub fn is_text(&self) -> bool {
        matches!(self.code, KeyCode::Char(_)) && !self.modifiers.intersects(KeyModifiers::CONTROL | KeyModifiers::ALT)
    }

    /// As the help shows it: `Ctrl-D`, `u`, `N`, `Space`, `↓`.
    pub fn label(&self) -> String {
        let key = match self.code {
            KeyCode::Char(c) if c != ' ' && self.modifiers.contains(KeyModifiers::CONTROL) => upper(c).to_string(),
            KeyCode::Char(c) if c != ' ' => c.to_string(),
            KeyCode::F(n) => format!("F{n}"),
            code => {
                NAMES.iter().find(|(_, known, _)| *known == code).map_or_else(String::new, |(_, _, label)| (*label).to_owned())
            }
        };
        format!("{}{key}", prefix(self.modifiers, ["Ctrl-", "Alt-", "Shift-"]))
    }
}

/// Terminals without the kitty protocol send Ctrl with `\ ] ^ _` as the bytes 0x1C-0x1F, which crossterm reads as Ctrl-4 to 7.
fn control(c: char) -> char {
    match c {
        '4' => '\\',
        '5' => ']',
        '6' => '^',
        '7' => '_',
        c => c.to_ascii_lowercase(),
    }
}

fn upper(c: char) -> char {
    let mut upper = c.to_uppercase();
    match (upper.next(), upper.next()) {
        (Some(only), None) => only,
        _ => c,
    }
}

fn prefix(modifiers: KeyModifiers, words: [&str; 3]) -> String {
    let flags = [KeyModifiers::CONTROL, KeyModifiers::ALT, KeyModifiers::SHIFT];
    flags.into_iter().zip(words).filter(|(flag, _)| modifiers.contains(*flag)).map(|(_, word)| word).collect()
}

impl fmt::Display for Chord {
    /// As a config file writes it; parses back to the same chord.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&prefix(self.modifiers, ["ctrl-", "alt-", "shift-"]))?;
        match self.code {
            KeyCode::Char(c) if c != ' ' => write!(f, "{c}"),
            KeyCode::F(n) => write!(f, "f{n}"),
            code => f.write_str(NAMES.iter().find(|(_, known, _)| *known == code).map_or("", |(name, ..)| name)),
        }
    }
}

impl FromStr for Chord {
    type Err = NotAChord;

    fn from_str(text: &str) -> Result<Self, NotAChord> {
        let mut modifiers = KeyModifiers::NONE;
        let mut key = text.trim();
        while let Some((modifier, rest)) = split_modifier(key) {
            modifiers |= modifier;
            key = rest;
        }
        let code = code_of(key).ok_or_else(|| NotAChord(format!("`{text}` is not a key: write {GRAMMAR}")))?;
        let same = match code {
            KeyCode::Char('i' | 'I') => Some("tab"),
            KeyCode::Char('m' | 'M') => Some("enter"),
            KeyCode::Char('[') => Some("esc"),
            _ => None,
        };
        match same {
            Some(other) if modifiers.contains(KeyModifiers::CONTROL) => {
                Err(NotAChord(format!("`{text}` cannot be bound: a terminal sends the same for it as for {other}")))
            }
            _ => Ok(Self::canonical(code, modifiers)),
        }
    }
}

/// `ctrl-x` → Control and `x`; a lone `-` is a key, not a separator.
fn split_modifier(text: &str) -> Option<(KeyModifiers, &str)> {
    let known = [
        ("ctrl-", KeyModifiers::CONTROL),
        ("alt-", KeyModifiers::ALT),
        ("shift-", KeyModifiers::SHIFT),
        ("c-", KeyModifiers::CONTROL),
    ];
    known.into_iter().find_map(|(word, modifier)| {
        let head = text.get(..word.len())?;
        let rest = text.get(word.len()..).filter(|rest| !rest.is_empty())?;
        head.eq_ignore_ascii_case(word).then_some((modifier, rest))
    })
}

fn code_of(key: &str) -> Option<KeyCode> {
    let mut chars = key.chars();
    if let (Some(only), None) = (chars.next(), chars.next()) {
        return (!only.is_control()).then_some(KeyCode::Char(only));
    }
    let lower = key.to_ascii_lowercase();
    let alias = match &*lower {
        "escape" => "esc",
        "return" => "enter",
        "delete" => "del",
        "insert" => "ins",
        "pageup" => "pgup",
        "pagedown" => "pgdn",
        other => other,
    };
    let number = || alias.strip_prefix('f')?.parse::<u8>().ok().filter(|n| (1..=12).contains(n)).map(KeyCode::F);
    NAMES.iter().find(|(name, ..)| *name == alias).map(|(_, code, _)| *code).or_else(number)
}
