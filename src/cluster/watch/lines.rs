//! Cuts the body of a watch into lines, and decodes them; decodes frames of protobuf.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::cluster::error::Status;
use crate::kinds::{Encoded, Kind, Meta, Pool};
use crate::protobuf::{self, Message, NotProtobuf};

/// The longest line we hold: an object is at most 1.5 MiB in etcd, some grow when written as JSON.
const LONGEST_LINE: usize = 16 << 20;

/// Lines of a body that arrives in chunks.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    held: Vec<u8>,
}

/// A line that never ends.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TooLong;

impl Lines {
    /// Takes the next chunk and hands each complete, non-empty line to `line`.
    pub(crate) fn feed(&mut self, chunk: &[u8], line: &mut impl FnMut(&[u8])) -> Result<(), TooLong> {
        let mut rest = chunk;
        while let Some(end) = memchr::memchr(b'\n', rest) {
            let (head, tail) = rest.split_at(end);
            rest = tail.get(1..).unwrap_or_default();
            if self.held.is_empty() {
                emit(head, line);
            } else {
                self.held.extend_from_slice(head);
                emit(&self.held, line);
                self.held.clear();
            }
        }
        if self.held.len() + rest.len() > LONGEST_LINE {
            return Err(TooLong);
        }
        self.held.extend_from_slice(rest);
        Ok(())
    }

    /// True when the body so far ends in the middle of a line.
    pub(crate) fn is_inside_a_line(&self) -> bool {
        !self.held.is_empty()
    }
}

fn emit(text: &[u8], line: &mut impl FnMut(&[u8])) {
    if !text.trim_ascii().is_empty() {
        line(text);
    }
}

/// What a watch says.
#[derive(Debug)]
pub(crate) enum WatchEvent<R> {
    /// `ADDED` or `MODIFIED`.
    Upsert(R),
    /// `DELETED`, with the last state.
    Delete(Meta),
    /// `BOOKMARK`: only the version counts.
    Bookmark(Meta),
    /// `ERROR`: the watch is over.
    Error(Status),
}

#[derive(Deserialize)]
struct Line<'a> {
    #[serde(rename = "type", borrow)]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    object: &'a RawValue,
}

#[derive(Deserialize)]
struct Head {
    metadata: Meta,
}

/// Decodes one line. A line that is JSON but not of this kind is `Ok(None)`: one bad object must not end the watch.
pub(crate) fn decode<R: Kind>(line: &[u8], pool: &Pool) -> Result<Option<WatchEvent<R>>, serde_json::Error> {
    let Line { kind, object } = match serde_json::from_slice(line) {
        Ok(line) => line,
        Err(error) if error.is_data() => return Ok(None),
        Err(error) => return Err(error),
    };
    let json = object.get();
    let head = || serde_json::from_str::<Head>(json).map(|head| head.metadata);
    let decoded = match &*kind {
        "ADDED" | "MODIFIED" => R::read(Encoded::Json(json.as_bytes()), pool).ok().map(WatchEvent::Upsert),
        "DELETED" => head().ok().map(WatchEvent::Delete),
        "BOOKMARK" => head().ok().map(WatchEvent::Bookmark),
        "ERROR" => serde_json::from_str(json).ok().map(WatchEvent::Error),
        _ => None,
    };
    Ok(decoded)
}

/// As [`decode`], of a frame of protobuf whose objects are of `message`.
pub(crate) fn decode_frame<R: Kind>(
    message: &'static Message,
    frame: &[u8],
    pool: &Pool,
) -> Result<Option<WatchEvent<R>>, NotProtobuf> {
    let (kind, body) = protobuf::open_event(frame)?;
    let (_, _, raw) = protobuf::open_envelope(body)?;
    let head = || protobuf::read::<Head>(message, raw).ok().map(|head| head.metadata);
    Ok(match &*kind {
        "ADDED" | "MODIFIED" => R::read(Encoded::Protobuf(message, raw), pool).ok().map(WatchEvent::Upsert),
        "DELETED" => head().map(WatchEvent::Delete),
        "BOOKMARK" => head().map(WatchEvent::Bookmark),
        "ERROR" => Status::of_message(raw).map(WatchEvent::Error),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::pods::Pod;

    #[test]
    fn lines_are_found_at_any_chunk_size() {
        for chunk in 1..12 {
            let mut lines = Lines::default();
            let mut found = Vec::new();
            for part in b"one\n\ntwo\r\nthr".chunks(chunk) {
                lines.feed(part, &mut |l: &[u8]| found.push(String::from_utf8_lossy(l).trim().to_owned())).unwrap();
            }
            assert_eq!(found, ["one", "two"]);
        }
    }

    #[test]
    fn errors_are_statuses_and_bad_objects_do_not_end_the_watch() {
        let gone = br#"{"type":"ERROR","object":{"kind":"Status","status":"Failure","reason":"Expired","code":410}}"#;
        let pool = Pool::default();
        assert!(matches!(decode::<Pod>(gone, &pool), Ok(Some(WatchEvent::Error(status))) if status.code == 410));
        let bad = br#"{"type":"ADDED","object":{"metadata":{"name":7}}}"#;
        assert!(matches!(decode::<Pod>(bad, &pool), Ok(None)));
        assert!(decode::<Pod>(b"<html>", &pool).is_err());
    }
}
