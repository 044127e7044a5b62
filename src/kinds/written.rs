//! Pod specs by the bytes they were written in: replicas repeat theirs to the letter, so most need no decoding.
//!
//! Two things differ between replicas: `spec.nodeName`, and the random end of the access token volume's name. Both are cut out
//! before texts are compared; [`WrittenSpecs::keep`] proves for each text it keeps that nothing else was.

use std::sync::Arc;

use foldhash::HashMap;
use memchr::memmem::find_iter;

use super::Encoded;
use super::pod_spec::PodSpec;
use super::volumes::ACCESS_TOKEN;
use crate::protobuf;
use crate::text::Text;

const NODE_NAME: &[u8] = b"\"nodeName\":\"";
const TOKEN_NAME: &[u8] = b"\"name\":\"kube-api-access-";
/// `nodeName` in `core.v1.PodSpec`.
const NODE_NAME_NUMBER: u32 = 10;
/// Random characters after [`ACCESS_TOKEN`].
const RANDOM: usize = 5;

/// Specs that were decoded before. See the module docs.
#[derive(Debug, Default)]
pub(super) struct WrittenSpecs {
    specs: HashMap<Box<[u8]>, Arc<PodSpec>>,
    cut: Vec<u8>,
}

/// What [`WrittenSpecs::look_up`] found.
#[derive(Debug)]
pub(super) enum Written {
    /// The spec, and the `nodeName` beside it.
    Known(Arc<PodSpec>, Option<Text>),
    /// Decode it, then [`WrittenSpecs::keep`] it with this `nodeName`.
    Unknown(Option<Text>),
    /// Decode it: its text cannot be compared.
    Odd,
}

impl WrittenSpecs {
    /// Cuts out of `spec` what differs between replicas and looks for the rest.
    pub(super) fn look_up(&mut self, spec: Encoded<'_>) -> Written {
        let node = match spec {
            Encoded::Json(json) => self.cut(json),
            Encoded::Protobuf(_, bytes) => self.cut_message(bytes),
        };
        let Some(node) = node else { return Written::Odd };
        match self.specs.get(&*self.cut) {
            Some(spec) => Written::Known(Arc::clone(spec), node),
            None => Written::Unknown(node),
        }
    }

    /// Keeps a spec that was decoded from the text looked up last, unless what was cut out of it says more than its place in
    /// the text: `node` must be what the decoder found at `spec.nodeName`, and no name like the token's may be left.
    pub(super) fn keep(&mut self, spec: &Arc<PodSpec>, found: Option<&Text>, node: Option<&Text>) {
        if found == node && !format!("{spec:?}").contains(ACCESS_TOKEN) {
            self.specs.insert(self.cut.as_slice().into(), Arc::clone(spec));
        }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.specs.len()
    }

    /// Gives the memory back; what is written again is decoded again.
    pub(super) fn forget(&mut self) {
        *self = Self::default();
    }

    /// As [`Self::cut`], of a message: without the field of the node's name, and without the random end of the token volume's.
    #[expect(clippy::option_option, reason = "as in `cut`")]
    fn cut_message(&mut self, mut bytes: &[u8]) -> Option<Option<Text>> {
        self.cut.clear();
        let mut node = None;
        while let Some(field) = protobuf::next(&mut bytes).ok()? {
            if field.number == NODE_NAME_NUMBER {
                node = Some(std::str::from_utf8(field.data).ok()?.into());
                continue;
            }
            self.cut.extend_from_slice(&field.number.to_le_bytes());
            // The length of what follows, so that no two specs are cut to the same bytes.
            self.cut.extend_from_slice(&field.scalar.to_le_bytes());
            let mut from = 0;
            for at in find_iter(field.data, ACCESS_TOKEN.as_bytes()) {
                let random = at + ACCESS_TOKEN.len();
                self.cut.extend_from_slice(field.data.get(from..random)?);
                from = (random + RANDOM).min(field.data.len());
            }
            self.cut.extend_from_slice(field.data.get(from..)?);
        }
        Some(node.filter(|node: &Text| !node.is_empty()))
    }

    /// Fills `self.cut`; the node's name if there is one. `None`: the text is not as servers write it.
    #[expect(clippy::option_option, reason = "not comparable at all, and comparable without a node, are two things")]
    fn cut(&mut self, json: &[u8]) -> Option<Option<Text>> {
        let mut nodes = find_iter(json, NODE_NAME).map(|at| at + NODE_NAME.len());
        let node = match (nodes.next(), nodes.next()) {
            (Some(at), None) => {
                let rest = json.get(at..)?;
                Some(at..at + memchr::memchr2(b'"', b'\\', rest).filter(|end| rest.get(*end) == Some(&b'"'))?)
            }
            (None, _) => None,
            (Some(_), Some(_)) => return None,
        };
        let tokens = find_iter(json, TOKEN_NAME).map(|at| at + TOKEN_NAME.len()..at + TOKEN_NAME.len() + RANDOM);
        let mut places: Vec<std::ops::Range<usize>> = tokens.chain(node.clone()).collect();
        places.sort_unstable_by_key(|place| place.start);
        self.cut.clear();
        let mut from = 0;
        for place in places {
            if json.get(place.end) != Some(&b'"') {
                return None;
            }
            self.cut.extend_from_slice(json.get(from..place.start)?);
            from = place.end;
        }
        self.cut.extend_from_slice(json.get(from..)?);
        let name = node.map(|place| json.get(place).and_then(|name| std::str::from_utf8(name).ok()));
        Some(match name {
            Some(name) => Some(name?.into()),
            None => None,
        })
    }
}
