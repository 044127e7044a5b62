//! Bytes of a file as UTF-8, whatever they were: a byte order mark, UTF-16 (what PowerShell's `>` writes), broken sequences.

use std::io::{self, Read};

/// Read at once.
const CHUNK: usize = 32 << 10;

#[derive(Clone, Copy, PartialEq)]
enum Encoding {
    Utf8,
    Utf16 { big_endian: bool },
}

/// Reads `inner` as UTF-8; what is not valid becomes U+FFFD.
pub(super) struct Utf8<'a> {
    inner: &'a mut dyn Read,
    encoding: Option<Encoding>,
    raw: Vec<u8>,
    plain: Vec<u8>,
    at: usize,
    ended: bool,
}

impl<'a> Utf8<'a> {
    pub fn new(inner: &'a mut dyn Read) -> Self {
        Self { inner, encoding: None, raw: Vec::new(), plain: Vec::new(), at: 0, ended: false }
    }

    fn fill(&mut self) -> io::Result<()> {
        let mut chunk = Vec::with_capacity(CHUNK);
        (&mut self.inner).take(CHUNK as u64).read_to_end(&mut chunk)?;
        self.ended = chunk.is_empty();
        self.raw.append(&mut chunk);
        let (encoding, mark) = match self.encoding {
            Some(encoding) => (encoding, 0),
            None => detect(&self.raw),
        };
        self.encoding = Some(encoding);
        self.raw.drain(..mark);
        self.plain.clear();
        self.at = 0;
        let used = match encoding {
            Encoding::Utf8 => from_utf8(&self.raw, self.ended, &mut self.plain),
            Encoding::Utf16 { big_endian } => from_utf16(&self.raw, big_endian, self.ended, &mut self.plain),
        };
        self.raw.drain(..used);
        Ok(())
    }
}

impl Read for Utf8<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.at >= self.plain.len() {
            if self.ended {
                return Ok(0);
            }
            self.fill()?;
        }
        let rest = self.plain.get(self.at..).unwrap_or_default();
        let count = rest.len().min(buffer.len());
        if let (Some(to), Some(from)) = (buffer.get_mut(..count), rest.get(..count)) {
            to.copy_from_slice(from);
        }
        self.at += count;
        Ok(count)
    }
}

/// The encoding and the length of the mark that tells it. Text in UTF-16 without a mark has a zero beside its first letter.
fn detect(head: &[u8]) -> (Encoding, usize) {
    match head {
        [0xef, 0xbb, 0xbf, ..] => (Encoding::Utf8, 3),
        [0xff, 0xfe, ..] => (Encoding::Utf16 { big_endian: false }, 2),
        [0xfe, 0xff, ..] => (Encoding::Utf16 { big_endian: true }, 2),
        [a, 0, b, 0, ..] if *a != 0 && *b != 0 => (Encoding::Utf16 { big_endian: false }, 0),
        [0, a, 0, b, ..] if *a != 0 && *b != 0 => (Encoding::Utf16 { big_endian: true }, 0),
        _ => (Encoding::Utf8, 0),
    }
}

/// Appends what is complete in `raw`; how many bytes that was.
fn from_utf8(raw: &[u8], ended: bool, out: &mut Vec<u8>) -> usize {
    let mut used = 0;
    loop {
        let rest = raw.get(used..).unwrap_or_default();
        let Err(error) = std::str::from_utf8(rest) else {
            out.extend_from_slice(rest);
            return raw.len();
        };
        out.extend_from_slice(rest.get(..error.valid_up_to()).unwrap_or_default());
        used += error.valid_up_to();
        match error.error_len() {
            None if !ended => return used,
            length => {
                out.extend_from_slice("\u{fffd}".as_bytes());
                used += length.unwrap_or(raw.len() - used);
            }
        }
    }
}

fn from_utf16(raw: &[u8], big_endian: bool, ended: bool, out: &mut Vec<u8>) -> usize {
    let units: Vec<u16> = raw
        .chunks_exact(2)
        .filter_map(|pair| <[u8; 2]>::try_from(pair).ok())
        .map(|pair| if big_endian { u16::from_be_bytes(pair) } else { u16::from_le_bytes(pair) })
        .collect();
    let half = !ended && units.last().is_some_and(|unit| (0xd800..0xdc00).contains(unit));
    let whole = units.len() - usize::from(half);
    let text: String = char::decode_utf16(units.into_iter().take(whole)).map(|c| c.unwrap_or('\u{fffd}')).collect();
    out.extend_from_slice(text.as_bytes());
    if ended { raw.len() } else { whole * 2 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> String {
        let mut text = String::new();
        let mut bytes = bytes;
        Utf8::new(&mut bytes).read_to_string(&mut text).unwrap();
        text
    }

    #[test]
    fn marks_are_taken_off_and_utf16_is_decoded() {
        let utf16 = |to: fn(u16) -> [u8; 2]| "{\"a\":\"é😀\"}".encode_utf16().flat_map(to).collect::<Vec<u8>>();
        assert_eq!(read(b"\xef\xbb\xbf{}"), "{}");
        assert_eq!(read(&[vec![0xff, 0xfe], utf16(u16::to_le_bytes)].concat()), "{\"a\":\"é😀\"}");
        assert_eq!(read(&utf16(u16::to_be_bytes)), "{\"a\":\"é😀\"}");
    }

    #[test]
    fn characters_across_chunks_stay_whole_and_broken_ones_are_replaced() {
        let long = "é".repeat(CHUNK);
        assert_eq!(read(format!("x{long}").as_bytes()), format!("x{long}"));
        assert_eq!(read(b"a\xffb\xc3"), "a\u{fffd}b\u{fffd}");
        assert_eq!(read(b""), "");
    }
}
