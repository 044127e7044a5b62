//! What a kubelet would know beside the objects: container logs and resource use. The simulation writes, the API serves.
//!
//! Invariant: bounded. A container keeps its current and its previous run, each at most [`MAX_LINES`] lines.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, Utc};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// The most lines one run of a container keeps; older ones fall out, as log rotation would do.
pub const MAX_LINES: usize = 5_000;

/// One line a container wrote.
#[derive(Clone, Debug, PartialEq)]
pub struct LogLine {
    /// When it was written.
    pub time: DateTime<Utc>,
    /// The line without its newline.
    pub text: Arc<str>,
}

/// The use of one container, as metrics-server and the kubelet report it.
#[derive(Clone, Debug, PartialEq)]
pub struct Usage {
    /// The container's name.
    pub container: String,
    /// Cores in use.
    pub cpu_cores: f64,
    /// Bytes of working set.
    pub memory_bytes: f64,
    /// CPU seconds since the container was first seen.
    pub cpu_seconds: f64,
    /// Scheduling periods in which it ran, and those in which it was held back at its CPU limit; none without a limit.
    pub periods: Option<(f64, f64)>,
    /// When it was measured.
    pub at: DateTime<Utc>,
}

#[derive(Default)]
struct Run {
    restart: u32,
    lines: VecDeque<LogLine>,
    ended: bool,
    followers: Vec<UnboundedSender<LogLine>>,
}

#[derive(Default)]
struct Container {
    runs: VecDeque<Run>,
    usage: Option<Usage>,
    written: (u32, Files),
}

/// Files by their path.
pub type Files = BTreeMap<String, Vec<u8>>;

/// The most bytes of files a container keeps.
const MAX_WRITTEN: usize = 16 * 1024 * 1024;

/// Logs and use of every container, shared between simulation and API.
#[derive(Clone, Default)]
pub struct Runtime(Arc<Mutex<HashMap<String, HashMap<String, Container>>>>);

impl Runtime {
    /// An empty runtime.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a line to the run `restart` (0 for the first) of a container; a newer run makes the current one the previous.
    #[allow(clippy::too_many_arguments, reason = "one flat call for its many callers in the simulation")]
    pub fn append_log(&self, pod_uid: &str, container: &str, restart: u32, time: DateTime<Utc>, line: &str) {
        let mut pods = self.lock();
        let run = run_of(&mut pods, pod_uid, container, restart);
        let line = LogLine { time, text: line.into() };
        run.followers.retain(|follower| follower.send(line.clone()).is_ok());
        run.lines.push_back(line);
        if run.lines.len() > MAX_LINES {
            run.lines.pop_front();
        }
    }

    /// Says that a run has begun, even if it never writes a line.
    pub fn start_log(&self, pod_uid: &str, container: &str, restart: u32) {
        run_of(&mut self.lock(), pod_uid, container, restart);
    }

    /// Says that a run is over: whoever follows it sees the end.
    pub fn end_log(&self, pod_uid: &str, container: &str, restart: u32) {
        let mut pods = self.lock();
        let run = run_of(&mut pods, pod_uid, container, restart);
        run.ended = true;
        run.followers.clear();
    }

    /// Drops everything about a pod: its logs, its use.
    pub fn forget(&self, pod_uid: &str) {
        self.lock().remove(pod_uid);
    }

    /// Records what a container uses now.
    #[allow(clippy::too_many_arguments, reason = "one flat call for its many callers in the simulation")]
    pub fn set_usage(&self, pod_uid: &str, container: &str, cpu_cores: f64, memory_bytes: f64, at: DateTime<Utc>) {
        let mut pods = self.lock();
        let slot = entry(&mut pods, pod_uid, container);
        let before = slot.usage.as_ref().map_or(0.0, |usage| {
            let passed = (at - usage.at).num_milliseconds().max(0) as f64 / 1000.0;
            usage.cpu_seconds + usage.cpu_cores * passed
        });
        let periods = slot.usage.as_ref().and_then(|usage| usage.periods);
        slot.usage = Some(Usage { container: container.to_owned(), cpu_cores, memory_bytes, cpu_seconds: before, periods, at });
    }

    /// Counts scheduling periods of a container with a CPU limit: all of them, and those in which it was held back.
    pub fn count_periods(&self, pod_uid: &str, container: &str, (all, held_back): (f64, f64)) {
        if let Some(usage) = &mut entry(&mut self.lock(), pod_uid, container).usage {
            let (periods, throttled) = usage.periods.unwrap_or_default();
            usage.periods = Some((periods + all, throttled + held_back));
        }
    }

    /// Says that a container is not running: it uses nothing and metrics leave it out.
    pub fn clear_usage(&self, pod_uid: &str, container: &str) {
        entry(&mut self.lock(), pod_uid, container).usage = None;
    }

    /// The use of every running container of a pod, by name; none when nothing was measured.
    pub fn usage(&self, pod_uid: &str) -> Vec<Usage> {
        let pods = self.lock();
        let mut found: Vec<Usage> = pods
            .get(pod_uid)
            .map(|containers| containers.values().filter_map(|container| container.usage.clone()).collect())
            .unwrap_or_default();
        found.sort_by(|left, right| left.container.cmp(&right.container));
        found
    }

    /// The lines of one run; none when that run is not kept.
    pub fn read(&self, pod_uid: &str, container: &str, restart: u32) -> Option<Vec<LogLine>> {
        let pods = self.lock();
        let run = pods.get(pod_uid)?.get(container)?.runs.iter().find(|run| run.restart == restart)?;
        Some(run.lines.iter().cloned().collect())
    }

    /// The lines so far and those to come, until the run ends.
    pub fn follow(&self, pod_uid: &str, container: &str, restart: u32) -> (Vec<LogLine>, UnboundedReceiver<LogLine>) {
        let (sender, receiver) = unbounded_channel();
        let mut pods = self.lock();
        let run = run_of(&mut pods, pod_uid, container, restart);
        if !run.ended {
            run.followers.push(sender);
        }
        (run.lines.iter().cloned().collect(), receiver)
    }

    /// What was copied into that run of a container; a restart starts from the image again.
    pub fn files(&self, pod_uid: &str, container: &str, restart: u32) -> Files {
        let pods = self.lock();
        let found = pods.get(pod_uid).and_then(|containers| containers.get(container));
        found.filter(|found| found.written.0 == restart).map(|found| found.written.1.clone()).unwrap_or_default()
    }

    /// Copies files into that run of a container; false when there is no space left.
    pub fn write_files(&self, pod_uid: &str, container: &str, restart: u32, files: Files) -> bool {
        let mut pods = self.lock();
        let written = &mut entry(&mut pods, pod_uid, container).written;
        if written.0 != restart {
            *written = (restart, Files::new());
        }
        let size = |files: &Files| files.values().map(Vec::len).sum::<usize>();
        if size(&written.1) + size(&files) > MAX_WRITTEN {
            return false;
        }
        written.1.extend(files);
        true
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, HashMap<String, Container>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn entry<'a>(pods: &'a mut HashMap<String, HashMap<String, Container>>, pod_uid: &str, container: &str) -> &'a mut Container {
    pods.entry(pod_uid.to_owned()).or_default().entry(container.to_owned()).or_default()
}

/// The run of that number; an unknown one becomes the newest, and only the newest two stay.
fn run_of<'a>(
    pods: &'a mut HashMap<String, HashMap<String, Container>>,
    pod_uid: &str,
    container: &str,
    restart: u32,
) -> &'a mut Run {
    let runs = &mut entry(pods, pod_uid, container).runs;
    let position = runs.iter().position(|run| run.restart == restart).unwrap_or_else(|| {
        runs.push_back(Run { restart, ..Run::default() });
        if runs.len() > 2 {
            runs.pop_front();
        }
        runs.len() - 1
    });
    &mut runs[position]
}
