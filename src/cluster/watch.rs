//! One list and watch per kind and scope: JSON in, slim rows out, as [`Delta`]s in batches.
//!
//! Own loop instead of `kube::runtime::watcher`: rows are decoded while the body arrives (one object of text at a time, never
//! a page), bookmarks and quiet reconnects count as signs of life ([`Delta::Heard`]), and bodies are never logged.
//! Invariant: whatever the server does, a feed ends only when the receiver is gone or the server says that it may never list
//! (403) or has no such resource (404); the old rows stay.

use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use futures::stream::StreamExt;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};

use super::Connection;
use super::error::{Error, Status};
use super::http::{Call, collection, encode};
use crate::kinds::{Kind, Pool, Row};
use crate::snapshot::{Delta, Key, Scope};
use crate::text::Time;

mod backoff;
mod encoding;
mod items;
mod lines;
mod pages;
mod scopes;

use backoff::{Backoff, jitter};
use encoding::{Accept, WatchBody};
use lines::WatchEvent;
use pages::Pages;

pub(crate) use items::Splitter;
pub(crate) use lines::Lines;
use scopes::Shared;
pub(crate) use scopes::spawn;

/// A watch lasts this long, so that a dead connection is noticed within a minute.
const WATCH_SECONDS: u64 = 45;
/// How long after its end a watch must have ended, or the connection is dead.
const GRACE: Duration = Duration::from_secs(8);
/// How often a kind that can be listed but not watched is listed.
const POLL: Duration = Duration::from_secs(30);
/// Signs of life are passed on at most this often.
const HEARD_EVERY: Duration = Duration::from_secs(1);
/// A watch that stays open this long without a word works.
const PROOF: Duration = Duration::from_secs(1);
/// After so many failed watches in a row, list anew.
const RELIST_AFTER: u32 = 3;

/// Where deltas go.
pub type Deltas = mpsc::Sender<Vec<Delta>>;

/// Why a feed ended.
#[derive(Debug)]
enum End {
    /// Nobody listens any more.
    Closed,
    /// The server will not list this here.
    Refused(Error),
}

/// Why a step ended.
#[derive(Debug)]
enum Stop {
    Closed,
    Failed(Error),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

/// The list and watch of one kind in one scope.
struct Feed<'a, R> {
    connection: &'a Connection,
    scope: Scope,
    tx: &'a Deltas,
    lists: &'a tokio::sync::Semaphore,
    pool: &'a Arc<Pool>,
    batch: Vec<Delta>,
    backoff: Backoff,
    /// Since when and with what words it fails.
    failing: Option<(Time, String)>,
    heard: Option<Instant>,
    can_watch: bool,
    /// Rows that could not be decoded; the rest of their list is kept.
    undecodable: u64,
    /// JSON only: the server's protobuf could not be read.
    plain: bool,
    kind: PhantomData<fn() -> R>,
}

impl<'a, R: Kind> Feed<'a, R>
where
    Row: From<Arc<R>>,
{
    fn new(shared: &'a Shared, scope: Scope) -> Self {
        Self {
            connection: &shared.connection,
            scope,
            tx: &shared.tx,
            lists: &shared.lists,
            pool: &shared.pool,
            batch: Vec::new(),
            backoff: Backoff::default(),
            failing: None,
            heard: None,
            can_watch: true,
            undecodable: 0,
            plain: false,
            kind: PhantomData,
        }
    }

    /// Lists and watches until refused or nobody listens. See the module docs.
    async fn run(mut self) -> End {
        let mut version: Option<String> = None;
        loop {
            let listing = version.is_none();
            let step = match &mut version {
                None => self.list().await.map(|listed| version = Some(listed)),
                Some(version) if self.can_watch && !version.is_empty() => self.watch(version).await,
                Some(_) => {
                    version = None;
                    let pause = sleep(POLL.mul_f64(0.8 + 0.4 * jitter()));
                    self.connection.unless_silent(pause).await.map_err(Stop::from)
                }
            };
            match step {
                Ok(()) => {}
                Err(Stop::Closed) => return End::Closed,
                Err(Stop::Failed(error)) if error.is_gone() => {
                    version = None;
                    sleep(self.backoff.next(None)).await;
                }
                Err(Stop::Failed(error)) if error.is_forbidden() || error.is_not_found() => {
                    if listing {
                        return End::Refused(error);
                    }
                    self.can_watch = false;
                }
                Err(Stop::Failed(error)) => {
                    if self.fails(&error).await.is_err() {
                        return End::Closed;
                    }
                    self.rest(error.retry_after()).await;
                    if self.backoff.failures() >= RELIST_AFTER {
                        version = None;
                    }
                }
            }
        }
    }

    /// Waits after a failure. While nobody answers at all the heart asks, and feeds wait for it; when the server comes back
    /// they return within a second, whatever they were waiting for.
    async fn rest(&mut self, asked: Option<u64>) {
        let heart = &self.connection.heart;
        if heart.silent_since().is_none() {
            let wait = self.backoff.next(asked);
            let wanted = Duration::from_secs(asked.unwrap_or(0));
            tokio::select! {
                () = sleep(wait) => {}
                () = heart.comes_back() => {}
                // What the server asked for is kept to all the same, and not all return in the same moment.
                () = async { tokio::join!(sleep(wanted), heart.gets_well()); } => sleep(PROOF.mul_f64(jitter())).await,
                () = self.connection.login.renewed() => self.backoff.reset(),
            }
        }
        if heart.silent_since().is_some() {
            heart.answers().await;
            self.backoff.reset();
            sleep(PROOF.mul_f64(jitter())).await;
        }
    }

    fn path(&self) -> String {
        let namespace = match &self.scope {
            Scope::Cluster => None,
            Scope::Namespace(name) => Some(&**name),
        };
        collection(R::INFO.group, R::INFO.version, R::INFO.plural, namespace)
    }

    /// Lists page by page; returns the version to watch from.
    async fn list(&mut self) -> Result<String, Stop> {
        self.batch.clear();
        self.batch.push(Delta::ListStarted { kind: R::ID, scope: self.scope.clone() });
        self.flush().await?;
        // Twenty kinds at once are fine; hundreds of namespaces times twenty kinds are not.
        let _permit = self.lists.acquire().await;
        let pages = Pages::<R> {
            connection: self.connection.clone(),
            scope: self.scope.clone(),
            tx: self.tx.clone(),
            pool: Arc::clone(self.pool),
            accept: Accept::of::<R>(self.plain),
            kind: PhantomData,
        };
        let mut done = pages.list(&self.path()).await;
        if self.doubts_protobuf(&done) {
            let pages = Pages::<R> { accept: Accept::of::<R>(self.plain), ..pages };
            done = pages.list(&self.path()).await;
        }
        let done = done?;
        self.undecodable += done.undecodable;
        self.pool.forget_texts();
        self.batch.push(Delta::Listed { kind: R::ID, scope: self.scope.clone(), at: self.connection.now() });
        if self.failing.take().is_some() {
            self.connection.heart.is_well();
        }
        self.backoff.reset();
        self.heard = Some(Instant::now());
        self.flush().await?;
        Ok(done.version)
    }

    /// A server whose protobuf is not what it should be is asked for JSON from then on. True when that is new.
    fn doubts_protobuf(&mut self, done: &Result<pages::Done, Stop>) -> bool {
        let odd = match done {
            Ok(done) => done.undecodable > 0,
            Err(Stop::Failed(error)) => error.is_garbage(),
            Err(Stop::Closed) => false,
        };
        let doubts = odd && !self.plain && R::message().is_some();
        if doubts {
            tracing::warn!(kind = R::INFO.kind, "protobuf cannot be read, JSON is asked for");
            self.plain = true;
        }
        doubts
    }

    /// Watches from `version` until the server ends the watch, keeping `version` up to date.
    async fn watch(&mut self, version: &mut String) -> Result<(), Stop> {
        let seconds = WATCH_SECONDS + (10.0 * jitter()) as u64;
        let path = format!(
            "{}?watch=1&allowWatchBookmarks=true&timeoutSeconds={seconds}&resourceVersion={}",
            self.path(),
            encode(version)
        );
        let accept = Accept::of::<R>(self.plain);
        let call = Call { accept: accept.watch, ..Call::get(&path) };
        let (mut body, is_protobuf) = self.connection.unless_silent(self.connection.open_either(call, true)).await??;
        let started = Instant::now();
        let end = started + Duration::from_secs(seconds) + GRACE;
        let mut events = WatchBody::new(accept.message.filter(|_| is_protobuf));
        // A 200 alone proves nothing (a login page is one, too): an event does, or a stream that stays open.
        let mut proven = false;
        loop {
            let wait = if proven { end } else { started + PROOF };
            let chunk = match tokio::time::timeout_at(wait, self.connection.unless_silent(body.next())).await {
                Ok(Ok(Some(Ok(chunk)))) => chunk,
                Ok(Err(silent)) => return Err(Stop::Failed(silent)),
                // Ended or cut: opening the next one shows whether the server is still there.
                Ok(Ok(None | Some(Err(_)))) => break,
                Err(_) if !proven && !events.is_inside_an_event() => {
                    proven = true;
                    self.alive().await?;
                    continue;
                }
                Err(_) => return Err(Stop::Failed(Error::TimedOut { host: self.connection.host.clone(), after: GRACE })),
            };
            if self.take(&chunk, &mut events, version)? {
                proven = true;
                self.alive().await?;
                self.flush().await?;
            }
        }
        self.pool.forget_unused();
        if started.elapsed() >= PROOF {
            self.backoff.reset();
            return Ok(());
        }
        if !proven && (events.is_inside_an_event() || self.backoff.failures() >= RELIST_AFTER) {
            return Err(Stop::Failed(self.connection.garbage("it ends every watch at once")));
        }
        // Nothing is lost by waiting, the next watch resumes where this one ended; a server that hangs up at once is spared.
        sleep(self.backoff.next(None)).await;
        Ok(())
    }

    /// Decodes what a chunk of a watch completes. True when there was an event.
    fn take(&mut self, chunk: &[u8], body: &mut WatchBody, version: &mut String) -> Result<bool, Error> {
        let (mut failure, mut events) = (None, false);
        let (scope, batch, connection, pool) = (&self.scope, &mut self.batch, self.connection, self.pool);
        let mut undecodable = 0;
        let fed = body.feed::<R>(chunk, pool, &mut |read| {
            if failure.is_some() {
                return;
            }
            events |= read.is_ok();
            match read {
                Ok(Some(WatchEvent::Upsert(row))) => {
                    advance(version, &row.meta().resource_version);
                    upsert(row, scope, batch);
                }
                Ok(Some(WatchEvent::Delete(meta))) => {
                    advance(version, &meta.resource_version);
                    batch.push(Delta::Remove { kind: R::ID, key: Key::of(&meta) });
                }
                Ok(Some(WatchEvent::Bookmark(meta))) => advance(version, &meta.resource_version),
                Ok(Some(WatchEvent::Error(status))) => failure = Some(Error::from_status(status.code, None, status)),
                Ok(None) => undecodable += 1,
                Err(what) => failure = Some(connection.garbage(&what)),
            }
        });
        self.undecodable += undecodable;
        if undecodable > 0 && matches!(body, WatchBody::Protobuf(..)) {
            // As JSON it may well be read: list anew.
            self.plain = true;
            failure = failure.or_else(|| Some(Error::from_status(410, None, Status::default())));
        }
        fed.map_err(|what| self.connection.garbage(what))?;
        failure.map_or(Ok(events), Err)
    }

    /// The server answered: passes a sign of life on, at most once a second, at once after a failure.
    async fn alive(&mut self) -> Result<(), Stop> {
        let recovered = self.failing.take().is_some();
        if recovered {
            self.connection.heart.is_well();
        }
        if recovered || self.heard.is_none_or(|last| last.elapsed() >= HEARD_EVERY) {
            self.heard = Some(Instant::now());
            self.batch.push(Delta::Heard { kind: R::ID, scope: self.scope.clone(), at: self.connection.now() });
            self.flush().await?;
        }
        Ok(())
    }

    /// Says that it fails, once per failure and wording.
    async fn fails(&mut self, error: &Error) -> Result<(), Stop> {
        let words = error.to_string();
        let since = match &self.failing {
            Some((_, known)) if *known == words => return Ok(()),
            Some((since, _)) => *since,
            None => self.connection.silent_since().unwrap_or_else(|| self.connection.now()),
        };
        self.failing = Some((since, words.clone()));
        // What an interrupted list has brought so far is true all the same.
        self.batch.push(Delta::Failing { kind: R::ID, scope: self.scope.clone(), since, error: words });
        self.flush().await
    }

    async fn flush(&mut self) -> Result<(), Stop> {
        if self.batch.is_empty() {
            return if self.tx.is_closed() { Err(Stop::Closed) } else { Ok(()) };
        }
        self.tx.send(std::mem::take(&mut self.batch)).await.map_err(|_| Stop::Closed)
    }
}

fn upsert<R: Kind>(row: R, scope: &Scope, batch: &mut Vec<Delta>)
where
    Row: From<Arc<R>>,
{
    batch.push(Delta::Upsert { scope: scope.clone(), row: Row::from(Arc::new(row)) });
}

/// Moves a watch's version forward; an empty one (a server's mistake) is ignored.
fn advance(version: &mut String, to: &str) {
    if !to.is_empty() {
        version.clear();
        version.push_str(to);
    }
}
