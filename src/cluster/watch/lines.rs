//! Cuts the body of a watch into lines, and decodes them.

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::cluster::error::Status;

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
        while let Some(end) = rest.iter().position(|b| *b == b'\n') {
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
    Delete(R),
    /// `BOOKMARK`: only the version counts.
    Bookmark(R),
    /// `ERROR`: the watch is over.
    Error(Status),
}

#[derive(Deserialize)]
struct Line<T> {
    #[serde(rename = "type")]
    kind: String,
    object: T,
}

/// Decodes one line. A line that is JSON but not of this kind is `Ok(None)`: one bad object must not end the watch.
pub(crate) fn decode<R: DeserializeOwned>(line: &[u8]) -> Result<Option<WatchEvent<R>>, serde_json::Error> {
    match serde_json::from_slice::<Line<R>>(line) {
        Ok(Line { kind, object }) => match &*kind {
            "ADDED" | "MODIFIED" => return Ok(Some(WatchEvent::Upsert(object))),
            "DELETED" => return Ok(Some(WatchEvent::Delete(object))),
            "BOOKMARK" => return Ok(Some(WatchEvent::Bookmark(object))),
            _ => {}
        },
        Err(error) if error.is_data() => {}
        Err(error) => return Err(error),
    }
    let status: Option<Line<Status>> = serde_json::from_slice(line).ok();
    Ok(status.filter(|line| line.kind == "ERROR").map(|line| WatchEvent::Error(line.object)))
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
        assert!(matches!(decode::<Pod>(gone), Ok(Some(WatchEvent::Error(status))) if status.code == 410));
        let bad = br#"{"type":"ADDED","object":{"metadata":{"name":7}}}"#;
        assert!(matches!(decode::<Pod>(bad), Ok(None)));
        assert!(decode::<Pod>(b"<html>").is_err());
    }
}
