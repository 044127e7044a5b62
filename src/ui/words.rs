//! Pieces of lines: wrapping, cutting, padding, and short forms of times and names. All take cleaned or raw text and clean it.

use ratatui::text::{Line, Span};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use crate::kinds::ObjectRef;
use crate::text::{Time, clean};

/// Wraps to `width` columns at spaces; a word longer than a line is broken. Never returns an empty list.
pub fn wrap(text: &str, width: usize) -> Vec<String> {
    let width = width.max(1);
    let mut lines = Vec::new();
    let mut line = String::new();
    for word in clean(text).split_whitespace() {
        let gap = usize::from(!line.is_empty());
        if line.width() + gap + word.width() <= width {
            if gap == 1 {
                line.push(' ');
            }
            line.push_str(word);
            continue;
        }
        if !line.is_empty() {
            lines.push(std::mem::take(&mut line));
        }
        line = break_word(word, width, &mut lines);
    }
    lines.push(line);
    lines
}

/// Pushes full lines of a long word and returns its rest.
fn break_word(word: &str, width: usize, lines: &mut Vec<String>) -> String {
    let mut line = String::new();
    for c in word.chars() {
        if line.width() + c.width().unwrap_or(0) > width && !line.is_empty() {
            lines.push(std::mem::take(&mut line));
        }
        line.push(c);
    }
    line
}

/// Without its first `left` columns, the cut marked with `…`.
pub fn shifted(text: &str, left: usize) -> String {
    if left == 0 || text.is_empty() {
        return text.to_owned();
    }
    format!("…{}", text.chars().skip(left + 1).collect::<String>())
}

/// `02:47:13`, UTC.
pub fn clock(time: Time) -> String {
    time.format("%H:%M:%S").to_string()
}

/// A pod's name without what its siblings share: `…-dl9x7`; short names stay whole.
pub fn short_name(name: &str, width: usize) -> String {
    let name = clean(name);
    if name.width() <= width || width < 4 {
        return crate::text::ellipsis(&name, width);
    }
    let mut tail = String::new();
    for c in name.chars().rev() {
        if tail.width() + 2 > width {
            break;
        }
        tail.insert(0, c);
    }
    format!("…{tail}")
}

/// What tells a generated name from its siblings: `…dl9x7` of `fastapi-deployment-6d8db7655b-dl9x7`; short names stay whole.
pub fn tail_name(name: &str) -> String {
    let name = clean(name);
    match name.rsplit_once('-') {
        Some((_, tail)) if name.width() > 20 => format!("…{tail}"),
        _ => crate::text::ellipsis(&name, 30),
    }
}

/// `pod …dl9x7`, `deployment orders-api`.
pub fn short_object(object: &ObjectRef, width: usize) -> String {
    let kind = clean(&object.kind).to_lowercase();
    let left = width.saturating_sub(kind.width() + 1);
    format!(
        "{kind} {}",
        short_name(&if &*object.kind == "Pod" { tail_name(&object.name) } else { object.name.to_string() }, left)
    )
}

/// Left text cut and padded, right text kept: exactly `width` columns where it fits.
pub fn spread(left: &str, right: &str, width: usize) -> (String, String) {
    let right_width = right.width();
    let room = width.saturating_sub(right_width + usize::from(right_width > 0));
    let left = crate::text::ellipsis(left, room);
    let pad = width.saturating_sub(left.width() + right_width);
    (format!("{left}{}", " ".repeat(pad)), right.to_owned())
}

/// Abbreviations a cause's id writes in lower case.
const ABBREVIATIONS: &[(&str, &str)] = &[
    ("oom", "OOM"),
    ("ip", "pod IPs"),
    ("dns", "DNS"),
    ("tls", "TLS"),
    ("api", "API"),
    ("cpu", "CPU"),
    ("configmap", "ConfigMap"),
];

/// `image-not-found` as words.
pub fn phrase(cause: &str) -> String {
    if let Some(why) = cause.strip_prefix("terminating-") {
        return format!("stuck Terminating: {}", why.replace('-', " "));
    }
    let word = |word| ABBREVIATIONS.iter().find(|(short, _)| *short == word).map_or(word, |(_, long)| *long);
    cause.split('-').map(word).collect::<Vec<_>>().join(" ")
}

/// `recovered after 41s`, or `recovered at once`.
pub fn recovered(after: chrono::TimeDelta) -> String {
    if after.num_seconds() < 1 {
        "recovered at once".to_owned()
    } else {
        format!("recovered after {}", crate::text::duration(after))
    }
}

/// A line cut to `width` columns, the cut marked with `…` in the style of what was cut.
pub fn fit(line: Line<'static>, width: usize) -> Line<'static> {
    if line.width() <= width {
        return line;
    }
    let mut left = width;
    let mut spans = Vec::new();
    for span in line.spans {
        let wide = span.width();
        // A span that ends exactly at the edge is cut too: more follows it.
        if wide < left {
            left -= wide;
            spans.push(span);
            continue;
        }
        spans.push(Span::styled(crate::text::ellipsis(&format!("{}  ", span.content), left), span.style));
        break;
    }
    Line { spans, ..Line::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrapping_keeps_every_word_and_breaks_only_what_is_too_long() {
        assert_eq!(wrap("the tag does not exist", 10), ["the tag", "does not", "exist"]);
        assert_eq!(wrap("abcdefghij k", 4), ["abcd", "efgh", "ij k"]);
        assert_eq!(wrap("", 4), [""]);
    }

    #[test]
    fn spread_is_exactly_as_wide_as_asked() {
        let (left, right) = spread("fastapi-deployment", "1m12s", 16);
        assert_eq!(format!("{left}{right}"), "fastapi-d… 1m12s");
    }

    #[test]
    fn a_fitted_line_marks_its_cut() {
        let line = || Line::from(vec![Span::raw("certain"), Span::raw(" since 02:47")]);
        assert_eq!(fit(line(), 40).to_string(), "certain since 02:47");
        assert_eq!(fit(line(), 12).to_string(), "certain sin…");
        assert_eq!(fit(line(), 7).to_string(), "certai…");
    }

    #[test]
    fn short_names_keep_their_end() {
        assert_eq!(short_name("fastapi-deployment-6d8db7655b-dl9x7", 6), "…dl9x7");
        assert_eq!(short_name("web", 6), "web");
    }
}
