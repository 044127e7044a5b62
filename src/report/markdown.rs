//! The report as Markdown, for tickets and post-mortems.

use std::fmt::Write;

use super::Report;
use super::json::{diff_line, one_line};
use crate::changes::ChangeKind;
use crate::diagnosis::Incident;
use crate::text::{Time, clean, ellipsis};

/// How much of what an entry of the timeline says is shown.
const SAID: usize = 160;

/// Renders the report.
pub fn render(report: &Report) -> String {
    let mut out = format!(
        "# k3am: {} ({}), {}\n",
        inline(&report.name),
        report.source.word(),
        report.observed_at.format("%Y-%m-%d %H:%M:%S UTC")
    );
    if report.incidents.is_empty() {
        out.push_str("\nNothing broken was found.\n");
    }
    overview(&mut out, report);
    for incident in &report.incidents {
        one(&mut out, incident, report.observed_at);
    }
    story(&mut out, report);
    if !report.missing.is_empty() {
        out.push_str("\n## Not seen, so not judged\n\n");
        for missing in &report.missing {
            let _ = writeln!(out, "- {}: {}", inline(&missing.what), inline(&missing.why));
        }
    }
    out
}

/// One line an incident, for who reads no further.
fn overview(out: &mut String, report: &Report) {
    if report.incidents.len() < 2 {
        return;
    }
    out.push_str("\n| severity | incident | cause | since |\n| --- | --- | --- | --- |\n");
    for incident in &report.incidents {
        let since = incident.since.map(stamp).unwrap_or_default();
        let _ = writeln!(out, "| {} | {} | `{}` | {since} |", incident.severity.word(), inline(&incident.title), incident.cause);
    }
}

/// Everything that happened around the incidents, as a table.
fn story(out: &mut String, report: &Report) {
    if report.timeline.is_empty() {
        return;
    }
    out.push_str("\n## Timeline of the cluster\n\n| when | what | object | by |\n| --- | --- | --- | --- |\n");
    for entry in &report.timeline {
        let mut what = format!("{}: {}", entry.kind.word(), inline(&ellipsis(&one_line(&entry.what), SAID)));
        for diff in entry.change.iter().filter(|c| c.kind == ChangeKind::Rollout).flat_map(|change| &change.diff) {
            let _ = write!(what, "; {}", inline(&ellipsis(&one_line(&diff_line(diff)), SAID)));
        }
        let object = match &*entry.object.namespace {
            "" => inline(&entry.object.to_string()),
            namespace => inline(&format!("{} in {namespace}", entry.object)),
        };
        let by = inline(&one_line(entry.by.as_deref().unwrap_or_default()));
        let _ = writeln!(out, "| {} | {what} | {object} | {by} |", stamp(entry.at));
    }
}

/// One incident, in the order a ticket is read: summary, impact, timeline, evidence, what to do.
fn one(out: &mut String, incident: &Incident, observed_at: Time) {
    let _ = writeln!(out, "\n## {}\n", inline(&incident.title));
    let since = incident.since.map(|s| format!(", since {}", stamp(s))).unwrap_or_default();
    let _ = writeln!(out, "**{}**, `{}`, {}{since}", incident.severity.word(), incident.cause, incident.confidence.word());
    let meaning = incident.cause.cause().map_or("", |cause| cause.meaning);
    let _ = writeln!(out, "\n### Summary\n\n{}\n\nCause `{}`: {}.", inline(&incident.summary), incident.cause, inline(meaning));
    impact(out, incident);
    timeline(out, incident, observed_at);
    out.push_str("\n### Evidence\n\n");
    for quote in &incident.evidence {
        let _ = writeln!(
            out,
            "- {} {} {}: {}",
            code(&quote.object.to_string()),
            quote.from.word(),
            code(&quote.field),
            code(&quote.text)
        );
    }
    if !incident.ruled_out.is_empty() {
        out.push_str("\nRuled out:\n\n");
    }
    for line in &incident.ruled_out {
        let _ = writeln!(out, "- {}", inline(line));
    }
    fixes(out, incident);
}

fn impact(out: &mut String, incident: &Incident) {
    out.push_str("\n### Impact\n\n");
    for workload in &incident.workloads {
        let place = if workload.namespace.is_empty() { String::new() } else { format!(" in {}", code(&workload.namespace)) };
        let _ = writeln!(out, "- {} {}{place}", inline(&workload.kind), code(&workload.name));
    }
    let blast = &incident.blast;
    if blast.pods_total > 0 {
        let _ = writeln!(out, "- pods concerned: {} of {}, {} ready", blast.pods, blast.pods_total, blast.pods_ready);
    }
    for service in &blast.services_without_endpoints {
        let _ = writeln!(out, "- no endpoint left: {} in {}", code(&service.to_string()), code(&service.namespace));
    }
    for host in &blast.hosts {
        let _ = writeln!(out, "- unreachable host: {}", code(host));
    }
    for symptom in &incident.symptoms {
        let _ = writeln!(out, "- and so: {}", inline(symptom));
    }
}

/// What is known to have happened when, oldest first; of equal times the change first.
fn timeline(out: &mut String, incident: &Incident, observed_at: Time) {
    let mut entries: Vec<(Time, u8, String)> = Vec::new();
    if let Some(change) = &incident.change {
        let by = change.by.as_deref().map(|by| format!(" by {}", inline(by))).unwrap_or_default();
        let mut said = format!("{} of {}{by}", change.kind.word(), code(&change.object.to_string()));
        for diff in &change.diff {
            let _ = write!(said, "; {}", code(&diff_line(diff)));
        }
        if let Some(sureness) = &incident.sureness {
            let _ = write!(said, " ({})", inline(&sureness.to_string()));
        }
        entries.push((change.at, 0, said));
    }
    entries.extend(incident.since.map(|since| (since, 1, "it is so since".to_owned())));
    for quote in &incident.evidence {
        let Some(at) = quote.at else { continue };
        entries.push((at, 2, format!("{} {} of {}", quote.from.word(), code(&quote.field), code(&quote.object.to_string()))));
    }
    entries.push((observed_at, 3, "looked at".to_owned()));
    entries.sort();
    entries.dedup();
    out.push_str("\n### Timeline\n\n");
    for (at, _, said) in entries {
        let _ = writeln!(out, "- {} {said}", stamp(at));
    }
}

fn fixes(out: &mut String, incident: &Incident) {
    if !incident.fixes.is_empty() {
        out.push_str("\n### Fix\n\nBest first.\n");
    }
    for fix in &incident.fixes {
        let command = clean(&fix.command);
        let fence = "`".repeat(longest_run(&command).max(2) + 1);
        let (title, why) = (inline(&fix.title), inline(&fix.why));
        let _ = writeln!(out, "\n{title} ({}): {why}\n\n{fence}sh\n{command}\n{fence}", fix.risk.word());
    }
}

fn stamp(at: Time) -> String {
    at.format("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// Text that cannot start markup.
fn inline(text: &str) -> String {
    let mut out = String::new();
    for c in one_line(text).chars() {
        if matches!(c, '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '>' | '#' | '|' | '~' | '&' | '$') {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

/// Text as a code span; backticks in it are quoted by a longer fence.
fn code(text: &str) -> String {
    let text = one_line(text);
    let fence = "`".repeat(longest_run(&text) + 1);
    if fence.len() > 1 { format!("{fence} {text} {fence}") } else { format!("`{text}`") }
}

/// The most backticks in a row.
fn longest_run(text: &str) -> usize {
    text.split(|c| c != '`').map(str::len).max().unwrap_or_default()
}
