//! Where to look: the whole cluster, or what RBAC leaves of it.
//!
//! `-n` limits namespaced kinds from the start. A cluster-wide 403 narrows to the namespaces that can be listed or, without
//! them, to the context's own; what stays invisible is said ([`Delta::Denied`]), never fatal, and asked for again from time
//! to time.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::future::join_all;
use serde::Deserialize;
use tokio::sync::{OnceCell, Semaphore};
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::{Deltas, End, Feed, jitter};
use crate::cluster::{Connection, Error};
use crate::for_each_kind;
use crate::kinds::{Kind, KindId, Pool, Row};
use crate::snapshot::{Delta, Scope};
use crate::text::Text;

/// Lists under way at once.
const LISTS: usize = 24;
/// How often something denied is asked for again.
const ASK_AGAIN: Duration = Duration::from_secs(120);
/// Namespaces looked into one by one when the cluster as a whole is denied: each costs a connection per kind.
const MOST_NAMESPACES: usize = 30;

/// What all feeds of one source share.
pub(super) struct Shared {
    pub(super) connection: Connection,
    pub(super) tx: Deltas,
    pub(super) lists: Semaphore,
    /// One for all kinds: a workload, its revisions and its pods repeat each other's names and templates.
    pub(super) pool: Arc<Mutex<Pool>>,
    visible: OnceCell<Vec<Text>>,
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
        visible: OnceCell::new(),
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
            let names = shared.visible.get_or_init(|| visible_namespaces(&shared.connection)).await;
            join_all(names.iter().map(|name| keep_asking::<R>(&shared, Scope::Namespace(name.clone())))).await;
            return;
        }
        sleep(ASK_AGAIN.mul_f64(0.8 + 0.4 * jitter())).await;
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
        sleep(ASK_AGAIN.mul_f64(0.8 + 0.4 * jitter())).await;
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
        let (kind, at) = (R::ID, chrono::Utc::now());
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
    #[derive(Deserialize)]
    struct List {
        items: Vec<Item>,
    }
    #[derive(Deserialize)]
    struct Item {
        metadata: Name,
    }
    #[derive(Deserialize)]
    struct Name {
        name: Text,
    }
    let own: Text = connection.default_namespace.as_str().into();
    let mut names = vec![own.clone()];
    if let Ok(list) = connection.get_json::<List>("/api/v1/namespaces?limit=500").await {
        names.extend(list.items.into_iter().map(|item| item.metadata.name).filter(|name| *name != own));
    }
    names.truncate(MOST_NAMESPACES);
    names
}
