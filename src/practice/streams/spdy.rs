//! SPDY/3.1 as far as streams of a kubelet need it: streams are opened, answered, fed and closed.
//!
//! Source: the SPDY/3.1 draft. Its header blocks are compressed against a fixed dictionary (section 2.6.10.1), which is fed to the
//! decompressor as a stored block of its own; our own headers are stored uncompressed.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use flate2::{Decompress, FlushDecompress};

static DICTIONARY: &[u8] = include_bytes!("../../../assets/practice/spdy3-dictionary.bin");
const FIN: u8 = 1;

/// A frame of the client.
#[derive(Debug, PartialEq)]
pub enum Frame {
    /// A stream is opened, with its headers.
    Open(u32, Vec<(String, String)>),
    /// Bytes on a stream, and whether they are its last.
    Data(u32, Bytes, bool),
    /// A stream is cut.
    Reset(u32),
    /// To be sent back.
    Ping(u32),
    /// The client ends.
    GoAway,
    /// Anything that needs no answer.
    Other,
}

/// One direction of a connection: bytes in, frames out.
pub struct Decoder {
    buffer: BytesMut,
    headers: Decompress,
    primed: bool,
}

impl Decoder {
    /// A decoder at the start of a connection.
    pub fn new() -> Self {
        let mut headers = Decompress::new(false);
        let length = DICTIONARY.len() as u16;
        let mut block = vec![0];
        block.put_u16_le(length);
        block.put_u16_le(!length);
        block.extend_from_slice(DICTIONARY);
        let mut dropped = Vec::with_capacity(DICTIONARY.len() + 64);
        let primed = headers.decompress_vec(&block, &mut dropped, FlushDecompress::Sync).is_ok();
        Self { buffer: BytesMut::new(), headers, primed }
    }

    /// Adds bytes that have come.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.buffer.put_slice(bytes);
    }

    /// The next whole frame; none until more bytes have come.
    pub fn next(&mut self) -> Option<Frame> {
        let head: [u8; 8] = self.buffer.get(..8)?.try_into().ok()?;
        let length = u32::from_be_bytes([0, head[5], head[6], head[7]]) as usize;
        if self.buffer.len() < 8 + length {
            return None;
        }
        self.buffer.advance(8);
        let mut body = self.buffer.split_to(length).freeze();
        let id = u32::from_be_bytes([head[0], head[1], head[2], head[3]]);
        if head[0] & 0x80 == 0 {
            return Some(Frame::Data(id, body, head[4] & FIN != 0));
        }
        let kind = u16::from_be_bytes([head[2], head[3]]);
        if body.len() < 4 {
            return Some(Frame::Other);
        }
        let first = body.get_u32() & 0x7fff_ffff;
        Some(match kind {
            1 if body.len() >= 6 => {
                body.advance(6);
                Frame::Open(first, self.headers_of(&body))
            }
            3 => Frame::Reset(first),
            6 => Frame::Ping(first),
            7 => Frame::GoAway,
            _ => Frame::Other,
        })
    }

    fn headers_of(&mut self, block: &[u8]) -> Vec<(String, String)> {
        // The first block begins with the zlib header and the name of the dictionary, which `new` has given.
        let block = if std::mem::take(&mut self.primed) { block.get(6..).unwrap_or_default() } else { block };
        let mut plain = Vec::with_capacity(8 * 1024);
        if self.headers.decompress_vec(block, &mut plain, FlushDecompress::Sync).is_err() {
            return Vec::new();
        }
        pairs(&plain).unwrap_or_default()
    }
}

fn pairs(mut plain: &[u8]) -> Option<Vec<(String, String)>> {
    let mut word = || -> Option<u32> {
        let (head, rest) = plain.split_first_chunk::<4>()?;
        plain = rest;
        Some(u32::from_be_bytes(*head))
    };
    let count = word()?;
    let mut rest = plain;
    let mut text = || -> Option<String> {
        let (head, after) = rest.split_first_chunk::<4>()?;
        let (text, after) = after.split_at_checked(u32::from_be_bytes(*head) as usize)?;
        rest = after;
        Some(String::from_utf8_lossy(text).into_owned())
    };
    (0..count).map(|_| Some((text()?.to_lowercase(), text()?))).collect()
}

/// The other direction: frames as bytes.
#[derive(Default)]
pub struct Encoder {
    begun: bool,
}

impl Encoder {
    /// The answer to an opened stream: no headers, in a stored block.
    pub fn reply(&mut self, stream: u32) -> Bytes {
        let mut block = BytesMut::new();
        if !std::mem::replace(&mut self.begun, true) {
            block.put_slice(&[0x78, 0x01]);
        }
        // A stored block of four zero bytes, and an empty one: without that Go's decoder waits for more.
        block.put_slice(&[0, 4, 0, 0xfb, 0xff, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff]);
        let mut body = BytesMut::new();
        body.put_u32(stream);
        body.put_slice(&block);
        control(2, &body)
    }

    /// Bytes on a stream.
    pub fn data(stream: u32, bytes: &[u8], last: bool) -> Bytes {
        let mut frame = BytesMut::with_capacity(bytes.len() + 8);
        frame.put_u32(stream);
        frame.put_u32((u32::from(u8::from(last)) << 24) | (bytes.len() as u32 & 0x00ff_ffff));
        frame.put_slice(bytes);
        frame.freeze()
    }

    /// A ping sent back.
    pub fn pong(id: u32) -> Bytes {
        control(6, &id.to_be_bytes())
    }
}

fn control(kind: u16, body: &[u8]) -> Bytes {
    let mut frame = BytesMut::with_capacity(body.len() + 8);
    frame.put_u16(0x8003);
    frame.put_u16(kind);
    frame.put_u32(body.len() as u32 & 0x00ff_ffff);
    frame.put_slice(body);
    frame.freeze()
}
