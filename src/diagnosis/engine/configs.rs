//! Which ConfigMaps are read once now, and again when they are written: those that workloads refer to, a bounded number of them.
//!
//! Nothing is asked for again that has not changed, and nothing once the server has refused.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::changes::references::{config_of, template_of};
use crate::diagnosis::finding::EvidenceRequest;
use crate::kinds::{KindId, Row};
use crate::snapshot::{Changed, Key, Snapshot};
use crate::text::Text;

/// ConfigMaps whose content is known at a time.
const MOST: usize = 128;
/// Asked for at a time.
const BATCH: usize = 16;

/// Wanted contents.
#[derive(Debug, Default)]
pub(super) struct Configs {
    read: BTreeSet<Key>,
    asked: BTreeMap<Key, Text>,
    pending: VecDeque<EvidenceRequest>,
}

impl Configs {
    /// Takes note of workloads that refer to ConfigMaps and of ConfigMaps that were written.
    pub fn note(&mut self, snapshot: &Snapshot, changed: &[Changed]) {
        for change in changed {
            let Changed::Object { kind, key, .. } = change else { continue };
            match kind {
                KindId::Deployment | KindId::StatefulSet | KindId::DaemonSet => {
                    if let Some(row) = snapshot.row(*kind, key) {
                        self.refer(snapshot, &row);
                    }
                }
                KindId::ConfigMap if self.read.contains(key) => self.ask(snapshot, key),
                _ => {}
            }
        }
    }

    fn refer(&mut self, snapshot: &Snapshot, workload: &Row) {
        let Some(template) = template_of(workload) else { return };
        for config in config_of(&template.spec, &workload.meta().namespace).into_iter().filter(|c| &*c.kind == "ConfigMap") {
            let key = Key { namespace: config.namespace, name: config.name };
            if self.read.len() < MOST && self.read.insert(key.clone()) {
                self.ask(snapshot, &key);
            }
        }
    }

    fn ask(&mut self, snapshot: &Snapshot, key: &Key) {
        // What is not listed yet is asked for when it comes.
        let Some(row) = snapshot.config_maps.get_arc(key).filter(|_| !snapshot.configs.refused) else { return };
        let version = row.meta.resource_version.clone();
        if self.asked.insert(key.clone(), version.clone()).as_ref() != Some(&version) {
            let (namespace, name) = (key.namespace.clone(), key.name.clone());
            self.pending.push_back(EvidenceRequest::Config { namespace, name, version });
        }
    }

    /// The next requests, each once a version.
    pub fn take(&mut self) -> impl Iterator<Item = EvidenceRequest> + '_ {
        self.pending.drain(..self.pending.len().min(BATCH))
    }
}
