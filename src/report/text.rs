//! The report as text for people: 80 columns, calm, what one pastes into a chat. Commands are never broken over lines.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use super::json::diff_line;
use super::{Report, SourceKind};
use crate::changes::{Change, ChangeKind, TimelineEntry, TimelineKind};
use crate::diagnosis::{Incident, Severity};
use crate::kinds::ObjectRef;
use crate::text::{Time, age, clean, ellipsis};

const WIDTH: usize = 80;
/// Longer quotes are cut: the rest is a `kubectl describe` away.
const QUOTE: usize = 300;
/// Entries of the timeline shown, and how much of what each says.
const ENTRIES: usize = 12;
const SAID: usize = 100;

/// Renders the report. Every line of it is free of control characters.
pub fn render(report: &Report) -> String {
    let mut out = String::new();
    header(&mut out, report);
    for incident in &report.incidents {
        out.push('\n');
        one(&mut out, incident, report.observed_at);
    }
    timeline(&mut out, report);
    unseen(&mut out, report);
    out
}

/// What happened around the incidents, oldest first: what concerns them, then other changes, as far as a page goes.
fn timeline(out: &mut String, report: &Report) {
    if report.incidents.is_empty() || report.timeline.is_empty() {
        return;
    }
    let concerned: BTreeSet<&ObjectRef> = report
        .incidents
        .iter()
        .flat_map(|i| i.workloads.iter().chain(&i.objects).chain(i.change.as_ref().map(|change| &change.object)))
        .collect();
    let weight = |entry: &TimelineEntry| match entry.kind {
        TimelineKind::Change(_) | TimelineKind::Deletion if concerned.contains(&entry.object) => 0,
        TimelineKind::Failure => 1,
        _ => 2,
    };
    let mut shown: Vec<(usize, &TimelineEntry)> = report.timeline.iter().enumerate().collect();
    shown.sort_by_key(|(at, entry)| (weight(entry), std::cmp::Reverse(*at)));
    shown.truncate(ENTRIES);
    shown.sort_by_key(|(at, _)| *at);
    out.push('\n');
    let left = report.timeline.len() - shown.len();
    let more = if left > 0 { format!(" ({left} more in -o json and -o markdown)") } else { String::new() };
    line(out, 0, &format!("Timeline{more}:"));
    for (_, entry) in shown {
        let same_day = entry.at.date_naive() == report.observed_at.date_naive();
        let at = entry.at.format(if same_day { "%H:%M:%S" } else { "%m-%d %H:%M:%S" });
        let by = entry.by.as_deref().map(|by| format!(", by {by}")).unwrap_or_default();
        let place = if entry.object.namespace.is_empty() { String::new() } else { format!(" in {}", entry.object.namespace) };
        let what = ellipsis(clean(&entry.what).trim(), SAID);
        line(out, 2, &format!("{at} {} {}{place}: {what}{by}", entry.kind.word(), entry.object));
    }
}

fn header(out: &mut String, report: &Report) {
    let version = report.server_version.as_deref().map(|v| format!("  {v}")).unwrap_or_default();
    let what = match report.source {
        SourceKind::Cluster => String::new(),
        SourceKind::Bundle | SourceKind::Recording => format!(" ({})", report.source.word()),
    };
    let at = report.observed_at.format("%Y-%m-%d %H:%M:%S UTC");
    line(out, 0, &format!("k3am  {}{what}{version}  {at}", report.name));
    let counts: Vec<String> = [Severity::Critical, Severity::Warning, Severity::Info]
        .into_iter()
        .filter_map(|severity| match report.count(severity) {
            0 => None,
            n => Some(format!("{n} {}", severity.word())),
        })
        .collect();
    if !counts.is_empty() {
        line(out, 0, &counts.join(", "));
    } else if report.is_complete() {
        line(out, 0, "Nothing is broken.");
    } else {
        line(out, 0, "Nothing broken was found, but not everything could be seen (below).");
    }
}

fn one(out: &mut String, incident: &Incident, now: Time) {
    let glyph = match incident.severity {
        Severity::Critical => "✖",
        Severity::Warning => "▲",
        Severity::Info => "·",
    };
    line(out, 0, &format!("{glyph} {}", incident.title));
    let mut facts = vec![incident.severity.word().to_owned(), incident.cause.0.to_owned(), incident.confidence.word().to_owned()];
    facts.extend(incident.since.map(|since| format!("since {} ({})", since.format("%H:%M:%S"), age(since, now))));
    line(out, 2, &facts.join(" · "));
    let affected = affected(incident);
    if !affected.is_empty() {
        line(out, 2, &affected);
    }
    for symptom in &incident.symptoms {
        line(out, 2, &format!("and so: {symptom}"));
    }
    for quote in &incident.evidence {
        line(out, 2, &format!("{} {} {}", quote.object, quote.from.word(), quote.field));
        line(out, 4, &format!("\"{}\"", ellipsis(clean(&quote.text).trim(), QUOTE)));
    }
    if let Some(change) = &incident.change {
        changed(out, change, incident);
    }
    for fix in &incident.fixes {
        line(out, 2, &format!("→ {} ({}): {}", fix.title, fix.risk.word(), fix.why));
        let _ = writeln!(out, "      {}", clean(&fix.command));
    }
}

fn affected(incident: &Incident) -> String {
    let blast = &incident.blast;
    let mut parts = Vec::new();
    if let [first, rest @ ..] = incident.workloads.as_slice() {
        let place = if first.namespace.is_empty() { String::new() } else { format!(" in {}", first.namespace) };
        let names: Vec<String> = std::iter::once(first).chain(rest).take(4).map(ObjectRef::to_string).collect();
        let more = incident.workloads.len().saturating_sub(names.len());
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        parts.push(format!("{}{more}{place}", names.join(", ")));
    }
    if blast.pods_total > 0 {
        parts.push(format!("{} of {} pods, {} ready", blast.pods, blast.pods_total.max(blast.pods), blast.pods_ready));
    }
    for service in &blast.services_without_endpoints {
        parts.push(format!("Service {}: no endpoint", service.name));
    }
    if !blast.hosts.is_empty() {
        parts.push(blast.hosts.join(", "));
    }
    parts.join(" · ")
}

fn changed(out: &mut String, change: &Change, incident: &Incident) {
    let first = change.kind == ChangeKind::Rollout && change.previous_revision.is_none();
    let mut what = if first { "first rollout" } else { change.kind.word() }.to_owned();
    if incident.workloads != [change.object.clone()] {
        let _ = write!(what, " of {}", change.object);
    }
    if let (Some(old), Some(new)) = (change.previous_revision, change.revision) {
        let _ = write!(what, ", revision {old} → {new}");
    }
    let by = change.by.as_deref().map(|by| format!(", by {by}")).unwrap_or_default();
    let blame = if incident.regression { ": it introduced this" } else { "" };
    line(out, 2, &format!("changed {} {what}{by}{blame}", change.at.format("%H:%M:%S")));
    if let Some(sureness) = &incident.sureness {
        line(out, 4, &sureness.to_string());
    }
    for diff in &change.diff {
        line(out, 4, &diff_line(diff));
    }
}

fn unseen(out: &mut String, report: &Report) {
    if report.missing.is_empty() {
        return;
    }
    out.push('\n');
    line(out, 0, "Not seen, so not judged:");
    let mut forbidden: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for missing in &report.missing {
        match refusal(&missing.why) {
            Some(refusal) => forbidden.entry(refusal).or_default().push(&missing.what),
            None => line(out, 2, &format!("{}: {}", missing.what, missing.why)),
        }
    }
    for (refusal, what) in forbidden {
        line(out, 2, &format!("forbidden to {refusal}: {}", what.join(", ")));
    }
}

/// To whom and where a list is forbidden, out of the API server's words
/// (`pods is forbidden: User "x" cannot list resource "pods" in API group "" in the namespace "y"`).
/// Source: `staging/src/k8s.io/apiserver/pkg/endpoints/handlers/responsewriters/errors.go`.
fn refusal(why: &str) -> Option<&str> {
    let who = why.split_once("is forbidden: User \"")?.1;
    let (user, rest) = who.split_once('"')?;
    rest.starts_with(" cannot list resource").then_some(user)
}

/// Writes `text`, cleaned and wrapped at [`WIDTH`], later lines indented two more.
fn line(out: &mut String, indent: usize, text: &str) {
    use unicode_width::UnicodeWidthStr;
    let text = clean(text);
    let mut used = indent;
    out.push_str(&" ".repeat(indent));
    let mut first = true;
    for word in text.split_whitespace() {
        let width = word.width();
        if !first && used + 1 + width > WIDTH {
            used = indent + 2;
            out.push('\n');
            out.push_str(&" ".repeat(used));
        } else if !first {
            out.push(' ');
            used += 1;
        }
        out.push_str(word);
        used += width;
        first = false;
    }
    out.push('\n');
}
