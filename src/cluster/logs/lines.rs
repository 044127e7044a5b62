//! Log bytes to clean lines: lossy UTF-8, a cap on length, the kubelet's time stamp taken off.

use chrono::DateTime;

use crate::snapshot::LogLine;
use crate::text::{Time, clean};

/// Bytes of a line that are kept; what is beyond is counted and cut.
const LONGEST: usize = 16 << 10;

/// Lines of a log that arrives in chunks. Holds at most one line, capped.
#[derive(Debug, Default)]
pub(super) struct LogLines {
    held: Vec<u8>,
    cut: usize,
}

impl LogLines {
    /// Takes the next chunk and hands out the lines it completes.
    pub(super) fn feed(&mut self, chunk: &[u8], out: &mut impl FnMut(LogLine)) {
        let mut rest = chunk;
        while let Some(end) = rest.iter().position(|b| *b == b'\n') {
            let (head, tail) = rest.split_at(end);
            rest = tail.get(1..).unwrap_or_default();
            self.hold(head);
            out(self.take());
        }
        self.hold(rest);
    }

    /// The last line, if it did not end in a newline.
    pub(super) fn finish(&mut self) -> Option<LogLine> {
        (!self.held.is_empty()).then(|| self.take())
    }

    fn hold(&mut self, bytes: &[u8]) {
        let room = LONGEST.saturating_sub(self.held.len());
        let kept = bytes.get(..room.min(bytes.len())).unwrap_or_default();
        self.held.extend_from_slice(kept);
        self.cut += bytes.len() - kept.len();
    }

    fn take(&mut self) -> LogLine {
        let mut line = parse(&String::from_utf8_lossy(&self.held));
        if self.cut > 0 {
            line.text = format!("{}… ({} bytes more)", line.text, self.cut).into();
        }
        self.held.clear();
        self.cut = 0;
        line
    }
}

/// Takes the time stamp of `timestamps=true` off; a line without one (the kubelet's own words) is kept whole.
pub(super) fn parse(raw: &str) -> LogLine {
    let raw = raw.trim_end_matches('\r');
    let (stamp, text) = raw.split_once(' ').unwrap_or((raw, ""));
    match stamped(stamp) {
        Some(at) => LogLine { at: Some(at), text: clean(text).into() },
        None => LogLine { at: None, text: clean(raw).into() },
    }
}

fn stamped(text: &str) -> Option<Time> {
    let looks_right = text.len() >= 20 && text.as_bytes().get(10) == Some(&b'T');
    looks_right.then(|| DateTime::parse_from_rfc3339(text).ok())?.map(|at| at.to_utc())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(input: &[u8], chunk: usize) -> Vec<LogLine> {
        let (mut lines, mut found) = (LogLines::default(), Vec::new());
        for part in input.chunks(chunk) {
            lines.feed(part, &mut |line| found.push(line));
        }
        found.extend(lines.finish());
        found
    }

    #[test]
    fn stamps_escapes_and_bad_utf8_are_handled_at_any_chunk_size() {
        let input = b"2026-11-22T02:03:04.123456789Z \x1b[31mERROR\x1b[0m b\xffd\nno stamp\n2026-11-22T02:03:05Z ";
        for chunk in 1..input.len() {
            let lines = all(input, chunk);
            assert_eq!(&*lines[0].text, "ERROR b\u{fffd}d");
            assert_eq!(lines[0].at.unwrap().timestamp_subsec_nanos(), 123_456_789);
            assert_eq!((&*lines[1].text, lines[1].at), ("no stamp", None));
            assert_eq!((&*lines[2].text, lines[2].at.is_some()), ("", true));
        }
    }

    #[test]
    fn endless_lines_are_cut_and_say_so() {
        let lines = all(&vec![b'x'; LONGEST + 500], 4096);
        assert_eq!(lines.len(), 1);
        assert!(lines[0].text.ends_with("… (500 bytes more)"));
    }
}
