//! Port forwarding: connections to the ports a pod's containers listen on, answered by an echo of the service.
//!
//! An HTTP request gets an answer that names pod, port and path, however it is cut on its way; any other bytes come back as they are. A port nobody listens on
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

    /// Takes in what a connection brought: what the service says to it, if anything yet, and whether it hangs up after that. Who has
    /// said its last is hung up on.
    fn hear(&self, connection: &mut Connection, bytes: &[u8], is_last: bool) -> Option<(Bytes, bool)> {
        if connection.is_over {
            return None;
        }
        connection.heard.extend_from_slice(bytes);
        let head = Head::of(&connection.heard);
        connection.is_over = is_last || matches!(head, Head::Request { .. });
        let (method, path) = match head {
            Head::Partial if !is_last => return None,
            Head::Partial | Head::Foreign => return Some((connection.heard.split().freeze(), is_last)),
            Head::Request { method, path } => (method, path),
        };
        let body = format!("{} port {}: {method} {path}\n", self.pod, connection.port);
        let head =
            format!("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
        Some((Bytes::from(head + &body), true))
    }
}

/// One connection to a port: what it said that is not answered yet.
#[derive(Default)]
struct Connection {
    port: i64,
    heard: BytesMut,
    is_over: bool,
}

/// What a connection's bytes are so far. A client may send the head of a request in pieces of any size.
enum Head {
    Request { method: String, path: String },
    Partial,
    Foreign,
}

impl Head {
    fn of(heard: &[u8]) -> Self {
        const METHODS: [&str; 7] = ["GET ", "HEAD ", "POST ", "PUT ", "PATCH ", "DELETE ", "OPTIONS "];
        let begins = |method: &&str| heard.iter().zip(method.as_bytes()).all(|(one, other)| one == other);
        if !METHODS.iter().any(begins) {
            return Self::Foreign;
        }
        let mut headers = [httparse::EMPTY_HEADER; 64];
        let mut request = httparse::Request::new(&mut headers);
        match (request.parse(heard), request.method, request.path) {
            (Ok(httparse::Status::Partial), ..) => Self::Partial,
            (Ok(httparse::Status::Complete(_)), Some(method), Some(path)) => {
                Self::Request { method: method.to_owned(), path: path.to_owned() }
            }
            _ => Self::Foreign,
        }
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
    connection: Connection,
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
                Frame::Data(id, bytes, is_last) => {
                    let Some(stream) = streams.get_mut(&id).filter(|stream| !stream.is_error) else { continue };
                    let Some((answer, hangs_up)) = ports.hear(&mut stream.connection, &bytes, is_last) else { continue };
                    out.extend_from_slice(&Encoder::data(id, &answer, hangs_up));
                    if hangs_up {
                        let request = std::mem::take(&mut stream.request);
                        close_error(&streams, &request, &mut out);
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
        connection: Connection { port: header("port").parse().unwrap_or(0), ..Connection::default() },
        is_error: header("streamtype") == "error",
        request: header("requestid").to_owned(),
    };
    out.extend_from_slice(&encoder.reply(id));
    if !stream.is_error
        && let Some(why) = ports.refusal(stream.connection.port)
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
    let open = ports.asked.iter().map(|port| Connection { port: *port, ..Connection::default() });
    let mut connections: Vec<Connection> = open.collect();
    while let Some(Ok(message)) = socket.recv().await {
        let Message::Binary(bytes) = message else { continue };
        let Some((channel, said)) = bytes.split_first() else { continue };
        let connection = connections.get_mut(usize::from(*channel) / 2).filter(|_| channel % 2 == 0);
        let Some(connection) = connection.filter(|connection| ports.refusal(connection.port).is_none()) else { continue };
        let Some((answer, hangs_up)) = ports.hear(connection, said, false) else { continue };
        if socket.send(frame(*channel, &answer)).await.is_err() || hangs_up {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said_to(pieces: &[&str]) -> Vec<String> {
        let ports = Ports { pod: "web".to_owned(), uid: String::new(), open: vec![80], asked: vec![80] };
        let mut connection = Connection { port: 80, ..Connection::default() };
        let mut said = Vec::new();
        for piece in pieces {
            let answer = ports.hear(&mut connection, piece.as_bytes(), false);
            said.extend(answer.map(|(bytes, _)| String::from_utf8_lossy(&bytes).into_owned()));
        }
        said
    }

    #[test]
    fn a_request_is_answered_once_however_it_is_cut() {
        let whole = "GET /two HTTP/1.1\r\nHost: web\r\n\r\n";
        let answer = said_to(&[whole]);
        assert!(answer.len() == 1 && answer[0].ends_with("\r\n\r\nweb port 80: GET /two\n"), "{answer:?}");
        for cut in 1..whole.len() {
            assert_eq!(said_to(&[&whole[..cut], &whole[cut..]]), answer, "cut at {cut}");
        }
        assert_eq!(said_to(&[whole, "more after the end"]), answer);
    }

    #[test]
    fn what_is_no_request_comes_back_as_it_is() {
        assert_eq!(said_to(&["hello", "GOOD", "GET\n"]), ["hello", "GOOD", "GET\n"]);
        assert_eq!(said_to(&["GET / SPDY/9\r\n\r\n"]), ["GET / SPDY/9\r\n\r\n"]);
    }
}
