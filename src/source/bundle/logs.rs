//! The second pass over a bundle: the ends of container logs, kept as evidence.
//!
//! The words of the kubelet or the API server about a log that cannot be had are kept as such, not as the application's. Memory is
//! bounded: a log keeps its last [`KEEP`] lines, and when all of them are too much, logs of healthy containers keep fewer.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io::{self, BufRead, BufReader, Read};
use std::sync::Arc;

use serde::Deserialize;

use super::documents::{LOG_ENDS, LOG_STARTS};
use super::encoding::Utf8;
use super::files::Visitor;
use super::log_names::Pods;
use super::{Bundle, Skipped, times};
use crate::kinds::pods::Pod;
use crate::kinds::{KindId, Row};
use crate::snapshot::evidence::LogLine;
use crate::snapshot::{Key, LogExcerpt, LogKey};
use crate::text::{Time, clean};

/// As many lines as the live source asks for as evidence, and some more: the first error of a long log must not be lost.
const KEEP: usize = 2000;
/// Characters of one log.
const KEEP_BYTES: usize = 1 << 20;
/// Characters of a line.
const LINE: usize = 16 << 10;
/// Characters of all logs of healthy containers, and of all logs: beyond, [`FEW`] lines of each have to do.
const HEALTHY_BYTES: usize = 16 << 20;
const ALL_BYTES: usize = 48 << 20;
/// What a line costs besides its characters.
const LINE_COST: usize = 64;
const FEW: usize = 100;

/// What kubelet, API server and kubectl say instead of a log.
const REFUSALS: &[&str] = &[
    "unable to retrieve container logs for ",
    "Request log error: ",
    "Create log error ",
    "failed to try resolving symlinks in path ",
    "Error from server",
    "previous terminated container ",
];

/// Reads the logs of a bundle whose objects are known.
pub(super) struct Reader<'a> {
    bundle: &'a mut Bundle,
    pods: BTreeMap<Key, Arc<Pod>>,
    names: Pods,
    texts: BTreeSet<String>,
    newest: Option<Time>,
    bytes: usize,
    healthy_bytes: usize,
}

impl<'a> Reader<'a> {
    pub fn new(bundle: &'a mut Bundle, texts: BTreeSet<String>) -> Self {
        let pods: BTreeMap<Key, Arc<Pod>> = bundle
            .objects
            .iter()
            .filter(|((kind, _), _)| *kind == KindId::Pod)
            .filter_map(
                |((_, key), copy)| {
                    if let Row::Pod(pod) = &copy.row { Some((key.clone(), Arc::clone(pod))) } else { None }
                },
            )
            .collect();
        let names = Pods::new(pods.values());
        Self { bundle, pods, names, texts, newest: None, bytes: 0, healthy_bytes: 0 }
    }

    /// After the last file.
    pub fn finish(self) {
        self.bundle.newest = self.bundle.newest.or(self.newest);
        share_runs(self.bundle, &self.pods);
    }

    fn keep(&mut self, path: &str, key: LogKey, tail: Tail) {
        let excerpt = tail.excerpt(restarts(&self.pods, &key));
        self.newest = self.newest.max(excerpt.lines.last().and_then(|line| line.at));
        let bytes: usize = excerpt.lines.iter().map(|line| line.text.len() + LINE_COST).sum();
        self.bytes += bytes;
        self.healthy_bytes += if self.is_healthy(&key) { bytes } else { 0 };
        let worth = |e: &LogExcerpt| (e.lines.iter().any(|line| line.at.is_some()), e.lines.len());
        // Of two copies of one log, the one that says more, with times rather than without.
        if self.bundle.logs.get(&key).is_none_or(|old| worth(old) < worth(&excerpt)) {
            let file = self.bundle.files.number(path);
            self.bundle.log_files.insert(key.clone(), file);
            self.bundle.logs.insert(key, excerpt);
        }
    }

    /// How many lines of a container's log are worth keeping.
    fn lines_for(&self, key: &LogKey) -> usize {
        let known = self.pods.contains_key(&Key { namespace: key.namespace.clone(), name: key.pod.clone() });
        let full = !known || self.bytes > ALL_BYTES || (self.healthy_bytes > HEALTHY_BYTES && self.is_healthy(key));
        if full { FEW } else { KEEP }
    }

    fn is_healthy(&self, key: &LogKey) -> bool {
        let pod = self.pods.get(&Key { namespace: key.namespace.clone(), name: key.pod.clone() });
        pod.is_some_and(|pod| pod.is_ready() && restarts(&self.pods, key) == 0)
    }
}

impl Visitor for Reader<'_> {
    fn wants(&self, path: &str) -> bool {
        self.texts.contains(path)
    }

    fn file(&mut self, path: &str, content: &mut dyn Read) {
        let new = |key: LogKey| {
            let lines = self.lines_for(&key);
            (key, Tail::new(lines))
        };
        let mut found: Vec<(LogKey, Tail)> = self.names.log_of(path).map(&new).into_iter().collect();
        let mut has_sections = false;
        let sections = sections(content, &mut |part| match part {
            Part::Starts(key) => {
                // What stands before the first section is objects, not a log.
                found.retain(|_| has_sections);
                has_sections = true;
                found.push(new(key));
            }
            Part::Line(line) => {
                if let Some((_, tail)) = found.last_mut() {
                    tail.push(line);
                }
            }
        });
        if let Err(error) = sections {
            let why = format!("not readable to its end: {error}");
            self.bundle.skipped.push(Skipped { path: path.to_owned(), why, broken: true });
        } else if found.is_empty() {
            let why = "neither objects nor a log of a pod in it".to_owned();
            self.bundle.skipped.push(Skipped { path: path.to_owned(), why, broken: false });
        } else {
            self.bundle.used += 1;
        }
        for (key, tail) in found {
            self.keep(path, key, tail);
        }
    }

    /// The first pass has named it.
    fn unreadable(&mut self, _: &str, _: String) {}
}

/// Part of a file with logs.
pub(super) enum Part<'a> {
    /// `==== START logs for container app of pod ns/name ====`.
    Starts(LogKey),
    /// A line of the log that started last, or of the file's own.
    Line(&'a str),
}

/// Tells the lines of a file with logs. Lines outside of the sections of a `cluster-info dump` belong to the file's own log, if there
/// are no sections; objects between them do not.
pub(super) fn sections(content: &mut dyn Read, tell: &mut dyn FnMut(Part<'_>)) -> io::Result<()> {
    let mut plain = Utf8::new(content);
    let mut content = BufReader::with_capacity(32 << 10, &mut plain);
    let (mut line, mut has_sections, mut in_section) = (Vec::new(), false, false);
    while read_line(&mut content, &mut line)? {
        let text = String::from_utf8_lossy(&line);
        if let Some(key) = text.strip_prefix(LOG_STARTS).and_then(section_key) {
            (has_sections, in_section) = (true, true);
            tell(Part::Starts(key));
        } else if in_section && text.starts_with(LOG_ENDS) {
            in_section = false;
        } else if in_section || !has_sections {
            tell(Part::Line(&text));
        }
    }
    Ok(())
}

/// The next line without its end; what is longer than [`LINE`] is cut. False at the end of the file.
fn read_line(content: &mut dyn BufRead, line: &mut Vec<u8>) -> io::Result<bool> {
    line.clear();
    let mut any = false;
    loop {
        let piece = content.fill_buf()?;
        if piece.is_empty() {
            return Ok(any);
        }
        any = true;
        let end = piece.iter().position(|b| *b == b'\n');
        let length = end.unwrap_or(piece.len());
        line.extend_from_slice(piece.get(..length.min(LINE.saturating_sub(line.len()))).unwrap_or_default());
        content.consume(end.map_or(length, |end| end + 1));
        if end.is_some() {
            while line.last() == Some(&b'\r') {
                line.pop();
            }
            return Ok(true);
        }
    }
}

/// `app of pod ns/name ====`.
fn section_key(mark: &str) -> Option<LogKey> {
    let (container, pod) = mark.trim_end().strip_suffix(" ====")?.split_once(" of pod ")?;
    let (namespace, pod) = pod.split_once('/')?;
    Some(LogKey { namespace: namespace.into(), pod: pod.into(), container: container.into(), previous: false })
}

fn restarts(pods: &BTreeMap<Key, Arc<Pod>>, key: &LogKey) -> i32 {
    let pod = pods.get(&Key { namespace: key.namespace.clone(), name: key.pod.clone() });
    pod.and_then(|pod| pod.containers().find(|c| c.status.name == key.container).map(|c| c.status.restart_count))
        .unwrap_or_default()
}

/// Parses the output of `kubectl logs`, with or without `--timestamps`, of a container restarted `restart_count` times.
pub fn excerpt(text: &str, restart_count: i32) -> LogExcerpt {
    let mut tail = Tail::new(KEEP);
    text.lines().for_each(|line| tail.push(line));
    tail.excerpt(restart_count)
}

/// The last lines of a log.
struct Tail {
    lines: VecDeque<LogLine>,
    most: usize,
    bytes: usize,
    seen: usize,
    /// The only line so far, when it is a refusal.
    refusal: Option<String>,
}

impl Tail {
    fn new(most: usize) -> Self {
        Self { lines: VecDeque::new(), most, bytes: 0, seen: 0, refusal: None }
    }

    fn push(&mut self, text: &str) {
        let words = text.trim();
        if !words.is_empty() {
            // A program that is refused itself (kubectl in a container) speaks of its own service account, not of logs.
            let own = words.contains("system:serviceaccount:") && !words.contains("pods/log");
            let refused = self.seen == 0 && !own && REFUSALS.iter().any(|refusal| words.starts_with(refusal));
            self.refusal = refused.then(|| clean(words));
            self.seen += 1;
        }
        let line = line(text);
        self.bytes += line.text.len();
        self.lines.push_back(line);
        while self.lines.len() > self.most || self.bytes > KEEP_BYTES {
            let Some(dropped) = self.lines.pop_front() else { break };
            self.bytes -= dropped.text.len();
        }
    }

    fn excerpt(self, restart_count: i32) -> LogExcerpt {
        match self.refusal {
            Some(words) => LogExcerpt { lines: Vec::new(), unavailable: Some(words), restart_count },
            None => LogExcerpt { lines: self.lines.into(), unavailable: None, restart_count },
        }
    }
}

/// A line as Docker's `json-file` driver keeps it.
#[derive(Deserialize)]
struct DockerLine {
    log: String,
    time: String,
}

/// A line with the time that stands before it: `kubectl logs --timestamps`, a node's own files of containerd, CRI-O or Docker.
pub(super) fn line(line: &str) -> LogLine {
    if line.starts_with("{\"log\":\"")
        && let Ok(docker) = serde_json::from_str::<DockerLine>(line)
    {
        return LogLine { at: times::parse(&docker.time), text: clean(docker.log.trim_end_matches('\n')).into() };
    }
    let stamp: Option<(Time, &str)> = line
        .split_once(' ')
        .or_else(|| line.ends_with('Z').then_some((line, "")))
        .filter(|(stamp, _)| stamp.len() >= 20)
        .and_then(|(stamp, rest)| times::parse(stamp).map(|at| (at, rest)));
    match stamp {
        Some((at, rest)) => {
            let cri = ["stdout F ", "stderr F ", "stdout P ", "stderr P "];
            let rest = cri.iter().find_map(|mark| rest.strip_prefix(mark)).unwrap_or(rest);
            LogLine { at: Some(at), text: clean(rest).into() }
        }
        None => LogLine { at: None, text: clean(line).into() },
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
                    if let Some(file) = bundle.log_files.get(&key(!previous)).copied() {
                        bundle.log_files.insert(key(previous), file);
                    }
                }
            }
        }
    }
}
