//! The newest time a bundle speaks of: when it was taken, as far as it can tell itself.

use serde_json::Value;

use crate::text::Time;

/// Fields that say when something happened. Others lie in the future (`deletionTimestamp`, expiries) or are an application's.
const FIELDS: &[&str] = &[
    "acquireTime",
    "completionTime",
    "creationTimestamp",
    "eventTime",
    "finishedAt",
    "firstTimestamp",
    "lastHeartbeatTime",
    "lastObservedTime",
    "lastProbeTime",
    "lastScaleTime",
    "lastScheduleTime",
    "lastSuccessfulTime",
    "lastTimestamp",
    "lastTransitionTime",
    "lastUpdateTime",
    "renewTime",
    "startTime",
    "startedAt",
    "time",
    "timeAdded",
    "timestamp",
];

/// The newest time in `value`, if it holds any.
pub(super) fn newest(value: &Value) -> Option<Time> {
    match value {
        Value::Object(map) => map
            .iter()
            .filter_map(|(field, value)| match value {
                Value::String(text) if FIELDS.contains(&field.as_str()) => parse(text),
                Value::Object(_) | Value::Array(_) if field != "fieldsV1" => newest(value),
                _ => None,
            })
            .max(),
        Value::Array(items) => items.iter().filter_map(newest).max(),
        _ => None,
    }
}

/// An RFC 3339 time.
pub(super) fn parse(text: &str) -> Option<Time> {
    chrono::DateTime::parse_from_rfc3339(text).ok().map(|t| t.to_utc())
}

/// How many fields a value has, all told: of two copies of an object the one that says more is kept.
pub(super) fn fields(value: &Value) -> usize {
    match value {
        Value::Object(map) => map.values().map(|value| 1 + fields(value)).sum(),
        Value::Array(items) => items.iter().map(|value| 1 + fields(value)).sum(),
        _ => 0,
    }
}

/// Names of files that say when a bundle was taken (`timestamp` of a must-gather), without extension.
const FILES: &[&str] = &["timestamp", "date", "time", "captured-at", "capturedat", "collected-at", "observed-at", "observedat"];

/// The time in a file that says when the bundle was taken: its last line that is a time and nothing else of weight.
pub(super) fn of_file(path: &str, text: &str) -> Option<Time> {
    let name = path.rsplit('/').next()?.split('.').next()?.to_lowercase();
    if !FILES.contains(&name.as_str()) {
        return None;
    }
    text.lines().take(10).filter_map(of_line).last()
}

/// RFC 3339, what Go prints of a time (`2026-11-22 20:31:30.5 +0000 UTC m=+0.1`), or `date`.
fn of_line(line: &str) -> Option<Time> {
    let line = line.trim();
    let go = || {
        let words: Vec<&str> = line.split_whitespace().take(3).collect();
        let [day, time, zone] = words.as_slice() else { return None };
        chrono::DateTime::parse_from_str(&format!("{day} {time} {zone}"), "%Y-%m-%d %H:%M:%S%.f %z").ok().map(|t| t.to_utc())
    };
    let date = || chrono::NaiveDateTime::parse_from_str(line, "%a %b %e %H:%M:%S UTC %Y").ok().map(|t| t.and_utc());
    parse(line).or_else(go).or_else(date)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_that_say_when_are_read_in_the_forms_of_their_tools() {
        let at = |text| of_file("must-gather/timestamp", text).map(|t| t.to_rfc3339());
        let gathered = "2026-11-22 20:31:30.123456 +0000 UTC m=+0.12\n2026-11-22 20:35:00 +0000 UTC m=+210.1\n";
        assert_eq!(at(gathered).as_deref(), Some("2026-11-22T20:35:00+00:00"));
        assert_eq!(at("Sun Nov 22 20:31:30 UTC 2026\n").as_deref(), Some("2026-11-22T20:31:30+00:00"));
        assert_eq!(at("soon"), None);
        assert_eq!(of_file("notes.txt", "2026-11-22T20:31:30Z"), None);
    }
}
