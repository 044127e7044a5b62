//! Where to look: the whole cluster, or what RBAC leaves of it.
//!
//! `-n` limits namespaced kinds from the start. A cluster-wide 403 narrows to the namespaces that can be listed or, without
//! them, to the context's own; what stays invisible is said ([`Delta::Denied`]), never fatal, and asked for again from time
//! to time.

use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};

use super::{Deltas, End, Feed, jitter};
use crate::cluster::{Connection, Error};
use crate::for_each_kind;
use crate::kinds::{Kind, KindId, Pool, Row};
use crate::snapshot::{Delta, Scope};
use crate::text::Text;

/// Lists under way at once.
const LISTS: usize = 24;
/// How often something denied, and which namespaces there are, is asked for again.
const ASK_AGAIN: Duration = Duration::from_secs(60);
/// How often an API that is not there is said to be not there.
const STILL_ABSENT: Duration = Duration::from_secs(10);
/// Namespaces looked into one by one when the cluster as a whole is denied: each costs a connection per kind.
const MOST_NAMESPACES: usize = 30;

/// What all feeds of one source share.
pub(super) struct Shared {
    pub(super) connection: Connection,
    pub(super) tx: Deltas,
    pub(super) lists: Semaphore,
    /// One for all kinds: a workload, its revisions and its pods repeat each other's names and templates.
    pub(super) pool: Arc<Pool>,
    visible: tokio::sync::Mutex<Option<(Instant, Vec<Text>)>>,
}

macro_rules! define_spawn {
    ($($variant:ident, $field:ident, $row:ty;)*) => {
        fn spawn_kind(kind: KindId, shared: Arc<Shared>, tasks: &mut JoinSet<()>) {
            match kind { $(KindId::$variant => { tasks.spawn(supervise::<$row>(shared)); })* }
        }
    };
}
for_each_kind!(define_spawn);

/// Starts the feeds of `kinds` as tasks of `tasks`. They end when the receiver of `tx` is dropped.
pub(crate) fn spawn(connection: &Connection, kinds: &[KindId], tx: &Deltas, tasks: &mut JoinSet<()>) {
    let shared = Arc::new(Shared {
        connection: connection.clone(),
        tx: tx.clone(),
        lists: Semaphore::new(LISTS),
        pool: Arc::default(),
        visible: tokio::sync::Mutex::default(),
    });
    for kind in kinds {
        spawn_kind(*kind, Arc::clone(&shared), tasks);
    }
}

async fn supervise<R: Kind>(shared: Arc<Shared>)
where
    Row: From<Arc<R>>,
{
    let wanted = &shared.connection.namespaces;
    if R::INFO.namespaced && !wanted.is_empty() {
        join_all(wanted.iter().map(|name| keep_asking::<R>(&shared, Scope::Namespace(name.as_str().into())))).await;
        return;
    }
    if !R::INFO.namespaced {
        keep_asking::<R>(&shared, Scope::Cluster).await;
        return;
    }
    loop {
        let End::Refused(error) = feed::<R>(&shared, Scope::Cluster).await else { return };
        if denied::<R>(&shared, Scope::Cluster, &error).await.is_err() {
            return;
        }
        if error.is_forbidden() {
            if one_by_one::<R>(&shared, &error).await.is_err() {
                return;
            }
        } else {
            wait_to_ask::<R>(&shared, &Scope::Cluster, &error).await;
        }
    }
}

/// Waits before asking again for what was refused. An API that is not there is as fresh as the server: saying nothing for a
/// minute it would make the whole screen look old.
async fn wait_to_ask<R: Kind>(shared: &Shared, scope: &Scope, error: &Error) {
    let end = Instant::now() + ASK_AGAIN.mul_f64(0.8 + 0.4 * jitter());
    let absent = error.is_not_found() && R::INFO.optional;
    while absent && Instant::now() < end {
        if shared.connection.unless_silent(sleep(STILL_ABSENT)).await.is_err() {
            return; // Asked at once, so that it is said to fail with the others.
        }
        let heard = Delta::Heard { kind: R::ID, scope: scope.clone(), at: shared.connection.now() };
        if shared.tx.send(vec![heard]).await.is_err() {
            return;
        }
    }
    sleep_until(end).await;
}

/// Follows namespaces one by one, as they come, until the whole cluster may be seen (`Ok`) or nobody listens.
async fn one_by_one<R: Kind>(shared: &Arc<Shared>, refused: &Error) -> Result<(), ()>
where
    Row: From<Arc<R>>,
{
    let mut feeds = JoinSet::new();
    let mut followed: Vec<Text> = Vec::new();
    loop {
        let names = shared.visible().await;
        let unseen = names.len().saturating_sub(MOST_NAMESPACES);
        if unseen > 0 {
            let why = format!("{refused}; {unseen} more namespaces are not looked at: name them with -n or :ns");
            shared.tx.send(vec![Delta::Denied { kind: R::ID, scope: Scope::Cluster, why }]).await.map_err(|_| ())?;
        }
        for name in names {
            if !followed.contains(&name) && followed.len() < MOST_NAMESPACES {
                followed.push(name.clone());
                let shared = Arc::clone(shared);
                feeds.spawn(async move { keep_asking::<R>(&shared, Scope::Namespace(name)).await });
            }
        }
        sleep(ASK_AGAIN.mul_f64(0.8 + 0.4 * jitter())).await;
        if shared.tx.is_closed() {
            return Err(());
        }
        let path = format!("{}?limit=1", crate::cluster::http::collection(R::INFO.group, R::INFO.version, R::INFO.plural, None));
        if shared.connection.get_json::<serde::de::IgnoredAny>(&path).await.is_ok() {
            return Ok(());
        }
    }
}

/// Follows one scope; when refused, says so and asks again later.
async fn keep_asking<R: Kind>(shared: &Shared, scope: Scope)
where
    Row: From<Arc<R>>,
{
    while let End::Refused(error) = feed::<R>(shared, scope.clone()).await {
        if denied::<R>(shared, scope.clone(), &error).await.is_err() {
            return;
        }
        wait_to_ask::<R>(shared, &scope, &error).await;
    }
}

async fn feed<R: Kind>(shared: &Shared, scope: Scope) -> End
where
    Row: From<Arc<R>>,
{
    Feed::<R>::new(shared, scope).run().await
}

/// Says that the server refuses. `Err`: nobody listens.
async fn denied<R: Kind>(shared: &Shared, scope: Scope, error: &Error) -> Result<(), ()> {
    if error.is_not_found() && R::INFO.optional {
        // An API that is not there has no objects.
        let (kind, at) = (R::ID, shared.connection.now());
        let empty = vec![Delta::ListStarted { kind, scope: scope.clone() }, Delta::Listed { kind, scope, at }];
        return shared.tx.send(empty).await.map_err(|_| ());
    }
    let why = if error.is_not_found() {
        let group = if R::INFO.group.is_empty() { "core" } else { R::INFO.group };
        Error::NoSuchKind(format!("{} ({group}/{})", R::INFO.plural, R::INFO.version)).to_string()
    } else {
        error.to_string()
    };
    shared.tx.send(vec![Delta::Denied { kind: R::ID, scope, why }]).await.map_err(|_| ())
}

/// The namespaces to look into one by one: the context's own first, then those the server lists.
async fn visible_namespaces(connection: &Connection) -> Vec<Text> {
    let own: Text = connection.default_namespace.as_str().into();
    let mut names = vec![own.clone()];
    if let Ok(listed) = connection.names("/api/v1/namespaces?limit=500").await {
        names.extend(listed.into_iter().filter(|name| *name != own));
    }
    names
}

impl Shared {
    /// The namespaces to look into, asked for once for all kinds and again when the answer is old.
    async fn visible(&self) -> Vec<Text> {
        let mut visible = self.visible.lock().await;
        match &*visible {
            Some((asked, names)) if asked.elapsed() < ASK_AGAIN / 2 => names.clone(),
            _ => {
                let names = visible_namespaces(&self.connection).await;
                *visible = Some((Instant::now(), names.clone()));
                names
            }
        }
    }
}
