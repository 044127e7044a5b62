//! A trace as lines of text: what it came to, what matched with its evidence, what was ruled out, what was quiet, what is unknown.

use super::{Check, Fate, Trace};
use crate::diagnosis::finding::{Evidence, Finding};
use crate::text::timestamp;

/// Objects named before the rest is a number.
const NAMED: usize = 8;

impl Trace {
    /// The trace as lines, for a screen or a file.
    pub fn lines(&self) -> Vec<String> {
        let mut out = Lines::default();
        self.outcome(&mut out);
        self.matched(&mut out);
        self.ruled_out(&mut out);
        out.section("Could not be judged", self.blind());
        out.section("Worth knowing, no incident", self.advice.iter().map(|f| format!("{}: {}", f.cause, f.summary)).collect());
        out.section("Looked and found nothing", self.quiet());
        self.looked_at(&mut out);
        out.0
    }

    fn outcome(&self, out: &mut Lines) {
        if self.incidents.is_empty() {
            out.line(format!("{}: no rule finds anything broken.", self.object));
        }
        for incident in &self.incidents {
            out.line(incident.title.clone());
            let meaning = incident.cause.cause().map_or("", |cause| cause.meaning);
            out.line(format!("  {} ({}, {}): {meaning}", incident.cause, incident.severity.word(), incident.confidence.word()));
            if let Some(change) = &incident.change {
                out.line(format!("  changed before: {} of {} at {}", change.kind.word(), change.object, timestamp(change.at)));
            }
        }
        out.gap();
    }

    fn matched(&self, out: &mut Lines) {
        let matched: Vec<&Check> = self.checks.iter().filter(|check| !check.found.is_empty()).collect();
        if matched.is_empty() {
            return;
        }
        out.line("What matched".to_owned());
        for check in matched {
            out.line(format!("  rule {} looked at {}", check.rule.name, objects(check.looked_at)));
            // Pods of one template say the same: one speaks, the others are counted.
            let mut said: Vec<(&Finding, &Fate, usize)> = Vec::new();
            for (finding, fate) in &check.found {
                let alike = |(known, of, _): &(&Finding, &Fate, usize)| {
                    known.cause == finding.cause && known.workload == finding.workload && *of == fate
                };
                match said.iter_mut().find(|entry| alike(entry)) {
                    Some(entry) => entry.2 += 1,
                    None => said.push((finding, fate, 1)),
                }
            }
            for (finding, fate, times) in said {
                finding_lines(finding, fate, times, out);
            }
        }
        out.gap();
    }

    /// What findings and incidents excluded, each once.
    fn ruled_out(&self, out: &mut Lines) {
        let mut lines: Vec<String> = Vec::new();
        let found = self.checks.iter().flat_map(|check| &check.found).map(|(finding, _)| &finding.ruled_out);
        for line in found.chain(self.incidents.iter().map(|incident| &incident.ruled_out)).flatten() {
            if !lines.contains(line) {
                lines.push(line.clone());
            }
        }
        let explained = self.checks.iter().flat_map(|check| &check.found).filter_map(|(finding, fate)| match fate {
            Fate::Folded(title) => Some(format!("{} as a cause of its own: it follows from \"{title}\"", finding.cause)),
            Fate::Dropped => Some(format!("{} as an incident: a stronger finding explains it", finding.cause)),
            Fate::Incident(_) => None,
        });
        for line in explained {
            if !lines.contains(&line) {
                lines.push(line);
            }
        }
        out.section("Ruled out", lines);
    }

    fn blind(&self) -> Vec<String> {
        let of_rules =
            self.checks.iter().filter_map(|check| Some(format!("rule {}: {}", check.rule.name, check.blind.as_ref()?)));
        of_rules.chain(self.missing.iter().cloned()).collect()
    }

    fn quiet(&self) -> Vec<String> {
        let quiet = self.checks.iter().filter(|check| check.found.is_empty() && check.looked_at > 0);
        quiet
            .map(|check| {
                let causes: Vec<&str> = check.rule.causes.iter().map(|c| c.0).collect();
                let shown = causes.get(..4).unwrap_or(&causes).join(", ");
                let more = causes.len().saturating_sub(4);
                let more = if more > 0 { format!(" and {more} more") } else { String::new() };
                format!("{} ({}): {shown}{more}", check.rule.name, objects(check.looked_at))
            })
            .collect()
    }

    fn looked_at(&self, out: &mut Lines) {
        let mut names: Vec<String> = self.subjects.iter().take(NAMED).map(ToString::to_string).collect();
        let more = self.subjects.len().saturating_sub(NAMED) + self.pods_left_out;
        if more > 0 {
            names.push(format!("and {more} more"));
        }
        if !names.is_empty() {
            out.section("Looked at with it", vec![names.join(", ")]);
        }
        while out.0.last().is_some_and(String::is_empty) {
            out.0.pop();
        }
    }
}

fn objects(count: usize) -> String {
    if count == 1 { "1 object".to_owned() } else { format!("{count} objects") }
}

fn finding_lines(finding: &Finding, fate: &Fate, times: usize, out: &mut Lines) {
    let more = if times > 1 { format!(", and {} more like it", times - 1) } else { String::new() };
    out.line(format!("    {} on {}{more} ({})", finding.cause, finding.subject, finding.confidence.word()));
    out.line(format!("      {}", finding.summary));
    for evidence in &finding.evidence {
        out.line(format!("      {}", quoted(evidence)));
    }
    match fate {
        Fate::Incident(_) => {}
        Fate::Folded(title) => out.line(format!("      told with: {title}")),
        Fate::Dropped => out.line("      explained by something stronger".to_owned()),
    }
}

fn quoted(evidence: &Evidence) -> String {
    let at = evidence.at.map(|at| format!(" at {}", timestamp(at))).unwrap_or_default();
    let text = crate::changes::redact::text(&evidence.text);
    format!("{} {}{at}: \"{text}\"", evidence.from.word(), evidence.field)
}

#[derive(Default)]
struct Lines(Vec<String>);

impl Lines {
    fn line(&mut self, line: String) {
        self.0.push(crate::text::clean_keeping_indent(&line));
    }

    fn gap(&mut self) {
        if self.0.last().is_some_and(|line| !line.is_empty()) {
            self.0.push(String::new());
        }
    }

    fn section(&mut self, heading: &str, lines: Vec<String>) {
        if lines.is_empty() {
            return;
        }
        self.line(heading.to_owned());
        lines.into_iter().for_each(|line| self.line(format!("  {line}")));
        self.gap();
    }
}
