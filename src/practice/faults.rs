//! Faults on demand: what tests switch on to see a client survive it.
//!
//! Every fault is off until asked for. Stopping and restarting the server is `http::Server`'s; expiring versions the store's.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

/// What the server answers instead of serving.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// 429 with this `Retry-After` in seconds.
    TooManyRequests(u32),
    /// A `Status` with this code (500, 503, 401...).
    Code(u16),
    /// 200 with bytes that are not JSON.
    Garbage,
    /// 200 with JSON that breaks off.
    Truncated,
}

/// The switched-on faults.
#[derive(Debug)]
pub struct Faults {
    answer: Mutex<Option<(Answer, usize)>>,
    delay_ms: AtomicU64,
    watches: watch::Sender<u64>,
}

impl Default for Faults {
    fn default() -> Self {
        Self { answer: Mutex::new(None), delay_ms: AtomicU64::new(0), watches: watch::Sender::new(0) }
    }
}

impl Faults {
    /// Answers the next `requests` requests like this (use `usize::MAX` for "until [`Self::clear`]").
    pub fn answer(&self, answer: Answer, requests: usize) {
        *self.answer.lock().unwrap_or_else(PoisonError::into_inner) = Some((answer, requests));
    }

    /// Delays every request.
    pub fn delay(&self, delay: Duration) {
        self.delay_ms.store(delay.as_millis() as u64, Ordering::Relaxed);
    }

    /// Ends every open watch, as a load balancer that drops idle connections does.
    pub fn drop_watches(&self) {
        self.watches.send_modify(|generation| *generation += 1);
    }

    /// Back to normal.
    pub fn clear(&self) {
        *self.answer.lock().unwrap_or_else(PoisonError::into_inner) = None;
        self.delay_ms.store(0, Ordering::Relaxed);
    }

    /// The answer this request gets instead of being served, used up by one.
    pub(super) fn take_answer(&self) -> Option<Answer> {
        let mut slot = self.answer.lock().unwrap_or_else(PoisonError::into_inner);
        let (answer, left) = slot.as_mut()?;
        let answer = *answer;
        *left = left.saturating_sub(1);
        if *left == 0 {
            *slot = None;
        }
        Some(answer)
    }

    /// How long to wait before serving.
    pub(super) fn current_delay(&self) -> Duration {
        Duration::from_millis(self.delay_ms.load(Ordering::Relaxed))
    }

    /// Changes whenever watches are to end.
    pub(super) fn watch_generation(&self) -> watch::Receiver<u64> {
        self.watches.subscribe()
    }
}
