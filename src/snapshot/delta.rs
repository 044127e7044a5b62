//! What sources send ([`Delta`]) and what folding it changed ([`Changed`]).

use std::collections::BTreeMap;

use super::{Identity, Key, LogExcerpt, LogKey, Scope, UsageKey};
use crate::kinds::{KindId, ObjectRef, Row};
use crate::text::{Text, Time};

/// One fact from a source. Sources send; only [`super::Snapshot::apply`] consumes.
#[derive(Debug, Clone)]
pub enum Delta {
    /// A (re)list of `kind` begins. Old rows stay until [`Delta::Listed`].
    ListStarted {
        /// Kind listed.
        kind: KindId,
        /// Where.
        scope: Scope,
    },
    /// An object was listed, created or changed.
    Upsert {
        /// Scope of the list or watch it came from.
        scope: Scope,
        /// The object.
        row: Row,
    },
    /// The list is complete: objects in `scope` it did not name are gone.
    Listed {
        /// Kind listed.
        kind: KindId,
        /// Where.
        scope: Scope,
        /// When the last page arrived.
        at: Time,
    },
    /// An object is gone.
    Remove {
        /// Its kind.
        kind: KindId,
        /// Its key.
        key: Key,
    },
    /// The watch is alive (event or bookmark).
    Heard {
        /// Kind watched.
        kind: KindId,
        /// Where.
        scope: Scope,
        /// When.
        at: Time,
    },
    /// RBAC (or a missing API) says no.
    Denied {
        /// Kind asked for.
        kind: KindId,
        /// Where.
        scope: Scope,
        /// The server's own words.
        why: String,
    },
    /// The list or watch fails and will be tried again.
    Failing {
        /// Kind.
        kind: KindId,
        /// Where.
        scope: Scope,
        /// Since when.
        since: Time,
        /// One line for a person.
        error: String,
    },
    /// Evidence a rule asked for.
    Log {
        /// Whose log.
        key: LogKey,
        /// What came.
        excerpt: LogExcerpt,
    },
    /// Usage samples: key, CPU in cores, memory in bytes.
    Usage {
        /// One entry a container.
        samples: Vec<(UsageKey, f64, f64)>,
        /// When measured.
        at: Time,
    },
    /// Times the kernel held containers back at their CPU limit: key, periods and throttled periods since their start.
    Throttling {
        /// One entry a container; the container's name is empty where the kubelet only knows the pod.
        samples: Vec<(UsageKey, f64, f64)>,
        /// When measured.
        at: Time,
    },
    /// The part of containers' working sets that is page cache, in bytes: the kernel drops it before it kills.
    PageCache {
        /// One entry a container.
        samples: Vec<(UsageKey, f64)>,
    },
    /// What a ConfigMap holds: its version, and the values by key. `None`: ConfigMaps may not be read.
    Config {
        /// Which.
        key: Key,
        /// `resourceVersion` and `data`.
        content: Option<(Text, BTreeMap<Text, Text>)>,
    },
    /// Context name and server version.
    Identity(Identity),
}

/// What one [`Delta`] changed; drives incremental diagnosis and redraws.
#[derive(Debug, Clone)]
pub enum Changed {
    /// An object appeared, changed or went; `before` is its old row.
    Object {
        /// Its kind.
        kind: KindId,
        /// Its key.
        key: Key,
        /// What it was before, if known.
        before: Option<Row>,
    },
    /// New log or usage evidence about that object.
    Evidence(ObjectRef),
    /// Usage of these pods was measured.
    Usage(Vec<Key>),
    /// A list completed, was denied or fails.
    Coverage(KindId),
}
