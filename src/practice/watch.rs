//! Watches: resume, bookmarks, selectors, streaming lists.
//!
//! A watch holds no lock while it writes: the store hands it shared changes through a channel, and events are the shared bytes
//! of the object between a fixed head and tail. Several waiting events leave in one chunk.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use bytes::{BufMut, Bytes, BytesMut};
use futures::stream;
use serde_json::{Value, json};
use tokio::sync::{mpsc::UnboundedReceiver, watch};
use tokio::time::{Instant, sleep_until};

use super::clock::Clock;
use super::faults::Faults;
use super::json::text;
use super::list::namespace_of;
use super::query::Query;
use super::reply::{self, Shape};
use super::request::{Format, Target};
use super::selectors::Selector;
use super::status::Status;
use super::store::{Change, ChangeKind, Store, Subscription};
use super::{table, views};
use crate::protobuf;

/// How often a watch that allows bookmarks gets one, in real time.
const BOOKMARK_EVERY: Duration = Duration::from_secs(15);
/// When the server ends a watch that set no timeout itself.
const DEFAULT_TIMEOUT_SECONDS: u64 = 2_400;
/// The most events one chunk carries.
const EVENTS_PER_CHUNK: usize = 256;

struct Watch {
    store: Store,
    filter: Filter,
    receiver: UnboundedReceiver<Arc<Change>>,
    pending: VecDeque<Bytes>,
    dropped: watch::Receiver<u64>,
    bookmarks: bool,
    next_bookmark: Instant,
    ends: Instant,
    over: bool,
}

struct Filter {
    target: Target,
    selector: Selector,
    shape: Shape,
    /// Ages in table rows are measured from when the row is made, not from when the watch began.
    clock: Clock,
    header_sent: bool,
}

/// Serves a watch.
pub fn watch(store: &Store, faults: &Faults, target: Target, query: &Query, shape: Shape) -> Result<Response, Status> {
    let selector = Selector::parse(target.served, query)?.named(&target.name);
    let streaming_list = query.is_true("sendInitialEvents");
    if streaming_list && query.get("resourceVersionMatch") != Some("NotOlderThan") {
        let message = "ListOptions.meta.k8s.io \"\" is invalid: resourceVersionMatch: Required value: resourceVersionMatch must \
                       be set to NotOlderThan when sendInitialEvents is set";
        let mut status = Status::bad_request(message);
        (status.code, status.reason) = (422, "Invalid");
        return Err(status);
    }
    let mut filter = Filter { target, selector, shape, clock: store.clock().clone(), header_sent: false };
    let version = match query.get("resourceVersion") {
        None | Some("0") => None,
        Some(text) => match text.parse::<u64>() {
            Ok(version) => Some(version),
            Err(_) => return Err(Status::bad_request(format!("Invalid resource version: {text}"))),
        },
    };
    let mut pending = VecDeque::new();
    let receiver = match version {
        Some(version) if !streaming_list => {
            let resumed = match store.subscribe_since(filter.target.resource, version) {
                Ok(resumed) => resumed,
                // A watch answers 200 and says what is wrong in its first event, as the real server does.
                Err(gone) => return Ok(filter.gone(&gone)),
            };
            pending.extend(resumed.backlog.iter().filter_map(|change| filter.event(change)));
            resumed.receiver
        }
        _ => {
            let (stored, subscription) = store.list_and_subscribe(filter.target.resource);
            let Subscription { receiver, version, .. } = subscription;
            for stored in &stored {
                pending.extend(filter.initial_event(stored));
            }
            if streaming_list {
                pending.push_back(filter.bookmark(version, true));
            }
            receiver
        }
    };
    let seconds = query.number("timeoutSeconds").map_or(DEFAULT_TIMEOUT_SECONDS, |seconds| seconds.max(1) as u64);
    let watch = Watch {
        store: store.clone(),
        filter,
        receiver,
        pending,
        dropped: faults.watch_generation(),
        bookmarks: query.is_true("allowWatchBookmarks"),
        next_bookmark: Instant::now() + BOOKMARK_EVERY,
        ends: Instant::now() + Duration::from_secs(seconds),
        over: false,
    };
    let content_type = watch.filter.content_type();
    let events = stream::unfold(watch, |mut watch| async move {
        let chunk = watch.next_chunk().await?;
        Some((Ok::<_, Infallible>(chunk), watch))
    });
    Ok(reply::with_type(200, content_type, Body::from_stream(events)))
}

impl Watch {
    /// Waits for events and returns as many as are there, up to a chunk; none when the watch is over.
    async fn next_chunk(&mut self) -> Option<Bytes> {
        while self.pending.is_empty() {
            if self.over {
                return None;
            }
            let bookmark_at = if self.bookmarks { self.next_bookmark } else { self.ends };
            tokio::select! {
                biased;
                _ = self.dropped.changed() => return None,
                change = self.receiver.recv() => match change {
                    Some(change) => self.pending.extend(self.filter.event(&change)),
                    None => self.over = true,
                },
                () = sleep_until(self.ends) => {
                    self.over = true;
                    self.queue_bookmark();
                }
                () = sleep_until(bookmark_at) => self.queue_bookmark(),
            }
            self.drain();
        }
        let mut buffer = BytesMut::new();
        for event in self.pending.drain(..self.pending.len().min(EVENTS_PER_CHUNK)) {
            buffer.put_slice(&event);
        }
        Some(buffer.freeze())
    }

    fn drain(&mut self) {
        while self.pending.len() < EVENTS_PER_CHUNK
            && let Ok(change) = self.receiver.try_recv()
        {
            self.pending.extend(self.filter.event(&change));
        }
    }

    /// The version is read first and the channel emptied after: every change up to that version is then out.
    fn queue_bookmark(&mut self) {
        self.next_bookmark = Instant::now() + BOOKMARK_EVERY;
        if !self.bookmarks {
            return;
        }
        let version = self.store.version();
        while let Ok(change) = self.receiver.try_recv() {
            self.pending.extend(self.filter.event(&change));
        }
        self.pending.push_back(self.filter.bookmark(version, false));
    }
}

impl Filter {
    fn wants(&self, object: &Value) -> bool {
        namespace_of(&self.target).is_none_or(|namespace| namespace == text(object, "metadata.namespace"))
            && (self.selector.is_everything() || self.selector.matches(self.target.resource, object))
    }

    /// The event of a change: objects that begin or cease to match a selector come and go.
    fn event(&mut self, change: &Change) -> Option<Bytes> {
        if change.is_load() && !self.takes_all() {
            return self.event_of(change, &change.whole());
        }
        self.event_of(change, &change.object)
    }

    /// Everything of the kind, or of a namespace, as whole objects: all that must be known of one is its key.
    fn takes_all(&self) -> bool {
        self.selector.is_everything() && self.shape.format == Format::Object
    }

    fn event_of(&mut self, change: &Change, object: &Value) -> Option<Bytes> {
        let now = self.wants(object);
        let before = match (&change.previous, change.kind) {
            (_, ChangeKind::Added) => false,
            (Some(previous), _) => self.wants(previous),
            (None, _) => now,
        };
        let kind = match (before, now && change.kind != ChangeKind::Deleted) {
            (false, true) => "ADDED",
            (true, true) => "MODIFIED",
            (true, false) => "DELETED",
            (false, false) => return None,
        };
        if let Some(message) = self.shape.message {
            return Some(self.frame(kind, self.shape.message_of(message, change.stored()).as_ref()));
        }
        Some(self.line(kind, object, || change.bytes()))
    }

    fn initial_event(&mut self, stored: &super::store::Stored) -> Option<Bytes> {
        if namespace_of(&self.target).is_none() && self.selector.is_everything() && self.sends_stored_bytes() {
            return Some(match self.shape.message {
                Some(message) => self.frame("ADDED", stored.message(message)),
                None => event_line("ADDED", &stored.bytes()),
            });
        }
        let object = stored.object();
        if !self.wants(&object) {
            return None;
        }
        if let Some(message) = self.shape.message {
            return Some(self.frame("ADDED", self.shape.message_of(message, stored).as_ref()));
        }
        Some(self.line("ADDED", &object, || stored.bytes()))
    }

    /// An event in protobuf.
    fn frame(&self, kind: &str, message: &[u8]) -> Bytes {
        let (api_version, of) = self.shape.kind();
        Bytes::from(protobuf::event_frame(kind, &protobuf::envelope(&api_version, of, message)))
    }

    fn content_type(&self) -> &'static str {
        if self.shape.message.is_some() { "application/vnd.kubernetes.protobuf;stream=watch" } else { "application/json" }
    }

    /// The answer to a watch from a version that history has no more.
    fn gone(&self, status: &Status) -> Response {
        let event = match self.shape.message.and_then(|_| reply::status_message(status)) {
            Some(body) => Bytes::from(protobuf::event_frame("ERROR", &body)),
            None => event_line("ERROR", status.to_value().to_string().as_bytes()),
        };
        reply::with_type(200, self.content_type(), event)
    }

    fn sends_stored_bytes(&self) -> bool {
        self.shape.format == Format::Object && self.shape.served.stored_as.is_none()
    }

    fn line(&mut self, kind: &str, object: &Value, bytes: impl FnOnce() -> Bytes) -> Bytes {
        match self.shape.format {
            Format::Object | Format::Discovery if self.shape.served.stored_as.is_some() => {
                event_line(kind, views::to_served(self.shape.served, object).to_string().as_bytes())
            }
            Format::Object | Format::Discovery => event_line(kind, &bytes()),
            Format::Metadata => event_line(kind, reply::metadata_only(object).to_string().as_bytes()),
            Format::Table => {
                let shape = Shape { now: self.clock.now(), ..self.shape };
                let table = table::of_objects(self.target.resource, &[object], shape, !self.header_sent);
                self.header_sent = true;
                event_line(kind, table.to_string().as_bytes())
            }
        }
    }

    fn bookmark(&self, version: u64, initial_end: bool) -> Bytes {
        let resource = self.shape.served;
        let mut metadata = json!({"resourceVersion": version.to_string(), "creationTimestamp": null});
        if initial_end {
            super::json::object_mut(&mut metadata, "annotations").insert("k8s.io/initial-events-end".to_owned(), json!("true"));
        }
        if let Some(message) = self.shape.message {
            return self.frame("BOOKMARK", &protobuf::write(message, &json!({"metadata": metadata})));
        }
        let object = match self.shape.format {
            Format::Table => json!({"kind": "Table", "apiVersion": "meta.k8s.io/v1", "columnDefinitions": [],
                "metadata": {"resourceVersion": version.to_string()}, "rows": [{"cells": [],
                "object": {"kind": resource.kind, "apiVersion": resource.api_version(), "metadata": metadata}}]}),
            Format::Metadata => {
                json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": metadata})
            }
            _ => json!({"kind": resource.kind, "apiVersion": resource.api_version(), "metadata": metadata}),
        };
        event_line("BOOKMARK", object.to_string().as_bytes())
    }
}

fn event_line(kind: &str, object: &[u8]) -> Bytes {
    let mut line = BytesMut::with_capacity(object.len() + 40);
    line.put_slice(b"{\"type\":\"");
    line.put_slice(kind.as_bytes());
    line.put_slice(b"\",\"object\":");
    line.put_slice(object);
    line.put_slice(b"}\n");
    line.freeze()
}
