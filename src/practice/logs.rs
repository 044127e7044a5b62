//! `pods/NAME/log`: what the kubelet serves, and its refusals to the letter.
//!
//! Source: `pkg/kubelet/kubelet_pods.go` (`validateContainerLogStatus`) and `pkg/registry/core/pod/strategy.go`.

use std::convert::Infallible;

use axum::body::Body;
use axum::response::Response;
use bytes::{BufMut, Bytes, BytesMut};
use chrono::{DateTime, SecondsFormat, Utc};
use futures::stream;
use serde_json::Value;

use super::api::{Api, Call};
use super::json::{at, integer, items, text};
use super::query::Query;
use super::reply;
use super::resources::NODES;
use super::runtime::LogLine;
use super::status::Status;

const PLAIN: &str = "text/plain";

/// Serves a log, following it when asked.
pub fn serve(api: &Api, call: &Call<'_>) -> Result<Response, Status> {
    let target = call.target;
    let pod = call.store.get(target.resource, &target.namespace, &target.name);
    let pod = pod.ok_or_else(|| Status::not_found(target.resource, &target.name))?;
    let container = container_of(&pod, call.query.get("container"))?;
    if text(&pod, "spec.nodeName").is_empty() {
        return Ok(reply::with_type(200, PLAIN, ""));
    }
    check_node(call, &pod, &container)?;
    let previous = call.query.is_true("previous");
    let restart = run_of(&pod, &container, previous)?;
    let uid = text(&pod, "metadata.uid");
    let view = View::parse(call.query, api.clock.now())?;
    if call.query.is_true("follow") && !previous {
        let (lines, receiver) = api.runtime.follow(uid, &container, restart);
        let first = view.render(&lines);
        let timestamps = view.timestamps;
        let rest = stream::unfold(receiver, move |mut receiver| async move {
            let mut buffer = BytesMut::new();
            put_line(&mut buffer, &receiver.recv().await?, timestamps);
            while let Ok(line) = receiver.try_recv() {
                put_line(&mut buffer, &line, timestamps);
            }
            Some((Ok::<_, Infallible>(buffer.freeze()), receiver))
        });
        let all = futures::StreamExt::chain(stream::iter([Ok::<_, Infallible>(first)]), rest);
        return Ok(reply::with_type(200, PLAIN, Body::from_stream(all)));
    }
    let body = match api.runtime.read(uid, &container, restart) {
        Some(lines) => view.render(&lines),
        None => Bytes::new(),
    };
    Ok(reply::with_type(200, PLAIN, body))
}

/// Which lines, and how they are written.
struct View {
    since: Option<DateTime<Utc>>,
    tail: usize,
    limit: usize,
    timestamps: bool,
}

impl View {
    fn parse(query: &Query, now: DateTime<Utc>) -> Result<Self, Status> {
        let since_time = match query.get("sinceTime") {
            None => None,
            Some(given) => match DateTime::parse_from_rfc3339(given) {
                Ok(time) => Some(time.with_timezone(&Utc)),
                Err(error) => return Err(Status::bad_request(format!("parsing time {given:?}: {error}"))),
            },
        };
        let since_seconds = query.number("sinceSeconds").map(|seconds| now - chrono::Duration::seconds(seconds));
        let count = |name: &str| query.number(name).map_or(usize::MAX, |count| count.max(0) as usize);
        Ok(Self {
            since: since_time.or(since_seconds),
            tail: count("tailLines"),
            limit: count("limitBytes"),
            timestamps: query.is_true("timestamps"),
        })
    }

    fn render(&self, lines: &[LogLine]) -> Bytes {
        let recent: Vec<&LogLine> = lines.iter().filter(|line| self.since.is_none_or(|since| line.time >= since)).collect();
        let mut buffer = BytesMut::new();
        for line in recent.iter().skip(recent.len().saturating_sub(self.tail)) {
            put_line(&mut buffer, line, self.timestamps);
        }
        buffer.truncate(self.limit);
        buffer.freeze()
    }
}

fn put_line(buffer: &mut BytesMut, line: &LogLine, timestamps: bool) {
    if timestamps {
        buffer.put_slice(line.time.to_rfc3339_opts(SecondsFormat::Nanos, true).as_bytes());
        buffer.put_u8(b' ');
    }
    buffer.put_slice(line.text.as_bytes());
    buffer.put_u8(b'\n');
}

/// The container asked for, or the only one; 400 when there are several or none of that name.
pub fn container_of(pod: &Value, asked: Option<&str>) -> Result<String, Status> {
    let names = |list: &str| -> Vec<String> {
        items(pod, &format!("spec.{list}")).iter().map(|container| text(container, "name").to_owned()).collect()
    };
    let (containers, init, ephemeral) = (names("containers"), names("initContainers"), names("ephemeralContainers"));
    let pod_name = text(pod, "metadata.name");
    match (asked, containers.as_slice()) {
        (Some(asked), _) if containers.iter().chain(&init).chain(&ephemeral).any(|name| name == asked) => Ok(asked.to_owned()),
        (Some(asked), _) => Err(Status::bad_request(format!("container {asked} is not valid for pod {pod_name}"))),
        (None, [only]) => Ok(only.clone()),
        (None, _) => {
            let listed = containers.join(" ");
            let others =
                if init.is_empty() { String::new() } else { format!(" or one of the init containers: [{}]", init.join(" ")) };
            let message = format!("a container name must be specified for pod {pod_name}, choose one of: [{listed}]{others}");
            Err(Status::bad_request(message))
        }
    }
}

/// A node whose kubelet is gone answers nobody.
fn check_node(call: &Call<'_>, pod: &Value, container: &str) -> Result<(), Status> {
    let name = text(pod, "spec.nodeName");
    let Some(node) = call.store.get(&NODES, "", name) else { return Ok(()) };
    let lost = items(&node, "status.conditions")
        .iter()
        .any(|condition| text(condition, "type") == "Ready" && text(condition, "status") == "Unknown");
    if !lost {
        return Ok(());
    }
    let address = items(&node, "status.addresses")
        .iter()
        .find(|address| text(address, "type") == "InternalIP")
        .map_or(name, |address| text(address, "address"));
    let (namespace, pod_name) = (text(pod, "metadata.namespace"), text(pod, "metadata.name"));
    let message = format!(
        "Get \"https://{address}:10250/containerLogs/{namespace}/{pod_name}/{container}\": dial tcp {address}:10250: \
         connect: no route to host"
    );
    let mut status = Status::internal("");
    status.reason = "";
    status.message = message;
    status.details = Value::Null;
    Err(status)
}

/// The run to read: 0 for the first. In a back-off both the current and the previous log are those of the run that failed.
fn run_of(pod: &Value, container: &str, previous: bool) -> Result<u32, Status> {
    let name = text(pod, "metadata.name");
    let lists = ["containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses"];
    let statuses: Vec<Value> = lists.iter().flat_map(|list| items(pod, &format!("status.{list}"))).cloned().collect();
    let Some(status) = statuses.iter().find(|status| text(status, "name") == container) else {
        return Err(Status::bad_request(format!("container {container:?} in pod {name:?} is not available")));
    };
    let restarts = integer(status, "restartCount").unwrap_or(0).max(0) as u32;
    let waiting = at(status, "state.waiting");
    let ended_before = !text(status, "lastState.terminated.containerID").is_empty();
    if previous {
        if !ended_before {
            let message = format!("previous terminated container {container:?} in pod {name:?} not found");
            return Err(Status::bad_request(message));
        }
        return Ok(if waiting.is_some() { restarts } else { restarts.saturating_sub(1) });
    }
    if at(status, "state.running").is_some() || at(status, "state.terminated").is_some() || ended_before {
        return Ok(restarts);
    }
    let reason = match text(status, "state.waiting.reason") {
        "ErrImagePull" => "image can't be pulled",
        "ImagePullBackOff" => "trying and failing to pull image",
        other => other,
    };
    Err(Status::bad_request(format!("container {container:?} in pod {name:?} is waiting to start: {reason}")))
}
