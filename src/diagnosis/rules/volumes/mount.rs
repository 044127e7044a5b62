//! `volume-attach-failed`, `volume-mount-failed`: the pod waits for its volume.

use chrono::TimeDelta;

use crate::diagnosis::cause::CauseId;
use crate::diagnosis::finding::{Confidence, Finding};
use crate::diagnosis::incident::{Fix, Risk};
use crate::diagnosis::rule::{Facts, Output, Rule};
use crate::diagnosis::rules::commands::{describe, fact, fix, patched};
use crate::diagnosis::rules::draft::{self, Draft};
use crate::diagnosis::rules::pattern::Pattern;
use crate::diagnosis::rules::pods;
use crate::kinds::events::Event;
use crate::kinds::pods::Pod;
use crate::kinds::{KindId, Row};
use crate::text::Text;

/// The rule.
pub static MOUNT: Rule = Rule {
    name: "volume-mount",
    causes: &[CauseId("volume-attach-failed"), CauseId("volume-mount-failed"), CauseId("node-not-ready")],
    doc: "\
What it detects
  A scheduled pod whose volume cannot be attached to its node (Multi-Attach, cloud error, driver missing) or mounted (NFS, CSI,
  hostPath type, file system).
Reads
  Events FailedAttachVolume, FailedMount, FailedMapVolume, VolumePermissionChangeInProgress of the pod while no container has started.
Source
  pkg/controller/volume/attachdetach/reconciler; pkg/volume/util/operationexecutor; pkg/volume/csi.
Look-alikes
  A missing ConfigMap or Secret is reported as FailedMount too and has its own cause. \"Unable to attach or mount volumes\" is only a
  summary of what another event says.
Fixes
  Recreate instead of RollingUpdate for a volume only one node may hold; bring back the driver's pod on the node.
",
    subject: KindId::Pod,
    needs: &[KindId::Event],
    check,
    fixes,
};

/// Attach wordings.
pub static ATTACH: Pattern = Pattern::new(r"Multi-Attach error|AttachVolume\.|timed out waiting for external-attacher");
/// Mount wordings.
pub static MOUNTS: Pattern = Pattern::new(
    r"(?:MountVolume|MapVolume|UnmapVolume)\.|Unable to attach or mount volumes|Setting volume ownership for|hostPath type check failed",
);
static REFERENCE: Pattern = Pattern::new(r#"(?i)(?:secret|configmap) "[^"]+" not found|references non-existent"#);
/// What a kubelet says of ConfigMaps and Secrets it has not read yet: for long it means that it cannot.
static UNREAD: Pattern = Pattern::new(r"not registered|failed to sync (?:secret|configmap) cache");
/// A kubelet that has just started needs this long to read what its pods use.
const WARM_UP: TimeDelta = TimeDelta::minutes(5);

fn is_warming_up(facts: &Facts<'_>, event: &Event) -> bool {
    UNREAD.is_match(event.text()) && event.first_seen().is_none_or(|first| first + WARM_UP > facts.now)
}
static CAUSE: Pattern = Pattern::new(r#"(?s)failed for volume "([^"]+)" ?: (.*)$"#);
/// The last words of what was run for it: `mount.nfs: access denied by server`.
static OUTPUT: Pattern = Pattern::new(r"(?s)Output: (.+)$");
static MULTI: Pattern = Pattern::new(r#"Multi-Attach error for volume "([^"]+)" Volume is already (.*)$"#);

fn check(facts: &Facts<'_>, row: &Row, out: &mut Output) {
    let Some(pod) = pods::live_pod(row) else { return };
    if pod.is_finished() || !pods::is_before_start(pod) || pods::on_dead_node(facts, pod) {
        return;
    }
    let events = facts.snapshot.events_of(KindId::Pod, &pod.meta);
    let newest: Vec<&&Event> = events
        .iter()
        .rev()
        .filter(|e| {
            matches!(&*e.reason, "FailedAttachVolume" | "FailedMount" | "FailedMapVolume" | "VolumePermissionChangeInProgress")
        })
        .filter(|e| pods::is_recent(facts.now, e.last_seen(), TimeDelta::minutes(30)))
        .collect();
    if newest.iter().any(|e| REFERENCE.is_match(e.text()) || is_warming_up(facts, e)) {
        return;
    }
    let attach = newest.iter().find(|e| ATTACH.is_match(e.text()));
    let detailed = newest.iter().find(|e| MOUNTS.is_match(e.text()) && !e.text().starts_with("Unable to attach"));
    let Some(event) = attach.or(detailed).or(newest.first()) else { return };
    let passed = events
        .iter()
        .any(|e| matches!(&*e.reason, "FailedCreatePodSandBox" | "Pulling" | "Pulled") && e.last_seen() > event.last_seen());
    if !passed {
        out.findings.push(find(facts, pod, event));
    }
}

/// The node that holds the pod's volume and is down: its kubelet cannot let go of it.
fn dead_holder(facts: &Facts<'_>, pod: &Pod) -> Option<Text> {
    let claims = |p: &Pod| -> Vec<Text> {
        p.spec.volumes.iter().filter_map(|v| v.persistent_volume_claim.as_ref()).map(|c| c.claim_name.clone()).collect()
    };
    let own = claims(pod);
    let mut others = facts.snapshot.pods.in_namespace(&pod.meta.namespace).filter(|p| p.meta.uid != pod.meta.uid);
    let holder = others.find(|p| pods::on_dead_node(facts, p) && claims(p).iter().any(|claim| own.contains(claim)))?;
    holder.node_name.clone()
}

fn find(facts: &Facts<'_>, pod: &Pod, event: &Event) -> Finding {
    let text = event.text();
    if MULTI.is_match(text)
        && let Some(node) = dead_holder(facts, pod)
    {
        return Draft::pod(facts, "node-not-ready", pod)
            .says(format!("its volume is still held by node {node}, which is down"))
            .sure(Confidence::Likely)
            .fact("node", &node)
            .rooted_in("Node", "", &node)
            .because(draft::event(event))
            .since(event.first_seen())
            .done();
    }
    let (cause, says, volume) = if let Some(c) = MULTI.captures(text) {
        let (volume, why) = (c.get(1).map_or("", |m| m.as_str()), c.get(2).map_or("", |m| m.as_str()));
        ("volume-attach-failed", format!("volume {volume} is already {why}"), volume)
    } else {
        let c = CAUSE.captures(text);
        let volume = c.as_ref().and_then(|c| c.get(1)).map_or("", |m| m.as_str());
        let why = c.as_ref().and_then(|c| c.get(2)).map_or(text, |m| m.as_str());
        let why = OUTPUT.first_group(why).unwrap_or(why).trim();
        let attach = ATTACH.is_match(text);
        let verb = if attach { "attached" } else { "mounted" };
        let name = if volume.is_empty() { "a volume".to_owned() } else { format!("volume {volume}") };
        let cause = if attach { "volume-attach-failed" } else { "volume-mount-failed" };
        (cause, format!("{name} cannot be {verb}: {}", crate::text::ellipsis(why, 160)), volume)
    };
    let summary_only = text.starts_with("Unable to attach");
    Draft::pod(facts, cause, pod)
        .says(crate::text::clean(says.trim_end_matches('.')))
        .sure(if summary_only { Confidence::Likely } else { Confidence::Certain })
        .maybe("volume", Some(volume))
        .maybe("node", pod.node_name.as_deref())
        .fact("multi", if MULTI.is_match(text) { "true" } else { "" })
        .because(draft::event(event))
        .not("ConfigMaps and Secrets: the kubelet does not name one")
        .since(event.first_seen())
        .done()
}

fn fixes(_facts: &Facts<'_>, finding: &Finding) -> Vec<Fix> {
    let workload = &finding.workload;
    let mut fixes = Vec::new();
    if fact(finding, "multi") == "true" && &*workload.kind == "Deployment" {
        fixes.push(patched(
            "Stop the old pod before the new one starts",
            workload,
            r#"{"spec":{"strategy":{"type":"Recreate","rollingUpdate":null}}}"#,
            Risk::Disruptive,
            "only one node may hold the volume, and a rolling update wants two",
        ));
    }
    fixes.push(fix(
        "See where volumes are attached",
        "kubectl get volumeattachments",
        Risk::Safe,
        "a stale attachment to a dead node blocks the new one",
    ));
    fixes.push(describe(&finding.subject, "the mount and attach events in full"));
    fixes
}
