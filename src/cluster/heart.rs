//! Is the server there, and what time does it have? What every request and every feed tells, and a probe when all are quiet.
//!
//! A watch of a quiet kind says nothing for minutes, so its silence proves nothing; a half-open connection looks the same. The
//! heart asks for `/version` when nothing at all was heard for [`QUIET`]: no answer within [`ANSWER`] means that nobody answers,
//! and every feed says so at once instead of when its own limit comes. One probe a few seconds apart replaces twenty.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep};

use super::http::Call;
use super::{Connection, Error};
use crate::text::Time;

/// Asked after so long without a word from the server.
const QUIET: Duration = Duration::from_secs(2);
/// How long an answer to that may take.
const ANSWER: Duration = Duration::from_secs(3);
/// How often a server that does not answer is asked again.
const AGAIN: Duration = Duration::from_secs(1);
/// A difference of the clocks up to this is no difference: `Date` has whole seconds, and answers travel.
const SAME_TIME_MS: i64 = 2_000;

/// What is known of one server. Shared by all that talk to it.
#[derive(Debug)]
pub(crate) struct Heart {
    /// Since when nobody answers, and how that shows; `None`: it answers.
    silent: watch::Sender<Option<(Instant, Error)>>,
    started: Instant,
    /// When something was heard last, in ms after `started`.
    heard_ms: AtomicU64,
    /// The server's clock minus ours, in ms.
    skew_ms: AtomicI64,
    doubt: Notify,
    /// Counts feeds that failed and work again.
    well: watch::Sender<u64>,
}

impl Default for Heart {
    fn default() -> Self {
        let silent = watch::Sender::new(None);
        let (heard_ms, skew_ms) = (AtomicU64::new(0), AtomicI64::new(0));
        Self { silent, started: Instant::now(), heard_ms, skew_ms, doubt: Notify::new(), well: watch::Sender::new(0) }
    }
}

impl Heart {
    /// The server said something: bytes of any answer.
    pub(super) fn heard(&self) {
        self.heard_ms.store(self.started.elapsed().as_millis() as u64, Ordering::Relaxed);
    }

    /// Something failed the way it does when nobody is there: ask now.
    pub(super) fn doubt(&self) {
        self.doubt.notify_one();
    }

    /// Since when nobody answers; `None`: it answers, as far as we know.
    pub(super) fn silent_since(&self) -> Option<Instant> {
        self.silent.borrow().as_ref().map(|(since, _)| *since)
    }

    /// Ends when nobody answers, with how that shows.
    pub(super) async fn silence(&self) -> Error {
        let mut silent = self.silent.subscribe();
        match silent.wait_for(Option::is_some).await.ok().and_then(|silent| silent.clone()) {
            Some((_, error)) => error,
            None => std::future::pending().await,
        }
    }

    /// Ends when the server answers.
    pub(super) async fn answers(&self) {
        let _ = self.silent.subscribe().wait_for(Option::is_none).await;
    }

    /// A feed that failed works again: the others need not wait to find out.
    pub(super) fn is_well(&self) {
        self.well.send_modify(|well| *well += 1);
    }

    /// Ends when a feed that failed works again.
    pub(super) async fn gets_well(&self) {
        let _ = self.well.subscribe().changed().await;
    }

    /// Ends when a server that did not answer answers again.
    pub(super) async fn comes_back(&self) {
        self.silence().await;
        self.answers().await;
    }

    /// Takes the time a response carries, which was asked for at `asked`.
    pub(super) fn set_clock(&self, date: &str, asked: Time, now: Time) {
        let Ok(date) = DateTime::parse_from_rfc2822(date) else { return };
        // An answer that took long was made at any time in between.
        if (now - asked).num_milliseconds() > SAME_TIME_MS {
            return;
        }
        // Somewhere in the second that began at `date`, and somewhere on the way.
        let middle = asked + (now - asked) / 2;
        let skew = (date.to_utc() - middle).num_milliseconds() + 500;
        let skew = if skew.abs() <= SAME_TIME_MS { 0 } else { skew };
        if (skew - self.skew_ms.load(Ordering::Relaxed)).abs() > SAME_TIME_MS || skew == 0 {
            self.skew_ms.store(skew, Ordering::Relaxed);
        }
    }

    /// The server's clock minus ours; zero when they agree to about two seconds.
    pub(super) fn skew(&self) -> chrono::Duration {
        chrono::Duration::milliseconds(self.skew_ms.load(Ordering::Relaxed))
    }

    fn quiet_for(&self) -> Duration {
        let heard = Duration::from_millis(self.heard_ms.load(Ordering::Relaxed));
        self.started.elapsed().saturating_sub(heard)
    }
}

impl Connection {
    /// The cluster's time, as the server's last answer told it; ours when the clocks agree.
    pub fn now(&self) -> Time {
        Utc::now() + self.heart.skew()
    }

    /// When the server last said anything at all.
    pub fn heard_at(&self) -> Time {
        chrono::Duration::from_std(self.heart.quiet_for()).map_or_else(|_| self.now(), |quiet| self.now() - quiet)
    }

    /// How far the server's clock is ahead of ours; zero when they agree to about two seconds.
    pub fn clock_skew(&self) -> chrono::Duration {
        self.heart.skew()
    }

    /// Since when nobody answers; `None`: the server answers.
    pub(super) fn silent_since(&self) -> Option<Time> {
        let since = self.heart.silent_since()?;
        chrono::Duration::from_std(since.elapsed()).ok().map(|ago| self.now() - ago)
    }

    /// `work`, unless the server falls silent meanwhile. `work` must lose nothing when it is dropped.
    pub(super) async fn unless_silent<T>(&self, work: impl Future<Output = T>) -> Result<T, Error> {
        tokio::select! {
            biased;
            done = work => Ok(done),
            error = self.heart.silence() => Err(error),
        }
    }

    /// Asks after the server whenever all is quiet. Never ends.
    pub(crate) async fn listen_to_the_heart(self) {
        let heart = &self.heart;
        loop {
            let quiet = heart.quiet_for();
            if heart.silent_since().is_none() && quiet < QUIET {
                tokio::select! {
                    () = sleep(QUIET.saturating_sub(quiet)) => {}
                    () = heart.doubt.notified() => {}
                }
                if heart.quiet_for() < QUIET && heart.quiet_for() < quiet {
                    continue;
                }
            }
            let asked = Instant::now();
            let before = heart.heard_ms.load(Ordering::Relaxed);
            // Whatever it answers: it is there.
            let answer = self.call(Call { limit: ANSWER, ..Call::get("/version") }).await;
            let error = match answer {
                Err(error @ (Error::Unreachable { .. } | Error::TimedOut { .. }))
                    if heart.heard_ms.load(Ordering::Relaxed) == before =>
                {
                    error
                }
                // Nobody was asked: there are no credentials to ask with. Says nothing about the server.
                Err(Error::AuthPlugin { .. } | Error::NoAuthPlugin { .. } | Error::Credentials(_) | Error::BadContext { .. }) => {
                    sleep(QUIET).await;
                    continue;
                }
                _ => {
                    heart.heard();
                    heart.silent.send_if_modified(|silent| silent.take().is_some());
                    continue;
                }
            };
            let since = asked.checked_sub(quiet).unwrap_or(asked);
            heart.silent.send_if_modified(|silent| silent.is_none() && silent.replace((since, error)).is_none());
            sleep(AGAIN.saturating_sub(asked.elapsed())).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Time {
        text.parse().unwrap()
    }

    #[test]
    fn clocks_that_agree_do_not_differ_and_others_do_by_the_middle_of_the_answer() {
        let heart = Heart::default();
        let (asked, now) = (at("2026-11-22T20:31:30.2Z"), at("2026-11-22T20:31:30.8Z"));
        heart.set_clock("Sun, 22 Nov 2026 20:31:31 GMT", asked, now);
        assert_eq!(heart.skew(), chrono::Duration::zero());
        heart.set_clock("Sun, 22 Nov 2026 20:33:30 GMT", asked, now);
        assert_eq!(heart.skew(), chrono::Duration::seconds(120));
        heart.set_clock("Sun, 22 Nov 2026 20:33:31 GMT", asked, now);
        assert_eq!(heart.skew(), chrono::Duration::seconds(120), "a second more or less does not make ages jump");
        heart.set_clock("nonsense", asked, now);
        assert_eq!(heart.skew(), chrono::Duration::seconds(120));
    }
}
