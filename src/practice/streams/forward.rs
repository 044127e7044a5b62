//! Port forwarding: connections to the ports a pod's containers listen on, answered by an echo of the service.
//!
//! An HTTP request gets an answer that names pod, port and path; any other bytes come back as they are. A port nobody listens on
//! is refused in the kubelet's words. kubectl tunnels SPDY through the websocket; `v4.channel.k8s.io` (kube-rs) has two channels a
//! port instead.

use std::collections::HashMap;

use axum::extract::ws::{Message, WebSocket};
use bytes::{Bytes, BytesMut};
use serde_json::Value;

use super::channels::frame;
use super::spdy::{Decoder, Encoder, Frame};
use super::wire::Wire;
use crate::practice::json::{integer, items, text};

/// The subprotocol of kubectl's tunnel.
pub const TUNNEL: &str = "SPDY/3.1+portforward.k8s.io";
/// The same without the tunnel.
pub const PROTOCOL: &str = "portforward.k8s.io";

/// The ports of a pod.
pub struct Ports {
    pod: String,
    uid: String,
    open: Vec<i64>,
    asked: Vec<i64>,
}

impl Ports {
    /// The declared container ports of a pod, and those a request names.
    pub fn of(pod: &Value, asked: &[String]) -> Self {
        let containers = items(pod, "spec.containers").iter();
        let open = containers.flat_map(|container| items(container, "ports")).filter_map(|port| integer(port, "containerPort"));
        let (pod_name, uid) = (text(pod, "metadata.name").to_owned(), text(pod, "metadata.uid").to_owned());
        let asked = asked.iter().filter_map(|port| port.parse().ok()).collect();
        Self { open: open.collect(), asked, pod: pod_name, uid }
    }

    fn refusal(&self, port: i64) -> Option<String> {
        (!self.open.contains(&port)).then(|| {
            format!(
                "error forwarding port {port} to pod {}, uid : failed to execute portforward in network namespace: failed to \
                 connect to localhost:{port} inside namespace {:?}, IPv4: dial tcp4 127.0.0.1:{port}: connect: connection refused",
                self.uid, self.pod
            )
        })
    }

    /// What the service says to some bytes, and whether it hangs up after that.
    fn answer(&self, port: i64, said: &[u8]) -> (Bytes, bool) {
        let head = String::from_utf8_lossy(said);
        let mut words = head.lines().next().unwrap_or_default().split(' ');
        let (method, path, version) = (words.next().unwrap_or_default(), words.next().unwrap_or_default(), words.next());
        if !version.is_some_and(|version| version.starts_with("HTTP/1")) {
            return (Bytes::copy_from_slice(said), false);
        }
        let body = format!("{} port {port}: {method} {path}\n", self.pod);
        let head =
            format!("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
        (Bytes::from(head + &body), true)
    }
}

/// Serves one websocket until the client goes.
pub async fn serve(socket: WebSocket, ports: Ports) {
    let tunnelled = socket.protocol().and_then(|protocol| protocol.to_str().ok()) == Some(TUNNEL);
    if tunnelled {
        tunnel(Wire::Socket(Box::new(socket)), &ports).await;
    } else {
        channels(socket, &ports).await;
    }
}

struct Stream {
    port: i64,
    is_error: bool,
    request: String,
}

/// Serves the streams of SPDY, whatever carries them.
pub async fn tunnel(mut wire: Wire, ports: &Ports) {
    let (mut decoder, mut encoder) = (Decoder::new(), Encoder::default());
    let mut streams: HashMap<u32, Stream> = HashMap::new();
    while let Some(bytes) = wire.recv().await {
        decoder.feed(&bytes);
        let mut out = BytesMut::new();
        while let Some(frame) = decoder.next() {
            match frame {
                Frame::Open(id, headers) => open(ports, &mut streams, (id, &headers), &mut encoder, &mut out),
                Frame::Data(id, bytes, _) => {
                    let Some(stream) = streams.get(&id).filter(|stream| !stream.is_error && !bytes.is_empty()) else { continue };
                    let (answer, hang_up) = ports.answer(stream.port, &bytes);
                    out.extend_from_slice(&Encoder::data(id, &answer, hang_up));
                    if hang_up {
                        close_error(&streams, &stream.request, &mut out);
                    }
                }
                Frame::Reset(id) => drop(streams.remove(&id)),
                Frame::Ping(id) => out.extend_from_slice(&Encoder::pong(id)),
                Frame::GoAway => return,
                Frame::Other => {}
            }
        }
        if !out.is_empty() && wire.send(out.freeze()).await.is_none() {
            return;
        }
    }
}

fn open(
    ports: &Ports,
    streams: &mut HashMap<u32, Stream>,
    (id, headers): (u32, &[(String, String)]),
    encoder: &mut Encoder,
    out: &mut BytesMut,
) {
    let header = |name: &str| headers.iter().find(|(of, _)| of == name).map_or("", |(_, value)| value.as_str());
    let stream = Stream {
        port: header("port").parse().unwrap_or(0),
        is_error: header("streamtype") == "error",
        request: header("requestid").to_owned(),
    };
    out.extend_from_slice(&encoder.reply(id));
    if !stream.is_error
        && let Some(why) = ports.refusal(stream.port)
    {
        let error = streams.iter().find(|(_, other)| other.is_error && other.request == stream.request);
        if let Some((error, _)) = error {
            out.extend_from_slice(&Encoder::data(*error, why.as_bytes(), true));
        }
        out.extend_from_slice(&Encoder::data(id, b"", true));
    }
    streams.insert(id, stream);
}

/// A connection that ends well closes its error stream without a word.
fn close_error(streams: &HashMap<u32, Stream>, request: &str, out: &mut BytesMut) {
    if let Some((id, _)) = streams.iter().find(|(_, stream)| stream.is_error && stream.request == request) {
        out.extend_from_slice(&Encoder::data(*id, b"", true));
    }
}

/// A pair of channels for each port of the request: data on the even one, errors on the odd one, each begun with the port.
async fn channels(mut socket: WebSocket, ports: &Ports) {
    for (index, port) in ports.asked.iter().enumerate() {
        let greeting = (*port as u16).to_le_bytes();
        let refusal = ports.refusal(*port).map(|why| frame(index as u8 * 2 + 1, why.as_bytes()));
        let greetings = [frame(index as u8 * 2, &greeting), frame(index as u8 * 2 + 1, &greeting)];
        for message in greetings.into_iter().chain(refusal) {
            if socket.send(message).await.is_err() {
                return;
            }
        }
    }
    while let Some(Ok(message)) = socket.recv().await {
        let Message::Binary(bytes) = message else { continue };
        let Some((channel, said)) = bytes.split_first() else { continue };
        let port = ports.asked.get(usize::from(*channel) / 2).filter(|_| channel % 2 == 0);
        if let Some(port) = port.filter(|port| ports.refusal(**port).is_none()) {
            let (answer, hang_up) = ports.answer(*port, said);
            if socket.send(frame(*channel, &answer)).await.is_err() || hang_up {
                return;
            }
        }
    }
}
