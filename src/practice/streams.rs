//! `exec`, `attach` and `portforward`: what a kubelet streams, over websockets.
//!
//! `exec` and `attach` speak `v5.channel.k8s.io` (and `v4`): binary messages that begin with the number of their channel.
//! `portforward` speaks SPDY/3.1 tunnelled through the websocket, as kubectl does (`forward`). A request without a websocket upgrade
//! gets the 400 that makes no client wait.

use axum::extract::FromRequestParts;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade, close_code};
use axum::response::Response;
use bytes::{BufMut, BytesMut};
use http::request::Parts;
use serde_json::{Value, json};

use super::api::Api;
use super::json::{at, items, text};
use super::logs;
use super::query::Query;
use super::request::Target;
use super::runtime::Runtime;
use super::status::Status;
use super::store::Store;

mod forward;
mod shell;
mod spdy;
mod tar;

use shell::{Disk, Shell};

const STDIN: u8 = 0;
const STDOUT: u8 = 1;
const STDERR: u8 = 2;
const ERROR: u8 = 3;
/// `v5`: the client closes the channel named in the second byte.
const CLOSE: u8 = 255;

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
    let upgrade = upgrade(&mut parts).await?;
    if forwarding {
        let protocols = [forward::TUNNEL, "v4.channel.k8s.io", "portforward.k8s.io"];
        let ports = forward::Ports::of(&pod, &query.all("ports"));
        return Ok(upgrade.protocols(protocols).on_upgrade(move |socket| forward::serve(socket, ports)));
    }
    let upgrade = upgrade.protocols(["v5.channel.k8s.io", "v4.channel.k8s.io"]);
    if target.subresource == "attach" {
        let (runtime, uid) = (api.runtime.clone(), text(&pod, "metadata.uid").to_owned());
        let restart = restarts(&pod, &container);
        return Ok(upgrade.on_upgrade(move |socket| attach(socket, runtime, uid, container, restart)));
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
    Ok(upgrade.on_upgrade(move |socket| exec(socket, shell, command, interactive)))
}

/// The websocket; for a client that asks for SPDY alone, or for no stream at all, what it is to do instead.
async fn upgrade(parts: &mut Parts) -> Result<WebSocketUpgrade, Status> {
    let wanted = parts.headers.get(http::header::UPGRADE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let why = if wanted.to_ascii_lowercase().starts_with("spdy/") {
        "the practice cluster streams over websockets only, not over SPDY: use kubectl 1.31 or newer, and leave \
         KUBECTL_REMOTE_COMMAND_WEBSOCKETS and KUBECTL_PORT_FORWARD_WEBSOCKETS alone"
    } else {
        "Upgrade request required"
    };
    WebSocketUpgrade::from_request_parts(parts, &()).await.map_err(|_| Status::bad_request(why))
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

fn frame(channel: u8, data: &[u8]) -> Message {
    let mut bytes = BytesMut::with_capacity(data.len() + 1);
    bytes.put_u8(channel);
    bytes.put_slice(data);
    Message::Binary(bytes.freeze())
}

fn normal_close() -> Message {
    Message::Close(Some(CloseFrame { code: close_code::NORMAL, reason: "".into() }))
}

/// Runs a command, or a shell that reads commands, until it ends or the client goes.
async fn exec(mut socket: WebSocket, mut shell: Shell, command: Vec<String>, interactive: bool) {
    let mut step = shell.start(&command);
    let mut pending = BytesMut::new();
    let mut open = interactive;
    loop {
        for (channel, data) in [(STDOUT, step.out.as_slice()), (STDERR, step.error.as_bytes())] {
            if !data.is_empty() && socket.send(frame(channel, data)).await.is_err() {
                return;
            }
        }
        if let Some(ended) = step.ended {
            let _ = socket.send(frame(ERROR, ending(&ended).to_string().as_bytes())).await;
            let _ = socket.send(normal_close()).await;
            return;
        }
        if shell.takes_bytes() {
            step = match all_input(&mut socket, &mut pending, open).await {
                Some(bytes) => shell.bytes(&bytes),
                None => return,
            };
            continue;
        }
        step = match next_input(&mut socket, &mut pending, &mut open).await {
            Some(Some(line)) => shell.line(&line),
            Some(None) => shell.end_of_input(),
            None => return,
        };
    }
}

/// All of stdin as it is; none when the client is gone, or sends more than a container keeps.
async fn all_input(socket: &mut WebSocket, pending: &mut BytesMut, open: bool) -> Option<BytesMut> {
    const MOST: usize = 32 * 1024 * 1024;
    while open && pending.len() < MOST {
        match socket.recv().await?.ok()? {
            Message::Binary(data) => match data.split_first() {
                Some((&STDIN, sent)) => pending.put_slice(sent),
                Some((&CLOSE, &[STDIN])) => break,
                _ => {}
            },
            Message::Close(_) => return None,
            _ => {}
        }
    }
    (pending.len() < MOST).then(|| pending.split())
}

/// The next whole line of stdin; `Some(None)` at its end, none when the client is gone.
async fn next_input(socket: &mut WebSocket, pending: &mut BytesMut, open: &mut bool) -> Option<Option<String>> {
    loop {
        if let Some(end) = pending.iter().position(|byte| matches!(byte, b'\n' | b'\r')) {
            let line = pending.split_to(end + 1);
            return Some(Some(String::from_utf8_lossy(&line).trim_end_matches(['\n', '\r']).to_owned()));
        }
        if !*open {
            let rest = pending.split();
            return Some((!rest.is_empty()).then(|| String::from_utf8_lossy(&rest).into_owned()));
        }
        match socket.recv().await?.ok()? {
            Message::Binary(data) => match data.split_first() {
                // Ctrl-C throws the line away, Ctrl-D ends the input, as a terminal does.
                Some((&STDIN, typed)) if typed.contains(&4) => *open = false,
                Some((&STDIN, typed)) if typed.contains(&3) => pending.clear(),
                Some((&STDIN, typed)) => pending.put_slice(typed),
                Some((&CLOSE, &[STDIN])) => *open = false,
                _ => {}
            },
            Message::Close(_) => return None,
            _ => {}
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
async fn attach(mut socket: WebSocket, runtime: Runtime, uid: String, container: String, restart: u32) {
    let (_, mut lines) = runtime.follow(&uid, &container, restart);
    loop {
        tokio::select! {
            line = lines.recv() => match line {
                Some(line) => {
                    let text = format!("{}\n", line.text);
                    if socket.send(frame(STDOUT, text.as_bytes())).await.is_err() {
                        return;
                    }
                }
                None => break,
            },
            message = socket.recv() => match message {
                None | Some(Err(_) | Ok(Message::Close(_))) => return,
                Some(Ok(_)) => {}
            },
        }
    }
    let done = json!({"metadata": {}, "status": "Success"}).to_string();
    let _ = socket.send(frame(ERROR, done.as_bytes())).await;
    let _ = socket.send(normal_close()).await;
}
