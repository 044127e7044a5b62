//! How long to wait after a failure: 0.8 s doubling to 30 s, jittered so that twenty watches do not return as one.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::Duration;

const FIRST: Duration = Duration::from_millis(800);
const LONGEST: Duration = Duration::from_secs(30);
/// The longest wait a server may ask for.
const LONGEST_ASKED: u64 = 60;

/// Counts failures in a row.
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    failures: u32,
}

impl Backoff {
    /// It works again.
    pub(crate) fn reset(&mut self) {
        self.failures = 0;
    }

    /// How often it failed in a row.
    pub(crate) fn failures(&self) -> u32 {
        self.failures
    }

    /// The wait after one more failure; `asked` is the server's `Retry-After` in seconds.
    pub(crate) fn next(&mut self, asked: Option<u64>) -> Duration {
        let base = FIRST.saturating_mul(1 << self.failures.min(6)).min(LONGEST);
        self.failures = self.failures.saturating_add(1);
        let own = base.mul_f64(0.5 + jitter());
        own.max(Duration::from_secs(asked.unwrap_or(0).min(LONGEST_ASKED)))
    }
}

/// A number in 0..1, different each time.
pub(crate) fn jitter() -> f64 {
    (RandomState::new().build_hasher().finish() % 1000) as f64 / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_a_bound_and_honour_the_server() {
        let mut backoff = Backoff::default();
        assert!(backoff.next(None) <= Duration::from_millis(1200));
        for _ in 0..20 {
            assert!(backoff.next(None) <= Duration::from_secs(45));
        }
        assert!(backoff.next(Some(50)) >= Duration::from_secs(50));
        assert!(backoff.next(Some(5000)) <= Duration::from_secs(60));
        backoff.reset();
        assert_eq!(backoff.failures(), 0);
    }
}
