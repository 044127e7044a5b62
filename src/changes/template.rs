//! The difference between two pod templates, field by field, in the order an engineer reads it: image first.
//!
//! Values pass [`super::redact`] before they are put in a line. To show another field: one line in [`container`] or [`pod`].

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{DiffLine, redact};
use crate::kinds::pod_spec::{Container, EnvVar, Handler, KeyToPath, PodSpec, Probe, Quantity, RawJson, SecurityContext, Volume};
use crate::kinds::workloads::PodTemplate;
use crate::text::Text;

/// What changes from `old` to `new`: one line a field. Empty when all fields k3am reads are equal.
pub fn diff(old: &PodTemplate, new: &PodTemplate) -> Vec<DiffLine> {
    let mut lines = Lines::default();
    containers(&mut lines, &old.spec, &new.spec);
    pod(&mut lines, &old.spec, &new.spec);
    map(&mut lines, "label", &old.metadata.labels, &new.metadata.labels, &["pod-template-hash", "controller-revision-hash"]);
    map(&mut lines, "annotation", &old.metadata.annotations, &new.metadata.annotations, &["kubectl.kubernetes.io/restartedAt"]);
    let restarted = "kubectl.kubernetes.io/restartedAt";
    lines.text("restartedAt", old.metadata.annotations.get(restarted), new.metadata.annotations.get(restarted));
    lines.done
}

/// Lines so far, and what to put before a field's name.
#[derive(Default)]
struct Lines {
    done: Vec<DiffLine>,
    prefix: String,
}

impl Lines {
    /// Adds a line when the two differ. Both are as they may be shown.
    fn put(&mut self, field: &str, old: Option<String>, new: Option<String>) {
        if old != new {
            self.done.push(DiffLine { field: format!("{}{field}", self.prefix), old, new });
        }
    }

    fn text(&mut self, field: &str, old: Option<&Text>, new: Option<&Text>) {
        self.put(field, old.map(ToString::to_string), new.map(ToString::to_string));
    }

    /// Adds a line when the raw values differ, even where both are shown alike because a secret part is hidden.
    fn hidden(&mut self, field: &str, name: &str, old: Option<&str>, new: Option<&str>) {
        if old == new {
            return;
        }
        let (old, mut new) = (old.map(|v| redact::value(name, v)), new.map(|v| redact::value(name, v)));
        if old == new {
            new = new.map(|shown| format!("{shown} (another value)"));
        }
        self.put(field, old, new);
    }

    fn number<N: ToString>(&mut self, field: &str, old: Option<N>, new: Option<N>) {
        self.put(field, old.map(|n| n.to_string()), new.map(|n| n.to_string()));
    }

    fn names<T: PartialEq>(&mut self, field: &str, old: &[T], new: &[T], show: impl Fn(&T) -> String) {
        let list = |items: &[T]| (!items.is_empty()).then(|| items.iter().map(&show).collect::<Vec<_>>().join(", "));
        self.put(field, list(old), list(new));
    }
}

fn containers(lines: &mut Lines, old: &PodSpec, new: &PodSpec) {
    let several = old.all_containers().count() > 1 || new.all_containers().count() > 1;
    let names: Vec<&Text> = unique(new.all_containers().chain(old.all_containers()).map(|c| &c.name));
    for name in names {
        match (old.container(name), new.container(name)) {
            (Some(before), Some(after)) => {
                lines.prefix = if several { format!("{name} ") } else { String::new() };
                container(lines, before, after);
                lines.prefix.clear();
            }
            // A single container that was only renamed still reads best as one gone, one added.
            (before, after) => lines.text(&format!("container {name}"), before.map(|c| &c.image), after.map(|c| &c.image)),
        }
    }
}

fn unique<'a>(names: impl Iterator<Item = &'a Text>) -> Vec<&'a Text> {
    let mut seen = BTreeSet::new();
    names.filter(|name| seen.insert(*name)).collect()
}

fn container(lines: &mut Lines, old: &Container, new: &Container) {
    lines.text("image", Some(&old.image), Some(&new.image));
    lines.text("imagePullPolicy", old.image_pull_policy.as_ref(), new.image_pull_policy.as_ref());
    command(lines, "command", &old.command, &new.command);
    command(lines, "args", &old.args, &new.args);
    lines.text("workingDir", old.working_dir.as_ref(), new.working_dir.as_ref());
    env(lines, &old.env, &new.env);
    lines.names("envFrom", &old.env_from, &new.env_from, |from| {
        let config = from.config_map_ref.as_ref().map(|r| format!("configmap/{}", r.name));
        let secret = from.secret_ref.as_ref().map(|r| format!("secret/{}", r.name));
        format!("{}{}", from.prefix.as_deref().unwrap_or_default(), config.or(secret).unwrap_or_default())
    });
    lines.names("ports", &old.ports, &new.ports, |p| {
        let name = p.name.as_deref().map(|name| format!("{name}:")).unwrap_or_default();
        let host = p.host_port.map(|port| format!(" host {port}")).unwrap_or_default();
        format!("{name}{}/{}{host}", p.container_port, p.protocol.as_deref().unwrap_or("TCP"))
    });
    quantities(lines, "requests", &old.resources.requests, &new.resources.requests);
    quantities(lines, "limits", &old.resources.limits, &new.resources.limits);
    probe(lines, "livenessProbe", old.liveness_probe.as_ref(), new.liveness_probe.as_ref());
    probe(lines, "readinessProbe", old.readiness_probe.as_ref(), new.readiness_probe.as_ref());
    probe(lines, "startupProbe", old.startup_probe.as_ref(), new.startup_probe.as_ref());
    let hooks = |c: &Container| c.lifecycle.clone().unwrap_or_default();
    let (before, after) = (hooks(old), hooks(new));
    lines.put("postStart", before.post_start.as_ref().map(handler), after.post_start.as_ref().map(handler));
    lines.put("preStop", before.pre_stop.as_ref().map(handler), after.pre_stop.as_ref().map(handler));
    lines.names("volumeMounts", &old.volume_mounts, &new.volume_mounts, |m| {
        let sub = m.sub_path.as_deref().map(|path| format!("/{path}")).unwrap_or_default();
        let mode = if m.read_only == Some(true) { " read-only" } else { "" };
        format!("{}{sub} at {}{mode}", m.name, m.mount_path)
    });
    lines.text("restartPolicy", old.restart_policy.as_ref(), new.restart_policy.as_ref());
    security(lines, old.security_context.as_ref(), new.security_context.as_ref());
}

fn command(lines: &mut Lines, field: &str, old: &[Text], new: &[Text]) {
    if old == new {
        return;
    }
    let show = |words: &[Text]| (!words.is_empty()).then(|| redact::command_line(words));
    let (before, mut after) = (show(old), show(new));
    if before == after {
        after = after.map(|shown| format!("{shown} (another value)"));
    }
    lines.put(field, before, after);
}

fn env(lines: &mut Lines, old: &[EnvVar], new: &[EnvVar]) {
    // Of two variables of one name the last one wins, as in the kubelet.
    let find = |list: &[EnvVar], name: &Text| list.iter().rev().find(|v| v.name == *name).map(plain);
    for name in unique(new.iter().chain(old).map(|v| &v.name)) {
        let (before, after) = (find(old, name), find(new, name));
        if let (Some((before, false)), Some((after, false))) = (&before, &after) {
            lines.hidden(&format!("env {name}"), name, Some(before), Some(after));
            continue;
        }
        let show = |v: Option<(String, bool)>| v.map(|(v, reference)| if reference { v } else { redact::value(name, &v) });
        lines.put(&format!("env {name}"), show(before), show(after));
    }
}

/// A variable's value or where it comes from, and whether it is such a reference (which hides nothing).
fn plain(variable: &EnvVar) -> (String, bool) {
    let Some(source) = &variable.value_from else { return (variable.value.as_deref().unwrap_or_default().to_owned(), false) };
    let config = source.config_map_key_ref.as_ref().map(|k| format!("configmap/{} key {}", k.name, k.key));
    let secret = source.secret_key_ref.as_ref().map(|k| format!("secret/{} key {}", k.name, k.key));
    (config.or(secret).unwrap_or_else(|| "a field of the pod".to_owned()), true)
}

fn quantities(lines: &mut Lines, of: &str, old: &BTreeMap<Text, Quantity>, new: &BTreeMap<Text, Quantity>) {
    for name in old.keys().chain(new.keys()).collect::<BTreeSet<_>>() {
        lines.text(&format!("{of}.{name}"), old.get(name).map(|q| &q.0), new.get(name).map(|q| &q.0));
    }
}

fn probe(lines: &mut Lines, field: &str, old: Option<&Probe>, new: Option<&Probe>) {
    let (Some(old), Some(new)) = (old, new) else {
        lines.put(field, old.map(whole_probe), new.map(whole_probe));
        return;
    };
    lines.put(&format!("{field}.check"), Some(check(old)), Some(check(new)));
    for ((name, before), (_, after)) in timings(old).into_iter().zip(timings(new)) {
        lines.number(&format!("{field}.{name}"), before, after);
    }
}

/// `GET /health :8000`, `tcp :5432`, `exec pg_isready`.
fn check(probe: &Probe) -> String {
    if let Some(get) = &probe.http_get {
        let scheme = get.scheme.as_deref().filter(|s| *s != "HTTP").map(|s| format!("{s} ")).unwrap_or_default();
        return format!("{scheme}GET {} :{}", get.path.as_deref().unwrap_or("/"), get.port);
    }
    if let Some(tcp) = &probe.tcp_socket {
        return format!("tcp :{}", tcp.port);
    }
    if let Some(grpc) = &probe.grpc {
        return format!("grpc :{}", grpc.port);
    }
    probe.exec.as_ref().map(|e| format!("exec {}", redact::command_line(&e.command))).unwrap_or_default()
}

fn timings(probe: &Probe) -> [(&'static str, Option<i64>); 5] {
    [
        ("initialDelaySeconds", probe.initial_delay_seconds),
        ("periodSeconds", probe.period_seconds),
        ("timeoutSeconds", probe.timeout_seconds),
        ("failureThreshold", probe.failure_threshold),
        ("successThreshold", probe.success_threshold),
    ]
}

fn whole_probe(probe: &Probe) -> String {
    let timings: String = timings(probe).into_iter().filter_map(|(name, n)| n.map(|n| format!(" {name}={n}"))).collect();
    format!("{}{timings}", check(probe))
}

fn handler(handler: &Handler) -> String {
    if let Some(exec) = &handler.exec {
        return format!("exec {}", redact::command_line(&exec.command));
    }
    if let Some(get) = &handler.http_get {
        return format!("GET {} :{}", get.path.as_deref().unwrap_or("/"), get.port);
    }
    handler.sleep.as_ref().map(|s| format!("sleep {}s", s.seconds)).unwrap_or_default()
}

fn security(lines: &mut Lines, old: Option<&SecurityContext>, new: Option<&SecurityContext>) {
    let (old, new) = (old.cloned().unwrap_or_default(), new.cloned().unwrap_or_default());
    lines.number("securityContext.runAsNonRoot", old.run_as_non_root, new.run_as_non_root);
    lines.number("securityContext.runAsUser", old.run_as_user, new.run_as_user);
    lines.number("securityContext.readOnlyRootFilesystem", old.read_only_root_filesystem, new.read_only_root_filesystem);
    lines.number("securityContext.fsGroup", old.fs_group, new.fs_group);
}

fn pod(lines: &mut Lines, old: &PodSpec, new: &PodSpec) {
    for name in unique(new.volumes.iter().chain(&old.volumes).map(|v| &v.name)) {
        let find = |spec: &PodSpec| spec.volumes.iter().find(|v| v.name == *name).map(volume);
        lines.put(&format!("volume {name}"), find(old), find(new));
    }
    lines.text("serviceAccountName", old.service_account_name.as_ref(), new.service_account_name.as_ref());
    lines.names("imagePullSecrets", &old.image_pull_secrets, &new.image_pull_secrets, |r| r.name.to_string());
    map(lines, "nodeSelector", &old.node_selector, &new.node_selector, &[]);
    lines.names("tolerations", &old.tolerations, &new.tolerations, |t| {
        let key = t.key.as_deref().unwrap_or("*");
        let value = t.value.as_deref().map(|v| format!("={v}")).unwrap_or_default();
        let effect = t.effect.as_deref().map(|e| format!(":{e}")).unwrap_or_default();
        let seconds = t.toleration_seconds.map(|s| format!(" for {s}s")).unwrap_or_default();
        format!("{key}{value}{effect}{seconds}")
    });
    let raw = |json: &Option<RawJson>| json.as_ref().map(|json| json.0.to_string());
    lines.put("affinity", raw(&old.affinity), raw(&new.affinity));
    security(lines, old.security_context.as_ref(), new.security_context.as_ref());
    lines.number("hostNetwork", old.host_network, new.host_network);
    lines.number("terminationGracePeriodSeconds", old.termination_grace_period_seconds, new.termination_grace_period_seconds);
    lines.number("activeDeadlineSeconds", old.active_deadline_seconds, new.active_deadline_seconds);
    lines.text("schedulerName", old.scheduler_name.as_ref(), new.scheduler_name.as_ref());
    lines.text("priorityClassName", old.priority_class_name.as_ref(), new.priority_class_name.as_ref());
    lines.text("runtimeClassName", old.runtime_class_name.as_ref(), new.runtime_class_name.as_ref());
    lines.names("readinessGates", &old.readiness_gates, &new.readiness_gates, |g| g.condition_type.to_string());
}

fn volume(volume: &Volume) -> String {
    let keys = |items: &[KeyToPath]| {
        let shown: Vec<String> = items.iter().map(|i| format!(" {}→{}", i.key, i.path)).collect();
        shown.concat()
    };
    if let Some(config) = &volume.config_map {
        return format!("configmap/{}{}", config.name, keys(&config.items));
    }
    if let Some(secret) = &volume.secret {
        return format!("secret/{}{}", secret.name, keys(&secret.items));
    }
    if let Some(claim) = &volume.persistent_volume_claim {
        return format!("persistentvolumeclaim/{}", claim.claim_name);
    }
    if let Some(projected) = &volume.projected {
        let configs = projected.sources.iter().filter_map(|s| s.config_map.as_ref()).map(|r| format!("configmap/{}", r.name));
        let secrets = projected.sources.iter().filter_map(|s| s.secret.as_ref()).map(|r| format!("secret/{}", r.name));
        return format!("projected {}", configs.chain(secrets).collect::<Vec<_>>().join(", "));
    }
    if let Some(path) = &volume.host_path {
        return format!("hostPath {}", path.path);
    }
    match &volume.empty_dir {
        Some(dir) => {
            let limit = dir.size_limit.as_ref().map(|q| format!(" {}", q.0)).unwrap_or_default();
            format!("emptyDir{}{limit}", dir.medium.as_deref().map(|m| format!(" {m}")).unwrap_or_default())
        }
        None => "another source".to_owned(),
    }
}

fn map(lines: &mut Lines, of: &str, old: &BTreeMap<Text, Text>, new: &BTreeMap<Text, Text>, except: &[&str]) {
    for name in old.keys().chain(new.keys()).collect::<BTreeSet<_>>() {
        if !except.contains(&&**name) {
            lines.hidden(&format!("{of} {name}"), name, old.get(name).map(|v| &**v), new.get(name).map(|v| &**v));
        }
    }
}

/// The leaves of two JSON values that differ, by path: for fields k3am does not read. Strings are redacted.
pub fn raw_diff(old: &Value, new: &Value) -> Vec<DiffLine> {
    let mut lines = Lines::default();
    walk(&mut lines, "", Some(old), Some(new));
    lines.done
}

fn walk(lines: &mut Lines, path: &str, old: Option<&Value>, new: Option<&Value>) {
    if old == new {
        return;
    }
    let nested = |value: Option<&Value>| value.is_none_or(|v| v.is_object() || v.is_array());
    if !nested(old) || !nested(new) {
        let show = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let name = path.rsplit('.').next().unwrap_or_default();
        lines.hidden(path, name, old.map(show).as_deref(), new.map(show).as_deref());
        return;
    }
    for key in keys(old).into_iter().chain(keys(new)).collect::<BTreeSet<_>>() {
        let at =
            |value: Option<&'_ Value>| value.and_then(|v| v.get(&key).or_else(|| v.get(key.parse::<usize>().ok()?))).cloned();
        let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        walk(lines, &path, at(old).as_ref(), at(new).as_ref());
    }
}

fn keys(value: Option<&Value>) -> Vec<String> {
    match value {
        Some(Value::Object(fields)) => fields.keys().cloned().collect(),
        Some(Value::Array(items)) => (0..items.len()).map(|i| i.to_string()).collect(),
        _ => Vec::new(),
    }
}
