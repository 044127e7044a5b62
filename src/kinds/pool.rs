//! Equal strings, labels and pod specs shared among rows. Dropping the pool never invalidates rows.
//!
//! Invariant: tasks that decode side by side wait for each other only for what none of them has seen lately: most of what an object
//! says was said by the one before, and is shared already.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use foldhash::HashSet;

use super::pod_spec::PodSpec;
use super::written::Repeated;
use super::{meta, shared};
use crate::text::Text;

/// What rows share. See the module docs.
#[derive(Debug, Default)]
pub struct Pool(Mutex<Shared>);

#[derive(Debug, Default)]
struct Shared {
    texts: HashSet<Text>,
    labels: HashSet<Arc<BTreeMap<Text, Text>>>,
    specs: HashSet<Arc<PodSpec>>,
    /// What replicas repeat, by its bytes.
    repeated: Repeated,
}

impl Pool {
    /// For the texts of one row.
    pub fn interner(&self) -> Interner<'_> {
        Interner { pool: self, shared: None }
    }

    /// Forgets the bytes of specs: when a list is complete, few will be written again soon.
    pub fn forget_texts(&self) {
        self.lock().repeated.forget();
    }

    /// Drops what no row uses any more, so that a pool that lives for weeks stays as small as what it serves.
    pub fn forget_unused(&self) {
        let mut shared = self.lock();
        shared.repeated.forget();
        shared.specs.retain(|spec| Arc::strong_count(spec) > 1);
        shared.labels.retain(|labels| Arc::strong_count(labels) > 1);
        shared.texts.retain(|text| Arc::strong_count(text) > 1);
    }

    /// Half an insertion is none: a panic elsewhere harms nothing.
    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Makes the texts of one row those of all rows; locks the pool when it comes to the first that is not shared, and until it is
/// dropped.
#[derive(Debug)]
pub struct Interner<'a> {
    pool: &'a Pool,
    shared: Option<MutexGuard<'a, Shared>>,
}

impl Interner<'_> {
    fn shared(&mut self) -> &mut Shared {
        self.shared.get_or_insert_with(|| self.pool.lock())
    }

    /// What replicas repeat.
    pub(super) fn repeated(&mut self) -> &mut Repeated {
        &mut self.shared().repeated
    }

    /// Which pool it is, as long as that lives.
    pub(super) fn place(&self) -> usize {
        std::ptr::from_ref(self.pool).addr()
    }

    /// Replaces `text` by the shared copy of the same content.
    pub fn text(&mut self, text: &mut Text) {
        // The thread that decoded it remembers it, this object has it, and so have others: it is shared already.
        if Arc::strong_count(text) > 2 {
            return;
        }
        let texts = &mut self.shared().texts;
        if let Some(known) = texts.get(text) {
            shared::adopt(text, known);
            *text = Text::clone(known);
        } else {
            texts.insert(Text::clone(text));
        }
    }

    /// As [`Interner::text`], for an optional field.
    pub fn optional(&mut self, text: &mut Option<Text>) {
        if let Some(text) = text {
            self.text(text);
        }
    }

    /// Replaces `labels` by the shared copy of equal ones.
    pub fn labels(&mut self, labels: &mut Arc<BTreeMap<Text, Text>>) {
        // Shared already: they came from here, or there are none.
        if Arc::strong_count(labels) > 1 {
            return;
        }
        if let Some(known) = self.shared().labels.get(labels) {
            *labels = Arc::clone(known);
            return;
        }
        let mut own = BTreeMap::clone(labels);
        meta::intern_map(&mut own, self);
        *labels = Arc::new(own);
        self.shared().labels.insert(Arc::clone(labels));
    }

    /// Replaces `spec` by the shared copy of an equal one: pods of one template share one spec.
    pub fn spec(&mut self, spec: &mut Arc<PodSpec>) {
        // Shared already: it came from here.
        if Arc::strong_count(spec) > 1 {
            return;
        }
        let specs = &mut self.shared().specs;
        if let Some(known) = specs.get(spec) {
            *spec = Arc::clone(known);
        } else {
            specs.insert(Arc::clone(spec));
        }
    }
}
