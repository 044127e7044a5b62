//! The report as Markdown, for tickets and post-mortems.

use std::fmt::Write;

use super::Report;
use super::json::diff_line;
use crate::diagnosis::Incident;
use crate::text::clean;

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
    for incident in &report.incidents {
        one(&mut out, incident);
    }
    if !report.missing.is_empty() {
        out.push_str("\n## Not seen, so not judged\n\n");
        for missing in &report.missing {
            let _ = writeln!(out, "- {}: {}", inline(&missing.what), inline(&missing.why));
        }
    }
    out
}

fn one(out: &mut String, incident: &Incident) {
    let _ = writeln!(out, "\n## {}\n", inline(&incident.title));
    let since = incident.since.map(|s| format!(", since {}", s.format("%Y-%m-%d %H:%M:%S UTC"))).unwrap_or_default();
    let _ = writeln!(out, "**{}**, `{}`, {}{since}\n", incident.severity.word(), incident.cause, incident.confidence.word());
    for workload in &incident.workloads {
        let place = if workload.namespace.is_empty() { String::new() } else { format!(" in `{}`", workload.namespace) };
        let _ = writeln!(out, "- {} `{}`{place}", workload.kind, workload.name);
    }
    out.push_str("\nEvidence:\n\n");
    for quote in &incident.evidence {
        let _ = writeln!(out, "- `{}` {} `{}`: {}", quote.object, quote.from.word(), inline(&quote.field), code(&quote.text));
    }
    if let Some(change) = &incident.change {
        let by = change.by.as_deref().map(|by| format!(" by {}", inline(by))).unwrap_or_default();
        let _ = writeln!(
            out,
            "\nChanged before: {} of `{}`{by} at {}",
            change.kind.word(),
            change.object,
            change.at.format("%H:%M:%S")
        );
        for diff in &change.diff {
            let _ = writeln!(out, "- {}", code(&diff_line(diff)));
        }
    }
    if !incident.fixes.is_empty() {
        out.push_str("\nFixes, best first:\n");
    }
    for fix in &incident.fixes {
        let _ = writeln!(
            out,
            "\n{} ({}): {}\n\n```sh\n{}\n```",
            inline(&fix.title),
            fix.risk.word(),
            inline(&fix.why),
            clean(&fix.command)
        );
    }
}

/// Text that cannot start markup.
fn inline(text: &str) -> String {
    let mut out = String::new();
    for c in clean(text).chars() {
        if matches!(c, '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '>' | '#' | '|') {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

/// Text as a code span; backticks in it are quoted by a longer fence.
fn code(text: &str) -> String {
    let text = clean(text);
    if text.contains('`') { format!("`` {text} ``") } else { format!("`{text}`") }
}
