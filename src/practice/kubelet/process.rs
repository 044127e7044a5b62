//! What a container's process will do: a plan made when it starts, in plain data.
//!
//! Invariant: a plan is a function of image, environment, command, limits and the cluster at the start; it never waits.

use super::super::random::Random;
use std::time::Duration;

/// The life of one process.
#[derive(Clone, Debug)]
pub struct Program {
    /// Lines it writes by itself, by time since its start, in order.
    pub lines: Vec<(Duration, String)>,
    /// When and with which code it ends by itself.
    pub exit: Option<(Duration, i32)>,
    /// The ports it listens on.
    pub ports: Vec<i64>,
    /// How long after its start it listens.
    pub listens_after: Duration,
    /// Its answer to an HTTP request for a path.
    pub answers: fn(&str) -> u16,
    /// Every so often, for so long, it says at its readiness endpoint that it is not ready (503).
    pub busy: Option<(Duration, Duration)>,
    /// How it logs a request (peer, method and path, status), if it does.
    pub access_log: Option<fn(&str, &str, u16) -> String>,
    /// Its working set.
    pub memory: Curve,
    /// The files it writes into its own file system, as memory over time is.
    pub disk: Curve,
    /// Cores it uses when it serves, and when idle.
    pub cpu: (f64, f64),
    /// Cores of work in a queue that all running pods of its owner share, beside its own.
    pub queue: f64,
    /// What it does at SIGTERM; a process without an answer is killed when the grace period ends.
    pub on_stop: Option<Stop>,
    /// Lines that come with work while it is ready.
    pub traffic: Option<Traffic>,
    /// Whether that work comes by itself (a queue, a timer) rather than through a Service.
    pub works_alone: bool,
    /// The runtime cannot even start it.
    pub start_error: Option<String>,
}

/// How a process ends when asked to.
#[derive(Clone, Debug)]
pub struct Stop {
    /// How long it takes.
    pub after: Duration,
    /// Its exit code.
    pub code: i32,
    /// What it writes while stopping.
    pub lines: Vec<String>,
}

/// The next lines of a serving process, and how long until the next.
pub type Traffic = fn(&mut Random) -> (Duration, Vec<String>);

/// Memory over time: from `base` to `peak` within `ramp`, then growing by `leak` bytes a second.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Curve {
    /// Bytes right after the start.
    pub base: f64,
    /// Bytes after the ramp.
    pub peak: f64,
    /// How long the ramp takes.
    pub ramp: Duration,
    /// Bytes a second afterwards.
    pub leak: f64,
}

impl Curve {
    /// A process that soon uses that many mebibytes and stays there.
    pub fn steady(mebibytes: f64) -> Self {
        let peak = mebibytes * MEBIBYTE;
        Self { base: peak * 0.6, peak, ramp: Duration::from_secs(8), leak: 0.0 }
    }

    /// Bytes at a time since the start.
    pub fn at(&self, elapsed: Duration) -> f64 {
        let share = if self.ramp.is_zero() { 1.0 } else { (elapsed.as_secs_f64() / self.ramp.as_secs_f64()).min(1.0) };
        self.base + (self.peak - self.base) * share + self.leak * (elapsed.as_secs_f64() - self.ramp.as_secs_f64()).max(0.0)
    }

    /// When the curve first exceeds a limit in bytes.
    pub fn exceeds(&self, limit: f64) -> Option<Duration> {
        if limit <= 0.0 || limit.is_nan() {
            return None;
        }
        if self.base > limit {
            return Some(Duration::from_millis(300));
        }
        if self.peak > limit {
            return Some(self.ramp.mul_f64((limit - self.base) / (self.peak - self.base)));
        }
        (self.leak > 0.0).then(|| self.ramp + Duration::from_secs_f64((limit - self.peak) / self.leak))
    }
}

/// Bytes in a mebibyte.
pub const MEBIBYTE: f64 = 1_048_576.0;

impl Program {
    /// A quiet process that runs for ever on little memory and ends cleanly when asked.
    pub fn quiet() -> Self {
        Self {
            lines: Vec::new(),
            exit: None,
            ports: Vec::new(),
            listens_after: Duration::ZERO,
            answers: |_| 200,
            busy: None,
            access_log: None,
            memory: Curve::steady(6.0),
            disk: Curve::steady(0.1),
            cpu: (0.002, 0.001),
            queue: 0.0,
            on_stop: Some(Stop { after: Duration::from_millis(300), code: 0, lines: Vec::new() }),
            traffic: None,
            works_alone: false,
            start_error: None,
        }
    }

    /// The status code of a path at a time since the start.
    pub fn answer(&self, path: &str, elapsed: Duration) -> u16 {
        let busy = self.busy.filter(|(every, _)| !every.is_zero()).is_some_and(|(every, lasts)| {
            elapsed.as_secs_f64() % every.as_secs_f64() >= every.saturating_sub(lasts).as_secs_f64()
        });
        if busy && path.contains("ready") { 503 } else { (self.answers)(path) }
    }

    /// Whether it listens on a port at a time since its start.
    pub fn listens(&self, port: i64, elapsed: Duration) -> bool {
        elapsed >= self.listens_after && self.ports.contains(&port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_curve_meets_its_limit_when_it_says_so() {
        let curve = Curve { base: 40.0, peak: 200.0, ramp: Duration::from_secs(16), leak: 0.0 };
        let meets = curve.exceeds(128.0).unwrap();
        assert!((curve.at(meets) - 128.0).abs() < 0.5, "{meets:?}");
        assert_eq!(curve.exceeds(256.0), None);
        let leaking = Curve { base: 10.0, peak: 20.0, ramp: Duration::from_secs(1), leak: 2.0 };
        assert_eq!(leaking.exceeds(40.0), Some(Duration::from_secs(11)));
    }
}
