//! Create and start errors of the runtime: command, permission, format, user, mounts.

use crate::actions::Intent;
use crate::diagnosis::cause::CauseId;
use crate::diagnosis::finding::{Confidence, Finding};
use crate::diagnosis::incident::{Fix, Risk};
use crate::diagnosis::rule::{Facts, Output, Rule};
use crate::diagnosis::rules::commands::{
    can_roll_out, container_field, edit, fact, fix, kubectl, quoted, target, template_of, with_action,
};
use crate::diagnosis::rules::draft::{self, Draft};
use crate::diagnosis::rules::pattern::Pattern;
use crate::diagnosis::rules::pods::{self, End};
use crate::kinds::pods::{ContainerView, Pod};
use crate::kinds::{KindId, ObjectRef, Row};
use crate::text;

/// The rule.
pub static CONTAINER_START: Rule = Rule {
    name: "container-start",
    causes: &[
        CauseId("command-not-found"),
        CauseId("command-not-executable"),
        CauseId("exec-format-error"),
        CauseId("run-as-root-forbidden"),
        CauseId("volume-mount-failed"),
        CauseId("container-create-failed"),
    ],
    doc: "\
What it detects
  A container the runtime cannot create or start: its command does not exist or is not executable, it is built for another
  machine, it may not run as root, a mount into it fails.
Reads
  status.*containerStatuses[*].state.waiting.message with reason CreateContainerConfigError, CreateContainerError,
  RunContainerError, PreCreateHookError, PreStartHookError; {lastState,state}.terminated.message with reason StartError or
  ContainerCannotRun, or exit code 128; event FailedPrepareDynamicResources.
Source
  pkg/kubelet/kuberuntime/kuberuntime_container.go; runc libcontainer/container_linux.go; crun; containerd container_create.go.
Look-alikes
  Missing ConfigMaps and Secrets share CreateContainerConfigError and have their own causes. A container whose init was OOM-killed
  has reason StartError too, and is oom-killed. Exit 126 and 127 come from a shell that did start.
Fixes
  Correct command, image, user or mount; undo the rollout that changed them.
",
    subject: KindId::Pod,
    needs: &[],
    check,
    fixes,
};

/// Wordings in the order they must be tried.
pub static CLASSES: [(&str, Pattern); 7] = [
    (
        "oom-killed",
        Pattern::new(
            r"container init was OOM-killed|possibly OOM-killed|failed to write \S*memory\.(?:max|limit_in_bytes)|minimum memory limit allowed",
        ),
    ),
    (
        "missing-reference",
        Pattern::new(
            r#"(?i)^(?:Error: )?(?:secret|configmap)s? "[^"]+" not found|couldn't find key \S+ in (?:Secret|ConfigMap)"#,
        ),
    ),
    ("run-as-root-forbidden", Pattern::new(r"container has runAsNonRoot and image|runAsUser breaks non-root policy")),
    (
        "exec-format-error",
        Pattern::new(
            r"(?i)exec format error|exec user process caused|cannot execute binary file|bad interpreter|required file not found|\\r.: No such file",
        ),
    ),
    (
        "volume-mount-failed",
        Pattern::new(
            r#"error mounting "|Are you trying to mount a directory onto a file|failed to generate spec: failed to (?:stat|mkdir)|failed to (?:prepare|create) subPath|mount src=|failed to generate container .* spec: failed to (?:stat|mkdir)"#,
        ),
    ),
    (
        "command-not-executable",
        Pattern::new(
            r#"exec: \\?"[^"\\]+\\?": permission denied|exec \S+: permission denied|permission denied: unknown|is a directory: unknown|open executable.*Permission denied"#,
        ),
    ),
    (
        "command-not-found",
        Pattern::new(
            r#"executable file (?:`[^`]+` )?not found|exec: \\?"[^"\\]+\\?": (?:stat \S+: )?no such file or directory|exec: \\?"[^"\\]+\\?": |starting container process caused.*no such file|no command specified|exec \S+: no such file or directory"#,
        ),
    ),
];

static COMMAND: Pattern = Pattern::new(r#"exec: \\?"([^"\\]+)\\?"|executable file `([^`]+)`|exec (\S+): "#);
const WAITING: &[&str] = &[
    "CreateContainerConfigError",
    "CreateContainerError",
    "RunContainerError",
    "PreCreateHookError",
    "PreStartHookError",
    "ImageVolumeMountFailed",
];

/// The class of a create or start error's text.
pub fn classify(text: &str) -> &'static str {
    CLASSES.iter().find(|(_, p)| p.is_match(text)).map_or("container-create-failed", |(c, _)| c)
}

fn check(facts: &Facts<'_>, row: &Row, out: &mut Output) {
    let Some(pod) = pods::live_pod(row) else { return };
    if pods::on_dead_node(facts, pod) {
        return;
    }
    let mut named = Vec::new();
    for view in pod.containers().filter(|v| WAITING.contains(&v.waiting_reason())) {
        let text = view.waiting_message();
        named.push(view.status.name.clone());
        let quote = draft::pod_status(pod, format!("{}.state.waiting.message", view.path()), text, None);
        out.findings.extend(find(facts, pod, view, text, quote));
    }
    for ending in pods::endings(facts, pod, out) {
        if !matches!(ending.end, End::StartFailed) || named.contains(&ending.view.status.name) {
            continue;
        }
        let text = ending.run.message.as_deref().unwrap_or_default();
        let quote = draft::pod_status(pod, format!("{}.message", ending.field), text, ending.run.finished_at);
        out.findings.extend(find(facts, pod, ending.view, text, quote));
    }
    if let Some(event) = facts
        .snapshot
        .events_of(KindId::Pod, &pod.meta)
        .into_iter()
        .rev()
        .find(|e| &*e.reason == "FailedPrepareDynamicResources")
        .filter(|_| pods::is_before_start(pod))
    {
        out.findings.push(
            Draft::pod(facts, "container-create-failed", pod)
                .says("a device driver of the node cannot prepare the pod's resource claims")
                .because(draft::event(event))
                .done(),
        );
    }
}

fn find(
    facts: &Facts<'_>,
    pod: &Pod,
    view: ContainerView<'_>,
    message: &str,
    quote: crate::diagnosis::finding::Evidence,
) -> Option<Finding> {
    let name = &view.status.name;
    let cause = classify(message);
    if matches!(cause, "missing-reference" | "oom-killed") {
        return None; // Rules of their own.
    }
    let container = pod.spec.container(name);
    let written =
        container.map(|c| c.command.iter().chain(&c.args).map(|w| &**w).collect::<Vec<_>>().join(" ")).unwrap_or_default();
    let command = COMMAND.first_group(message).unwrap_or(&written).to_owned();
    let says = match cause {
        "command-not-found" if command.contains(' ') => {
            format!("container {name}: a whole command line stands in one word: \"{command}\" is not a program")
        }
        "command-not-found" if command.is_empty() => format!("container {name}: neither the image nor the pod says what to run"),
        "command-not-found" => format!("container {name}: the command {command} does not exist in the image"),
        "command-not-executable" => format!("container {name}: the command {command} is not executable"),
        "exec-format-error" => format!(
            "container {name}: {command} cannot run on this machine (other architecture, or a script without a valid interpreter)"
        ),
        "run-as-root-forbidden" => format!("container {name}: runAsNonRoot is set and the image runs as root or under a name"),
        "volume-mount-failed" => format!("container {name}: a mount into it fails"),
        _ => format!("container {name} cannot be created: {}", text::ellipsis(message, 140)),
    };
    let mut draft = Draft::pod(facts, cause, pod)
        .container(name)
        .says(says)
        .sure(if cause == "container-create-failed" { Confidence::Likely } else { Confidence::Certain })
        .maybe("command", Some(&command))
        .because(quote)
        .not("the application: it has not run a single instruction, so there is no log")
        .since(view.last_terminated().and_then(|(t, _)| t.finished_at).or(pod.meta.creation_timestamp));
    if !written.is_empty() && cause.starts_with("command") {
        draft = draft.because(draft::pod_spec(pod, format!("{}.command", pod.spec.container_path(name)), written));
    }
    Some(draft.done())
}

/// Setting the user of a container, which may have no security context yet.
fn run_as(facts: &Facts<'_>, workload: &ObjectRef, container: &str) -> Option<Intent> {
    let template = template_of(facts, workload)?;
    let has_context = template.container(container)?.security_context.is_some();
    let (rest, to) =
        if has_context { ("securityContext/runAsUser", "1000") } else { ("securityContext", r#"{"runAsUser":1000}"#) };
    let field = container_field(facts, workload, container, rest)?;
    Some(Intent::SetField { object: workload.clone(), field, from: None, to: Some(to.to_owned()) })
}

fn fixes(facts: &Facts<'_>, finding: &Finding) -> Vec<Fix> {
    let container = fact(finding, "container");
    let mut fixes = Vec::new();
    if finding.cause.0 == "run-as-root-forbidden" && can_roll_out(&finding.workload) {
        let patch = format!(
            r#"{{"spec":{{"template":{{"spec":{{"containers":[{{"name":"{container}","securityContext":{{"runAsUser":1000}}}}]}}}}}}}}"#
        );
        let command = kubectl(&finding.workload.namespace, format!("patch {} -p {}", target(&finding.workload), quoted(&patch)));
        let plain = fix("Run it as user 1000", command, Risk::Disruptive, "the kubelet can only verify a numeric user");
        fixes.push(match run_as(facts, &finding.workload, container) {
            Some(action) => with_action(plain, action),
            None => plain,
        });
    }
    let why = match finding.cause.0 {
        "command-not-found" => format!("{} is not in the image", fact(finding, "command")),
        "command-not-executable" => "set the executable bit, or defaultMode 0755 for a script from a ConfigMap".to_owned(),
        _ => "then the next attempt succeeds".to_owned(),
    };
    fixes.push(edit(finding, "Correct command, image or mount", why));
    fixes
}
