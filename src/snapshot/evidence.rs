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

/// Recent usage of a container, packed: there are as many as containers. The newest samples are kept as they are; older ones
/// thin out, the larger of two neighbours staying, so that a peak is remembered for as long as the container is watched.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Usage {
    samples: VecDeque<Packed>,
}

/// Seconds since 1970, CPU in cores, memory in bytes.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Packed(u32, f32, f32);

impl Usage {
    /// How many samples are kept.
    pub const KEEP: usize = 64;
    /// So many newest samples are never thinned out: eight minutes at one in fifteen seconds.
    pub const WHOLE: usize = 32;

    /// Adds a sample; one with the time of the last is ignored.
    pub fn push(&mut self, at: Time, cpu: f64, memory: f64) {
        let at = u32::try_from(at.timestamp()).unwrap_or_default();
        if self.samples.back().is_some_and(|last| last.0 >= at) {
            return;
        }
        if self.samples.len() == Self::KEEP {
            self.thin_out();
        }
        if self.samples.len() == self.samples.capacity() {
            // Grows by a few: doubling would leave half of it unused in thousands of containers.
            self.samples.reserve_exact(Self::KEEP / 8);
        }
        self.samples.push_back(Packed(at, cpu as f32, memory as f32));
    }

    /// Of two neighbours among the older samples, the one with more memory stays.
    fn thin_out(&mut self) {
        let old: Vec<Packed> = self.samples.drain(..Self::KEEP - Self::WHOLE).collect();
        for pair in old.chunks(2).rev() {
            if let Some(larger) = pair.iter().max_by(|a, b| a.2.total_cmp(&b.2)) {
                self.samples.push_front(*larger);
            }
        }
    }

    /// How many samples there are.
    pub fn len(&self) -> usize {
        self.samples.len()
    }

    /// True without any sample.
    pub fn is_empty(&self) -> bool {
        self.samples.is_empty()
    }

    /// The oldest sample.
    pub fn first(&self) -> Option<(Time, f64, f64)> {
        self.samples.front().map(|sample| sample.unpack())
    }

    /// Samples, newest first: when, CPU in cores, memory working set in bytes.
    pub fn newest_first(&self) -> impl Iterator<Item = (Time, f64, f64)> + Clone {
        self.samples.iter().rev().map(|sample| sample.unpack())
    }

    /// The newest sample.
    pub fn last(&self) -> Option<(Time, f64, f64)> {
        self.newest_first().next()
    }
}

impl Packed {
    fn unpack(self) -> (Time, f64, f64) {
        (Time::from_timestamp(self.0.into(), 0).unwrap_or_default(), f64::from(self.1), f64::from(self.2))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usage_remembers_the_newest_samples_and_every_peak() {
        let at = |minute: i64| Time::from_timestamp(minute * 60, 0).unwrap();
        let mut usage = Usage::default();
        for minute in 0..1_000 {
            usage.push(at(minute), 0.5, if minute == 7 { 900.0 } else { 100.0 });
        }
        assert!(usage.len() <= Usage::KEEP);
        assert!(usage.newest_first().any(|(_, _, memory)| memory > 899.0), "the peak is still known");
        let newest: Vec<Time> = usage.newest_first().take(Usage::WHOLE).map(|(time, ..)| time).collect();
        let last: Vec<Time> = (0..1_000).rev().take(Usage::WHOLE).map(at).collect();
        assert_eq!(newest, last);
    }
}
