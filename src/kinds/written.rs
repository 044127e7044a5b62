//! What replicas repeat to the letter, by the bytes it was written in: pod specs, labels and owners, which then need no decoding.
//!
//! Two things differ between the specs of replicas: `spec.nodeName`, and the random end of the access token volume's name. Both are
//! cut out before bytes are compared; [`Repeated::keep_spec`] proves for what it keeps that nothing else was.

use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use foldhash::HashMap;
use memchr::memmem::Finder;
use serde::Deserialize;

use super::pod_spec::PodSpec;
use super::shared::known;
use super::volumes::ACCESS_TOKEN;
use super::{Encoded, Interner, Meta, OwnerReference};
use crate::protobuf::{self, Message, Schema};
use crate::text::Text;

/// `nodeName` in `core.v1.PodSpec`.
const NODE_NAME_NUMBER: u32 = 10;
/// Random characters after [`ACCESS_TOKEN`].
const RANDOM: usize = 5;
/// `labels` and `ownerReferences` in `meta.v1.ObjectMeta`: the fields of [`Kin`].
pub(super) const KIN: [u32; 2] = [11, 13];

static KIN_MESSAGE: LazyLock<Option<Message>> =
    LazyLock::new(|| protobuf::schema().message("meta.v1.ObjectMeta").map(|meta| Schema::only(meta, &KIN)));
static NODE_NAME: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"\"nodeName\":\""));
static TOKEN_NAME: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"\"name\":\"kube-api-access-"));
static TOKEN: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(ACCESS_TOKEN.as_bytes()));

thread_local! {
    static SCRATCH: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
    /// What this thread found last, and in which pool: replicas follow each other in a list.
    static LAST_SPEC: RefCell<Last<Arc<PodSpec>>> = RefCell::default();
    static LAST_KIN: RefCell<Last<Kin>> = RefCell::default();
}

/// The bytes something was decoded from, by the place of its pool.
#[derive(Default)]
struct Last<T> {
    pool: usize,
    bytes: Vec<u8>,
    found: Option<T>,
}

impl<T: Clone> Last<T> {
    fn get(&self, pool: usize, bytes: &[u8]) -> Option<T> {
        self.found.as_ref().filter(|_| self.pool == pool && self.bytes == bytes).cloned()
    }

    fn set(&mut self, pool: usize, bytes: &[u8], found: &T) {
        self.bytes.clear();
        self.bytes.extend_from_slice(bytes);
        (self.pool, self.found) = (pool, Some(found.clone()));
    }
}

impl Interner<'_> {
    /// The spec that was decoded from the same bytes.
    pub(super) fn known_spec(&mut self, cut: &Cut) -> Option<Arc<PodSpec>> {
        let pool = self.place();
        LAST_SPEC.with_borrow(|last| last.get(pool, &cut.bytes)).or_else(|| {
            let spec = self.repeated().specs.get(&*cut.bytes).map(Arc::clone)?;
            LAST_SPEC.with_borrow_mut(|last| last.set(pool, &cut.bytes, &spec));
            Some(spec)
        })
    }

    /// Labels and owners that were decoded from the same bytes.
    pub(super) fn known_kin(&mut self, bytes: &[u8]) -> Option<Kin> {
        let pool = self.place();
        LAST_KIN.with_borrow(|last| last.get(pool, bytes)).or_else(|| {
            let kin = self.repeated().kin.get(bytes).cloned()?;
            LAST_KIN.with_borrow_mut(|last| last.set(pool, bytes, &kin));
            Some(kin)
        })
    }
}

/// What was decoded before. See the module docs.
#[derive(Debug, Default)]
pub(super) struct Repeated {
    specs: HashMap<Box<[u8]>, Arc<PodSpec>>,
    kin: HashMap<Box<[u8]>, Kin>,
}

/// The bytes of a spec without what differs between replicas.
#[derive(Debug)]
pub(super) struct Cut {
    bytes: Vec<u8>,
    /// The `nodeName` that was cut out.
    pub(super) node: Option<Text>,
}

/// What replicas have in common in their metadata.
#[derive(Debug, Default, Clone, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Kin {
    pub(super) labels: Arc<BTreeMap<Text, Text>>,
    pub(super) owner_references: Arc<[OwnerReference]>,
}

impl Kin {
    /// The bytes of a metadata message that say it: a part of them, where there are no annotations in between.
    pub(super) fn bytes(metadata: &[u8]) -> Cow<'_, [u8]> {
        let [labels, owners] = KIN.map(|number| protobuf::run(metadata, number));
        match (labels, owners) {
            ([], one) | (one, []) => Cow::Borrowed(one),
            _ if labels.as_ptr_range().end == owners.as_ptr() => {
                let from = labels.as_ptr() as usize - metadata.as_ptr() as usize;
                Cow::Borrowed(metadata.get(from..from + labels.len() + owners.len()).unwrap_or_default())
            }
            _ => Cow::Owned([labels, owners].concat()),
        }
    }

    /// What an object's metadata say.
    pub(super) fn of(meta: &Meta) -> Self {
        Self { labels: Arc::clone(&meta.labels), owner_references: Arc::clone(&meta.owner_references) }
    }

    /// Puts it into an object's metadata.
    pub(super) fn put(self, meta: &mut Meta) {
        (meta.labels, meta.owner_references) = (self.labels, self.owner_references);
    }

    /// Decodes those bytes.
    pub(super) fn read(bytes: &[u8]) -> Result<Self, protobuf::Error> {
        KIN_MESSAGE.as_ref().map_or_else(|| Ok(Self::default()), |message| protobuf::read(message, bytes))
    }
}

impl Repeated {
    /// Keeps a spec that was decoded, unless what was cut out of it says more than its place in the bytes: the node must be what
    /// the decoder `found` at `spec.nodeName`, and no name like the token's may be left.
    pub(super) fn keep_spec(&mut self, cut: &Cut, spec: &Arc<PodSpec>, found: Option<&Text>) {
        if found == cut.node.as_ref() && !format!("{spec:?}").contains(ACCESS_TOKEN) {
            self.specs.insert(cut.bytes.as_slice().into(), Arc::clone(spec));
        }
    }

    /// Keeps labels and owners, once they are interned.
    pub(super) fn keep_kin(&mut self, bytes: &[u8], kin: Kin) {
        self.kin.insert(bytes.into(), kin);
    }

    /// Gives the memory back; what is written again is decoded again.
    pub(super) fn forget(&mut self) {
        *self = Self::default();
    }

    #[cfg(test)]
    pub(super) fn specs(&self) -> usize {
        self.specs.len()
    }
}

impl Drop for Cut {
    fn drop(&mut self) {
        self.bytes.clear();
        SCRATCH.set(std::mem::take(&mut self.bytes));
    }
}

impl Cut {
    /// Cuts out of a spec what differs between replicas; none when its bytes are not as servers write them.
    pub(super) fn of(spec: Encoded<'_>) -> Option<Self> {
        match spec {
            Encoded::Json(json) => Self::of_json(json),
            Encoded::Protobuf(_, bytes) => Self::of_message(bytes),
        }
    }

    /// One to fill. There is one for every pod: its memory is used again.
    fn empty() -> Self {
        Self { bytes: SCRATCH.take(), node: None }
    }

    fn of_message(bytes: &[u8]) -> Option<Self> {
        let mut cut = Self::empty();
        let mut rest = bytes;
        while let Some(field) = protobuf::next(&mut rest).ok()? {
            if field.number == NODE_NAME_NUMBER {
                cut.node = Some(std::str::from_utf8(field.data).ok()?).filter(|node| !node.is_empty()).map(known);
                continue;
            }
            cut.bytes.extend_from_slice(&field.number.to_le_bytes());
            // The length of what follows, so that no two specs are cut to the same bytes.
            cut.bytes.extend_from_slice(&field.scalar.to_le_bytes());
            let mut from = 0;
            for at in TOKEN.find_iter(field.data) {
                let random = at + ACCESS_TOKEN.len();
                cut.bytes.extend_from_slice(field.data.get(from..random)?);
                from = (random + RANDOM).min(field.data.len());
            }
            cut.bytes.extend_from_slice(field.data.get(from..)?);
        }
        Some(cut)
    }

    fn of_json(json: &[u8]) -> Option<Self> {
        let mut nodes = NODE_NAME.find_iter(json).map(|at| at + NODE_NAME.needle().len());
        let node = match (nodes.next(), nodes.next()) {
            (Some(at), None) => {
                let rest = json.get(at..)?;
                Some(at..at + memchr::memchr2(b'"', b'\\', rest).filter(|end| rest.get(*end) == Some(&b'"'))?)
            }
            (None, _) => None,
            (Some(_), Some(_)) => return None,
        };
        let after = TOKEN_NAME.needle().len();
        let tokens = TOKEN_NAME.find_iter(json).map(|at| at + after..at + after + RANDOM);
        let mut places: Vec<std::ops::Range<usize>> = tokens.chain(node.clone()).collect();
        places.sort_unstable_by_key(|place| place.start);
        let mut cut = Self::empty();
        let mut from = 0;
        for place in places {
            if json.get(place.end) != Some(&b'"') {
                return None;
            }
            cut.bytes.extend_from_slice(json.get(from..place.start)?);
            from = place.end;
        }
        cut.bytes.extend_from_slice(json.get(from..)?);
        if let Some(place) = node {
            cut.node = Some(known(std::str::from_utf8(json.get(place)?).ok()?));
        }
        Some(cut)
    }
}
