//! `exec`, `attach` and `portforward`: what a kubelet streams, over websockets or, for older clients, over SPDY/3.1.
//!
//! `exec` and `attach` have numbered `channels`; `portforward` is SPDY either way: tunnelled through the websocket, or on the
//! connection itself (`forward`). A request without an upgrade gets the 400 that makes no client wait.

use axum::body::Body;
use axum::extract::FromRequestParts;
use axum::extract::ws::{WebSocket, WebSocketUpgrade};
use axum::response::Response;
use bytes::{BufMut, BytesMut};
use http::request::Parts;
use http::{HeaderMap, HeaderName, header};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};

use super::api::Api;
use super::json::{at, items, text};
use super::logs;
use super::query::Query;
use super::request::Target;
use super::runtime::Runtime;
use super::status::Status;
use super::store::Store;

mod channels;
mod forward;
mod shell;
mod spdy;
mod tar;
mod wire;

use channels::{Channels, Heard, STDERR, STDIN, STDOUT, Session};
use shell::{Disk, Shell};
use wire::Wire;

/// What a client says it speaks over SPDY, one header each, and what the server chose.
static PROTOCOL: HeaderName = HeaderName::from_static("x-stream-protocol-version");

/// Whether a subresource is a stream.
pub fn is_stream(target: &Target) -> bool {
    target.resource.plural == "pods" && matches!(target.subresource.as_str(), "exec" | "attach" | "portforward")
}

/// Serves a stream.
pub async fn serve(api: &Api, target: &Target, query: &Query, mut parts: Parts) -> Result<Response, Status> {
    let pod = api.store.get(target.resource, &target.namespace, &target.name);
    let pod = pod.ok_or_else(|| Status::not_found(target.resource, &target.name))?;
    let forwarding = target.subresource == "portforward";
    let container = if forwarding { String::new() } else { logs::container_of(&pod, query.get("container"))? };
    if text(&pod, "spec.nodeName").is_empty() {
        return Err(Status::bad_request(format!("pod {} does not have a host assigned", target.name)));
    }
    // What is wrong with the pod is said before anything about the protocol: kubectl tries the next protocol after a failed
    // upgrade, and shows what that one was told.
    if forwarding && text(&pod, "status.phase") != "Running" {
        let why = format!("pod not running: {}", text(&pod, "status.phase"));
        return Err(Status::internal(why));
    }
    if !forwarding && !is_running(&pod, &container) {
        // The kubelet's own words, which the API server passes on as they are.
        let why = format!("container not found ({container:?})");
        return Ok(super::reply::with_type(500, "text/plain; charset=utf-8", why));
    }
    let asked = Upgrade::of(&mut parts).await?;
    if forwarding {
        let ports = forward::Ports::of(&pod, &query.all("ports"));
        return match asked {
            Upgrade::Socket(upgrade) => {
                let protocols = [forward::TUNNEL, "v4.channel.k8s.io", forward::PROTOCOL];
                Ok(upgrade.protocols(protocols).on_upgrade(move |socket| forward::serve(socket, ports)))
            }
            Upgrade::Spdy(upgrade) => {
                let answer = switching(&parts.headers, &[forward::PROTOCOL])?;
                raw(upgrade, |wire| async move { forward::tunnel(wire, &ports).await });
                Ok(answer)
            }
        };
    }
    let streams = streams_of(query);
    if target.subresource == "attach" {
        let (runtime, uid) = (api.runtime.clone(), text(&pod, "metadata.uid").to_owned());
        let restart = restarts(&pod, &container);
        return asked.serve(&parts.headers, streams, move |channels| attach(channels, runtime, uid, container, restart));
    }
    let command: Vec<String> = query.all("command");
    let interactive = query.is_true("stdin");
    let tty = query.is_true("tty");
    let disk = Disk {
        runtime: api.runtime.clone(),
        uid: text(&pod, "metadata.uid").to_owned(),
        restart: restarts(&pod, &container),
        container,
    };
    let shell = open(&api.store, &pod, disk, tty)?;
    asked.serve(&parts.headers, streams, move |channels| exec(channels, shell, command, interactive))
}

/// How many streams a client opens over SPDY: one for errors, those it asks for, and one of sizes for a terminal.
fn streams_of(query: &Query) -> usize {
    let tty = query.is_true("tty");
    let asked = [query.is_true("stdin"), query.is_true("stdout"), query.is_true("stderr") && !tty, tty];
    1 + asked.into_iter().filter(|asked| *asked).count()
}

/// What a client wants its connection to become.
enum Upgrade {
    Socket(WebSocketUpgrade),
    Spdy(OnUpgrade),
}

impl Upgrade {
    /// What the request asks for; 400 for none.
    async fn of(parts: &mut Parts) -> Result<Self, Status> {
        let wanted = parts.headers.get(header::UPGRADE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        if wanted.eq_ignore_ascii_case("spdy/3.1")
            && let Some(upgrade) = parts.extensions.remove::<OnUpgrade>()
        {
            return Ok(Self::Spdy(upgrade));
        }
        let socket = WebSocketUpgrade::from_request_parts(parts, &()).await;
        socket.map(Self::Socket).map_err(|_| Status::bad_request("Upgrade request required"))
    }

    /// Serves channels once the connection is what was asked for.
    fn serve<S, F>(self, headers: &HeaderMap, streams: usize, serve: S) -> Result<Response, Status>
    where
        S: FnOnce(Channels) -> F + Send + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        match self {
            Self::Socket(upgrade) => {
                let upgrade = upgrade.protocols(["v5.channel.k8s.io", "v4.channel.k8s.io"]);
                Ok(upgrade.on_upgrade(move |socket: WebSocket| serve(Channels::Socket(Box::new(socket)))))
            }
            Self::Spdy(upgrade) => {
                let answer = switching(headers, &["v4.channel.k8s.io"])?;
                raw(upgrade, move |wire| async move {
                    if let Some(session) = Session::open(wire, streams).await {
                        serve(Channels::Spdy(Box::new(session))).await;
                    }
                });
                Ok(answer)
            }
        }
    }
}

/// Hands a connection on once it is free of HTTP.
fn raw<S, F>(upgrade: OnUpgrade, serve: S)
where
    S: FnOnce(Wire) -> F + Send + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    tokio::spawn(async move {
        if let Ok(connection) = upgrade.await {
            serve(Wire::Raw(TokioIo::new(connection))).await;
        }
    });
}

/// 101 with the protocol both sides speak; 403 when there is none.
fn switching(headers: &HeaderMap, accepted: &[&str]) -> Result<Response, Status> {
    let spoken: Vec<&str> = headers
        .get_all(&PROTOCOL)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(',').map(str::trim))
        .collect();
    let chosen = accepted.iter().find(|accepted| spoken.contains(accepted));
    let why = || {
        let list = |of: &[&str]| of.join(" ");
        let message = format!(
            "unable to upgrade: unable to negotiate protocol: client supports [{}], server accepts [{}]",
            list(&spoken),
            list(accepted)
        );
        let mut status = Status::bad_request(message);
        (status.code, status.reason) = (403, "Forbidden");
        status
    };
    let answer = Response::builder()
        .status(http::StatusCode::SWITCHING_PROTOCOLS)
        .header(header::CONNECTION, "Upgrade")
        .header(header::UPGRADE, "SPDY/3.1")
        .header(&PROTOCOL, *chosen.ok_or_else(why)?);
    answer.body(Body::empty()).map_err(|error| Status::internal(error.to_string()))
}

fn open(store: &Store, pod: &Value, disk: Disk, tty: bool) -> Result<Shell, Status> {
    let found =
        [items(pod, "spec.containers"), items(pod, "spec.initContainers"), items(pod, "spec.ephemeralContainers")].concat();
    let spec = found.into_iter().find(|spec| text(spec, "name") == disk.container).unwrap_or_default();
    Shell::open(store, pod, &spec, tty, Some(disk)).map_err(Status::internal)
}

fn status_of<'a>(pod: &'a Value, container: &str) -> Option<&'a Value> {
    let lists = ["containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses"];
    lists.into_iter().flat_map(|list| items(pod, &format!("status.{list}"))).find(|status| text(status, "name") == container)
}

fn is_running(pod: &Value, container: &str) -> bool {
    status_of(pod, container).is_some_and(|status| at(status, "state.running").is_some())
}

fn restarts(pod: &Value, container: &str) -> u32 {
    let count = status_of(pod, container).and_then(|status| status.get("restartCount")?.as_u64());
    count.unwrap_or(0) as u32
}

/// Runs a command, or a shell that reads commands, until it ends or the client goes.
async fn exec(mut channels: Channels, mut shell: Shell, command: Vec<String>, interactive: bool) {
    let mut step = shell.start(&command);
    let mut pending = BytesMut::new();
    let mut open = interactive;
    loop {
        for (channel, data) in [(STDOUT, step.out.as_slice()), (STDERR, step.error.as_bytes())] {
            if !data.is_empty() && channels.send(channel, data).await.is_none() {
                return;
            }
        }
        if let Some(ended) = step.ended {
            channels.end(&ending(&ended).to_string()).await;
            return;
        }
        if shell.takes_bytes() {
            step = match all_input(&mut channels, &mut pending, open).await {
                Some(bytes) => shell.bytes(&bytes),
                None => return,
            };
            continue;
        }
        step = match next_input(&mut channels, &mut pending, &mut open).await {
            Some(Some(line)) => shell.line(&line),
            Some(None) => shell.end_of_input(),
            None => return,
        };
    }
}

/// All of stdin as it is; none when the client is gone, or sends more than a container keeps.
async fn all_input(channels: &mut Channels, pending: &mut BytesMut, open: bool) -> Option<BytesMut> {
    const MOST: usize = 32 * 1024 * 1024;
    while open && pending.len() < MOST {
        match channels.recv().await? {
            Heard::Data(STDIN, sent) => pending.put_slice(&sent),
            Heard::End(STDIN) => break,
            Heard::Data(..) | Heard::End(_) => {}
        }
    }
    (pending.len() < MOST).then(|| pending.split())
}

/// The next whole line of stdin; `Some(None)` at its end, none when the client is gone.
async fn next_input(channels: &mut Channels, pending: &mut BytesMut, open: &mut bool) -> Option<Option<String>> {
    loop {
        if let Some(end) = pending.iter().position(|byte| matches!(byte, b'\n' | b'\r')) {
            let line = pending.split_to(end + 1);
            return Some(Some(String::from_utf8_lossy(&line).trim_end_matches(['\n', '\r']).to_owned()));
        }
        if !*open {
            let rest = pending.split();
            return Some((!rest.is_empty()).then(|| String::from_utf8_lossy(&rest).into_owned()));
        }
        match channels.recv().await? {
            // Ctrl-C throws the line away, Ctrl-D ends the input, as a terminal does.
            Heard::Data(STDIN, typed) if typed.contains(&4) => *open = false,
            Heard::Data(STDIN, typed) if typed.contains(&3) => pending.clear(),
            Heard::Data(STDIN, typed) => pending.put_slice(&typed),
            Heard::End(STDIN) => *open = false,
            Heard::Data(..) | Heard::End(_) => {}
        }
    }
}

/// The `Status` on the error channel.
fn ending(ended: &shell::Ended) -> Value {
    match ended {
        shell::Ended::Exit(0) => json!({"metadata": {}, "status": "Success"}),
        shell::Ended::Exit(code) => json!({"metadata": {}, "status": "Failure", "reason": "NonZeroExitCode",
            "message": format!("command terminated with non-zero exit code: exit status {code}"),
            "details": {"causes": [{"reason": "ExitCode", "message": code.to_string()}]}}),
        shell::Ended::CannotStart(why) => Status::internal(why).to_value(),
    }
}

/// Shows what the container writes from now on.
async fn attach(mut channels: Channels, runtime: Runtime, uid: String, container: String, restart: u32) {
    let (_, mut lines) = runtime.follow(&uid, &container, restart);
    loop {
        tokio::select! {
            line = lines.recv() => match line {
                Some(line) => {
                    let text = format!("{}\n", line.text);
                    if channels.send(STDOUT, text.as_bytes()).await.is_none() {
                        return;
                    }
                }
                None => break,
            },
            heard = channels.recv() => if heard.is_none() {
                return;
            },
        }
    }
    channels.end(&json!({"metadata": {}, "status": "Success"}).to_string()).await;
}
