//! What ConfigMaps hold that workloads read: seen while k3am runs, so that a later write can be told from what stood there before.
//!
//! ConfigMaps are watched by metadata only; their content is asked for one by one, and only of the few that are read (see
//! `diagnosis/engine/configs.rs`). **Secrets are never here.** Bounded: a long value is kept as its length and a checksum.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use super::Key;
use crate::text::Text;

/// Longer values are not kept, only recognised.
const LONGEST: usize = 8 << 10;

/// One key of a ConfigMap that was written. From the cluster: redact and clean before display.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigEdit {
    /// Key name.
    pub key: Text,
    /// What it held; `None` when it is new.
    pub old: Option<Text>,
    /// What it holds; `None` when it is gone.
    pub new: Option<Text>,
}

/// The content of a ConfigMap at one version, and how it came from the one seen before.
#[derive(Debug, Clone, Default)]
struct Content {
    version: Text,
    values: BTreeMap<Text, Text>,
    edits: Option<Vec<ConfigEdit>>,
}

/// Contents by ConfigMap.
#[derive(Debug, Clone, Default)]
pub struct Configs {
    contents: BTreeMap<Key, Content>,
    /// True once the server said that ConfigMaps may not be read: nobody asks again.
    pub refused: bool,
}

impl Configs {
    /// Takes what a ConfigMap held at `version`. True when that tells what a write changed.
    pub(super) fn take(&mut self, key: Key, version: Text, values: BTreeMap<Text, Text>) -> bool {
        let values: BTreeMap<Text, Text> = values.into_iter().map(|(key, value)| (key, shortened(value))).collect();
        let before = self.contents.remove(&key);
        let edits = match before {
            Some(before) if before.version == version => before.edits,
            Some(before) => Some(edits(&before.values, &values)),
            None => None,
        };
        let tells = edits.is_some();
        self.contents.insert(key, Content { version, values, edits });
        tells
    }

    pub(super) fn forget(&mut self, key: &Key) {
        self.contents.remove(key);
    }

    /// What the write that led to `version` changed, when the version before it was seen; empty when the data stayed the same.
    pub fn edits(&self, key: &Key, version: &str) -> Option<&[ConfigEdit]> {
        self.contents.get(key).filter(|content| &*content.version == version)?.edits.as_deref()
    }
}

fn shortened(value: Text) -> Text {
    if value.len() <= LONGEST {
        return value;
    }
    let mut sum = DefaultHasher::new();
    value.hash(&mut sum);
    format!("({} bytes, checksum {:016x})", value.len(), sum.finish()).into()
}

fn edits(old: &BTreeMap<Text, Text>, new: &BTreeMap<Text, Text>) -> Vec<ConfigEdit> {
    let names: std::collections::BTreeSet<&Text> = old.keys().chain(new.keys()).collect();
    let differs = names.into_iter().filter(|name| old.get(*name) != new.get(*name));
    differs.map(|name| ConfigEdit { key: name.clone(), old: old.get(name).cloned(), new: new.get(name).cloned() }).collect()
}
