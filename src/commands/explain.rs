//! `k3am explain`: the vocabulary of causes, and the pages of the rules that find them.

use std::fmt::Write;

use super::Outcome;
use crate::diagnosis::cause::{CAUSES, Cause, CauseId};
use crate::diagnosis::rules;

/// Without a cause: all of them by family. With one: what it means and the page of every rule that finds it.
pub fn explain(cause: Option<&str>) -> Outcome {
    let Some(name) = cause else { return Outcome { out: all(), ..Outcome::default() } };
    let Some(id) = CauseId::parse(name.trim()) else { return unknown(name) };
    Outcome { out: id.cause().map(page).unwrap_or_default(), ..Outcome::default() }
}

fn all() -> String {
    let mut out = String::new();
    let mut family = "";
    for cause in CAUSES {
        if cause.family != family {
            let gap = if family.is_empty() { "" } else { "\n" };
            let _ = writeln!(out, "{gap}{}", cause.family);
            family = cause.family;
        }
        wrap(&mut out, &format!("  {:<31}", cause.id), &" ".repeat(33), cause.meaning);
    }
    out.push_str("\nk3am explain CAUSE tells how it is found and what to do about it.\n");
    out
}

/// Ids that no rule finds because they are marks on incidents of other causes, with their pages.
const MARKS: &[(&str, &str)] = &[(
    "rollout-regression",
    "
What it detects
  Every pod with an incident's cause belongs to the newest revision of its workload, while pods of an older one are ready or were:
  the rollout introduced the cause. The incident keeps its own cause and says so with revision and diff.
Reads
  The revisions of Deployments (ReplicaSets), StatefulSets and DaemonSets (ControllerRevisions), their templates and pods.
Source
  deployment.kubernetes.io/revision, controller-revision-hash, metadata.managedFields.
Look-alikes
  A cause that strikes the old pods too came from elsewhere. A restart of the same template introduces nothing. A registry that is
  down or a full subnet is not the template's doing.
Fixes
  Undo the rollout to the last revision that worked: the first fix of such an incident, one key in the cockpit.
",
)];

fn page(cause: &Cause) -> String {
    let generic = if cause.generic { ", generic: no more specific cause is known" } else { "" };
    let mut out = format!("{}\n{}\n\n", cause.id, "=".repeat(cause.id.len()));
    wrap(&mut out, "", "", &format!("{} ({}{generic})", cause.family, cause.severity.word()));
    wrap(&mut out, "", "", cause.meaning);
    let finding: Vec<_> = rules::every().filter(|rule| rule.causes.iter().any(|c| c.0 == cause.id)).collect();
    if let Some((_, page)) = MARKS.iter().find(|(id, _)| *id == cause.id) {
        reflow(&mut out, page);
    }
    for rule in finding {
        let _ = writeln!(out, "\nRule {}\n", rule.name);
        reflow(&mut out, rule.doc);
    }
    out
}

/// A rule's page, its paragraphs (lines of one indentation) filled anew for 80 columns.
fn reflow(out: &mut String, doc: &str) {
    let indent_of = |line: &str| line.len() - line.trim_start().len();
    let mut lines = doc.lines().map(str::trim_end).peekable();
    while let Some(line) = lines.next() {
        let indent = indent_of(line);
        let mut paragraph = line.trim_start().to_owned();
        while let Some(next) =
            lines.next_if(|next| indent > 0 && indent_of(next) == indent && !next.trim_start().starts_with("- "))
        {
            paragraph.push(' ');
            paragraph.push_str(next.trim_start());
        }
        wrap(out, "", &" ".repeat(indent), &paragraph);
    }
}

/// Writes `text` in lines of at most 80 columns, each behind `indent` (the first one begins with `lead`, when there is one).
fn wrap(out: &mut String, lead: &str, indent: &str, text: &str) {
    const WIDTH: usize = 80;
    let mut line = if lead.is_empty() { indent.to_owned() } else { lead.to_owned() };
    let mut is_fresh = lead.is_empty();
    for word in text.split_whitespace() {
        if line.chars().count() + 1 + word.chars().count() > WIDTH && line.len() > indent.len() {
            let _ = writeln!(out, "{}", line.trim_end());
            indent.clone_into(&mut line);
            line.push_str(if lead.is_empty() { "" } else { " " });
            is_fresh = true;
        }
        if !is_fresh {
            line.push(' ');
        }
        line.push_str(word);
        is_fresh = false;
    }
    let _ = writeln!(out, "{}", line.trim_end());
}

fn unknown(name: &str) -> Outcome {
    let near = nearest(name);
    let hint =
        if near.is_empty() { "`k3am explain` lists them all".to_owned() } else { format!("did you mean {}?", near.join(", ")) };
    Outcome::refused(format!("there is no cause {name:?}: {hint}"))
}

/// The causes most like `name`: those that contain its words, then those few edits away.
fn nearest(name: &str) -> Vec<&'static str> {
    const SHOWN: usize = 3;
    let name: String = name.trim().to_lowercase().replace(['_', ' '], "-");
    let words: Vec<&str> = name.split('-').filter(|w| w.len() > 2).collect();
    let mut scored: Vec<(usize, &'static str)> = CAUSES
        .iter()
        .filter_map(|cause| {
            let shared = words
                .iter()
                .filter(|w| cause.id.split('-').any(|part| part == **w || (w.len() > 3 && part.starts_with(**w))))
                .count();
            let edits = distance(&name, cause.id);
            let near = edits <= name.len() / 3 + 1;
            (near || shared > 0).then(|| ((edits + 1).saturating_sub(shared * 8), cause.id))
        })
        .collect();
    scored.sort_unstable();
    scored.into_iter().take(SHOWN).map(|(_, id)| id).collect()
}

/// Levenshtein distance.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut left = i + 1;
        let mut diagonal = i;
        let mut next = vec![left];
        for (y, &above) in b.iter().zip(row.iter().skip(1)) {
            left = (diagonal + usize::from(x != *y)).min(above + 1).min(left + 1);
            diagonal = above;
            next.push(left);
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cause_is_listed_under_its_family() {
        let out = explain(None).out;
        assert!(CAUSES.iter().all(|cause| out.contains(&format!("  {} ", cause.id))));
        assert!(out.contains("\nTerminating\n"));
    }

    #[test]
    fn a_typo_gets_the_nearest_causes_and_status_2() {
        let outcome = explain(Some("image-notfound"));
        assert_eq!(outcome.status, 2);
        assert!(outcome.notes[0].contains("image-not-found"), "{}", outcome.notes[0]);
        assert!(explain(Some("oom")).notes[0].contains("oom-killed"));
    }

    #[test]
    fn every_page_fits_80_columns_and_names_a_rule() {
        let pages = CAUSES.iter().map(|cause| (cause.id, explain(Some(cause.id)).out));
        for (name, out) in pages.chain([("the list", explain(None).out)]) {
            // A field path is one word: whole, it can still be copied.
            let breakable = out.lines().filter(|line| line.trim().contains(' '));
            let widest = breakable.map(|line| line.chars().count()).max().unwrap_or_default();
            assert!(widest <= 80, "{name}: {widest} columns");
        }
        for cause in CAUSES {
            let page = explain(Some(cause.id)).out;
            for heading in ["What it detects", "Reads", "Source", "Look-alikes", "Fixes"] {
                assert!(page.contains(&format!("\n{heading}\n  ")), "the page of {} lacks {heading}", cause.id);
            }
        }
        let page = explain(Some("oom-killed")).out;
        assert!(page.contains("\nLook-alikes\n  Exit 137 without OOMKilled is"), "{page}");
    }

    #[test]
    fn edits_are_counted() {
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("", "abc"), 3);
    }
}
