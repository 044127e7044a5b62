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
