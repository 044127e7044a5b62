//! Container logs: the end of one as evidence ([`excerpt`]), or a stream that outlives restarts ([`follow`]).

use std::collections::VecDeque;
use std::time::Duration;

use chrono::{SecondsFormat, Utc};
use futures::stream::StreamExt;
use tokio::sync::mpsc;
use tokio::time::sleep;

use super::http::{Call, encode};
use super::{Connection, Error};
use crate::kinds::pods::Pod;
use crate::snapshot::{LogBatch, LogExcerpt, LogKey, LogLine, LogSpec};
use crate::text::Time;

mod lines;

use lines::LogLines;

/// Lines an excerpt holds.
pub const EXCERPT_LINES: i64 = 200;
/// Bytes an excerpt may have; the server cuts.
const EXCERPT_BYTES: u64 = 1 << 20;
/// Lines held for a slow reader before the oldest are dropped.
const MOST_PENDING: usize = 5_000;
/// Lines a batch.
const BATCH: usize = 500;
/// How often a container that does not run is looked at again.
const LOOK_AGAIN: Duration = Duration::from_secs(2);

/// Fetches the end of a log as evidence. Never fails: [`LogExcerpt::unavailable`] says why there are no lines.
pub async fn excerpt(connection: &Connection, key: &LogKey, restart_count: i32) -> LogExcerpt {
    let path = format!(
        "{}?container={}&timestamps=true&tailLines={EXCERPT_LINES}&limitBytes={EXCERPT_BYTES}{}",
        path_of(&key.namespace, &key.pod),
        encode(&key.container),
        if key.previous { "&previous=true" } else { "" },
    );
    match connection.call(Call { accept: "*/*", ..Call::get(&path) }).await {
        Ok(body) => excerpt_of(&body, restart_count),
        Err(error) => LogExcerpt { lines: Vec::new(), unavailable: Some(error.to_string()), restart_count },
    }
}

/// What a log body says. The kubelet answers 200 with its own words when the runtime has no log any more.
fn excerpt_of(body: &[u8], restart_count: i32) -> LogExcerpt {
    let (mut reader, mut lines) = (LogLines::default(), Vec::new());
    reader.feed(body, &mut |line| lines.push(line));
    lines.extend(reader.finish());
    match lines.first() {
        Some(only) if lines.len() == 1 && is_kubelets(only) => {
            LogExcerpt { unavailable: Some(only.text.to_string()), lines: Vec::new(), restart_count }
        }
        _ => LogExcerpt { lines, unavailable: None, restart_count },
    }
}

fn is_kubelets(line: &LogLine) -> bool {
    const WORDS: &[&str] =
        &["unable to retrieve container logs for", "failed to try resolving symlinks in path", "failed to open log file"];
    line.at.is_none() && WORDS.iter().any(|words| line.text.starts_with(words))
}

fn path_of(namespace: &str, pod: &str) -> String {
    format!("/api/v1/namespaces/{}/pods/{}/log", encode(namespace), encode(pod))
}

/// Streams a log into `tx` until it ends (then says why) or `tx` is closed. With `follow` it waits for restarts and goes on.
pub async fn follow(connection: Connection, spec: LogSpec, tx: mpsc::Sender<LogBatch>) {
    let mut stream = Stream { connection, spec, tx, pending: VecDeque::new(), dropped: 0, last: None, at_last: 0 };
    if let Some(ended) = stream.run().await {
        stream.finish(ended).await;
    }
}

struct Stream {
    connection: Connection,
    spec: LogSpec,
    tx: mpsc::Sender<LogBatch>,
    pending: VecDeque<LogLine>,
    dropped: u64,
    /// Time of the newest line: where a new request goes on.
    last: Option<Time>,
    /// How many lines of that very time were handed on.
    at_last: usize,
}

/// What a container does, as far as its log is concerned.
enum Life {
    Running,
    Waiting,
    Over(String),
}

impl Stream {
    /// Why it ended; `None`: nobody listens.
    async fn run(&mut self) -> Option<String> {
        let mut first = true;
        loop {
            let outcome = self.once().await;
            if self.tx.is_closed() {
                return None;
            }
            if !self.spec.follow || self.spec.previous {
                return Some(outcome.err().map_or_else(|| "end of the log".to_owned(), |error| error.to_string()));
            }
            // A container that is still starting answers 400; anything else at the very first is an answer, not a hiccup.
            if let Err(error) = outcome
                && first
                && !matches!(
                    error,
                    Error::Status { code: 400 | 429 | 500..=599, .. } | Error::Unreachable { .. } | Error::TimedOut { .. }
                )
            {
                return Some(error.to_string());
            }
            first = false;
            if let Some(over) = self.wait_for_life().await {
                return Some(over);
            }
        }
    }

    /// Waits until the container runs (again). Returns why it will not.
    async fn wait_for_life(&mut self) -> Option<String> {
        loop {
            sleep(LOOK_AGAIN).await;
            self.connection.heart.answers().await;
            if self.tx.is_closed() {
                return Some(String::new());
            }
            match self.life().await {
                Ok(Life::Running) => return None,
                Ok(Life::Over(why)) => return Some(why),
                Err(error) if error.is_not_found() => return Some("the pod is gone".to_owned()),
                Err(error) if error.is_forbidden() => return None,
                Ok(Life::Waiting) | Err(_) => {}
            }
        }
    }

    async fn life(&self) -> Result<Life, Error> {
        let path = format!("/api/v1/namespaces/{}/pods/{}", encode(&self.spec.namespace), encode(&self.spec.pod));
        let pod: Pod = self.connection.get_json(&path).await?;
        if pod.is_finished() {
            return Ok(Life::Over(format!("the pod ended ({})", pod.status.phase)));
        }
        let running = pod.containers().any(|c| c.status.name == self.spec.container && c.status.state.running.is_some());
        // A run that ended between two looks left lines behind that were not read yet.
        let ended_since = pod.containers().filter(|c| c.status.name == self.spec.container).any(|c| {
            c.status
                .state
                .terminated
                .as_ref()
                .and_then(|t| t.finished_at)
                .is_some_and(|at| self.last.is_none_or(|last| at > last))
        });
        Ok(if running || ended_since { Life::Running } else { Life::Waiting })
    }

    fn path(&self) -> String {
        use std::fmt::Write;
        let spec = &self.spec;
        let mut path = format!("{}?container={}&timestamps=true", path_of(&spec.namespace, &spec.pod), encode(&spec.container));
        if spec.previous {
            path.push_str("&previous=true");
        }
        if spec.follow && !spec.previous {
            path.push_str("&follow=true");
        }
        if let Some(last) = self.last {
            let _ = write!(path, "&sinceTime={}", encode(&last.to_rfc3339_opts(SecondsFormat::Secs, true)));
        } else {
            if let Some(tail) = spec.tail {
                let _ = write!(path, "&tailLines={tail}");
            }
            if let Some(since) = spec.since_seconds {
                let _ = write!(path, "&sinceSeconds={since}");
            }
        }
        path
    }

    /// One request, read to its end while what was read is handed on.
    async fn once(&mut self) -> Result<(), Error> {
        let path = self.path();
        let call = Call { accept: "*/*", ..Call::get(&path) };
        let mut body = self.connection.unless_silent(self.connection.open(call, true)).await??;
        let mut reader = LogLines::default();
        let before = self.last;
        let mut known = self.at_last;
        let connection = self.connection.clone();
        loop {
            let tx = self.tx.clone();
            tokio::select! {
                biased;
                permit = tx.reserve(), if !self.pending.is_empty() => {
                    let Ok(permit) = permit else { return Ok(()) };
                    permit.send(self.batch());
                }
                chunk = connection.unless_silent(body.next()) => match chunk {
                    Ok(Some(Ok(chunk))) => reader.feed(&chunk, &mut |line| self.push(line, before, &mut known)),
                    Ok(Some(Err(_)) | None) | Err(_) => break,
                },
                () = tx.closed() => return Ok(()),
            }
        }
        if let Some(line) = reader.finish() {
            self.push(line, before, &mut known);
        }
        while !self.pending.is_empty() {
            let batch = self.batch();
            if self.tx.send(batch).await.is_err() {
                break;
            }
        }
        Ok(())
    }

    /// Keeps a line, unless a request before brought it: `sinceTime` has whole seconds, so the lines up to `before` come again, and
    /// `known` of those of that very moment.
    fn push(&mut self, line: LogLine, before: Option<Time>, known: &mut usize) {
        if line.at.is_some() && before.is_some() {
            if line.at < before {
                return;
            }
            if line.at == before && *known > 0 {
                *known -= 1;
                return;
            }
        }
        self.at_last = if line.at.is_some() && line.at == self.last { self.at_last + 1 } else { 1 };
        self.last = line.at.or(self.last).or(Some(Utc::now()));
        if self.pending.len() == MOST_PENDING {
            self.pending.pop_front();
            self.dropped += 1;
        }
        self.pending.push_back(line);
    }

    fn batch(&mut self) -> LogBatch {
        let lines = self.pending.drain(..self.pending.len().min(BATCH)).collect();
        LogBatch { container: self.spec.container.clone(), lines, dropped: std::mem::take(&mut self.dropped), ended: None }
    }

    async fn finish(&mut self, ended: String) {
        let batch = LogBatch { ended: Some(ended), ..self.batch() };
        let _ = self.tx.send(batch).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kubelets_words_are_not_the_applications() {
        let excerpt = excerpt_of(b"unable to retrieve container logs for containerd://0123", 4);
        assert_eq!(excerpt.unavailable.as_deref(), Some("unable to retrieve container logs for containerd://0123"));
        assert!(excerpt.lines.is_empty());
        let real = excerpt_of(b"2026-11-22T02:03:04Z unable to retrieve container logs for fun\n", 4);
        assert_eq!((real.unavailable, real.lines.len(), real.restart_count), (None, 1, 4));
    }
}
