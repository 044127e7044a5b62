//! Themes: a style for each role the screen has. Four are compiled in (`assets/themes/*.toml`); colour only repeats what
//! glyphs and words already say, so `no-colour` loses nothing.
//!
//! To add a role: a line in [`roles!`] and in every theme file (a test fails otherwise).

use std::collections::BTreeMap;
use std::str::FromStr;

use ratatui::style::{Color, Modifier, Style};
use serde::Deserialize;

macro_rules! roles {
    ($($variant:ident = $name:literal, $doc:literal;)*) => {
        /// What a piece of the screen is, for its style.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Role { $(#[doc = $doc] $variant,)* }

        impl Role {
            /// Every role, in the order of the list.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// Its name in theme files.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }
        }
    };
}

roles! {
    Text = "text", "Plain text; its background is the screen's.";
    Dim = "dim", "What matters less: ages, units, healthy things.";
    Strong = "strong", "Names and titles.";
    Accent = "accent", "What a person can act on: links, the brand.";
    Critical = "critical", "Users are affected.";
    Warning = "warning", "Will hurt, or hurts little.";
    Ok = "ok", "Healthy, recovered.";
    Info = "info", "Worth knowing.";
    Selection = "selection", "The selected line.";
    SelectionUnfocused = "selection_unfocused", "The selected line of a pane without focus.";
    Border = "border", "Pane borders.";
    BorderFocused = "border_focused", "Border of the focused pane.";
    Title = "title", "Pane titles.";
    Header = "header", "The top line.";
    Footer = "footer", "The bottom line.";
    Key = "key", "A key in footers and help.";
    Column = "column", "Column titles.";
    Added = "added", "Added in a diff.";
    Removed = "removed", "Removed in a diff.";
    Match = "match", "A search match.";
    Input = "input", "A line being typed.";
    Chart = "chart", "Sparklines and bars.";
    Stale = "stale", "Data that is no longer confirmed.";
    Overlay = "overlay", "What lies under a dialog.";
    Danger = "danger", "The button that destroys.";
}

/// A style for every role.
#[derive(Debug, Clone, PartialEq)]
pub struct Theme {
    /// `dark`, `light`, `16-colour`, `no-colour`.
    pub name: String,
    styles: Vec<Style>,
}

impl Theme {
    /// The style of a role.
    pub fn style(&self, role: Role) -> Style {
        self.styles.get(role as usize).copied().unwrap_or_default()
    }
}

impl Default for Theme {
    fn default() -> Self {
        Self::named("dark").unwrap_or(Self { name: "dark".to_owned(), styles: Vec::new() })
    }
}

/// The compiled-in themes: name, file.
const THEMES: &[(&str, &str)] = &[
    ("dark", include_str!("../../assets/themes/dark.toml")),
    ("light", include_str!("../../assets/themes/light.toml")),
    ("16-colour", include_str!("../../assets/themes/16-colour.toml")),
    ("no-colour", include_str!("../../assets/themes/no-colour.toml")),
];

/// Names of the themes there are.
pub fn names() -> Vec<&'static str> {
    THEMES.iter().map(|(name, _)| *name).collect()
}

/// How one role is written: `text = { fg = "#d0d0d0", bold = true }`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Wire {
    fg: Option<String>,
    bg: Option<String>,
    bold: bool,
    dim: bool,
    italic: bool,
    underlined: bool,
    reversed: bool,
    crossed_out: bool,
}

impl Wire {
    fn style(&self) -> Result<Style, String> {
        let color =
            |text: &String| Color::from_str(text).map_err(|_| format!("`{text}` is not a colour: write a name or #rrggbb"));
        let style = Style {
            fg: self.fg.as_ref().map(color).transpose()?,
            bg: self.bg.as_ref().map(color).transpose()?,
            ..Style::default()
        };
        let modifiers = [
            (self.bold, Modifier::BOLD),
            (self.dim, Modifier::DIM),
            (self.italic, Modifier::ITALIC),
            (self.underlined, Modifier::UNDERLINED),
            (self.reversed, Modifier::REVERSED),
            (self.crossed_out, Modifier::CROSSED_OUT),
        ];
        Ok(modifiers.into_iter().filter(|(set, _)| *set).fold(style, |style, (_, modifier)| style.add_modifier(modifier)))
    }
}

impl Theme {
    /// The compiled-in theme of that name.
    pub fn named(name: &str) -> Option<Self> {
        let (name, text) = THEMES.iter().find(|(known, _)| *known == name)?;
        Self::parse(name, text).ok()
    }

    /// Reads a theme file: every role must be there, and nothing else.
    ///
    /// # Errors
    /// One sentence: what is missing, unknown or not a colour.
    pub fn parse(name: &str, text: &str) -> Result<Self, String> {
        let roles: BTreeMap<String, Wire> = toml::from_str(text).map_err(|error| error.message().to_owned())?;
        if let Some(unknown) = roles.keys().find(|key| !Role::ALL.iter().any(|role| role.name() == **key)) {
            return Err(format!("`{unknown}` is not a role"));
        }
        let style = |role: &Role| {
            let wire = roles.get(role.name()).ok_or_else(|| format!("role `{}` is missing", role.name()))?;
            wire.style().map_err(|error| format!("role `{}`: {error}", role.name()))
        };
        Ok(Self { name: name.to_owned(), styles: Role::ALL.iter().map(style).collect::<Result<_, _>>()? })
    }
}

/// The theme's name when nobody chose one: by what the terminal says it can show, and on which background (`COLORFGBG`,
/// `15;0` or `0;default;15`: the last number is the background, 7 and 9 to 15 are light).
pub fn fitting(term: &str, colorterm: &str, colorfgbg: &str) -> &'static str {
    let background = colorfgbg.rsplit(';').next().and_then(|n| n.parse::<u8>().ok());
    let full = if matches!(background, Some(7 | 9..=15)) { "light" } else { "dark" };
    match term {
        "dumb" => "no-colour",
        _ if matches!(colorterm, "truecolor" | "24bit") => full,
        term if term.contains("256color") || term.contains("direct") || term.is_empty() => full,
        "xterm-kitty" | "xterm-ghostty" | "alacritty" | "foot" | "wezterm" => full,
        _ => "16-colour",
    }
}
