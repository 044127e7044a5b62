//! What carries a stream: the messages of a websocket, or the bytes of a connection that was upgraded to SPDY.

use axum::extract::ws::{Message, WebSocket};
use bytes::{Bytes, BytesMut};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// See the module.
pub enum Wire {
    /// Binary messages, each any piece of the stream.
    Socket(Box<WebSocket>),
    /// The connection itself.
    Raw(TokioIo<Upgraded>),
}

impl Wire {
    /// The next bytes; none when the client is gone.
    pub async fn recv(&mut self) -> Option<Bytes> {
        match self {
            Self::Socket(socket) => loop {
                match socket.recv().await?.ok()? {
                    Message::Binary(bytes) => return Some(bytes),
                    Message::Close(_) => return None,
                    _ => {}
                }
            },
            Self::Raw(connection) => {
                let mut bytes = BytesMut::with_capacity(16 * 1024);
                let read = connection.read_buf(&mut bytes).await.ok()?;
                (read > 0).then(|| bytes.freeze())
            }
        }
    }

    /// Sends bytes; none when the client is gone.
    pub async fn send(&mut self, bytes: Bytes) -> Option<()> {
        match self {
            Self::Socket(socket) => socket.send(Message::Binary(bytes)).await.ok(),
            Self::Raw(connection) => {
                connection.write_all(&bytes).await.ok()?;
                connection.flush().await.ok()
            }
        }
    }
}
