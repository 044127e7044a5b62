//! Evidence fetched on request: log excerpts of containers, and usage series.

use std::collections::VecDeque;

use crate::text::{Text, Time};

/// Whose log, and which run of the container.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LogKey {
    /// Pod's namespace.
    pub namespace: Text,
    /// Pod name.
    pub pod: Text,
    /// Container name.
    pub container: Text,
    /// True for the run before the current one (`logs --previous`).
    pub previous: bool,
}

/// The end of a container's log, fetched once as evidence.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogExcerpt {
    /// Lines, oldest first, cleaned of control characters, without the time stamp.
    pub lines: Vec<LogLine>,
    /// Why there are none: the kubelet's words (`unable to retrieve ...` is not the application's), or denied.
    pub unavailable: Option<String>,
    /// Restart count of the container when it was fetched: an older one is stale.
    pub restart_count: i32,
}

/// One log line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// Time stamp of the kubelet, when known.
    pub at: Option<Time>,
    /// The line as the application wrote it, cleaned.
    pub text: Text,
}

/// Which log to stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogSpec {
    /// Pod's namespace.
    pub namespace: Text,
    /// Pod name.
    pub pod: Text,
    /// Container name.
    pub container: Text,
    /// The run before the current one.
    pub previous: bool,
    /// Keep following, over restarts of the container.
    pub follow: bool,
    /// Lines from the end to start with.
    pub tail: Option<i64>,
    /// Only lines of the last so many seconds.
    pub since_seconds: Option<i64>,
}

/// Lines of a stream.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogBatch {
    /// The container that wrote them.
    pub container: Text,
    /// Lines, cleaned, oldest first.
    pub lines: Vec<LogLine>,
    /// Lines dropped because the reader was slow.
    pub dropped: u64,
    /// The stream ended or failed: why, for a person.
    pub ended: Option<String>,
}

/// Which container's usage.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UsageKey {
    /// Pod's namespace.
    pub namespace: Text,
    /// Pod name.
    pub pod: Text,
    /// Container name.
    pub container: Text,
}

/// How often a container ran out of its CPU limit (`container_cpu_cfs_{periods,throttled_periods}_total` of the kubelet's
/// cAdvisor metrics; a period is 100 ms in which the container wanted to run).
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Throttling {
    /// The first look since the container's start or the last reset: when, periods, throttled periods.
    pub first: Option<(Time, f64, f64)>,
    /// The newest look.
    pub last: Option<(Time, f64, f64)>,
}

impl Throttling {
    /// Adds a look. Counters that went back belong to a new run.
    pub fn push(&mut self, at: Time, periods: f64, throttled: f64) {
        if self.last.is_some_and(|(_, before, _)| periods < before) {
            *self = Self::default();
        }
        // What was long ago says little about now: the window moves on once it is twice as wide as is asked for.
        if let (Some((_, first, _)), Some(before)) = (self.first, self.last)
            && periods - first > 6000.0
            && periods - before.1 >= 3000.0
        {
            self.first = Some(before);
        }
        self.first = self.first.or(Some((at, periods, throttled)));
        self.last = Some((at, periods, throttled));
    }

    /// Throttled periods of periods: between the first and the last look when those lie `apart` periods apart, else since
    /// the container's start. `None` before any look.
    pub fn share(&self, apart: f64) -> Option<(f64, f64)> {
        let (_, periods, throttled) = self.last?;
        let (before, held) = self.first.map_or((0.0, 0.0), |(_, before, held)| (before, held));
        if periods - before >= apart { Some((throttled - held, periods - before)) } else { Some((throttled, periods)) }
    }
}

/// Recent usage of a container.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Usage {
    /// Samples, oldest first: when, CPU in cores, memory working set in bytes.
    pub samples: VecDeque<(Time, f64, f64)>,
}

impl Usage {
    /// How many samples are kept: an hour at one in fifteen seconds.
    pub const KEEP: usize = 240;

    /// Adds a sample; one with the time of the last is ignored.
    pub fn push(&mut self, at: Time, cpu: f64, memory: f64) {
        if self.samples.back().is_some_and(|(last, ..)| *last >= at) {
            return;
        }
        if self.samples.len() == Self::KEEP {
            self.samples.pop_front();
        }
        self.samples.push_back((at, cpu, memory));
    }

    /// The newest sample.
    pub fn last(&self) -> Option<(Time, f64, f64)> {
        self.samples.back().copied()
    }
}
