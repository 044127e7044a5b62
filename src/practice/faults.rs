//! Faults on demand: what tests switch on to see a client survive it.
//!
//! Every fault is off until asked for, and ends by itself when it was asked for a while. Stopping and restarting the server is
//! `http::Server`'s; expiring versions the store's. `control` offers all of them to other processes.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::body::{Body, HttpBody};
use axum::response::Response;
use futures::StreamExt;
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

/// Something that holds until told otherwise, or until a moment.
#[derive(Clone, Debug)]
struct Until<T> {
    fault: T,
    ends: Option<Instant>,
}

impl<T> Until<T> {
    fn is_over(&self) -> bool {
        self.ends.is_some_and(|ends| Instant::now() >= ends)
    }
}

#[derive(Debug, Default)]
struct Slots {
    answer: Option<Until<(Answer, usize)>>,
    delay: Option<Until<Duration>>,
    /// Verb and resource (`*` for any) that get 403, whoever asks.
    refused: Vec<Until<(String, String)>>,
}

/// The switched-on faults.
#[derive(Debug)]
pub struct Faults {
    slots: Mutex<Slots>,
    hung: watch::Sender<bool>,
    watches: watch::Sender<u64>,
}

impl Default for Faults {
    fn default() -> Self {
        Self { slots: Mutex::default(), hung: watch::Sender::new(false), watches: watch::Sender::new(0) }
    }
}

impl Faults {
    /// Answers the next `requests` requests like this (use `usize::MAX` for "until [`Self::clear`]").
    pub fn answer(&self, answer: Answer, requests: usize) {
        self.lock().answer = Some(Until { fault: (answer, requests), ends: None });
    }

    /// Answers every request like this for a while.
    pub fn answer_for(&self, answer: Answer, span: Duration) {
        self.lock().answer = Some(Until { fault: (answer, usize::MAX), ends: Some(Instant::now() + span) });
    }

    /// Delays every request; for a while, or until [`Self::clear`].
    pub fn delay(&self, delay: Duration, span: Option<Duration>) {
        self.lock().delay = Some(Until { fault: delay, ends: span.map(|span| Instant::now() + span) });
    }

    /// Refuses a verb (403) on a resource (`*` for any) to everyone; for a while, or until [`Self::clear`].
    pub fn refuse(&self, verb: &str, resource: &str, span: Option<Duration>) {
        let ends = span.map(|span| Instant::now() + span);
        self.lock().refused.push(Until { fault: (verb.to_owned(), resource.to_owned()), ends });
    }

    /// Half-open: connections are taken and held, and not one byte leaves, of answers nor of open watches and logs, until
    /// [`Self::clear`] or [`Self::recover`]. Nothing is lost meanwhile: what waited leaves then.
    pub fn hang(&self) {
        self.hung.send_replace(true);
    }

    /// Ends [`Self::hang`].
    pub fn recover(&self) {
        self.hung.send_replace(false);
    }

    /// Ends every open watch, as a load balancer that drops idle connections does.
    pub fn drop_watches(&self) {
        self.watches.send_modify(|generation| *generation += 1);
    }

    /// Back to normal.
    pub fn clear(&self) {
        *self.lock() = Slots::default();
        self.recover();
    }

    /// The answer this request gets instead of being served, used up by one.
    pub(super) fn take_answer(&self) -> Option<Answer> {
        let slots = &mut *self.lock();
        if slots.answer.as_ref().is_some_and(Until::is_over) {
            slots.answer = None;
        }
        let (answer, left) = &mut slots.answer.as_mut()?.fault;
        let answer = *answer;
        *left = left.saturating_sub(1);
        if *left == 0 {
            slots.answer = None;
        }
        Some(answer)
    }

    /// How long to wait before serving.
    pub(super) fn current_delay(&self) -> Duration {
        let slots = self.lock();
        slots.delay.as_ref().filter(|delay| !delay.is_over()).map_or(Duration::ZERO, |delay| delay.fault)
    }

    /// True when `verb` on `resource` is refused to everyone.
    pub(super) fn refuses(&self, verb: &str, resource: &str) -> bool {
        self.lock().refused.iter().filter(|refused| !refused.is_over()).any(|refused| {
            let (verbs, resources) = &refused.fault;
            (verbs == "*" || verbs == verb) && (resources == "*" || resources == resource)
        })
    }

    /// Changes whenever watches are to end.
    pub(super) fn watch_generation(&self) -> watch::Receiver<u64> {
        self.watches.subscribe()
    }

    /// Waits while the server hangs.
    pub(super) async fn until_it_answers(&self) {
        let _ = self.hung.subscribe().wait_for(|hung| !hung).await;
    }

    /// The response, whose body stops flowing while the server hangs. Whole bodies left already when they were made.
    pub(super) fn gate(&self, response: Response) -> Response {
        if response.body().size_hint().exact().is_some() {
            return response;
        }
        let hung = self.hung.subscribe();
        response.map(|body| {
            Body::from_stream(body.into_data_stream().then(move |chunk| {
                let mut hung = hung.clone();
                async move {
                    let _ = hung.wait_for(|hung| !hung).await;
                    chunk
                }
            }))
        })
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Slots> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
