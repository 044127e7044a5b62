//! `terminating-*` of pods: who still has to let go, in the order of the kubelet's own steps.

use chrono::TimeDelta;

use crate::actions::Intent;
use crate::diagnosis::cause::CauseId;
use crate::diagnosis::finding::{Confidence, Finding};
use crate::diagnosis::incident::{Fix, Risk};
use crate::diagnosis::rule::{Facts, Output, Rule};
use crate::diagnosis::rules::commands::{describe, fact, fix, kubectl, quoted, with_action};
use crate::diagnosis::rules::draft::{self, Draft};
use crate::kinds::events::Event;
use crate::kinds::nodes::Node;
use crate::kinds::pods::{ContainerView, Pod};
use crate::kinds::{Condition, KindId, ObjectRef, Row};
use crate::text::{self, Time};

/// The rule.
pub static TERMINATING_POD: Rule = Rule {
    name: "terminating-pod",
    causes: &[
        CauseId("terminating-finalizer"),
        CauseId("terminating-node-lost"),
        CauseId("terminating-ignores-sigterm"),
        CauseId("terminating-prestop-hook"),
        CauseId("terminating-volume"),
        CauseId("terminating-slow"),
    ],
    doc: "\
What it detects
  A pod that was deleted and is still there: its node is gone or silent, a finalizer holds it, its process ignores SIGTERM, its
  preStop hook does not end, the runtime cannot kill it, or its volumes do not unmount.
Reads
  metadata.{deletionTimestamp,deletionGracePeriodSeconds,finalizers}, spec.nodeName against the Nodes and their Ready condition,
  status.containerStatuses[*].state, spec.containers[*].lifecycle.preStop, events Killing, FailedKillPod, ExceededGracePeriod,
  FailedPreStopHook, TaintManagerEviction, condition DisruptionTarget.
Source
  pkg/kubelet/kubelet.go (SyncTerminatingPod, SyncTerminatedPod), pod_workers.go, pkg/controller/podgc, apiserver rest/delete.go.
Look-alikes
  deletionTimestamp is the request time plus the grace period, so it lies in the future while the grace period runs: a short wait
  is normal and is no incident. kubectl shows a finished pod held by a finalizer as Completed or Error, not as Terminating. A
  mirror pod of the kubelet comes back whatever one does.
Fixes
  Bring the node back, or delete with --force once it is surely off; restore the finalizer's controller, or remove the finalizer;
  shorten the grace period; make the application handle SIGTERM.
",
    subject: KindId::Pod,
    needs: &[],
    check,
    fixes,
};

/// After this long past its deletion time a pod counts as stuck.
const PATIENCE: TimeDelta = TimeDelta::seconds(30);
/// A finalizer's controller needs a moment too.
const FINALIZER_PATIENCE: TimeDelta = TimeDelta::seconds(15);

fn check(facts: &Facts<'_>, row: &Row, out: &mut Output) {
    let Row::Pod(pod) = row else { return };
    let Some(due) = pod.meta.deletion_timestamp else { return };
    let is_mirror = pod.meta.annotation("kubernetes.io/config.mirror").is_some();
    if is_mirror || namespace_is_going(facts, pod) && due + PATIENCE > facts.now {
        return;
    }
    let asked = due - TimeDelta::seconds(pod.meta.deletion_grace_period_seconds.unwrap_or(0));
    if let Some(draft) = node_lost(facts, pod, asked, out) {
        out.findings.push(draft.done());
        return;
    }
    let running: Vec<ContainerView<'_>> = pod.containers().filter(|c| c.status.state.running.is_some()).collect();
    if running.is_empty() {
        stopped(facts, pod, due, asked, out);
    } else {
        still_running(facts, pod, &running, (asked, due), out);
    }
}

fn namespace_is_going(facts: &Facts<'_>, pod: &Pod) -> bool {
    facts.snapshot.namespaces.named("", &pod.meta.namespace).is_some_and(|n| n.meta.deletion_timestamp.is_some())
}

fn base(facts: &Facts<'_>, cause: &'static str, pod: &Pod, asked: Time) -> Draft {
    let due = pod.meta.deletion_timestamp;
    let grace = pod.meta.deletion_grace_period_seconds.unwrap_or(0);
    Draft::pod(facts, cause, pod)
        .because(draft::pod_status(pod, "metadata.deletionTimestamp", due.map(text::timestamp).unwrap_or_default(), due))
        .because(draft::pod_spec(pod, "metadata.deletionGracePeriodSeconds", grace.to_string()))
        .since(Some(asked))
}

fn node_lost(facts: &Facts<'_>, pod: &Pod, asked: Time, out: &mut Output) -> Option<Draft> {
    let name = pod.node_name.as_deref()?;
    if pod.is_finished() && !pod.meta.finalizers.is_empty() {
        return None;
    }
    if facts.now < asked + FINALIZER_PATIENCE {
        out.recheck_at(asked + FINALIZER_PATIENCE);
        return None;
    }
    match facts.snapshot.nodes.named("", name) {
        Some(node) if node.is_ready() => None,
        Some(node) => Some(silent_node(facts, pod, node, asked)),
        None if facts.snapshot.coverage.is_complete(KindId::Node, "") && !facts.snapshot.nodes.is_empty() => Some(
            base(facts, "terminating-node-lost", pod, asked)
                .says(format!("node {name} no longer exists, so no kubelet can confirm that the pod has stopped"))
                .fact("node", name)
                .fact("gone", "true")
                .rooted_in("Node", "", name)
                .because(draft::pod_spec(pod, "spec.nodeName", format!("{name} (no such node)"))),
        ),
        None => None,
    }
}

fn silent_node(facts: &Facts<'_>, pod: &Pod, node: &Node, asked: Time) -> Draft {
    let name = &node.meta.name;
    let object = ObjectRef::new("Node", "", name);
    let mut draft = base(facts, "terminating-node-lost", pod, asked)
        .says(format!("its node {name} is not ready, so nobody confirms that the pod has stopped"))
        .fact("node", name)
        .rooted_in("Node", "", name);
    if let Some(ready) = Condition::find(&node.status.conditions, "Ready") {
        draft = draft.because(draft::condition(object, ready));
    }
    if let Some(target) = pod.condition("DisruptionTarget") {
        draft = draft.because(draft::condition(draft::pod_ref(pod), target));
    }
    draft
        .because(draft::pod_spec(pod, "spec.nodeName", &**name))
        .not("a finalizer: the kubelet has not even reported the containers as stopped")
}

/// No container runs any more: a finalizer, a volume, or the kubelet.
fn stopped(facts: &Facts<'_>, pod: &Pod, due: Time, asked: Time, out: &mut Output) {
    if !pod.meta.finalizers.is_empty() {
        let at = due + FINALIZER_PATIENCE;
        if facts.now < at {
            out.recheck_at(at);
            return;
        }
        let names: Vec<&str> = pod.meta.finalizers.iter().map(|f| &**f).collect();
        let owner = super::objects::finalizer_owner(names.first().copied().unwrap_or_default());
        out.findings.push(
            base(facts, "terminating-finalizer", pod, asked)
                .says(format!("all containers have stopped; the finalizer {} holds the pod ({owner})", names.join(", ")))
                .maybe("finalizer", names.first().copied())
                .because(draft::pod_spec(pod, "metadata.finalizers", names.join(", ")))
                .not("the node: the containers are reported as stopped")
                .done(),
        );
        return;
    }
    if facts.now < due + PATIENCE {
        out.recheck_at(due + PATIENCE);
        return;
    }
    let events = facts.snapshot.events_of(KindId::Pod, &pod.meta);
    if let Some(kill) = kill_failure(&events) {
        out.findings.push(kill_fails(facts, pod, kill, asked));
        return;
    }
    let claims: Vec<&str> =
        pod.spec.volumes.iter().filter_map(|v| v.persistent_volume_claim.as_ref()).map(|c| &*c.claim_name).collect();
    let draft = if pod.node_name.is_some() && !claims.is_empty() {
        base(facts, "terminating-volume", pod, asked)
            .says(format!("all containers have stopped, but volume {} is not unmounted or detached yet", claims.join(", ")))
            .fact("claim", claims.first().copied().unwrap_or_default())
            .because(draft::pod_spec(pod, "spec.volumes[*].persistentVolumeClaim.claimName", claims.join(", ")))
    } else {
        base(facts, "terminating-slow", pod, asked).says(format!(
            "all containers have stopped and nothing holds the pod, but the kubelet has not removed it, which was due at {}",
            text::moment(due, facts.now)
        ))
    };
    out.findings.push(draft.sure(Confidence::Possible).not("a finalizer: there is none").done());
}

fn kill_failure<'e>(events: &[&'e Event]) -> Option<&'e Event> {
    events.iter().rev().find(|e| matches!(&*e.reason, "FailedKillPod" | "ExceededGracePeriod")).copied()
}

fn kill_fails(facts: &Facts<'_>, pod: &Pod, kill: &Event, asked: Time) -> Finding {
    base(facts, "terminating-slow", pod, asked)
        .says("the runtime cannot stop the pod")
        .maybe("node", pod.node_name.as_deref())
        .because(draft::event(kill))
        .done()
}

fn still_running(facts: &Facts<'_>, pod: &Pod, running: &[ContainerView<'_>], (asked, due): (Time, Time), out: &mut Output) {
    let grace = due - asked;
    // A long grace period is somebody's choice: within it, only a clearly unanswered SIGTERM is worth a line.
    let patience = (grace / 4).clamp(TimeDelta::seconds(60), TimeDelta::seconds(300));
    if facts.now < due && facts.now < asked + patience {
        out.recheck_at((asked + patience).min(due));
        return;
    }
    let events = facts.snapshot.events_of(KindId::Pod, &pod.meta);
    if facts.now > due + PATIENCE || kill_failure(&events).is_some() {
        if let Some(kill) = kill_failure(&events) {
            out.findings.push(kill_fails(facts, pod, kill, asked));
            return;
        }
        let names = names(running);
        out.findings.push(
            base(facts, "terminating-slow", pod, asked)
                .says(format!("container {names} still runs, though its grace period ended at {}: the kubelet or the runtime does not kill it", text::moment(due, facts.now)))
                .maybe("node", pod.node_name.as_deref())
                .sure(Confidence::Likely)
                .because(running_since(pod, running))
                .done(),
        );
        return;
    }
    out.recheck_at(due + PATIENCE + TimeDelta::seconds(1));
    out.findings.push(unanswered(facts, pod, running, &events, asked));
}

fn names(running: &[ContainerView<'_>]) -> String {
    running.iter().map(|c| &*c.status.name).collect::<Vec<_>>().join(", ")
}

fn running_since(pod: &Pod, running: &[ContainerView<'_>]) -> crate::diagnosis::finding::Evidence {
    let first = running.first();
    let started = first.and_then(|c| c.status.state.running.as_ref()).and_then(|r| r.started_at);
    let field = first.map(|c| format!("{}.state.running", c.path())).unwrap_or_default();
    draft::pod_status(
        pod,
        field,
        format!("container {} runs since {}", names(running), started.map(text::timestamp).unwrap_or_default()),
        started,
    )
}

/// SIGTERM (or the preStop hook before it) has had its time, SIGKILL is not due yet.
fn unanswered(facts: &Facts<'_>, pod: &Pod, running: &[ContainerView<'_>], events: &[&Event], asked: Time) -> Finding {
    let due = pod.meta.deletion_timestamp.unwrap_or(asked);
    let hook_failed = events.iter().rev().find(|e| &*e.reason == "FailedPreStopHook");
    let hooked = running.iter().find(|c| {
        let hook = pod.spec.container(&c.status.name).and_then(|s| s.lifecycle.as_ref()).and_then(|l| l.pre_stop.as_ref());
        // A plain sleep that has ended cannot be what it waits for.
        hook.is_some_and(|h| h.sleep.as_ref().is_none_or(|s| asked + TimeDelta::seconds(s.seconds) > facts.now))
    });
    let kill = text::moment(due, facts.now);
    let name = hooked.map_or_else(|| names(running), |c| c.status.name.to_string());
    let mut draft = if hooked.is_some() || hook_failed.is_some() {
        base(facts, "terminating-prestop-hook", pod, asked)
            .says(format!(
                "the preStop hook of container {name} runs since {}; SIGKILL follows at {kill}",
                text::moment(asked, facts.now)
            ))
            .because(draft::pod_spec(pod, format!("{}.lifecycle.preStop", pod.spec.container_path(&name)), hook_text(pod, &name)))
    } else {
        base(facts, "terminating-ignores-sigterm", pod, asked)
            .says(format!(
                "container {name} was sent SIGTERM at {} and still runs; SIGKILL follows at {kill}",
                text::moment(asked, facts.now)
            ))
            .not("a preStop hook: the container has none that still runs")
    };
    draft = draft
        .container(&name)
        .sure(Confidence::Likely)
        .because(running_since(pod, running))
        .not("the node: it is ready")
        .not("a finalizer: the containers have not stopped yet");
    if let Some(failed) = hook_failed {
        draft = draft.because(draft::event(failed));
    }
    if let Some(killing) = events.iter().rev().find(|e| &*e.reason == "Killing") {
        draft = draft.because(draft::event(killing));
    }
    draft.done()
}

fn hook_text(pod: &Pod, container: &str) -> String {
    let hook = pod.spec.container(container).and_then(|s| s.lifecycle.as_ref()).and_then(|l| l.pre_stop.as_ref());
    match hook {
        Some(h) if h.exec.is_some() => h.exec.iter().flat_map(|e| e.command.iter().map(|c| &**c)).collect::<Vec<_>>().join(" "),
        Some(h) if h.sleep.is_some() => format!("sleep {} s", h.sleep.as_ref().map_or(0, |s| s.seconds)),
        Some(_) => "httpGet".to_owned(),
        None => "(none)".to_owned(),
    }
}

fn delete(finding: &Finding, title: &str, flags: &str, risk: Risk, why: &str) -> Fix {
    let command = kubectl(&finding.subject.namespace, format!("delete pod {} {flags}", quoted(&finding.subject.name)));
    fix(title, command, risk, why)
}

fn force(finding: &Finding, risk: Risk, why: &str) -> Fix {
    let plain = delete(finding, "Delete the pod object without waiting", "--grace-period=0 --force", risk, why);
    with_action(plain, Intent::Delete { object: finding.subject.clone(), force: true })
}

fn fixes(_facts: &Facts<'_>, finding: &Finding) -> Vec<Fix> {
    let node = fact(finding, "node");
    let look = describe(&finding.subject, "shows what is still missing");
    match finding.cause.0 {
        "terminating-node-lost" if finding.facts.contains_key("gone") => {
            vec![force(finding, Risk::Disruptive, "the node object is gone: nothing can run there any more")]
        }
        "terminating-node-lost" => vec![
            describe(
                &ObjectRef::new("Node", "", node),
                "bring the node back first: then the kubelet finishes the deletion by itself",
            ),
            force(
                finding,
                Risk::Destructive,
                "only when the node is surely off: a partitioned node still runs the process, and two may write one volume",
            ),
            fix(
                format!("Declare {node} out of service"),
                format!("kubectl taint nodes {} node.kubernetes.io/out-of-service=nodeshutdown:NoExecute", quoted(node)),
                Risk::Destructive,
                "the pod garbage collector then removes its pods and detaches their volumes; only when it is powered off",
            ),
        ],
        "terminating-finalizer" => super::objects::finalizer_fixes(finding),
        "terminating-ignores-sigterm" | "terminating-prestop-hook" => vec![
            with_action(
                delete(
                    finding,
                    "Shorten the grace period",
                    "--grace-period=30",
                    Risk::Disruptive,
                    "SIGKILL follows after 30 seconds instead; a grace period can only be shortened",
                ),
                Intent::ShortenGrace { pod: finding.subject.clone(), seconds: 30 },
            ),
            super::super::commands::edit(
                finding,
                "Correct the signal handling",
                "let the process handle SIGTERM (exec it as PID 1), or lower terminationGracePeriodSeconds",
            ),
        ],
        "terminating-volume" => vec![look, force(finding, Risk::Destructive, "the volume may still be written to by this node")],
        _ if node.is_empty() => vec![look, force(finding, Risk::Destructive, "the process may go on running unseen")],
        _ => vec![
            describe(
                &ObjectRef::new("Node", "", node),
                "the kubelet or the runtime of this node does not finish: restart it there",
            ),
            force(finding, Risk::Destructive, "the process may go on running unseen"),
        ],
    }
}
