//! `hpa-no-metrics`, `hpa-at-maximum`: what an autoscaler's conditions say.

use chrono::TimeDelta;

use crate::diagnosis::cause::{CauseId, Severity};
use crate::diagnosis::finding::{EvidenceSource, Finding};
use crate::diagnosis::incident::{Fix, Risk};
use crate::diagnosis::rule::{Facts, Output, Rule};
use crate::diagnosis::rules::commands::{describe, fact, fix, kubectl, patched, quoted};
use crate::diagnosis::rules::draft::{self, Draft};
use crate::diagnosis::rules::pattern::Pattern;
use crate::kinds::autoscaling::HorizontalPodAutoscaler;
use crate::kinds::{Condition, KindId, ObjectRef, Row};

/// The rule.
pub static AUTOSCALER: Rule = Rule {
    name: "autoscaler",
    causes: &[CauseId("hpa-no-metrics"), CauseId("hpa-at-maximum")],
    doc: "\
What it detects
  A HorizontalPodAutoscaler that cannot read its metric or its target, or that wants more pods than its maximum.
Reads
  status.conditions AbleToScale, ScalingActive, ScalingLimited; status.{current,desired}Replicas; spec.maxReplicas.
Source
  pkg/controller/podautoscaler/{horizontal,replica_calculator}.go.
Look-alikes
  ScalingActive False with ScalingDisabled: the target is scaled to zero on purpose. ScalingLimited with TooFewReplicas is normal
  at the minimum. Metrics of pods that just started are missing for a minute.
Fixes
  Install or repair metrics-server, set the missing request, raise the maximum (mind quota and database connections).
",
    subject: KindId::HorizontalPodAutoscaler,
    needs: &[],
    check,
    fixes,
};

static MISSING_REQUEST: Pattern = Pattern::new(r"missing request for (\S+) in container (\S+) of Pod");

fn check(facts: &Facts<'_>, row: &Row, out: &mut Output) {
    let Row::HorizontalPodAutoscaler(hpa) = row else { return };
    if hpa.meta.deletion_timestamp.is_some() {
        return;
    }
    let conditions = &hpa.status.conditions;
    let broken = ["AbleToScale", "ScalingActive"]
        .iter()
        .filter_map(|k| Condition::find(conditions, k))
        .find(|c| &*c.status == "False" && c.reason() != "ScalingDisabled" && !c.reason().starts_with("BackoffBoth"));
    if let Some(broken) = broken {
        let due = broken.last_transition_time.map_or(facts.now, |t| t + TimeDelta::seconds(90));
        if facts.now < due {
            out.recheck_at(due);
            return;
        }
        out.findings.push(no_metrics(facts, hpa, broken));
        return;
    }
    let limited = Condition::find(conditions, "ScalingLimited").filter(|c| c.is_true() && c.reason() == "TooManyReplicas");
    if let Some(limited) = limited.filter(|_| hpa.status.current_replicas.unwrap_or(0) >= hpa.spec.max_replicas) {
        let object = reference(hpa);
        let max = hpa.spec.max_replicas.to_string();
        out.findings.push(
            Draft::new(facts, "hpa-at-maximum", "HorizontalPodAutoscaler", &hpa.meta)
                .says(format!("it is at its maximum of {max} pods and its metric asks for more"))
                .fact("max", &max)
                .because(draft::condition(object.clone(), limited))
                .because(draft::quote(object, EvidenceSource::Spec, "spec.maxReplicas", max, None))
                .since(limited.last_transition_time)
                .done(),
        );
    }
}

fn reference(hpa: &HorizontalPodAutoscaler) -> ObjectRef {
    ObjectRef::new("HorizontalPodAutoscaler", &hpa.meta.namespace, &hpa.meta.name)
}

fn no_metrics(facts: &Facts<'_>, hpa: &HorizontalPodAutoscaler, broken: &Condition) -> Finding {
    let message = broken.message();
    let target = &hpa.spec.scale_target_ref;
    let mut draft = Draft::new(facts, "hpa-no-metrics", "HorizontalPodAutoscaler", &hpa.meta)
        .fact("targetKind", &target.kind)
        .fact("target", &target.name)
        .because(draft::condition(reference(hpa), broken))
        .since(broken.last_transition_time);
    let events = facts.snapshot.events_of(KindId::HorizontalPodAutoscaler, &hpa.meta);
    if let Some(event) = events.iter().rev().find(|e| e.is_warning()) {
        draft = draft.because(draft::event(event));
    }
    let says = if let Some(c) = MISSING_REQUEST.captures(message) {
        let (resource, container) = (c.get(1).map_or("", |m| m.as_str()), c.get(2).map_or("", |m| m.as_str()));
        draft = draft.fact("resource", resource).fact("container", container);
        format!("it cannot compute the utilization: container {container} has no {resource} request")
    } else if message.contains("could not find the requested resource") {
        draft = draft.fact("noServer", "true");
        "it cannot read its metric: no metrics API is installed (metrics-server)".to_owned()
    } else if message.contains("unable to handle the request") {
        "it cannot read its metric: the metrics API does not answer".to_owned()
    } else if message.contains("unready") {
        draft = draft.derived().severity(Severity::Info);
        "it has no metrics of its pods, which are not ready".to_owned()
    } else {
        format!("it cannot scale: {}", crate::text::ellipsis(message.trim_end_matches('.'), 160))
    };
    draft.says(says).done()
}

fn fixes(_facts: &Facts<'_>, finding: &Finding) -> Vec<Fix> {
    let hpa = &finding.subject;
    let mut fixes = Vec::new();
    if let Some(max) = finding.facts.get("max").and_then(|m| m.parse::<i32>().ok()) {
        let more = max.saturating_mul(2);
        let patch = format!(r#"{{"spec":{{"maxReplicas":{more}}}}}"#);
        fixes.push(patched(
            format!("Raise the maximum to {more}"),
            hpa,
            &patch,
            Risk::Disruptive,
            "check quota, node capacity and the database's connections first",
        ));
    }
    if !fact(finding, "container").is_empty() {
        let target = quoted(&format!("{}/{}", fact(finding, "targetKind").to_lowercase(), fact(finding, "target")));
        let resource = fact(finding, "resource");
        let amount = if resource == "memory" { "128Mi" } else { "100m" };
        let command = kubectl(
            &hpa.namespace,
            format!("set resources {target} -c {} --requests={resource}={amount}", quoted(fact(finding, "container"))),
        );
        fixes.push(fix(
            "Set the missing request",
            command,
            Risk::Disruptive,
            "one container without a request breaks the whole autoscaler",
        ));
    }
    if finding.cause.0 == "hpa-no-metrics" {
        fixes.push(fix(
            "See whether the metrics API answers",
            "kubectl get apiservices v1beta1.metrics.k8s.io",
            Risk::Safe,
            "autoscalers of cpu and memory need it",
        ));
        if finding.facts.contains_key("noServer") {
            fixes.push(fix(
                "Install metrics-server",
                "kubectl apply -f https://github.com/kubernetes-sigs/metrics-server/releases/latest/download/components.yaml",
                Risk::Disruptive,
                "the cluster has no metrics API",
            ));
        }
    }
    fixes.push(describe(hpa, "conditions and the last computed metric"));
    fixes
}
