//! `api-service-unavailable`: an aggregated API does not answer.

use chrono::TimeDelta;

use crate::actions::Intent;
use crate::diagnosis::cause::CauseId;
use crate::diagnosis::finding::{EvidenceSource, Finding};
use crate::diagnosis::incident::{Fix, Risk};
use crate::diagnosis::rule::{Facts, Output, Rule};
use crate::diagnosis::rules::commands::{describe, fact, fix, kubectl, quoted, with_action};
use crate::diagnosis::rules::draft::{self, Draft};
use crate::kinds::{Condition, KindId, ObjectRef, Row};

/// The rule.
pub static API_SERVICE: Rule = Rule {
    name: "api-service",
    causes: &[CauseId("api-service-unavailable")],
    doc: "\
What it detects
  An aggregated API (metrics.k8s.io, custom metrics, an operator's own API) that does not answer: autoscalers cannot read metrics,
  `kubectl top` fails, and no namespace of the cluster can be deleted.
Reads
  status.conditions[Available] of APIServices with its reason (ServiceNotFound, MissingEndpoints, FailedDiscoveryCheck, ...), and
  spec.service.
Source
  kube-aggregator/pkg/controllers/status/remote/remote_available_controller.go.
Look-alikes
  APIs without spec.service are answered by the API server itself. A metrics-server that has just started is not available for a
  moment. When the pods behind it have a cause of their own, this folds under that.
Fixes
  Repair the Service behind it, or delete the APIService when nothing serves it any more.
",
    subject: KindId::APIService,
    needs: &[],
    check,
    fixes,
};

/// It becomes available some time after its pods are.
const PATIENCE: TimeDelta = TimeDelta::seconds(60);

fn check(facts: &Facts<'_>, row: &Row, out: &mut Output) {
    let Row::APIService(api) = row else { return };
    let Some(service) = &api.spec.service else { return };
    if api.meta.deletion_timestamp.is_some() {
        return;
    }
    let Some(available) = Condition::find(&api.status.conditions, "Available").filter(|c| !c.is_true()) else { return };
    let since = available.last_transition_time;
    let due = since.map_or(facts.now, |s| s + PATIENCE);
    if facts.now < due {
        out.recheck_at(due);
        return;
    }
    let object = ObjectRef::new("APIService", "", &api.meta.name);
    let why = available.message().trim_end_matches('.');
    let draft = Draft::new(facts, "api-service-unavailable", "APIService", &api.meta)
        .says(format!("the API {} does not answer: {}", api.meta.name, crate::text::ellipsis(why, 200)))
        .fact("service", &service.name)
        .fact("namespace", &service.namespace)
        .because(draft::condition(object.clone(), available))
        .because(draft::quote(
            object,
            EvidenceSource::Spec,
            "spec.service",
            format!("{}/{}", service.namespace, service.name),
            None,
        ))
        .since(since);
    // The pods behind it usually say more; alone it stands for itself.
    out.findings.push(draft.derived().done());
}

fn fixes(_facts: &Facts<'_>, finding: &Finding) -> Vec<Fix> {
    let namespace = fact(finding, "namespace");
    let service = quoted(fact(finding, "service"));
    vec![
        fix(
            "Look at the Service behind it and its endpoints",
            kubectl(namespace, format!("get service,endpointslices -l kubernetes.io/service-name={service} -o wide")),
            Risk::Safe,
            "the API server sends the requests there",
        ),
        describe(&finding.subject, "the API server's own words"),
        with_action(
            fix(
                "Delete the APIService",
                format!("kubectl delete apiservice {}", quoted(&finding.subject.name)),
                Risk::Destructive,
                "only when nothing serves it any more; the API is gone then",
            ),
            Intent::Delete { object: finding.subject.clone(), force: false },
        ),
    ]
}
