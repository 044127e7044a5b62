//! What is around a message: the envelope with its kind, lists whose items arrive one after the other, and frames of a watch.
//!
//! `k8s.io/apimachinery/pkg/runtime/serializer/protobuf`: every body is `k8s\0` and a `runtime.Unknown`; a watch is a row of
//! `meta.v1.WatchEvent`s, each after its length in four bytes, whose object is such a body again.

use std::borrow::Cow;

use super::wire::{self, put_data, put_head, put_message, varint_length};

const MAGIC: &[u8] = b"k8s\0";
/// The longest message we hold: an object is at most 1.5 MiB in etcd.
const LONGEST: usize = 16 << 20;

/// The bytes are not what this protocol sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotProtobuf(pub &'static str);

/// A body: `raw` is the message of an object of that kind.
pub fn envelope(api_version: &str, kind: &str, raw: &[u8]) -> Vec<u8> {
    let mut out = head(api_version, kind, raw.len());
    out.extend_from_slice(raw);
    put_tail(&mut out);
    out
}

fn head(api_version: &str, kind: &str, length: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(length + 64);
    out.extend_from_slice(MAGIC);
    put_message(&mut out, 1, |out| {
        put_data(out, 1, api_version.as_bytes());
        put_data(out, 2, kind.as_bytes());
    });
    put_head(&mut out, 2, length);
    out
}

/// `contentEncoding` and `contentType`, both empty.
fn put_tail(out: &mut Vec<u8>) {
    put_data(out, 3, b"");
    put_data(out, 4, b"");
}

/// What a body says of itself, and the message in it.
pub fn open_envelope(body: &[u8]) -> Result<(String, String, &[u8]), NotProtobuf> {
    let rest = body.strip_prefix(MAGIC).ok_or(NotProtobuf("no protobuf of Kubernetes"))?;
    let part = |bytes, number| wire::fields(bytes).find(|(found, _)| *found == number).map(|(_, data)| data);
    let raw = part(rest, 2).ok_or(NotProtobuf("an envelope without an object"))?;
    let of_type = |number| {
        let data = part(rest, 1).and_then(|data| part(data, number)).unwrap_or_default();
        String::from_utf8_lossy(data).into_owned()
    };
    Ok((of_type(1), of_type(2), raw))
}

/// The beginning and the end of the body of a list, around its items: each is [`list_item`]'s head and the item's message.
pub fn list_envelope(api_version: &str, kind: &str, meta: &[u8], items: &[impl AsRef<[u8]>]) -> (Vec<u8>, Vec<u8>) {
    let sized = |length: usize| 1 + varint_length(length as u64) + length;
    let length = sized(meta.len()) + items.iter().map(|item| sized(item.as_ref().len())).sum::<usize>();
    let mut out = head(api_version, kind, length);
    put_data(&mut out, 1, meta);
    let mut tail = Vec::new();
    put_tail(&mut tail);
    (out, tail)
}

/// Appends an item of a list.
pub fn list_item(out: &mut Vec<u8>, item: &[u8]) {
    put_data(out, 2, item);
}

/// A watch event with the length before it; `object` is a body.
pub fn event_frame(kind: &str, object: &[u8]) -> Vec<u8> {
    let inner = 1 + varint_length(object.len() as u64) + object.len();
    let mut out = Vec::with_capacity(object.len() + 32);
    out.extend_from_slice(&[0; 4]);
    put_data(&mut out, 1, kind.as_bytes());
    put_head(&mut out, 2, inner);
    put_data(&mut out, 1, object);
    let length = u32::try_from(out.len() - 4).unwrap_or(u32::MAX);
    if let Some(place) = out.get_mut(..4) {
        place.copy_from_slice(&length.to_be_bytes());
    }
    out
}

/// A watch event without the length before it: its type, and the body of its object.
pub fn open_event(frame: &[u8]) -> Result<(Cow<'_, str>, &[u8]), NotProtobuf> {
    let mut parts: (&[u8], &[u8]) = (&[], &[]);
    for (number, data) in wire::fields(frame) {
        match number {
            1 => parts.0 = data,
            2 => parts.1 = wire::fields(data).find(|(number, _)| *number == 1).map_or(&[], |(_, data)| data),
            _ => {}
        }
    }
    if parts.0.is_empty() {
        return Err(NotProtobuf("a watch event without a type"));
    }
    Ok((String::from_utf8_lossy(parts.0), parts.1))
}

/// Frames of a watch that arrives in chunks.
#[derive(Debug, Default)]
pub struct Frames {
    held: Vec<u8>,
}

impl Frames {
    /// Takes the next chunk and hands out each complete frame.
    ///
    /// # Errors
    /// A length that no event has.
    pub fn feed(&mut self, chunk: &[u8], frame: &mut impl FnMut(&[u8])) -> Result<(), NotProtobuf> {
        let mut rest = chunk;
        while !rest.is_empty() {
            if self.held.is_empty()
                && let Some((length, body)) = rest.split_first_chunk::<4>()
                && let Some((whole, after)) = body.split_at_checked(frame_length(*length)?)
            {
                frame(whole);
                rest = after;
                continue;
            }
            let wanted = match self.held.first_chunk::<4>() {
                Some(length) => 4 + frame_length(*length)?,
                None => 4,
            };
            let (now, later) = rest.split_at(rest.len().min(wanted - self.held.len()));
            self.held.extend_from_slice(now);
            rest = later;
            if let Some((length, body)) = self.held.split_first_chunk::<4>()
                && body.len() == frame_length(*length)?
            {
                frame(body);
                self.held.clear();
            }
        }
        Ok(())
    }

    /// True when the body so far ends in the middle of a frame.
    pub fn is_inside_a_frame(&self) -> bool {
        !self.held.is_empty()
    }
}

fn frame_length(bytes: [u8; 4]) -> Result<usize, NotProtobuf> {
    let length = u32::from_be_bytes(bytes) as usize;
    if length > LONGEST { Err(NotProtobuf("a frame without end")) } else { Ok(length) }
}

/// `metadata` of a list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ListHead {
    /// Where a watch resumes.
    pub resource_version: String,
    /// Token of the next page; empty on the last.
    pub more: String,
    /// How many objects the pages after this one have, where the server knows.
    pub remaining: Option<i64>,
}

impl ListHead {
    fn read(meta: &[u8]) -> Self {
        let mut head = Self::default();
        for (number, data) in wire::fields(meta) {
            match number {
                2 => head.resource_version = String::from_utf8_lossy(data).into_owned(),
                3 => head.more = String::from_utf8_lossy(data).into_owned(),
                _ => {}
            }
        }
        head
    }

    /// The message of it.
    pub fn write(&self) -> Vec<u8> {
        let mut out = Vec::new();
        put_data(&mut out, 1, b"");
        put_data(&mut out, 2, self.resource_version.as_bytes());
        put_data(&mut out, 3, self.more.as_bytes());
        if let Some(remaining) = self.remaining {
            wire::put_number(&mut out, 4, remaining.cast_unsigned());
        }
        out
    }
}

/// Cuts the body of a list into the messages of its items while it arrives; no more than one is held.
#[derive(Debug, Default)]
pub struct Items {
    at: At,
    held: Vec<u8>,
    /// What of the list's message is still to come.
    left: usize,
    head: Option<ListHead>,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum At {
    #[default]
    Magic,
    Envelope,
    List,
    Tail,
}

/// What a reader found at the beginning of the bytes.
enum Step {
    /// So many bytes are done with.
    Done(usize),
    /// So many are needed at least.
    Need(usize),
}

impl Items {
    /// Takes the next chunk and hands each item that is complete to `item`.
    ///
    /// # Errors
    /// The body is no list in protobuf.
    pub fn feed(&mut self, chunk: &[u8], item: &mut impl FnMut(&[u8])) -> Result<(), NotProtobuf> {
        let mut rest = chunk;
        while !rest.is_empty() {
            if self.held.is_empty() {
                match self.step(rest, item)? {
                    Step::Done(length) => rest = rest.get(length..).unwrap_or_default(),
                    Step::Need(_) => {
                        self.held.extend_from_slice(rest);
                        return Ok(());
                    }
                }
                continue;
            }
            let mut held = std::mem::take(&mut self.held);
            // What is missing comes from the chunk, and no more, so that the rest of it is read where it lies.
            let before = held.len();
            let mut wanted = before + 1;
            let done = loop {
                let add = (wanted - held.len()).min(rest.len());
                held.extend_from_slice(rest.get(..add).unwrap_or_default());
                rest = rest.get(add..).unwrap_or_default();
                match self.step(&held, item)? {
                    Step::Done(length) => break Some(length),
                    Step::Need(_) if rest.is_empty() => break None,
                    Step::Need(needed) => wanted = needed.max(held.len() + 1),
                }
            };
            match done {
                // What a step takes ends where its bytes end: nothing is held beyond it.
                Some(length) => debug_assert_eq!(length, held.len()),
                None => self.held = held,
            }
        }
        Ok(())
    }

    /// `metadata`, once it has passed.
    pub fn head(&self) -> Option<&ListHead> {
        self.head.as_ref()
    }

    /// The list's metadata, when the body has ended where it should.
    ///
    /// # Errors
    /// It ended before.
    pub fn finish(self) -> Result<ListHead, NotProtobuf> {
        if self.at != At::Tail || !self.held.is_empty() {
            return Err(NotProtobuf("a list that is cut off"));
        }
        Ok(self.head.unwrap_or_default())
    }

    fn step(&mut self, bytes: &[u8], item: &mut impl FnMut(&[u8])) -> Result<Step, NotProtobuf> {
        match self.at {
            At::Magic => {
                let here = bytes.get(..MAGIC.len().min(bytes.len())).unwrap_or_default();
                if !MAGIC.starts_with(here) {
                    return Err(NotProtobuf("no protobuf of Kubernetes"));
                }
                if here.len() < MAGIC.len() {
                    return Ok(Step::Need(MAGIC.len()));
                }
                self.at = At::Envelope;
                Ok(Step::Done(MAGIC.len()))
            }
            At::Envelope => {
                let Some((number, length, start)) = data_head(bytes)? else { return Ok(Step::Need(bytes.len() + 1)) };
                if number == 2 {
                    (self.at, self.left) = (if length == 0 { At::Tail } else { At::List }, length);
                    return Ok(Step::Done(start));
                }
                Ok(if bytes.len() < start + length { Step::Need(start + length) } else { Step::Done(start + length) })
            }
            At::List => {
                let Some((number, length, start)) = data_head(bytes)? else { return Ok(Step::Need(bytes.len() + 1)) };
                if length > LONGEST {
                    return Err(NotProtobuf("an item without end"));
                }
                let end = start + length;
                let Some(data) = bytes.get(start..end) else { return Ok(Step::Need(end)) };
                match number {
                    1 => self.head = Some(ListHead::read(data)),
                    2 => item(data),
                    _ => {}
                }
                self.left = self.left.checked_sub(end).ok_or(NotProtobuf("an item that is longer than its list"))?;
                if self.left == 0 {
                    self.at = At::Tail;
                }
                Ok(Step::Done(end))
            }
            At::Tail => Ok(Step::Done(bytes.len())),
        }
    }
}

/// Number, length and beginning of the value with a length that `bytes` begin with; none when that much is not there yet.
fn data_head(bytes: &[u8]) -> Result<Option<(u64, usize, usize)>, NotProtobuf> {
    let mut rest = bytes;
    let Some(tag) = wire::varint(&mut rest) else { return unfinished(bytes) };
    if tag & 7 != 2 {
        return Err(NotProtobuf("a list with a field of another type"));
    }
    let Some(length) = wire::varint(&mut rest) else { return unfinished(bytes) };
    let length = usize::try_from(length).map_err(|_| NotProtobuf("an item without end"))?;
    if tag >> 3 != 2 && length > LONGEST {
        return Err(NotProtobuf("a field without end"));
    }
    Ok(Some((tag >> 3, length, bytes.len() - rest.len())))
}

fn unfinished<T>(bytes: &[u8]) -> Result<Option<T>, NotProtobuf> {
    // Two varints are at most twenty bytes.
    if bytes.len() > 20 { Err(NotProtobuf("a number without end")) } else { Ok(None) }
}
