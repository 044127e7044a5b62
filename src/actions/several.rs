//! Several intents as one plan: each planned by its own planner, previewed and confirmed together.
//!
//! Invariant: one that cannot be planned refuses them all; half of what was confirmed is not what was confirmed.

use super::{Facts, Intent, ObjectRequest, Plan, Planner, Refusal};
use crate::changes::DiffLine;

/// Plans [`Intent::Several`].
pub static PLANNER: Planner = Planner { needs, plan };

fn needs(intent: &Intent) -> Option<Vec<ObjectRequest>> {
    let Intent::Several(each) = intent else { return None };
    Some(each.iter().flat_map(super::needs).collect())
}

fn plan(intent: &Intent, facts: &Facts<'_>) -> Option<Result<Plan, Refusal>> {
    let Intent::Several(each) = intent else { return None };
    let plans: Result<Vec<Plan>, Refusal> =
        each.iter().map(|one| super::plan(one, facts.objects, facts.snapshot, facts.now)).collect();
    Some(plans.map(|plans| together(intent, plans)))
}

fn together(intent: &Intent, plans: Vec<Plan>) -> Plan {
    let verb = plans.first().and_then(|plan| plan.title.split_whitespace().next()).unwrap_or_default().to_owned();
    let mut all = Plan {
        intent: intent.clone(),
        title: format!("{verb}  {} objects", plans.len()),
        writes: Vec::new(),
        kubectl: plans.iter().map(|plan| plan.kubectl.as_str()).collect::<Vec<_>>().join(" && "),
        diff: Vec::new(),
        warnings: Vec::new(),
        way_back: None,
    };
    for plan in plans {
        let name = plan.writes.first().map(|write| write.target.to_string()).unwrap_or_default();
        if plan.diff.is_empty() {
            all.diff.push(DiffLine { field: verb.to_lowercase(), old: Some(name.clone()), new: None });
        }
        let named = |line: DiffLine| DiffLine { field: format!("{name} {}", line.field), ..line };
        all.diff.extend(plan.diff.into_iter().map(named));
        all.warnings.extend(plan.warnings.into_iter().map(|warning| format!("{name}: {warning}")));
        all.writes.extend(plan.writes);
    }
    all
}
