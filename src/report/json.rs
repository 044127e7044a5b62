//! The report as JSON: the stable schema `k3am.dev/report/v1` (`assets/report.schema.json`, which the tests check).

use serde::Serialize;

use super::Report;
use crate::changes::{Change, DiffLine, Sureness, TimelineEntry};
use crate::diagnosis::{Evidence, Fix, Incident};
use crate::kinds::ObjectRef;
use crate::text::{Time, clean};

/// The schema's name and version.
pub const SCHEMA: &str = "k3am.dev/report/v1";

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'a> {
    schema: &'static str,
    observed_at: String,
    source: Source<'a>,
    complete: bool,
    missing: Vec<MissingEntry<'a>>,
    incidents: Vec<IncidentEntry<'a>>,
    timeline: Vec<TimelineLine<'a>>,
}

#[derive(Serialize)]
struct Source<'a> {
    kind: &'static str,
    name: &'a str,
}

#[derive(Serialize)]
struct MissingEntry<'a> {
    what: &'a str,
    why: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct IncidentEntry<'a> {
    cause: &'static str,
    severity: &'static str,
    title: &'a str,
    since: Option<String>,
    workloads: &'a [ObjectRef],
    objects: &'a [ObjectRef],
    evidence: Vec<EvidenceEntry<'a>>,
    change: Option<ChangeEntry<'a>>,
    fixes: Vec<FixEntry<'a>>,
}

#[derive(Serialize)]
struct EvidenceEntry<'a> {
    object: &'a ObjectRef,
    from: &'static str,
    field: &'a str,
    text: &'a str,
    at: Option<String>,
}

#[derive(Serialize)]
struct ChangeEntry<'a> {
    kind: &'static str,
    object: &'a ObjectRef,
    at: String,
    by: Option<&'a str>,
    revision: Option<i64>,
    diff: Vec<String>,
    sure: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    because: Option<&'a str>,
}

#[derive(Serialize)]
struct TimelineLine<'a> {
    at: String,
    kind: &'static str,
    object: &'a ObjectRef,
    what: String,
    by: Option<&'a str>,
    diff: Vec<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct FixEntry<'a> {
    title: &'a str,
    command: &'a str,
    risk: &'static str,
    one_key: bool,
    why: &'a str,
}

/// Renders the report, indented, with a newline at the end.
///
/// # Errors
/// Never in practice: every value is plain text or a number.
pub fn render(report: &Report) -> Result<String, serde_json::Error> {
    let document = Document {
        schema: SCHEMA,
        observed_at: time(report.observed_at),
        source: Source { kind: report.source.word(), name: &report.name },
        complete: report.is_complete(),
        missing: report.missing.iter().map(|m| MissingEntry { what: &m.what, why: &m.why }).collect(),
        incidents: report.incidents.iter().map(incident).collect(),
        timeline: report.timeline.iter().map(timeline_line).collect(),
    };
    serde_json::to_string_pretty(&document).map(|text| text + "\n")
}

fn incident(incident: &Incident) -> IncidentEntry<'_> {
    IncidentEntry {
        cause: incident.cause.0,
        severity: incident.severity.word(),
        title: &incident.title,
        since: incident.since.map(time),
        workloads: &incident.workloads,
        objects: &incident.objects,
        evidence: incident.evidence.iter().map(evidence).collect(),
        change: incident.change.as_ref().map(|c| change(c, incident.sureness.as_ref())),
        fixes: incident.fixes.iter().map(fix).collect(),
    }
}

fn evidence(evidence: &Evidence) -> EvidenceEntry<'_> {
    EvidenceEntry {
        object: &evidence.object,
        from: evidence.from.word(),
        field: &evidence.field,
        text: &evidence.text,
        at: evidence.at.map(time),
    }
}

fn change<'a>(change: &'a Change, sure: Option<&'a Sureness>) -> ChangeEntry<'a> {
    ChangeEntry {
        kind: change.kind.word(),
        object: &change.object,
        at: time(change.at),
        by: change.by.as_deref(),
        revision: change.revision,
        diff: change.diff.iter().map(diff_line).collect(),
        sure: sure.map(Sureness::word),
        because: sure.map(|sure| &*sure.why),
    }
}

fn timeline_line(entry: &TimelineEntry) -> TimelineLine<'_> {
    TimelineLine {
        at: time(entry.at),
        kind: entry.kind.word(),
        object: &entry.object,
        what: one_line(&entry.what),
        by: entry.by.as_deref(),
        diff: entry.change.iter().flat_map(|change| &change.diff).map(diff_line).collect(),
    }
}

/// Without line breaks and without what moves a terminal.
pub fn one_line(text: &str) -> String {
    clean(text).split_whitespace().collect::<Vec<_>>().join(" ")
}

/// `image: a:v1 -> a:v2`; `env X: (none) -> 1`.
pub fn diff_line(line: &DiffLine) -> String {
    let side = |value: &Option<String>| value.clone().unwrap_or_else(|| "(none)".to_owned());
    format!("{}: {} -> {}", line.field, side(&line.old), side(&line.new))
}

fn fix(fix: &Fix) -> FixEntry<'_> {
    FixEntry { title: &fix.title, command: &fix.command, risk: fix.risk.word(), one_key: fix.action.is_some(), why: &fix.why }
}

fn time(at: Time) -> String {
    at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true)
}
