//! The numbered channels of `exec` and `attach`, over a websocket or over SPDY.
//!
//! Over a websocket (`v5.channel.k8s.io`, `v4`) a message begins with the number of its channel. Over SPDY every channel is a stream
//! that the client opens, named by its `streamType`; the error stream carries the same `Status` (`v4.channel.k8s.io`).

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, WebSocket, close_code};
use bytes::{BufMut, Bytes, BytesMut};

use super::spdy::{Decoder, Encoder, Frame};
use super::wire::Wire;

/// What the client types.
pub const STDIN: u8 = 0;
/// Standard output.
pub const STDOUT: u8 = 1;
/// Standard error.
pub const STDERR: u8 = 2;
/// The `Status` at the end.
pub const ERROR: u8 = 3;
/// `v5`: the client closes the channel named in the second byte.
const CLOSE: u8 = 255;
/// `streamType` by number; the last is of terminal sizes.
const TYPES: [&str; 5] = ["stdin", "stdout", "stderr", "error", "resize"];
/// How long a client may take to open its streams, as the kubelet waits (`--stream-creation-timeout`).
const OPENING: Duration = Duration::from_secs(30);
/// How long a client may take to hang up once all has been said.
const LEAVING: Duration = Duration::from_secs(5);

/// What the client said.
#[derive(Debug, PartialEq)]
pub enum Heard {
    /// Bytes on a channel.
    Data(u8, Bytes),
    /// A channel has ended.
    End(u8),
}

/// See the module.
pub enum Channels {
    /// A websocket.
    Socket(Box<WebSocket>),
    /// Streams of a SPDY connection.
    Spdy(Box<Session>),
}

impl Channels {
    /// The next thing said; none when the client is gone.
    pub async fn recv(&mut self) -> Option<Heard> {
        match self {
            Self::Socket(socket) => loop {
                let message = match socket.recv().await?.ok()? {
                    Message::Binary(data) => data,
                    Message::Close(_) => return None,
                    _ => continue,
                };
                match message.split_first() {
                    Some((&CLOSE, &[channel])) => return Some(Heard::End(channel)),
                    Some((&channel, _)) => return Some(Heard::Data(channel, message.slice(1..))),
                    None => {}
                }
            },
            Self::Spdy(session) => session.recv().await,
        }
    }

    /// Sends bytes on a channel; none when the client is gone.
    pub async fn send(&mut self, channel: u8, data: &[u8]) -> Option<()> {
        match self {
            Self::Socket(socket) => socket.send(frame(channel, data)).await.ok(),
            Self::Spdy(session) => session.send(channel, data, false).await,
        }
    }

    /// Sends the last word, and ends every channel.
    pub async fn end(mut self, status: &str) {
        if self.send(ERROR, status.as_bytes()).await.is_none() {
            return;
        }
        match self {
            Self::Socket(mut socket) => drop(socket.send(normal_close()).await),
            Self::Spdy(session) => session.end().await,
        }
    }
}

/// A message that begins with the number of its channel.
pub fn frame(channel: u8, data: &[u8]) -> Message {
    let mut bytes = BytesMut::with_capacity(data.len() + 1);
    bytes.put_u8(channel);
    bytes.put_slice(data);
    Message::Binary(bytes.freeze())
}

fn normal_close() -> Message {
    Message::Close(Some(CloseFrame { code: close_code::NORMAL, reason: "".into() }))
}

/// The streams of one SPDY connection, by channel.
pub struct Session {
    wire: Wire,
    decoder: Decoder,
    encoder: Encoder,
    streams: HashMap<u8, u32>,
    heard: VecDeque<Heard>,
}

impl Session {
    /// Waits for the client to open so many streams; none when it does not.
    pub async fn open(wire: Wire, streams: usize) -> Option<Self> {
        let (decoder, encoder) = (Decoder::new(), Encoder::default());
        let mut session = Self { wire, decoder, encoder, streams: HashMap::new(), heard: VecDeque::new() };
        let opened = tokio::time::timeout(OPENING, async {
            while session.streams.len() < streams {
                session.read().await?;
            }
            Some(())
        });
        opened.await.ok()??;
        Some(session)
    }

    /// Takes in what has come, and answers what wants an answer.
    async fn read(&mut self) -> Option<()> {
        let bytes = self.wire.recv().await?;
        self.decoder.feed(&bytes);
        while let Some(frame) = self.decoder.next() {
            let channel = |id: u32| self.streams.iter().find(|(_, of)| **of == id).map(|(channel, _)| *channel);
            match frame {
                Frame::Open(id, headers) => {
                    let kind = headers.iter().find(|(name, _)| name == "streamtype").map_or("", |(_, value)| value.as_str());
                    if let Some(channel) = TYPES.iter().position(|known| *known == kind) {
                        self.streams.insert(channel as u8, id);
                        let reply = self.encoder.reply(id);
                        self.wire.send(reply).await?;
                    }
                }
                Frame::Data(id, bytes, is_last) => {
                    let Some(channel) = channel(id) else { continue };
                    self.heard.extend((!bytes.is_empty()).then_some(Heard::Data(channel, bytes)));
                    self.heard.extend(is_last.then_some(Heard::End(channel)));
                }
                Frame::Reset(id) => self.heard.extend(channel(id).map(Heard::End)),
                Frame::Ping(id) => self.wire.send(Encoder::pong(id)).await?,
                Frame::GoAway => return None,
                Frame::Other => {}
            }
        }
        Some(())
    }

    async fn recv(&mut self) -> Option<Heard> {
        loop {
            if let Some(heard) = self.heard.pop_front() {
                return Some(heard);
            }
            self.read().await?;
        }
    }

    async fn send(&mut self, channel: u8, data: &[u8], is_last: bool) -> Option<()> {
        match self.streams.get(&channel) {
            Some(id) => self.wire.send(Encoder::data(*id, data, is_last)).await,
            None => Some(()),
        }
    }

    /// Ends the streams and waits for the client to hang up: what it still sends must not cut off what it has yet to read.
    async fn end(mut self) {
        for channel in [STDOUT, STDERR, ERROR] {
            if self.send(channel, b"", true).await.is_none() {
                return;
            }
        }
        let left = tokio::time::timeout(LEAVING, async { while self.read().await.is_some() {} }).await;
        drop(left);
    }
}
