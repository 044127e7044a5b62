//! A list, page by page, two pages at a time: a page begins by saying where the next one starts, so that one is asked for while
//! this one is still being decoded, and both cores have something to do.
//!
//! Invariant: deltas of a list arrive in any order between its `ListStarted` and its `Listed`; what a list that fails has
//! brought so far is true all the same and is sent.

use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::stream::StreamExt;
use tokio::sync::oneshot;
use tokio::task::{JoinError, JoinSet};
use tokio::time::timeout;

use super::encoding::{Accept, ListBody};
use super::items::ListMeta;
use super::{Deltas, Stop, upsert};
use crate::cluster::http::{BodyStream, Call, encode};
use crate::cluster::{Connection, Error};
use crate::kinds::{Kind, Pool, Row};
use crate::snapshot::{Delta, Scope};

/// Objects a page; what kubectl and client-go ask for.
const PAGE: usize = 500;
/// Pages under way at once.
const AT_ONCE: usize = 2;
/// How many deltas are sent at once.
const BATCH: usize = 128;
/// Longest silence in the middle of a page.
const SILENCE: Duration = Duration::from_secs(30);

/// A list that was read to its end.
#[derive(Debug, Default)]
pub(super) struct Done {
    /// The version to watch from.
    pub(super) version: String,
    /// Objects that could not be decoded; the others are kept.
    pub(super) undecodable: u64,
}

/// Lists a kind in a scope.
#[derive(Debug)]
pub(super) struct Pages<R> {
    pub(super) connection: Connection,
    pub(super) scope: Scope,
    pub(super) tx: Deltas,
    pub(super) pool: Arc<Pool>,
    pub(super) accept: Accept,
    pub(super) kind: PhantomData<fn() -> R>,
}

impl<R> Clone for Pages<R> {
    fn clone(&self) -> Self {
        Self {
            connection: self.connection.clone(),
            scope: self.scope.clone(),
            tx: self.tx.clone(),
            pool: Arc::clone(&self.pool),
            accept: self.accept,
            kind: PhantomData,
        }
    }
}

impl<R: Kind> Pages<R>
where
    Row: From<Arc<R>>,
{
    /// Reads all pages of the collection at `path`.
    pub(super) async fn list(&self, path: &str) -> Result<Done, Stop> {
        let mut pages = JoinSet::new();
        let mut done = Done::default();
        let mut next = Some(format!("{path}?limit={PAGE}"));
        while let Some(page) = next.take() {
            if pages.len() >= AT_ONCE
                && let Some(ended) = pages.join_next().await
            {
                self.count(&mut done, ended)?;
            }
            let (tell, told) = oneshot::channel();
            pages.spawn(self.clone().page(page, tell));
            // A page that fails tells nothing: its error comes below.
            if let Ok(meta) = told.await {
                done.version = meta.resource_version;
                let more = meta.more.filter(|more| !more.is_empty());
                next = more.map(|more| format!("{path}?limit={PAGE}&continue={}", encode(&more)));
            }
        }
        while let Some(ended) = pages.join_next().await {
            self.count(&mut done, ended)?;
        }
        Ok(done)
    }

    fn count(&self, done: &mut Done, ended: Result<Result<u64, Stop>, JoinError>) -> Result<(), Stop> {
        done.undecodable += ended.unwrap_or_else(|_| Err(Stop::Failed(self.connection.garbage("a page broke the reader"))))?;
        Ok(())
    }

    /// Reads one page; tells its metadata as soon as it has passed. How many of its objects could not be decoded.
    async fn page(self, path: String, tell: oneshot::Sender<ListMeta>) -> Result<u64, Stop> {
        let mut batch = Vec::new();
        let read = self.read(&path, tell, &mut batch).await;
        self.flush(&mut batch).await?;
        read
    }

    async fn read(&self, path: &str, tell: oneshot::Sender<ListMeta>, batch: &mut Vec<Delta>) -> Result<u64, Stop> {
        let call = Call { accept: self.accept.list, limit: SILENCE, ..Call::get(path) };
        let (mut body, is_protobuf) = self.connection.unless_silent(self.connection.open_either(call, false)).await??;
        let mut items = ListBody::new::<R>(self.accept.message.filter(|_| is_protobuf));
        let (mut tell, mut undecodable) = (Some(tell), 0);
        while let Some(chunk) = self.chunk(&mut body).await? {
            let fed = items.feed(&chunk, &mut |item| match R::read(item, &self.pool) {
                Ok(row) => upsert(row, &self.scope, batch),
                Err(error) => {
                    undecodable += 1;
                    tracing::warn!(kind = R::INFO.kind, %error, "undecodable object");
                }
            });
            fed.map_err(|not| self.connection.garbage(not.0))?;
            if tell.is_some()
                && let Some(meta) = items.meta()
                && let Some(tell) = tell.take()
            {
                let _ = tell.send(meta);
            }
            if batch.len() >= BATCH {
                self.flush(batch).await?;
            }
        }
        let meta = items.finish().map_err(|not| self.connection.garbage(not.0))?;
        if let Some(tell) = tell {
            let _ = tell.send(meta);
        }
        Ok(undecodable)
    }

    async fn chunk(&self, body: &mut BodyStream) -> Result<Option<Bytes>, Error> {
        match timeout(SILENCE, self.connection.unless_silent(body.next())).await {
            Ok(next) => next?.transpose(),
            Err(_) => Err(Error::TimedOut { host: self.connection.host().to_owned(), after: SILENCE }),
        }
    }

    async fn flush(&self, batch: &mut Vec<Delta>) -> Result<(), Stop> {
        if batch.is_empty() {
            return if self.tx.is_closed() { Err(Stop::Closed) } else { Ok(()) };
        }
        self.tx.send(std::mem::take(batch)).await.map_err(|_| Stop::Closed)
    }
}
