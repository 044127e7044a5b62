//! `ingress-backend-missing` for routes of the Gateway API.

use chrono::TimeDelta;

use crate::diagnosis::cause::CauseId;
use crate::diagnosis::finding::Finding;
use crate::diagnosis::incident::Fix;
use crate::diagnosis::rule::{Facts, Output, Rule};
use crate::diagnosis::rules::commands::{describe, edit};
use crate::diagnosis::rules::draft::{self, Draft};
use crate::kinds::{KindId, ObjectRef, Row};

/// The rule.
pub static HTTP_ROUTE: Rule = Rule {
    name: "http-route",
    causes: &[CauseId("ingress-backend-missing")],
    doc: "\
What it detects
  An HTTPRoute that its gateway does not accept, or whose backend does not exist or may not be referred to.
Reads
  status.parents[].conditions Accepted and ResolvedRefs with reason and message.
Source
  gateway.networking.k8s.io/v1.
Look-alikes
  A route is not accepted for a moment after it was made. Status Unknown says nothing.
Fixes
  Correct the backend or the listener's host name; add a ReferenceGrant.
",
    subject: KindId::HTTPRoute,
    needs: &[],
    check,
    fixes,
};

const PATIENCE: TimeDelta = TimeDelta::seconds(60);

fn check(facts: &Facts<'_>, row: &Row, out: &mut Output) {
    let Row::HTTPRoute(route) = row else { return };
    if route.meta.deletion_timestamp.is_some() {
        return;
    }
    let conditions = || route.status.parents.iter().flat_map(|parent| &parent.conditions);
    let refused = |kind: &str| conditions().find(|c| &*c.kind == kind && &*c.status == "False");
    let Some(condition) = refused("ResolvedRefs").or_else(|| refused("Accepted")) else { return };
    let due = condition.last_transition_time.map_or(facts.now, |t| t + PATIENCE);
    if facts.now < due {
        out.recheck_at(due);
        return;
    }
    let object = ObjectRef::new("HTTPRoute", &route.meta.namespace, &route.meta.name);
    let what = if &*condition.kind == "Accepted" { "its gateway does not accept it" } else { "its backend cannot be used" };
    let why = crate::text::ellipsis(condition.message().trim_end_matches('.'), 200).replace('\n', " ");
    out.findings.push(
        Draft::new(facts, "ingress-backend-missing", "HTTPRoute", &route.meta)
            .says(format!("{what} ({}): {why}", condition.reason()))
            .because(draft::condition(object, condition))
            .since(condition.last_transition_time)
            .done(),
    );
}

fn fixes(_facts: &Facts<'_>, finding: &Finding) -> Vec<Fix> {
    vec![
        edit(finding, "Correct the route", "its backendRefs, parentRefs and hostnames must fit what exists"),
        describe(&finding.subject, "what each gateway says about it"),
    ]
}
