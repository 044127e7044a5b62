//! Fields of structured log lines: `level=error msg="no route"`, `{"level":"error","msg":"no route"}`.

/// The value of a field of the line, without quotes; `None` where it has no such field.
pub fn of<'a>(line: &'a str, key: &str) -> Option<&'a str> {
    line.match_indices(key).find_map(|(at, _)| value_at(line, at, key))
}

fn value_at<'a>(line: &'a str, at: usize, key: &str) -> Option<&'a str> {
    let before = line.get(..at)?.chars().next_back();
    let rest = line.get(at + key.len()..)?;
    let value = match before {
        Some('"') => rest.strip_prefix('"')?.trim_start().strip_prefix(':')?.trim_start(),
        None | Some(' ' | '\t' | '{' | ',') => rest.strip_prefix('=')?,
        Some(_) => return None,
    };
    match value.strip_prefix('"') {
        Some(quoted) => quoted.split('"').next(),
        None => value.split([' ', ',', '}', '\t']).next(),
    }
}

#[cfg(test)]
mod tests {
    use super::of;

    #[test]
    fn fields_of_logfmt_and_json_are_found_and_nothing_else() {
        assert_eq!(of("ts=1 level=error msg=\"no route\"", "level"), Some("error"));
        assert_eq!(of("ts=1 level=error msg=\"no route\"", "msg"), Some("no route"));
        assert_eq!(of("{\"level\": \"warn\",\"status\":500}", "level"), Some("warn"));
        assert_eq!(of("{\"level\": \"warn\",\"status\":500}", "status"), Some("500"));
        assert_eq!(of("sublevel=1 a level of detail", "level"), None);
        assert_eq!(of("xlevel=1 level=2", "level"), Some("2"));
    }
}
