//! Coverage is data: per kind and scope, whether we have seen it all, are still listing, were denied, or fail.
//!
//! Never show green because RBAC hid the evidence.

use std::collections::{BTreeMap, HashSet};

use super::Key;
use crate::kinds::KindId;
use crate::text::{Text, Time};

/// Where a list or watch looks.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scope {
    /// The whole cluster.
    Cluster,
    /// One namespace.
    Namespace(Text),
}

impl Scope {
    /// True when objects of `namespace` fall in this scope.
    pub fn contains(&self, namespace: &str) -> bool {
        match self {
            Self::Cluster => true,
            Self::Namespace(own) => &**own == namespace,
        }
    }
}

/// State of one kind in one scope.
#[derive(Debug, Clone, PartialEq)]
pub enum CoverageState {
    /// The first list is under way.
    Syncing {
        /// Rows so far.
        so_far: usize,
    },
    /// Complete, and kept up to date by a watch.
    Synced {
        /// Last sign of life.
        heard: Time,
    },
    /// RBAC or a missing API: will not come.
    Denied {
        /// The server's words.
        why: String,
    },
    /// Tried again and again.
    Failing {
        /// Since when.
        since: Time,
        /// One line for a person.
        error: String,
        /// When the data on screen was last confirmed; `None` if a list never completed.
        last_heard: Option<Time>,
    },
}

/// Coverage of every kind.
#[derive(Debug, Clone, Default)]
pub struct Coverage {
    states: BTreeMap<(KindId, Scope), CoverageState>,
    /// By list under way: the rows from before that it has not named yet.
    lists: BTreeMap<(KindId, Scope), HashSet<Key>>,
}

impl Coverage {
    /// All states, sorted by kind and scope.
    pub fn iter(&self) -> impl Iterator<Item = (KindId, &Scope, &CoverageState)> {
        self.states.iter().map(|((kind, scope), state)| (*kind, scope, state))
    }

    /// The state that covers objects of `kind` in `namespace` (cluster scope first). `None`: never asked for.
    pub fn of(&self, kind: KindId, namespace: &str) -> Option<&CoverageState> {
        let mut found = None;
        for ((_, scope), state) in self.states.range((kind, Scope::Cluster)..).take_while(|((k, _), _)| *k == kind) {
            if scope.contains(namespace) {
                let usable = !matches!(state, CoverageState::Denied { .. });
                if usable {
                    return Some(state);
                }
                found = found.or(Some(state));
            }
        }
        found
    }

    /// True when every object of `kind` in `namespace` is known: absence from the table then means absence from the cluster.
    pub fn is_complete(&self, kind: KindId, namespace: &str) -> bool {
        match self.of(kind, namespace) {
            Some(CoverageState::Synced { .. }) => true,
            Some(CoverageState::Failing { last_heard, .. }) => last_heard.is_some(),
            Some(CoverageState::Syncing { .. } | CoverageState::Denied { .. }) | None => false,
        }
    }

    /// True when a list of `kind` has completed in any scope.
    pub fn is_listed(&self, kind: KindId) -> bool {
        self.of_kind(kind).any(|state| match state {
            CoverageState::Synced { .. } => true,
            CoverageState::Failing { last_heard, .. } => last_heard.is_some(),
            CoverageState::Syncing { .. } | CoverageState::Denied { .. } => false,
        })
    }

    /// States of `kind` in all scopes.
    pub fn of_kind(&self, kind: KindId) -> impl Iterator<Item = &CoverageState> {
        self.states.iter().filter(move |((k, _), _)| *k == kind).map(|(_, state)| state)
    }

    /// The oldest sign of life among synced and failing feeds: how old the screen may be.
    pub fn oldest_feed(&self) -> Option<Time> {
        self.states
            .values()
            .filter_map(|state| match state {
                CoverageState::Synced { heard } => Some(*heard),
                CoverageState::Failing { last_heard, .. } => *last_heard,
                CoverageState::Syncing { .. } | CoverageState::Denied { .. } => None,
            })
            .min()
    }

    pub(super) fn set(&mut self, kind: KindId, scope: Scope, state: CoverageState) {
        self.states.insert((kind, scope), state);
    }

    /// A list begins where these rows are known.
    pub(super) fn start_list(&mut self, kind: KindId, scope: Scope, known: HashSet<Key>) {
        self.lists.insert((kind, scope.clone()), known);
        let state = self.states.entry((kind, scope)).or_insert(CoverageState::Syncing { so_far: 0 });
        if let CoverageState::Syncing { so_far } = state {
            *so_far = 0;
        }
    }

    pub(super) fn seen(&mut self, kind: KindId, scope: &Scope, key: &Key) {
        let at = (kind, scope.clone());
        if let Some(unnamed) = self.lists.get_mut(&at) {
            unnamed.remove(key);
            if let Some(CoverageState::Syncing { so_far }) = self.states.get_mut(&at) {
                *so_far += 1;
            }
        }
    }

    /// A list is complete: the rows that it did not name.
    pub(super) fn finish_list(&mut self, kind: KindId, scope: &Scope, at: Time) -> HashSet<Key> {
        if *scope == Scope::Cluster {
            // Rights came: the namespaces looked into one by one before are part of this.
            self.states.retain(|(k, scope), _| *k != kind || *scope == Scope::Cluster);
        }
        self.states.insert((kind, scope.clone()), CoverageState::Synced { heard: at });
        self.lists.remove(&(kind, scope.clone())).unwrap_or_default()
    }

    pub(super) fn heard(&mut self, kind: KindId, scope: &Scope, at: Time) {
        match self.states.get_mut(&(kind, scope.clone())) {
            Some(CoverageState::Synced { heard }) => *heard = at,
            Some(state @ CoverageState::Failing { last_heard: Some(_), .. }) => *state = CoverageState::Synced { heard: at },
            _ => {}
        }
    }

    pub(super) fn fail(&mut self, kind: KindId, scope: Scope, since: Time, error: String) {
        let last_heard = match self.states.get(&(kind, scope.clone())) {
            Some(CoverageState::Synced { heard }) => Some(*heard),
            Some(CoverageState::Failing { last_heard, .. }) => *last_heard,
            _ => None,
        };
        self.states.insert((kind, scope), CoverageState::Failing { since, error, last_heard });
    }
}
