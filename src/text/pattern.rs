//! Regular expressions for what programs and Kubernetes write: small, because there are hundreds of them.

use regex::Regex;

/// Compiles an expression of which `\w`, `\d`, `\s` and `\b` mean ASCII only: a tenth of the memory that Unicode's letters and
/// digits take, which log lines and messages of Kubernetes never ask for. Any other character class, and `.`, keep their meaning.
///
/// None when the text is not an expression.
pub fn compile(pattern: &str) -> Option<Regex> {
    Regex::new(&ascii(pattern)).ok()
}

/// The expression with its classes spelled out.
fn ascii(pattern: &str) -> String {
    let mut out = String::with_capacity(pattern.len() * 2);
    let mut chars = pattern.chars();
    // Classes may stand in classes.
    let mut depth = 0_usize;
    while let Some(c) = chars.next() {
        match c {
            '\\' => escaped(&mut out, chars.next(), depth > 0),
            '[' => {
                depth += 1;
                out.push(c);
                // A bracket that comes first is a character like any other.
                let negated = chars.as_str().starts_with('^');
                let ahead = chars.as_str().trim_start_matches('^');
                if negated {
                    out.extend(chars.next());
                }
                if ahead.starts_with(']') {
                    out.extend(chars.next());
                }
            }
            ']' => {
                depth = depth.saturating_sub(1);
                out.push(c);
            }
            c => out.push(c),
        }
    }
    out
}

fn escaped(out: &mut String, what: Option<char>, in_class: bool) {
    let class = match what {
        Some('w') => "0-9A-Za-z_",
        Some('d') => "0-9",
        Some('s') => r"\t\n\x0B\x0C\r\x20",
        Some('b') if !in_class => return out.push_str(r"(?-u:\b)"),
        other => {
            out.push('\\');
            return out.extend(other);
        }
    };
    let (open, close) = if in_class { ("", "") } else { ("[", "]") };
    out.extend([open, class, close]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_are_spelled_out_and_nothing_else_changes() {
        assert_eq!(ascii(r"a\.b [x\]] \\d \S"), r"a\.b [x\]] \\d \S");
        assert_eq!(ascii(r"\w+ [\w.-] [^\d] \b"), r"[0-9A-Za-z_]+ [0-9A-Za-z_.-] [^0-9] (?-u:\b)");
        assert_eq!(ascii(r"[]\d] [^]\d] [[\d]\d] \d"), "[]0-9] [^]0-9] [[0-9]0-9] [0-9]");
    }

    #[test]
    fn it_matches_what_the_long_form_matches_in_ascii() {
        for (pattern, text) in [
            (r"(?i)\bport\s+(\d{2,5})\b", "Listening on Port\t8080, ready"),
            (r#""([^"\s]+)" took ([\d.]+) ?ms"#, r#"GET "/naïve" took 12.5 ms"#),
            (r"^[\w.-]+/[\w./-]+:(\S+)$", "ghcr.io/acme/api:v1"),
        ] {
            let groups = |regex: Regex| -> Vec<Option<String>> {
                let captures = regex.captures(text).unwrap();
                captures.iter().map(|group| group.map(|group| group.as_str().to_owned())).collect()
            };
            assert_eq!(groups(compile(pattern).unwrap()), groups(Regex::new(pattern).unwrap()), "{pattern}");
        }
        assert!(compile("(").is_none());
    }
}
