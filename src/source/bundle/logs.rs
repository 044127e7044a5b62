//! Container logs in a bundle, by where they lie (`NS/POD/CONTAINER[.previous].log`, `POD.log`) or by the marks of
//! `kubectl cluster-info dump` inside them.
//!
//! The words of the kubelet or the API server about a log that cannot be had are kept as such, not as the application's.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::objects::TextFile;
use super::{Bundle, Skipped, times};
use crate::kinds::pods::Pod;
use crate::kinds::{KindId, Row};
use crate::snapshot::evidence::LogLine;
use crate::snapshot::{Key, LogExcerpt, LogKey};
use crate::text::{Time, clean};

/// As many lines as the live source asks for as evidence, and some more: the first error of a long log must not be lost.
const KEEP: usize = 2000;

/// What kubelet, API server and kubectl say instead of a log.
const REFUSALS: &[&str] = &[
    "unable to retrieve container logs for ",
    "Request log error: ",
    "Create log error ",
    "failed to try resolving symlinks in path ",
    "Error from server",
    "previous terminated container ",
];

/// Adds every log among `texts` to the bundle; other files are named as skipped.
pub(super) fn attach(bundle: &mut Bundle, texts: &[TextFile]) {
    let pods: BTreeMap<Key, Arc<Pod>> = bundle
        .objects
        .iter()
        .filter(|((kind, _), _)| *kind == KindId::Pod)
        .filter_map(|((_, key), row)| if let Row::Pod(pod) = row { Some((key.clone(), Arc::clone(pod))) } else { None })
        .collect();
    let mut newest = None;
    for file in texts {
        let found = logs_in(file, &pods);
        if found.is_empty() {
            let why = "neither objects nor a log of a pod in it".to_owned();
            bundle.skipped.push(Skipped { path: file.path.clone(), why, broken: false });
            continue;
        }
        bundle.used += 1;
        for (key, text) in found {
            let excerpt = excerpt(&text, restarts(&pods, &key));
            newest = newest.max(excerpt.lines.last().and_then(|line| line.at));
            keep_better(&mut bundle.logs, key, excerpt);
        }
    }
    bundle.newest = bundle.newest.or(newest);
    share_runs(bundle, &pods);
}

fn logs_in(file: &TextFile, pods: &BTreeMap<Key, Arc<Pod>>) -> Vec<(LogKey, String)> {
    if file.text.starts_with("==== START logs for container ") {
        return dumped(&file.text);
    }
    by_path(&file.path, pods).map(|key| vec![(key, file.text.clone())]).unwrap_or_default()
}

/// `==== START logs for container app of pod ns/name ====` ... `==== END logs ...`, several to a file.
fn dumped(text: &str) -> Vec<(LogKey, String)> {
    let mut found: Vec<(LogKey, String)> = Vec::new();
    for line in text.lines() {
        if let Some(mark) = line.strip_prefix("==== START logs for container ").and_then(|rest| rest.strip_suffix(" ====")) {
            let Some((container, pod)) = mark.split_once(" of pod ") else { continue };
            let Some((namespace, pod)) = pod.split_once('/') else { continue };
            let key = LogKey { namespace: namespace.into(), pod: pod.into(), container: container.into(), previous: false };
            found.push((key, String::new()));
        } else if !line.starts_with("==== END logs for container ")
            && let Some((_, log)) = found.last_mut()
        {
            log.push_str(line);
            log.push('\n');
        }
    }
    found
}

fn by_path(path: &str, pods: &BTreeMap<Key, Arc<Pod>>) -> Option<LogKey> {
    let segments: Vec<&str> = path.split('/').collect();
    let (file, above) = segments.split_last()?;
    let stem = file.strip_suffix(".log").or_else(|| file.strip_suffix(".txt")).unwrap_or(file);
    let (stem, previous) = match stem.strip_suffix(".previous").or_else(|| stem.strip_suffix("-previous")) {
        Some(stem) => (stem, true),
        None => (stem, false),
    };
    if let [.., namespace, pod] = above
        && (pods.contains_key(&Key::new(namespace, pod)) || above.first() == Some(&"logs"))
    {
        return Some(LogKey { namespace: (*namespace).into(), pod: (*pod).into(), container: stem.into(), previous });
    }
    // `kubectl logs POD > POD.log`: plain when the pod is known and has one container.
    let mut named = pods.values().filter(|pod| &*pod.meta.name == stem);
    let (pod, None) = (named.next()?, named.next()) else { return None };
    let container = pod.spec.containers.first()?;
    Some(LogKey {
        namespace: pod.meta.namespace.clone(),
        pod: pod.meta.name.clone(),
        container: container.name.clone(),
        previous,
    })
}

fn restarts(pods: &BTreeMap<Key, Arc<Pod>>, key: &LogKey) -> i32 {
    let pod = pods.get(&Key { namespace: key.namespace.clone(), name: key.pod.clone() });
    pod.and_then(|pod| pod.containers().find(|c| c.status.name == key.container).map(|c| c.status.restart_count))
        .unwrap_or_default()
}

/// Parses the output of `kubectl logs`, with or without `--timestamps`, of a container restarted `restart_count` times.
pub fn excerpt(text: &str, restart_count: i32) -> LogExcerpt {
    let words = text.trim();
    if words.lines().count() <= 1 && REFUSALS.iter().any(|refusal| words.starts_with(refusal)) {
        return LogExcerpt { lines: Vec::new(), unavailable: Some(clean(words)), restart_count };
    }
    let skip = text.lines().count().saturating_sub(KEEP);
    let lines = text.lines().skip(skip).map(line).collect();
    LogExcerpt { lines, unavailable: None, restart_count }
}

fn line(line: &str) -> LogLine {
    let stamp: Option<(Time, &str)> = line
        .split_once(' ')
        .or_else(|| line.ends_with('Z').then_some((line, "")))
        .filter(|(stamp, _)| stamp.len() >= 20)
        .and_then(|(stamp, rest)| times::parse(stamp).map(|at| (at, rest)));
    match stamp {
        Some((at, rest)) => LogLine { at: Some(at), text: clean(rest).into() },
        None => LogLine { at: None, text: clean(line).into() },
    }
}

/// Of two copies of one log, the one that says more, with times rather than without.
fn keep_better(logs: &mut BTreeMap<LogKey, LogExcerpt>, key: LogKey, new: LogExcerpt) {
    let worth = |e: &LogExcerpt| (e.lines.iter().any(|line| line.at.is_some()), e.lines.len());
    match logs.get(&key) {
        Some(old) if worth(old) >= worth(&new) => {}
        _ => {
            logs.insert(key, new);
        }
    }
}

/// While a container waits to be restarted, its current log **is** that of the run that ended last: the kubelet answers
/// `logs` and `logs --previous` with the same file (`validateContainerLogStatus`). Saved one way, it serves both.
fn share_runs(bundle: &mut Bundle, pods: &BTreeMap<Key, Arc<Pod>>) {
    for pod in pods.values() {
        for container in pod.containers() {
            if container.status.state.waiting.is_none() || container.status.last_state.terminated.is_none() {
                continue;
            }
            let key = |previous| LogKey {
                namespace: pod.meta.namespace.clone(),
                pod: pod.meta.name.clone(),
                container: container.status.name.clone(),
                previous,
            };
            for previous in [true, false] {
                let has = |key: &LogKey| bundle.logs.get(key).is_some_and(|e| !e.lines.is_empty());
                if !has(&key(previous))
                    && has(&key(!previous))
                    && let Some(other) = bundle.logs.get(&key(!previous)).cloned()
                {
                    bundle.logs.insert(key(previous), other);
                }
            }
        }
    }
}
