//! The cluster as k3am knows it now: rows by key, indexes between them, coverage per kind, fetched evidence.
//!
//! Invariant: a `Snapshot` changes only through [`Snapshot::apply`], whose result says which objects changed, so that cost
//! follows change. It holds no clock and does no I/O.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use self::index::Index;
use crate::for_each_kind;
use crate::kinds::{Kind, KindId, Meta, ObjectRef, Row};
use crate::text::Text;

pub mod configs;
pub mod coverage;
pub mod delta;
pub mod evidence;
mod index;
pub mod owners;
pub mod table;

pub use configs::{ConfigEdit, Configs};
pub use coverage::{Coverage, CoverageState, Scope};
pub use delta::{Changed, Delta};
pub use evidence::{LogBatch, LogExcerpt, LogKey, LogLine, LogSpec, Throttling, Usage, UsageKey};
pub use table::{Key, Table};

macro_rules! define_snapshot {
    ($($variant:ident, $field:ident, $row:ty;)*) => {
        /// Everything known about the cluster. See the module docs.
        #[derive(Debug, Clone, Default)]
        pub struct Snapshot {
            $(#[doc = concat!("Rows of kind `", stringify!($variant), "`.")] pub $field: Table<$row>,)*
            /// What has been listed, what was denied, what fails.
            pub coverage: Coverage,
            /// Log excerpts fetched as evidence.
            pub logs: BTreeMap<LogKey, LogExcerpt>,
            /// Latest and recent usage of containers.
            pub usage: HashMap<UsageKey, Usage>,
            /// Page cache inside the working set, where it was measured.
            pub page_cache: HashMap<UsageKey, f64>,
            /// CPU throttling of the containers a rule asked about.
            pub throttling: HashMap<UsageKey, Throttling>,
            /// What ConfigMaps hold, where a workload reads them.
            pub configs: Configs,
            /// Context name, server version, time of the bundle.
            pub identity: Identity,
            pods_by_node: Index<Text, crate::kinds::pods::Pod>,
            pods_not_ready: usize,
            events_by_object: Index<ObjectRef, crate::kinds::events::Event>,
        }

        impl Snapshot {
            fn insert(&mut self, row: &Row) -> Option<Row> {
                match row { $(Row::$variant(row) => self.$field.insert(row).map(Row::from),)* }
            }

            fn take(&mut self, kind: KindId, key: &Key) -> Option<Row> {
                match kind { $(KindId::$variant => self.$field.remove(key).map(Row::from),)* }
            }

            /// The row of that kind and key.
            pub fn row(&self, kind: KindId, key: &Key) -> Option<Row> {
                match kind { $(KindId::$variant => self.$field.get_arc(key).map(|row| Row::from(Arc::clone(row))),)* }
            }

            /// Keys of every row of `kind`, sorted by namespace and name.
            pub fn keys(&self, kind: KindId) -> Vec<Key> {
                match kind { $(KindId::$variant => self.$field.keys().cloned().collect(),)* }
            }

            /// How many rows of `kind` there are.
            pub fn count(&self, kind: KindId) -> usize {
                match kind { $(KindId::$variant => self.$field.len(),)* }
            }

            /// Keys of rows of `kind` that `uid` controls.
            pub fn controlled_by(&self, kind: KindId, uid: &str) -> Vec<Key> {
                match kind { $(KindId::$variant => self.$field.controlled_by(uid).map(|row| Key::of(row.meta())).collect(),)* }
            }
        }
    };
}
for_each_kind!(define_snapshot);

/// What the cluster calls itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Identity {
    /// Context name, or the bundle's name.
    pub name: String,
    /// `v1.36.2`, when the server told.
    pub server_version: Option<String>,
}

impl Snapshot {
    /// Folds one delta in and says which object, if any, changed by it.
    pub fn apply(&mut self, delta: Delta) -> Vec<Changed> {
        match delta {
            Delta::Upsert { scope, row } => self.upsert(&scope, &row).into_iter().collect(),
            Delta::Remove { kind, key } => self.remove(kind, &key).into_iter().collect(),
            Delta::ListStarted { kind, scope } => {
                let mut known = self.keys(kind);
                known.retain(|key| scope.contains(&key.namespace));
                self.coverage.start_list(kind, scope, known.into_iter().collect());
                Vec::new()
            }
            Delta::Listed { kind, scope, at } => self.finish_list(kind, &scope, at),
            Delta::Heard { kind, scope, at } => {
                self.coverage.heard(kind, &scope, at);
                Vec::new()
            }
            Delta::Denied { kind, scope, why } => {
                self.coverage.set(kind, scope, CoverageState::Denied { why });
                vec![Changed::Coverage(kind)]
            }
            Delta::Failing { kind, scope, since, error } => {
                self.coverage.fail(kind, scope, since, error);
                vec![Changed::Coverage(kind)]
            }
            Delta::Log { key, excerpt } => {
                let object = ObjectRef::new("Pod", &key.namespace, &key.pod);
                self.logs.insert(key, excerpt);
                vec![Changed::Evidence(object)]
            }
            Delta::Usage { samples, at } => self.record_usage(samples, at),
            Delta::Throttling { samples, at } => self.record_throttling(samples, at),
            Delta::PageCache { samples } => {
                let pods =
                    samples.iter().map(|(key, _)| Key { namespace: key.namespace.clone(), name: key.pod.clone() }).collect();
                self.page_cache.extend(samples);
                vec![Changed::Usage(pods)]
            }
            Delta::Config { key, content: None } => {
                self.configs.refused = true;
                self.configs.forget(&key);
                Vec::new()
            }
            Delta::Config { key, content: Some((version, values)) } => {
                let tells = self.configs.take(key.clone(), version, values);
                let before = self.row(KindId::ConfigMap, &key).filter(|_| tells);
                before.map(|row| Changed::Object { kind: KindId::ConfigMap, key, before: Some(row) }).into_iter().collect()
            }
            Delta::Identity(identity) => {
                self.identity = identity;
                Vec::new()
            }
        }
    }

    fn upsert(&mut self, scope: &Scope, row: &Row) -> Option<Changed> {
        let kind = row.kind();
        let key = Key::of(row.meta());
        self.coverage.seen(kind, scope, &key);
        let old = self.insert(row);
        if let Some(old) = &old {
            self.unindex(old);
        }
        self.index(row);
        let is_as_it_was = |old: &Row| {
            let (old, new) = (old.meta(), row.meta());
            old.resource_version == new.resource_version && old.uid == new.uid && !new.resource_version.is_empty()
        };
        if old.as_ref().is_some_and(is_as_it_was) {
            return None;
        }
        Some(Changed::Object { kind, key, before: old })
    }

    fn remove(&mut self, kind: KindId, key: &Key) -> Option<Changed> {
        let old = self.take(kind, key)?;
        self.unindex(&old);
        if let Row::Pod(pod) = &old {
            self.forget_evidence(pod);
        }
        if kind == KindId::ConfigMap {
            self.configs.forget(key);
        }
        Some(Changed::Object { kind, key: key.clone(), before: Some(old) })
    }

    /// A completed list is the truth: what it did not name is gone (watch deletions can be missed).
    fn finish_list(&mut self, kind: KindId, scope: &Scope, at: crate::text::Time) -> Vec<Changed> {
        let mut gone: Vec<Key> = self.coverage.finish_list(kind, scope, at).into_iter().collect();
        gone.sort();
        let mut changed: Vec<Changed> = gone.iter().filter_map(|key| self.remove(kind, key)).collect();
        changed.push(Changed::Coverage(kind));
        changed
    }

    /// Logs and measurements of a pod that is gone.
    fn forget_evidence(&mut self, pod: &crate::kinds::pods::Pod) {
        let (namespace, name) = (&pod.meta.namespace, &pod.meta.name);
        let start = LogKey { namespace: namespace.clone(), pod: name.clone(), container: "".into(), previous: false };
        let logs = self.logs.range(start..).map(|(key, _)| key);
        let logs: Vec<LogKey> = logs.take_while(|key| key.namespace == *namespace && key.pod == *name).cloned().collect();
        for key in logs {
            self.logs.remove(&key);
        }
        let specified = pod.spec.all_containers().map(|container| container.name.clone());
        let reported = pod.containers().map(|view| view.status.name.clone());
        for container in specified.chain(reported).chain(["".into()]) {
            let key = UsageKey { namespace: namespace.clone(), pod: name.clone(), container };
            self.usage.remove(&key);
            self.page_cache.remove(&key);
            self.throttling.remove(&key);
        }
    }

    fn record_usage(&mut self, samples: Vec<(UsageKey, f64, f64)>, at: crate::text::Time) -> Vec<Changed> {
        let mut pods: Vec<Key> = Vec::with_capacity(samples.len());
        for (key, cpu, memory) in samples {
            let same = pods.last().is_some_and(|pod| pod.name == key.pod && pod.namespace == key.namespace);
            if !same {
                pods.push(Key { namespace: key.namespace.clone(), name: key.pod.clone() });
            }
            self.usage.entry(key).or_default().push(at, cpu, memory);
        }
        vec![Changed::Usage(pods)]
    }

    fn record_throttling(&mut self, samples: Vec<(UsageKey, f64, f64)>, at: crate::text::Time) -> Vec<Changed> {
        let mut pods = BTreeSet::new();
        for (key, periods, throttled) in samples {
            pods.insert(ObjectRef::new("Pod", &key.namespace, &key.pod));
            self.throttling.entry(key).or_default().push(at, periods, throttled);
        }
        pods.into_iter().map(Changed::Evidence).collect()
    }

    fn index(&mut self, row: &Row) {
        match row {
            Row::Pod(pod) => {
                self.pods_not_ready += usize::from(is_not_ready(pod));
                if let Some(node) = &pod.node_name {
                    self.pods_by_node.insert(node, pod);
                }
            }
            Row::Event(event) => {
                self.events_by_object.insert(&event.object(), event);
            }
            _ => {}
        }
    }

    fn unindex(&mut self, row: &Row) {
        match row {
            Row::Pod(pod) => {
                self.pods_not_ready = self.pods_not_ready.saturating_sub(usize::from(is_not_ready(pod)));
                if let Some(node) = &pod.node_name {
                    self.pods_by_node.remove(node, &pod.meta);
                }
            }
            Row::Event(event) => self.events_by_object.remove(&event.object(), &event.meta),
            _ => {}
        }
    }

    /// How many pods should be ready and are not.
    pub fn pods_not_ready(&self) -> usize {
        self.pods_not_ready
    }

    /// Pods on that node, sorted by key.
    pub fn pods_on(&self, node: &str) -> impl Iterator<Item = &crate::kinds::pods::Pod> {
        self.pods_by_node.of(node)
    }

    /// Events about that object, of any incarnation, oldest first. Compare `involved_object.uid` where names are reused.
    pub fn events_about(&self, object: &ObjectRef) -> Vec<&crate::kinds::events::Event> {
        let mut events: Vec<_> = self.events_by_object.of(object).collect();
        events.sort_by_key(|e| (e.last_seen(), e.meta.name.clone()));
        events
    }

    /// Events about this very incarnation of an object, oldest first.
    pub fn events_of(&self, kind: KindId, meta: &Meta) -> Vec<&crate::kinds::events::Event> {
        let mut events = self.events_about(&ObjectRef::new(kind.name(), &meta.namespace, &meta.name));
        events.retain(|e| {
            e.involved_object.uid.is_empty() || meta.uid.is_empty() || e.involved_object.uid == meta.uid || kind == KindId::Node
        });
        events
    }

    /// The row an [`ObjectRef`] points to, when its kind is watched and it is known.
    pub fn find(&self, object: &ObjectRef) -> Option<Row> {
        let kind = KindId::from_name(&object.kind)?;
        self.row(kind, &Key::new(&object.namespace, &object.name))
    }
}

fn is_not_ready(pod: &crate::kinds::pods::Pod) -> bool {
    !pod.is_finished() && !pod.is_ready()
}
