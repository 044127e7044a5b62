//! The scheduler's message taken apart: how many nodes, and which reason counts how many of them.
//!
//! Grammar: `pkg/scheduler/framework/types.go` (`failures.md`, A8). A reason may hold commas, so parts are split only where a number
//! follows; counts may sum to more or less than the nodes; a failed pre-filter has no counts at all.

use super::super::pattern::Pattern;

/// One reason with the number of nodes it rules out (0: all at once, before looking at nodes).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason {
    /// Nodes.
    pub count: usize,
    /// The scheduler's words.
    pub text: String,
}

/// A parsed message.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Message {
    /// Nodes in all; 0 when the message does not say.
    pub nodes: usize,
    /// Reasons, in the message's order.
    pub reasons: Vec<Reason>,
}

static HEAD: Pattern = Pattern::new(r"^0/(\d+) nodes are available: ?(.*)$");
static COUNTED: Pattern = Pattern::new(r"(?:^|, )(\d+) ");

/// Takes a message apart; `None` when it is none of the scheduler's "0/N nodes" messages.
pub fn parse(text: &str) -> Option<Message> {
    let text = text.trim();
    let head = text.split(" preemption: ").next().unwrap_or(text);
    let captures = HEAD.captures(head)?;
    let nodes = captures.get(1)?.as_str().parse().ok()?;
    let body = captures.get(2)?.as_str().trim().trim_end_matches(['.', ',', ' ']);
    let regex = COUNTED.regex()?;
    let starts: Vec<(usize, usize, usize)> = regex
        .captures_iter(body)
        .filter_map(|c| Some((c.get(0)?.start(), c.get(0)?.end(), c.get(1)?.as_str().parse().ok()?)))
        .collect();
    let first = starts.first().map_or(body.len(), |s| s.0);
    let mut reasons = Vec::new();
    let before = body.get(..first).unwrap_or_default().trim_end_matches(['.', ' ']);
    if !before.is_empty() {
        reasons.push(Reason { count: 0, text: before.to_owned() });
    }
    for (i, (_, from, count)) in starts.iter().enumerate() {
        let to = starts.get(i + 1).map_or(body.len(), |s| s.0);
        // "1 Insufficient cpu. no new claims to deallocate": the sentence after the reason is not part of it.
        let own = body.get(*from..to).unwrap_or_default();
        let own = own.split(". ").next().unwrap_or(own);
        reasons.push(Reason { count: *count, text: own.trim_end_matches(['.', ' ']).to_owned() });
    }
    Some(Message { nodes, reasons })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(text: &str) -> Vec<(usize, String)> {
        parse(text).expect("a message").reasons.into_iter().map(|r| (r.count, r.text)).collect()
    }

    #[test]
    fn reasons_are_split_where_a_number_follows() {
        let text = "0/5 nodes are available: 2 Insufficient cpu, 3 node(s) had untolerated taint {a: b, c}. preemption: 0/5 nodes are available: 5 x.";
        assert_eq!(counts(text), [(2, "Insufficient cpu".to_owned()), (3, "node(s) had untolerated taint {a: b, c}".to_owned())]);
    }

    #[test]
    fn a_failed_prefilter_has_no_counts() {
        let text = "0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims. not found";
        assert_eq!(counts(text), [(0, "pod has unbound immediate PersistentVolumeClaims. not found".to_owned())]);
        let text =
            "0/1 nodes are available: 1 Insufficient cpu. no new claims to deallocate, preemption: 0/1 nodes are available: 1 x.";
        assert_eq!(counts(text), [(1, "Insufficient cpu".to_owned())]);
    }
}
