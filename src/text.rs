//! Text helpers with no dependency on anything else: ages, quantities, ellipsis, cleaning of untrusted text.
//!
//! Invariant: nothing here reads a clock; every time is an argument.

use chrono::{DateTime, TimeDelta, Utc};

pub mod pattern;

/// Shared, immutable text: object names, namespaces, images, reasons. Cheap to clone, interned by [`crate::kinds::Pool`].
pub type Text = std::sync::Arc<str>;

/// A point in time as the cluster writes it (RFC 3339, UTC).
pub type Time = DateTime<Utc>;

/// Removes what a hostile string could do to a terminal: control characters, ANSI escape sequences, bidi overrides.
///
/// Newlines become spaces; a tab becomes one space. Sequences starting with ESC are dropped whole.
pub fn clean(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\u{1b}' => skip_escape(&mut chars),
            '\u{9b}' => skip_csi(&mut chars),
            '\n' | '\r' | '\t' => out.push(' '),
            c if c.is_control() || is_bidi_control(c) => {}
            c => out.push(c),
        }
    }
    out
}

/// As [`clean`], for a line whose leading white space means something (YAML, tracebacks): tabs become two spaces.
pub fn clean_keeping_indent(line: &str) -> String {
    clean(&line.replace('\t', "  "))
}

/// True for characters that reorder or hide the text around them (Unicode bidi controls, zero-width, BOM).
fn is_bidi_control(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}' | '\u{61c}')
}

fn skip_escape(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) {
    match chars.next() {
        Some('[') => skip_csi(chars),
        // OSC, DCS, SOS, PM, APC run until BEL or ESC \.
        Some(']' | 'P' | 'X' | '^' | '_') => {
            while let Some(c) = chars.next() {
                if c == '\u{7}' || (c == '\u{1b}' && chars.next_if_eq(&'\\').is_some()) {
                    break;
                }
            }
        }
        _ => {}
    }
}

fn skip_csi(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) {
    for c in chars.by_ref() {
        if ('\u{40}'..='\u{7e}').contains(&c) {
            break;
        }
    }
}

/// A duration as a person reads it at a glance: `4s`, `1m12s`, `42m`, `3h05m`, `2d`, `1y40d`. Negative is `0s`.
pub fn duration(delta: TimeDelta) -> String {
    let s = delta.num_seconds().max(0);
    match s {
        0..60 => format!("{s}s"),
        60..600 => format!("{}m{:02}s", s / 60, s % 60),
        600..3600 => format!("{}m", s / 60),
        3600..86_400 => format!("{}h{:02}m", s / 3600, s % 3600 / 60),
        86_400..31_536_000 => format!("{}d", s / 86_400),
        _ => format!("{}y{}d", s / 31_536_000, s % 31_536_000 / 86_400),
    }
}

/// `2026-11-22T20:31:30Z`: a time as the cluster writes it, for quotes.
pub fn timestamp(at: Time) -> String {
    at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true)
}

/// How long ago `then` was at `now`, as [`duration`].
pub fn age(then: Time, now: Time) -> String {
    duration(now - then)
}

/// A moment for a sentence that is read later than it was made, where an age would be wrong by then: `02:46:54 UTC` within a day
/// of `now`, else `2026-11-14 02:46 UTC`.
pub fn moment(at: Time, now: Time) -> String {
    let near = (now - at).abs() < chrono::TimeDelta::hours(20);
    at.format(if near { "%H:%M:%S UTC" } else { "%Y-%m-%d %H:%M UTC" }).to_string()
}

/// Cuts `text` to `width` terminal columns, marking the cut with `…`.
pub fn ellipsis(text: &str, width: usize) -> String {
    use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};
    if text.width() <= width {
        return text.to_owned();
    }
    let mut out = String::new();
    let mut used = 0;
    for c in text.chars() {
        let w = c.width().unwrap_or(0);
        if used + w + 1 > width {
            break;
        }
        used += w;
        out.push(c);
    }
    if width > 0 {
        out.push('…');
    }
    out
}

/// Parses a Kubernetes quantity (`128Mi`, `250m`, `1e3`, `2`) into its plain number (bytes, cores, ...).
///
/// Grammar: `apimachinery/pkg/api/resource/quantity.go`. `None` when it is not a quantity.
pub fn quantity(text: &str) -> Option<f64> {
    let text = text.trim();
    let split = text.find(|c: char| !(c.is_ascii_digit() || matches!(c, '.' | '+' | '-'))).unwrap_or(text.len());
    let (number, suffix) = text.split_at(split);
    let value: f64 = number.parse().ok()?;
    let factor = match suffix {
        "" => 1.0,
        "n" => 1e-9,
        "u" => 1e-6,
        "m" => 1e-3,
        "k" => 1e3,
        "M" => 1e6,
        "G" => 1e9,
        "T" => 1e12,
        "P" => 1e15,
        "E" => 1e18,
        "Ki" => 1024.0,
        "Mi" => 1024f64.powi(2),
        "Gi" => 1024f64.powi(3),
        "Ti" => 1024f64.powi(4),
        "Pi" => 1024f64.powi(5),
        "Ei" => 1024f64.powi(6),
        exponent => 10f64.powi(exponent.strip_prefix(['e', 'E'])?.parse().ok()?),
    };
    Some(value * factor)
}

/// Bytes as Kubernetes writes memory: `141Mi`, `1.5Gi`, `512Ki`.
pub fn bytes(value: f64) -> String {
    let (amount, unit) = match value {
        v if v >= 1024f64.powi(3) => (v / 1024f64.powi(3), "Gi"),
        v if v >= 1024f64.powi(2) => (v / 1024f64.powi(2), "Mi"),
        v if v >= 1024.0 => (v / 1024.0, "Ki"),
        v => (v, ""),
    };
    if amount >= 10.0 || (amount - amount.round()).abs() < 0.05 {
        format!("{amount:.0}{unit}")
    } else {
        format!("{amount:.1}{unit}")
    }
}

/// Cores as Kubernetes writes CPU: `41m`, `500m`, `2`, `1.5`.
pub fn cores(value: f64) -> String {
    if value < 1.0 {
        format!("{:.0}m", value * 1000.0)
    } else if (value - value.round()).abs() < 0.05 {
        format!("{value:.0}")
    } else {
        format!("{value:.1}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_names_its_day_when_that_is_not_this_one() {
        let at = |text: &str| text.parse::<Time>().unwrap();
        let now = at("2026-01-02T03:04:05Z");
        assert_eq!(moment(at("2026-01-02T03:00:00Z"), now), "03:00:00 UTC");
        assert_eq!(moment(at("2026-01-02T03:05:00Z"), now), "03:05:00 UTC", "what is still to come");
        assert_eq!(moment(at("2025-12-24T03:00:00Z"), now), "2025-12-24 03:00 UTC");
    }

    #[test]
    fn clean_drops_escapes_controls_and_bidi() {
        assert_eq!(clean("a\u{1b}[31mred\u{1b}[0m b\u{7}\tc\u{202e}d"), "ared b cd");
        assert_eq!(clean("\u{1b}]0;title\u{7}x\u{1b}]52;c;aGk=\u{1b}\\y"), "xy");
    }

    #[test]
    fn quantities_parse_as_the_api_server_writes_them() {
        assert_eq!(quantity("128Mi"), Some(134_217_728.0));
        assert_eq!(quantity("250m"), Some(0.25));
        assert_eq!(quantity("1e3"), Some(1000.0));
        assert_eq!(quantity("nope"), None);
    }

    #[test]
    fn ellipsis_marks_every_cut() {
        assert_eq!(ellipsis("deployment", 6), "deplo…");
        assert_eq!(ellipsis("pod", 6), "pod");
    }
}
