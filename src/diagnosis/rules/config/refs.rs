//! `configmap-missing`, `secret-missing` and their keys: from the kubelet's words, confirmed by the objects.

use chrono::TimeDelta;

use crate::diagnosis::cause::CauseId;
use crate::diagnosis::finding::{Confidence, Evidence, EvidenceSource, Finding};
use crate::diagnosis::incident::{Fix, Risk};
use crate::diagnosis::rule::{Facts, Output, Rule};
use crate::diagnosis::rules::commands::{edit, fact, fix, kubectl, quoted};
use crate::diagnosis::rules::draft::{self, Draft};
use crate::diagnosis::rules::pattern::Pattern;
use crate::diagnosis::rules::pods;
use crate::kinds::pods::Pod;
use crate::kinds::{KindId, ObjectRef, Row};
use crate::text::{Text, Time};

/// The rule.
pub static MISSING_REFS: Rule = Rule {
    name: "missing-references",
    causes: &[CauseId("configmap-missing"), CauseId("secret-missing"), CauseId("configmap-key-missing"), CauseId("secret-key-missing")],
    doc: "\
What it detects
  A pod that cannot start because a ConfigMap or Secret it refers to does not exist, or lacks the key, in env, envFrom or a volume.
Reads
  status.*containerStatuses[*].state.waiting.message with reason CreateContainerConfigError; event FailedMount \"MountVolume.SetUp
  failed for volume ...\"; env[].valueFrom, envFrom, volumes of the spec against the listed ConfigMaps and Secrets (names, and key
  names where known; never values).
Source
  pkg/kubelet/kubelet_pods.go, pkg/kubelet/util/manager/watch_based_manager.go, pkg/volume/{secret,configmap}.
Look-alikes
  optional: true never blocks. \"object ... not registered\" is a kubelet cache after the pod was deleted. \"failed to sync secret
  cache\" is the kubelet without the API server.
Fixes
  Create the object or the key (copy it from another namespace when it exists there), or correct the reference. The kubelet
  retries by itself: no restart is needed.
",
    subject: KindId::Pod,
    needs: &[],
    check,
    fixes,
};

static NOT_FOUND: Pattern = Pattern::new(r#"(?i)\b(secret|configmap)s? "([^"]+)" (?:not found|is forbidden: .*not found)"#);
static KEY: Pattern = Pattern::new(r"couldn't find key (\S+) in (Secret|ConfigMap) ([^/\s]+)/(\S+)");
static VOLUME_KEY: Pattern = Pattern::new(r"references non-existent (secret|config) key:? (\S+)");
static VOLUME: Pattern = Pattern::new(r#"for volume "([^"]+)""#);

/// True when the kubelet's text names a missing object or key.
pub fn names_reference(text: &str) -> bool {
    NOT_FOUND.is_match(text) || KEY.is_match(text) || VOLUME_KEY.is_match(text)
}

/// A reference that leads nowhere.
struct Missing {
    kind: &'static str,
    name: String,
    key: Option<String>,
    container: Option<Text>,
    evidence: Evidence,
    at: Option<Time>,
}

fn check(facts: &Facts<'_>, row: &Row, out: &mut Output) {
    let Some(pod) = pods::live_pod(row) else { return };
    if pod.is_finished() {
        return;
    }
    let mut missing = from_waiting(pod);
    missing.extend(from_mounts(facts, pod));
    if missing.is_empty() {
        missing.extend(statically(facts, pod, out));
    }
    let mut seen = Vec::new();
    for m in missing {
        let identity = (m.kind, m.name.clone(), m.key.clone());
        if !seen.contains(&identity) {
            seen.push(identity);
            out.findings.push(find(facts, pod, m));
        }
    }
}

fn kind_of(word: &str) -> &'static str {
    if word.to_lowercase().starts_with("secret") { "Secret" } else { "ConfigMap" }
}

fn from_waiting(pod: &Pod) -> Vec<Missing> {
    let waiting = pod.containers().filter(|v| v.waiting_reason() == "CreateContainerConfigError");
    waiting
        .filter_map(|v| {
            let text = v.waiting_message();
            let evidence = draft::pod_status(pod, format!("{}.state.waiting.message", v.path()), text, None);
            let container = Some(v.status.name.clone());
            let at = pod.meta.creation_timestamp;
            if let Some(c) = KEY.captures(text) {
                let (key, kind, name) = (c.get(1)?.as_str(), kind_of(c.get(2)?.as_str()), c.get(4)?.as_str());
                return Some(Missing { kind, name: name.to_owned(), key: Some(key.to_owned()), container, evidence, at });
            }
            let c = NOT_FOUND.captures(text)?;
            Some(Missing {
                kind: kind_of(c.get(1)?.as_str()),
                name: c.get(2)?.as_str().to_owned(),
                key: None,
                container,
                evidence,
                at,
            })
        })
        .collect()
}

fn from_mounts(facts: &Facts<'_>, pod: &Pod) -> Vec<Missing> {
    if !pods::is_before_start(pod) {
        return Vec::new();
    }
    let events = facts.snapshot.events_of(KindId::Pod, &pod.meta);
    let newest = events
        .iter()
        .rev()
        .filter(|e| &*e.reason == "FailedMount" && pods::is_recent(facts.now, e.last_seen(), TimeDelta::minutes(30)));
    newest
        .filter_map(|e| {
            let (text, at) = (e.text(), e.first_seen());
            let volume = VOLUME.group(text, 1).unwrap_or_default();
            if let Some(c) = VOLUME_KEY.captures(text) {
                let kind = kind_of(c.get(1)?.as_str());
                let name = volume_source(pod, volume, kind).unwrap_or_else(|| volume.to_owned());
                return Some(Missing {
                    kind,
                    name,
                    key: Some(c.get(2)?.as_str().to_owned()),
                    container: None,
                    evidence: draft::event(e),
                    at,
                });
            }
            let c = NOT_FOUND.captures(text)?;
            Some(Missing {
                kind: kind_of(c.get(1)?.as_str()),
                name: c.get(2)?.as_str().to_owned(),
                key: None,
                container: None,
                evidence: draft::event(e),
                at,
            })
        })
        .collect()
}

/// The object behind a volume of the pod.
fn volume_source(pod: &Pod, volume: &str, kind: &str) -> Option<String> {
    let volume = pod.spec.volumes.iter().find(|v| &*v.name == volume)?;
    let direct = if kind == "Secret" { volume.secret.as_ref() } else { volume.config_map.as_ref() };
    let projected = || {
        let sources = &volume.projected.as_ref()?.sources;
        sources.iter().find_map(|s| if kind == "Secret" { s.secret.as_ref() } else { s.config_map.as_ref() })
    };
    direct.or_else(projected).map(|r| r.name.to_string())
}

/// Every reference of the spec that must exist: kind, name, key, field.
fn references(pod: &Pod) -> Vec<(&'static str, Text, Option<Text>, String)> {
    let mut found = Vec::new();
    for container in pod.spec.all_containers() {
        let path = pod.spec.container_path(&container.name);
        for (i, variable) in container.env.iter().enumerate() {
            let Some(source) = &variable.value_from else { continue };
            let both = [("ConfigMap", &source.config_map_key_ref), ("Secret", &source.secret_key_ref)];
            for (kind, key) in both {
                if let Some(key) = key.as_ref().filter(|k| k.optional != Some(true)) {
                    found.push((kind, key.name.clone(), Some(key.key.clone()), format!("{path}.env[{i}].valueFrom")));
                }
            }
        }
        for (i, from) in container.env_from.iter().enumerate() {
            for (kind, whole) in [("ConfigMap", &from.config_map_ref), ("Secret", &from.secret_ref)] {
                if let Some(whole) = whole.as_ref().filter(|w| w.optional != Some(true)) {
                    found.push((kind, whole.name.clone(), None, format!("{path}.envFrom[{i}]")));
                }
            }
        }
    }
    for (i, volume) in pod.spec.volumes.iter().enumerate() {
        for (kind, whole) in [("ConfigMap", &volume.config_map), ("Secret", &volume.secret)] {
            if let Some(whole) = whole.as_ref().filter(|w| w.optional != Some(true)) {
                found.push((kind, whole.name.clone(), whole.items.first().map(|k| k.key.clone()), format!("spec.volumes[{i}]")));
            }
        }
    }
    found
}

/// Without a word from the kubelet: references to objects that a complete list does not have, of a pod that waits.
fn statically(facts: &Facts<'_>, pod: &Pod, out: &mut Output) -> Vec<Missing> {
    let waits = pods::is_before_start(pod) || pod.containers().any(|v| v.waiting_reason() == "CreateContainerConfigError");
    if !waits {
        return Vec::new();
    }
    // A pod that was created a moment ago may only be waiting for its network.
    let due = pod.meta.creation_timestamp.map(|c| c + TimeDelta::seconds(20));
    if let Some(due) = due.filter(|d| facts.now < *d) {
        out.recheck_at(due);
        return Vec::new();
    }
    references(pod)
        .into_iter()
        .filter_map(|(kind, name, key, field)| {
            let lost = match exists(facts, &pod.meta.namespace, kind, &name, key.as_deref())? {
                Found::Nothing => None,
                Found::NoKey => Some(key.map(|k| k.to_string())),
                Found::All => return None,
            };
            let text = format!("{} {name} is not in namespace {}", kind, pod.meta.namespace);
            Some(Missing {
                kind,
                name: name.to_string(),
                key: lost.flatten(),
                container: None,
                evidence: draft::pod_spec(pod, field, text),
                at: pod.meta.creation_timestamp,
            })
        })
        .collect()
}

enum Found {
    Nothing,
    NoKey,
    All,
}

/// Looks an object up; `None` when the lists are not complete enough to tell.
fn exists(facts: &Facts<'_>, namespace: &str, kind: &str, name: &str, key: Option<&str>) -> Option<Found> {
    let (id, keys) = if kind == "Secret" {
        (KindId::Secret, facts.snapshot.secrets.named(namespace, name).map(|s| s.keys.clone()))
    } else {
        (KindId::ConfigMap, facts.snapshot.config_maps.named(namespace, name).map(|c| c.keys.clone()))
    };
    match keys {
        None => facts.snapshot.coverage.is_complete(id, namespace).then_some(Found::Nothing),
        Some(Some(keys)) if key.is_some_and(|k| !keys.iter().any(|own| &**own == k)) => Some(Found::NoKey),
        Some(_) => Some(Found::All),
    }
}

fn find(facts: &Facts<'_>, pod: &Pod, missing: Missing) -> Finding {
    let Missing { kind, name, key, container, evidence, at } = missing;
    let namespace = &pod.meta.namespace;
    let said = evidence.from != EvidenceSource::Spec;
    let agrees = match exists(facts, namespace, kind, &name, key.as_deref()) {
        Some(Found::Nothing) => key.is_none(),
        Some(Found::NoKey) => key.is_some(),
        _ => false,
    };
    let cause = match (kind, &key) {
        ("Secret", None) => "secret-missing",
        ("Secret", Some(_)) => "secret-key-missing",
        (_, None) => "configmap-missing",
        (_, Some(_)) => "configmap-key-missing",
    };
    let says = match &key {
        None => format!("{kind} {name} does not exist in namespace {namespace}"),
        Some(key) => format!("{kind} {name} has no key {key}"),
    };
    let mut draft = Draft::pod(facts, cause, pod)
        .says(says)
        .sure(if said { Confidence::Certain } else { Confidence::Likely })
        .fact("kind", kind)
        .fact("name", &name)
        .maybe("key", key.as_deref())
        .rooted_in(kind, namespace, &name)
        .because(evidence)
        .since(at);
    if let Some(container) = &container {
        draft = draft.container(container);
    }
    let object = ObjectRef::new(kind, namespace, &name);
    if agrees && said {
        let text = if key.is_some() { "the key is not among its keys" } else { "no object of this name is listed" };
        draft = draft.because(draft::quote(object, EvidenceSource::Status, kind.to_lowercase(), text, None));
    }
    if let Some((_, _, _, field)) = references(pod).into_iter().find(|(k, n, ..)| *k == kind && **n == *name) {
        draft = draft.because(draft::pod_spec(
            pod,
            field,
            format!("{kind} {name}{}", key.as_deref().map(|k| format!(", key {k}")).unwrap_or_default()),
        ));
    }
    draft = draft.maybe("elsewhere", elsewhere(facts, namespace, kind, &name).as_deref());
    draft.maybe("similar", similar(facts, namespace, kind, &name).as_deref()).done()
}

fn names<'a>(facts: &Facts<'a>, kind: &str) -> Vec<(&'a str, &'a str)> {
    if kind == "Secret" {
        facts.snapshot.secrets.keys().map(|k| (&*k.namespace, &*k.name)).collect()
    } else {
        facts.snapshot.config_maps.keys().map(|k| (&*k.namespace, &*k.name)).collect()
    }
}

fn elsewhere(facts: &Facts<'_>, namespace: &str, kind: &str, name: &str) -> Option<String> {
    names(facts, kind).into_iter().find(|(ns, n)| *n == name && *ns != namespace).map(|(ns, _)| ns.to_owned())
}

/// A name in the same namespace that differs by at most two letters.
fn similar(facts: &Facts<'_>, namespace: &str, kind: &str, name: &str) -> Option<String> {
    names(facts, kind)
        .into_iter()
        .find(|(ns, n)| *ns == namespace && *n != name && distance(n, name) <= 2)
        .map(|(_, n)| n.to_owned())
}

/// Edit distance of two short names.
pub fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut next = vec![i + 1];
        for (j, y) in b.iter().enumerate() {
            let change = row.get(j).copied().unwrap_or(0) + usize::from(x != *y);
            let shorter = row.get(j + 1).copied().unwrap_or(0).min(next.get(j).copied().unwrap_or(0)) + 1;
            next.push(change.min(shorter));
        }
        row = next;
    }
    row.last().copied().unwrap_or(0)
}

fn fixes(_facts: &Facts<'_>, finding: &Finding) -> Vec<Fix> {
    let namespace = &finding.workload.namespace;
    let (kind, name) = (fact(finding, "kind"), fact(finding, "name"));
    let lower = kind.to_lowercase();
    let mut fixes = Vec::new();
    if let Some(other) = finding.facts.get("elsewhere").filter(|_| !finding.facts.contains_key("key")) {
        let command = format!(
            "kubectl -n {} get {lower} {} -o yaml | sed -e '/^  namespace:/d' -e '/^  uid:/d' -e '/^  resourceVersion:/d' | kubectl -n {} apply -f -",
            quoted(other),
            quoted(name),
            quoted(namespace)
        );
        fixes.push(fix(format!("Copy it from namespace {other}"), command, Risk::Safe, "it exists there under the same name"));
    }
    if let Some(similar) = finding.facts.get("similar") {
        fixes.push(edit(finding, format!("Refer to {similar}"), format!("{kind} {similar} exists; {name} does not")));
    }
    let key = finding.facts.get("key").map_or("KEY", |k| &**k);
    let literal = format!("--from-literal={}=\"$VALUE\"", quoted(key));
    let command = match (kind, finding.facts.contains_key("key")) {
        ("Secret", false) => kubectl(namespace, format!("create secret generic {} --from-env-file=app.env", quoted(name))),
        (_, false) => kubectl(namespace, format!("create configmap {} --from-env-file=app.env", quoted(name))),
        (_, true) => {
            let create = if kind == "Secret" { "secret generic" } else { "configmap" };
            let json =
                format!("kubectl -n {} create {create} {} {literal} --dry-run=client -o json", quoted(namespace), quoted(name));
            format!(
                "{json} | kubectl -n {} patch {lower} {} --type=merge --patch-file=/dev/stdin",
                quoted(namespace),
                quoted(name)
            )
        }
    };
    let title = if finding.facts.contains_key("key") {
        format!("Add the key {key} to {lower} {name}")
    } else {
        format!("Create the {lower} {name}")
    };
    fixes.push(fix(title, command, Risk::Safe, "the kubelet retries by itself: no restart is needed"));
    fixes.push(edit(finding, "Correct the reference", "when another object or key is meant"));
    fixes
}
