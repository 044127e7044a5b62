//! How rules build fixes: complete commands, quoted for a shell, with the matching [`Intent`] where one exists.

use std::fmt::Write as _;

use crate::actions::{Intent, Patch};
use crate::diagnosis::finding::Finding;
use crate::diagnosis::incident::{Fix, Risk};
use crate::diagnosis::rule::Facts;
use crate::kinds::pod_spec::{Container, PodSpec};
use crate::kinds::{KindId, ObjectRef, Row};

/// A fix that is only shown.
pub fn fix(title: impl Into<String>, command: impl Into<String>, risk: Risk, why: impl Into<String>) -> Fix {
    Fix { title: title.into(), command: command.into(), risk, why: why.into(), action: None }
}

/// The same with a one-key action.
pub fn with_action(mut fix: Fix, action: Intent) -> Fix {
    fix.action = Some(action);
    fix
}

/// One field or a few of an object set by a merge patch: the command, and one key for the same. `patch` holds maps only (a
/// merge patch replaces lists whole) and no secret.
pub fn patched(title: impl Into<String>, object: &ObjectRef, patch: &str, risk: Risk, why: impl Into<String>) -> Fix {
    let command = kubectl(&object.namespace, format!("patch {} --type=merge -p {}", target(object), quoted(patch)));
    with_action(fix(title, command, risk, why), Intent::Edit { object: object.clone(), patch: Patch(patch.to_owned()) })
}

/// One field set by a JSON patch, for what stands in a list: the command, and one key for the same. `field` is a JSON pointer, `from`
/// what is expected there (`None`: whatever it is), `to` the new value as JSON (`None` removes the field).
pub fn field_set(
    title: impl Into<String>,
    (object, field): (&ObjectRef, &str),
    (from, to): (Option<&str>, Option<&str>),
    risk: Risk,
    why: impl Into<String>,
) -> Fix {
    let patch = match to {
        // `add` replaces what is there, and needs nothing to be there.
        Some(value) => format!(r#"[{{"op":"add","path":"{field}","value":{value}}}]"#),
        None => format!(r#"[{{"op":"remove","path":"{field}"}}]"#),
    };
    let command = kubectl(&object.namespace, format!("patch {} --type=json -p {}", target(object), quoted(&patch)));
    let owned = |text: Option<&str>| text.map(str::to_owned);
    with_action(
        fix(title, command, risk, why),
        Intent::SetField { object: object.clone(), field: field.to_owned(), from: owned(from), to: owned(to) },
    )
}

/// `text` as one shell word: unchanged when harmless, else in single quotes.
pub fn quoted(text: &str) -> String {
    let harmless = |c: char| c.is_ascii_alphanumeric() || "._/:=@,+-%".contains(c);
    if !text.is_empty() && text.chars().all(harmless) { text.to_owned() } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

/// `kubectl -n NAMESPACE REST`; without `-n` for cluster-scoped objects.
pub fn kubectl(namespace: &str, rest: impl AsRef<str>) -> String {
    if namespace.is_empty() {
        format!("kubectl {}", rest.as_ref())
    } else {
        format!("kubectl -n {} {}", quoted(namespace), rest.as_ref())
    }
}

/// `deployment/NAME`, quoted.
pub fn target(object: &ObjectRef) -> String {
    quoted(&object.to_string())
}

/// True for the kinds whose template can be changed and rolled out.
pub fn can_roll_out(object: &ObjectRef) -> bool {
    matches!(&*object.kind, "Deployment" | "StatefulSet" | "DaemonSet")
}

/// The pod spec a workload wants now (or the pod's own).
pub fn template_of(facts: &Facts<'_>, workload: &ObjectRef) -> Option<std::sync::Arc<PodSpec>> {
    match facts.snapshot.find(workload)? {
        Row::Deployment(d) => Some(d.spec.template.spec.clone()),
        Row::StatefulSet(s) => Some(s.spec.template.spec.clone()),
        Row::DaemonSet(d) => Some(d.spec.template.spec.clone()),
        Row::ReplicaSet(r) => Some(r.spec.template.spec.clone()),
        Row::Job(j) => Some(j.spec.template.spec.clone()),
        Row::Pod(p) => Some(p.spec.clone()),
        _ => None,
    }
}

/// A field of a container of the workload's template, as a JSON pointer; `None` when its template is not known or has no such.
pub fn container_field(facts: &Facts<'_>, workload: &ObjectRef, container: &str, field: &str) -> Option<String> {
    let spec = template_of(facts, workload).filter(|_| can_roll_out(workload))?;
    let at = |list: &[Container]| list.iter().position(|c| &*c.name == container);
    let (list, index) = match (at(&spec.containers), at(&spec.init_containers)) {
        (Some(index), _) => ("containers", index),
        (None, index) => ("initContainers", index?),
    };
    Some(format!("/spec/template/spec/{list}/{index}/{field}"))
}

/// `kubectl set resources` of one amount that the container has now (`requests` or `limits`), with one key for the same.
pub fn set_resource(
    facts: &Facts<'_>,
    (workload, container): (&ObjectRef, &str),
    (which, resource): (&str, &str),
    amount: &str,
    (title, why): (String, String),
) -> Fix {
    let rest = format!("set resources {} -c {} --{which}={resource}={amount}", target(workload), quoted(container));
    let plain = fix(title, kubectl(&workload.namespace, rest), Risk::Disruptive, why);
    let present = template_of(facts, workload).is_some_and(|spec| {
        spec.container(container).is_some_and(|c| {
            let amounts = if which == "limits" { &c.resources.limits } else { &c.resources.requests };
            amounts.contains_key(resource)
        })
    });
    match container_field(facts, workload, container, &format!("resources/{which}/{resource}")).filter(|_| present) {
        Some(field) => {
            let to = Some(format!("\"{amount}\""));
            with_action(plain, Intent::SetField { object: workload.clone(), field, from: None, to })
        }
        None => plain,
    }
}

/// `kubectl rollout restart`, for causes that the pods' next start cures.
pub fn restart(finding: &Finding, why: impl Into<String>) -> Option<Fix> {
    let workload = &finding.workload;
    can_roll_out(workload).then(|| {
        let command = kubectl(&workload.namespace, format!("rollout restart {}", target(workload)));
        let plain = fix(format!("Restart {workload}"), command, Risk::Disruptive, why);
        with_action(plain, Intent::Restart { workload: workload.clone() })
    })
}

/// Open the workload (or a lone pod's) manifest in an editor.
pub fn edit(finding: &Finding, title: impl Into<String>, why: impl Into<String>) -> Fix {
    let workload = &finding.workload;
    fix(title, kubectl(&workload.namespace, format!("edit {}", target(workload))), Risk::Disruptive, why)
}

/// Keep new pods off a node: they may then find no node at all, so it is not harmless.
pub fn cordon(node: &str, title: &str, why: &str) -> Fix {
    let plain = fix(title, format!("kubectl cordon {}", quoted(node)), Risk::Disruptive, why);
    with_action(plain, Intent::Cordon { node: ObjectRef::new("Node", "", node), cordon: true })
}

/// Look at the pods of a node: `get` or `top`.
pub fn pods_on(node: &str, verb: &str, (title, why): (&str, &str)) -> Fix {
    let wide = if verb == "get" { " -o wide" } else { "" };
    fix(title, format!("kubectl {verb} pods -A{wide} --field-selector spec.nodeName={}", quoted(node)), Risk::Safe, why)
}

/// Read the log of the finding's container.
pub fn read_log(finding: &Finding, previous: bool) -> Option<Fix> {
    if &*finding.subject.kind != "Pod" {
        return None;
    }
    let mut rest = format!("logs {}", quoted(&finding.subject.name));
    if let Some(container) = &finding.container {
        let _ = write!(rest, " -c {}", quoted(container));
    }
    if previous {
        rest.push_str(" --previous");
    }
    rest.push_str(" --tail=200");
    Some(fix(
        "Read the log of the failed run",
        kubectl(&finding.subject.namespace, rest),
        Risk::Safe,
        "the application's own words, in full",
    ))
}

/// Read the log of a workload's pods; `None` where it has none that stays: kubectl would wait for one. `how` are further flags.
pub fn workload_log(facts: &Facts<'_>, workload: &ObjectRef, how: &str, (title, why): (&str, &str)) -> Option<Fix> {
    let seen = facts.snapshot.coverage.is_complete(KindId::Pod, &workload.namespace);
    if seen && facts.snapshot.pods_of(workload).iter().all(|pod| pod.meta.deletion_timestamp.is_some()) {
        return None;
    }
    Some(fix(title, kubectl(&workload.namespace, format!("logs {} {how}", target(workload))), Risk::Safe, why))
}

/// `kubectl describe` of any object.
pub fn describe(object: &ObjectRef, why: impl Into<String>) -> Fix {
    fix(format!("Look at {object}"), kubectl(&object.namespace, format!("describe {}", target(object))), Risk::Safe, why)
}

/// `kubectl set env` of one variable on the workload.
pub fn set_env(finding: &Finding, assignment: &str, why: impl Into<String>) -> Option<Fix> {
    let workload = &finding.workload;
    can_roll_out(workload).then(|| {
        let container = finding.container.as_deref().map(|c| format!(" -c {}", quoted(c))).unwrap_or_default();
        let command = kubectl(&workload.namespace, format!("set env {}{container} {}", target(workload), quoted(assignment)));
        let name = assignment.split('=').next().unwrap_or(assignment);
        fix(format!("Set {name} on {workload}"), command, Risk::Disruptive, why)
    })
}

/// A fact of the finding, or the empty string.
pub fn fact<'a>(finding: &'a Finding, key: &str) -> &'a str {
    finding.facts.get(key).map(|v| &**v).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shell_words_are_quoted_only_when_they_need_it() {
        assert_eq!(quoted("deployment/web-1"), "deployment/web-1");
        assert_eq!(quoted("a b"), "'a b'");
        assert_eq!(quoted("it's"), r"'it'\''s'");
        assert_eq!(quoted("$(rm)"), "'$(rm)'");
    }
}
