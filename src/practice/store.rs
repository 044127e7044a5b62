//! The objects: an in-memory etcd with the server's bookkeeping (uid, resourceVersion, generation, managedFields, history).
//!
//! Invariants: one lock, never held across an await or a socket write; every change gets the next version, is appended to its
//! type's bounded history and sent to its subscribers under that lock, so that a watch neither misses nor reorders. An object
//! is serialised at most once per version ([`Stored::bytes`]) and the bytes are shared by every list and watch.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use bytes::Bytes;
use chrono::{DateTime, Utc};
use serde_json::Value;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::clock::Clock;
use super::resources::{self, ResourceType};
use super::status::Status;
use crate::protobuf::{self, Message};

mod write;

pub use write::{DeleteOptions, Preconditions, Write};

/// How many changes of one resource type a watch can go back.
const HISTORY: usize = 16_384;

/// How a write reached the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Create, update and every patch but apply.
    Update,
    /// Server-side apply.
    Apply,
}

/// Who writes: goes to managedFields.
#[derive(Clone, Copy, Debug)]
pub struct Writer<'a> {
    /// The field manager, such as `kubelet`.
    pub manager: &'a str,
    /// How.
    pub operation: Operation,
    /// `status` or `scale` when written through a subresource.
    pub subresource: Option<&'a str>,
}

impl<'a> Writer<'a> {
    /// An Update of the object itself.
    pub fn update(manager: &'a str) -> Self {
        Self { manager, operation: Operation::Update, subresource: None }
    }

    /// An Update through the status subresource.
    pub fn status(manager: &'a str) -> Self {
        Self { manager, operation: Operation::Update, subresource: Some("status") }
    }
}

/// What happened to an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeKind {
    /// It is new.
    Added,
    /// It was written.
    Modified,
    /// It is gone.
    Deleted,
}

/// One change, as watches see it.
#[derive(Debug)]
pub struct Change {
    /// What happened.
    pub kind: ChangeKind,
    /// To which type.
    pub resource: &'static ResourceType,
    /// The object after the change (for `Deleted`: its last state, at the version of the deletion).
    pub object: Arc<Value>,
    /// The object before a `Modified`: a watch with a selector needs it to see objects come and go.
    pub previous: Option<Arc<Value>>,
    /// The version of the change.
    pub version: u64,
    stored: Arc<Stored>,
}

impl Change {
    /// The object as it is: of load, [`Self::object`] only has namespace and name.
    pub fn whole(&self) -> Arc<Value> {
        self.stored.object()
    }

    /// True for load, which is only bytes.
    pub fn is_load(&self) -> bool {
        self.stored.is_load()
    }

    /// The object after the change, as the store has it.
    pub fn stored(&self) -> &Stored {
        &self.stored
    }

    /// The object after the change, serialised once for everyone.
    pub fn bytes(&self) -> Bytes {
        self.stored.bytes()
    }
}

/// One object at one version. Live objects are kept decoded; load (see `load`) is kept as bytes only.
#[derive(Debug)]
pub struct Stored {
    /// The resourceVersion of this state.
    pub version: u64,
    /// Namespace (empty for cluster-scoped objects) and name.
    pub key: (String, String),
    live: Option<Arc<Value>>,
    bytes: OnceLock<Bytes>,
    message: OnceLock<Bytes>,
}

impl Stored {
    fn live(version: u64, key: Key, object: Arc<Value>) -> Self {
        Self { version, key, live: Some(object), bytes: OnceLock::new(), message: OnceLock::new() }
    }

    fn inert(version: u64, key: Key, bytes: impl Into<OnceLock<Bytes>>) -> Self {
        Self { version, key, live: None, bytes: bytes.into(), message: OnceLock::new() }
    }

    /// True for load, which is only bytes.
    pub fn is_load(&self) -> bool {
        self.live.is_none()
    }

    /// The JSON of the object.
    pub fn bytes(&self) -> Bytes {
        let serialise = || Bytes::from(self.live.as_ref().map_or_else(Vec::new, |object| object.to_string().into_bytes()));
        self.bytes.get_or_init(serialise).clone()
    }

    /// The object as its protobuf message, written once for everyone who asks for it.
    pub fn message(&self, message: &Message) -> &Bytes {
        self.message.get_or_init(|| Bytes::from(protobuf::write(message, &self.object())))
    }

    /// The object, decoded on demand when it is load.
    pub fn object(&self) -> Arc<Value> {
        match &self.live {
            Some(object) => object.clone(),
            None => Arc::new(serde_json::from_slice(&self.bytes()).unwrap_or_default()),
        }
    }
}

type Key = (String, String);

/// Where a page of a list ended.
#[derive(Debug)]
pub struct After {
    /// Namespace and name of its last object.
    pub key: (String, String),
    /// How many followed it, when it was counted: counting them for every page of 100,000 would be most of the work.
    pub remaining: Option<usize>,
}

/// A change as history keeps it: bytes only (shared with the store), a tenth of the decoded object. Decoded again by the few
/// watches that resume.
#[derive(Clone)]
struct Past {
    kind: ChangeKind,
    version: u64,
    key: Key,
    bytes: Bytes,
    previous: Option<Bytes>,
}

impl Past {
    fn replay(self, resource: &'static ResourceType) -> Arc<Change> {
        let decode = |bytes: &Bytes| Arc::new(serde_json::from_slice(bytes).unwrap_or_default());
        let object = decode(&self.bytes);
        let previous = self.previous.as_ref().map(decode);
        let stored = Arc::new(Stored::inert(self.version, self.key, self.bytes));
        Arc::new(Change { kind: self.kind, resource, object, previous, version: self.version, stored })
    }
}

#[derive(Default)]
struct Table {
    objects: BTreeMap<Key, Arc<Stored>>,
    history: VecDeque<Past>,
    forgotten: u64,
    subscribers: Vec<UnboundedSender<Arc<Change>>>,
    /// Watches of clients: unlike controllers, they see load change.
    watchers: Vec<UnboundedSender<Arc<Change>>>,
}

struct Inner {
    version: u64,
    tables: HashMap<(&'static str, &'static str), Table>,
    random: u64,
}

/// The store; clones share it.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Mutex<Inner>>,
    custom: Arc<Mutex<Vec<&'static ResourceType>>>,
    clock: Clock,
}

/// The changes a watch resumes with, and those to come.
pub struct Subscription {
    /// Changes after the version asked for, oldest first.
    pub backlog: Vec<Arc<Change>>,
    /// Every later change.
    pub receiver: UnboundedReceiver<Arc<Change>>,
    /// The version up to which `backlog` is complete.
    pub version: u64,
}

impl Store {
    /// An empty store; `seed` makes uids and generated names repeatable.
    pub fn new(clock: Clock, seed: u64) -> Self {
        let random = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ 0x5DEE_CE66;
        Self {
            inner: Arc::new(Mutex::new(Inner { version: 100, tables: HashMap::new(), random })),
            custom: Arc::default(),
            clock,
        }
    }

    /// The same objects, with every write through this handle dated at a moment: how scenarios lay down history.
    #[must_use]
    pub fn dated(&self, moment: DateTime<Utc>) -> Self {
        Self { clock: Clock::stopped_at(moment), ..self.clone() }
    }

    /// The clock objects are stamped with.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Every served type: the built-in ones, then those of custom resource definitions.
    pub fn served_types(&self) -> Vec<&'static ResourceType> {
        let custom = self.custom.lock().unwrap_or_else(PoisonError::into_inner);
        resources::ALL.iter().copied().chain(custom.iter().copied()).collect()
    }

    /// Every type objects are stored as: what a collector of garbage or of a namespace has to go through.
    pub fn stored_types(&self) -> Vec<&'static ResourceType> {
        let mut stored: Vec<&'static ResourceType> = Vec::new();
        for resource in self.served_types().into_iter().map(ResourceType::storage) {
            if !stored.contains(&resource) {
                stored.push(resource);
            }
        }
        stored
    }

    /// The served type of that group, version and plural.
    pub fn find_type(&self, group: &str, version: &str, plural: &str) -> Option<&'static ResourceType> {
        let is = |of: &&&'static ResourceType| of.group == group && of.version == version && of.plural == plural;
        let built_in = resources::ALL.iter().find(is).copied();
        built_in.or_else(|| self.custom.lock().unwrap_or_else(PoisonError::into_inner).iter().find(is).copied())
    }

    /// Replaces the custom types.
    pub fn set_custom_types(&self, types: Vec<&'static ResourceType>) {
        *self.custom.lock().unwrap_or_else(PoisonError::into_inner) = types;
    }

    /// One object.
    pub fn get(&self, resource: &'static ResourceType, namespace: &str, name: &str) -> Option<Arc<Value>> {
        self.stored(resource, namespace, name).map(|stored| stored.object())
    }

    /// The decoded objects of a type, in one namespace or all, ordered by namespace and name. Load (inert objects that exist
    /// only as bytes) is left out: controllers must not run it. Serving code uses [`Self::list_stored`].
    pub fn list(&self, resource: &'static ResourceType, namespace: Option<&str>) -> Vec<Arc<Value>> {
        let (listed, _) = self.list_stored(resource, namespace);
        listed.iter().filter_map(|stored| stored.live.clone()).collect()
    }

    /// One object with its bytes.
    pub fn stored(&self, resource: &'static ResourceType, namespace: &str, name: &str) -> Option<Arc<Stored>> {
        let inner = self.lock();
        inner.tables.get(&key_of(resource))?.objects.get(&(namespace.to_owned(), name.to_owned())).cloned()
    }

    /// Everything of a type, load included, with the version of the whole store at that instant.
    pub fn list_stored(&self, resource: &'static ResourceType, namespace: Option<&str>) -> (Vec<Arc<Stored>>, u64) {
        let inner = self.lock();
        let Some(table) = inner.tables.get(&key_of(resource)) else { return (Vec::new(), inner.version) };
        let listed = match namespace {
            None => table.objects.values().cloned().collect(),
            Some(namespace) => table
                .objects
                .range((namespace.to_owned(), String::new())..)
                .take_while(|((of, _), _)| of == namespace)
                .map(|(_, stored)| stored.clone())
                .collect(),
        };
        (listed, inner.version)
    }

    /// The version of the latest write.
    pub fn version(&self) -> u64 {
        self.lock().version
    }

    /// Every change of a type after this call.
    pub fn subscribe(&self, resource: &'static ResourceType) -> UnboundedReceiver<Arc<Change>> {
        let (sender, receiver) = unbounded_channel();
        self.lock().tables.entry(key_of(resource)).or_default().subscribers.push(sender);
        receiver
    }

    /// The objects of a type now and every later change, with nothing lost in between.
    pub fn list_and_subscribe(&self, resource: &'static ResourceType) -> (Vec<Arc<Stored>>, Subscription) {
        let (sender, receiver) = unbounded_channel();
        let mut inner = self.lock();
        let version = inner.version;
        let table = inner.tables.entry(key_of(resource)).or_default();
        table.watchers.push(sender);
        (table.objects.values().cloned().collect(), Subscription { backlog: Vec::new(), receiver, version })
    }

    /// Every change of a type after `version`; 410 when the history no longer reaches that far back.
    pub fn subscribe_since(&self, resource: &'static ResourceType, version: u64) -> Result<Subscription, Status> {
        let (sender, receiver) = unbounded_channel();
        let mut inner = self.lock();
        let now = inner.version;
        let table = inner.tables.entry(key_of(resource)).or_default();
        if version < table.forgotten {
            return Err(Status::expired(format!("too old resource version: {version} ({})", table.forgotten)));
        }
        let missed: Vec<Past> = table.history.iter().filter(|past| past.version > version).cloned().collect();
        table.watchers.push(sender);
        drop(inner);
        let backlog = missed.into_iter().map(|past| past.replay(resource)).collect();
        Ok(Subscription { backlog, receiver, version: now })
    }

    /// Forgets the history of every type: watches from an earlier version, and continue tokens, get 410.
    pub fn expire_history(&self) {
        let mut inner = self.lock();
        inner.version += 1;
        let version = inner.version;
        for table in inner.tables.values_mut() {
            table.history.clear();
            table.forgotten = version;
        }
    }

    /// The oldest version a continue token of this type may carry.
    pub fn oldest(&self, resource: &'static ResourceType) -> u64 {
        self.lock().tables.get(&key_of(resource)).map_or(0, |table| table.forgotten)
    }

    /// Puts an object in as it is, kept as bytes only: load that no controller runs and nobody is told about.
    pub fn insert_inert(&self, resource: &'static ResourceType, key: (String, String), json: impl FnOnce(u64) -> String) {
        let mut inner = self.lock();
        inner.version += 1;
        let version = inner.version;
        let bytes = OnceLock::from(tight(json(version)));
        let stored = Arc::new(Stored::inert(version, key.clone(), bytes));
        inner.tables.entry(key_of(resource)).or_default().objects.insert(key, stored);
    }

    /// Puts load in another state (`json` gets the version and the bytes of before, if any), and tells the watches of clients.
    pub fn change_inert(
        &self,
        resource: &'static ResourceType,
        key: &Key,
        json: impl FnOnce(u64, Option<&str>) -> Option<String>,
    ) {
        let mut inner = self.lock();
        let version = inner.version + 1;
        let table = inner.tables.entry(key_of(resource)).or_default();
        let before = table.objects.get(key).map(|stored| stored.bytes());
        let Some(json) = json(version, before.as_deref().and_then(|bytes| std::str::from_utf8(bytes).ok())) else { return };
        let bytes = tight(json);
        let stored = Arc::new(Stored::inert(version, key.clone(), bytes.clone()));
        let kind = if before.is_some() { ChangeKind::Modified } else { ChangeKind::Added };
        table.objects.insert(key.clone(), stored.clone());
        table.history.push_back(Past { kind, version, key: key.clone(), bytes, previous: before });
        if table.history.len() > HISTORY
            && let Some(dropped) = table.history.pop_front()
        {
            table.forgotten = dropped.version;
        }
        let object = Arc::new(serde_json::json!({"metadata": {"namespace": key.0, "name": key.1}}));
        let change = Arc::new(Change { kind, resource, object, previous: None, version, stored });
        table.watchers.retain(|watcher| watcher.send(change.clone()).is_ok());
        inner.version = version;
    }

    /// A page: what comes after a page, at most so many, with how many follow it and the version of the whole store.
    pub fn page(
        &self,
        resource: &'static ResourceType,
        namespace: Option<&str>,
        after: Option<&After>,
        most: usize,
    ) -> (Vec<Arc<Stored>>, usize, u64) {
        let inner = self.lock();
        let Some(table) = inner.tables.get(&key_of(resource)) else { return (Vec::new(), 0, inner.version) };
        let start = match (after, namespace) {
            (Some(after), _) => Bound::Excluded(after.key.clone()),
            (None, Some(namespace)) => Bound::Included((namespace.to_owned(), String::new())),
            (None, None) => Bound::Unbounded,
        };
        let in_scope = |key: &Key| namespace.is_none_or(|namespace| key.0 == namespace);
        let mut rest = table.objects.range((start, Bound::Unbounded)).take_while(|(key, _)| in_scope(key));
        let page: Vec<Arc<Stored>> = rest.by_ref().take(most).map(|(_, stored)| stored.clone()).collect();
        let behind = match after.and_then(|after| after.remaining) {
            // As the real server's, an estimate where objects came or went since; that there is more is none.
            Some(remaining) => rest.next().map_or(0, |_| remaining.saturating_sub(page.len()).max(1)),
            None => rest.count(),
        };
        (page, behind, inner.version)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn key_of(resource: &'static ResourceType) -> (&'static str, &'static str) {
    (resource.group, resource.plural)
}

/// Text as bytes without the room it grew into: half as much again of 100,000 pods.
fn tight(json: String) -> Bytes {
    Bytes::from(json.into_boxed_str().into_boxed_bytes())
}
