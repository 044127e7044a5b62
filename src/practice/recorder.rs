//! Events as client-go's recorder writes them: counted, aggregated after ten similar ones, and silently dropped beyond the
//! spam limit. New-style events (scheduler) carry `eventTime` and an action instead of counts.
//!
//! Sources: client-go `tools/record/events_cache.go` (10 similar in 600 s, burst 25, one token per 300 s).

use super::clock::Clock;
use super::object;
use super::resources::EVENTS;
use super::store::{Operation, Store, Writer};
use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

const SIMILAR_BEFORE_COMBINING: usize = 10;
const SIMILAR_WINDOW_SECONDS: i64 = 600;
const SPAM_BURST: f64 = 25.0;
const SPAM_SECONDS_PER_TOKEN: f64 = 300.0;
const COMBINED: &str = "(combined from similar events): ";

/// Who reports: `source.component`, the host if it is a kubelet, and the manager in managedFields.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a> {
    /// `source.component` and `reportingComponent`.
    pub component: &'a str,
    /// `source.host`, empty for controllers.
    pub host: &'a str,
}

/// What is said about an object.
#[derive(Clone, Copy, Debug)]
pub struct Said<'a> {
    /// `Normal` or `Warning`.
    pub kind: &'a str,
    /// The machine-readable reason.
    pub reason: &'a str,
    /// The sentence for people.
    pub message: &'a str,
}

impl<'a> Said<'a> {
    /// A `Normal` event.
    pub fn normal(reason: &'a str, message: &'a str) -> Self {
        Self { kind: "Normal", reason, message }
    }

    /// A `Warning` event.
    pub fn warning(reason: &'a str, message: &'a str) -> Self {
        Self { kind: "Warning", reason, message }
    }
}

/// Records events into the store. Cheap to clone; all clones share the counts.
#[derive(Clone)]
pub struct Recorder {
    store: Store,
    clock: Clock,
    memory: Arc<Mutex<Memory>>,
    silent: bool,
}

#[derive(Default)]
struct Memory {
    /// Event name by full identity (source, object, type, reason, message).
    known: HashMap<String, String>,
    /// Distinct recent messages by identity without the message.
    similar: HashMap<String, (DateTime<Utc>, BTreeSet<String>)>,
    /// Spam tokens by source and object.
    tokens: HashMap<String, (DateTime<Utc>, f64)>,
    serial: u32,
}

impl Recorder {
    /// A recorder over a store.
    pub fn new(store: Store, clock: Clock) -> Self {
        Self { store, clock, memory: Arc::default(), silent: false }
    }

    /// A recorder that writes nothing: the events of history have expired.
    pub fn silent(store: Store) -> Self {
        let clock = store.clock().clone();
        Self { store, clock, memory: Arc::default(), silent: true }
    }

    /// Records an event about a whole object.
    pub fn record(&self, source: Source<'_>, about: &Value, said: Said<'_>) {
        self.record_field(source, about, "", said);
    }

    /// Records an event about a part of an object, such as `spec.containers{app}`.
    pub fn record_field(&self, source: Source<'_>, about: &Value, field: &str, said: Said<'_>) {
        if self.silent {
            return;
        }
        let now = self.clock.now();
        let spoken = format!("{}|{}|{}|{field}", source.component, source.host, object::uid(about));
        let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        let alike = format!("{spoken}|{}|{}", said.kind, said.reason);
        let (identity, message) = memory.aggregate(now, &alike, said.message);
        let allowed = memory.spend_token(now, &format!("{}|{}|{}", source.component, source.host, object::uid(about)));
        memory.serial += 1;
        let fresh = format!("{}.{:x}", object::name(about), event_serial(now, memory.serial));
        let known = memory.known.entry(identity).or_insert_with(|| fresh.clone()).clone();
        drop(memory);
        let namespace = event_namespace(about);
        let writer = Writer { manager: manager_of(source), operation: Operation::Update, subresource: None };
        if known != fresh {
            let again = self.store.modify(&EVENTS, namespace, &known, writer, |event| {
                let count = object::int(event, "/count").unwrap_or(1) + 1;
                object::put(event, &["count"], json!(count));
                object::put(event, &["lastTimestamp"], json!(object::stamp(now)));
                object::put(event, &["message"], json!(message));
            });
            if again.is_ok() || !allowed {
                return;
            }
        }
        if allowed {
            let event = old_style(source, about, field, &Said { message: &message, ..said }, &fresh, now);
            let _ = self.store.create(
                &EVENTS,
                event,
                Writer { manager: manager_of(source), operation: Operation::Update, subresource: None },
            );
        }
    }

    /// Records an event through `events.k8s.io`, as the scheduler and the node lifecycle's eviction do.
    pub fn record_new_style(&self, component: &str, about: &Value, action: &str, said: Said<'_>) {
        if self.silent {
            return;
        }
        let now = self.clock.now();
        let serial = {
            let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
            memory.serial += 1;
            memory.serial
        };
        let event = json!({
            "apiVersion": "v1", "kind": "Event", "action": action,
            "metadata": {"name": format!("{}.{:x}", object::name(about), event_serial(now, serial)), "namespace": event_namespace(about)},
            "eventTime": object::micro_stamp(now), "firstTimestamp": null, "lastTimestamp": null,
            "involvedObject": reference(about, ""), "message": said.message, "reason": said.reason,
            "reportingComponent": component, "reportingInstance": format!("{component}-practice"), "source": {}, "type": said.kind,
        });
        let manager = if component == "default-scheduler" { "kube-scheduler" } else { "kube-controller-manager" };
        let _ = self.store.create(&EVENTS, event, Writer { manager, operation: Operation::Update, subresource: None });
    }

    /// Forgets an object that is gone.
    pub fn forget(&self, uid: &str) {
        let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        memory.known.retain(|key, _| !key.contains(uid));
        memory.similar.retain(|key, _| !key.contains(uid));
        memory.tokens.retain(|key, _| !key.contains(uid));
    }
}

impl Memory {
    /// The identity to count under and the message to show: after ten distinct messages of one kind they share one event.
    fn aggregate(&mut self, now: DateTime<Utc>, alike: &str, message: &str) -> (String, String) {
        let (since, messages) = self.similar.entry(alike.to_owned()).or_insert_with(|| (now, BTreeSet::new()));
        if (now - *since).num_seconds() > SIMILAR_WINDOW_SECONDS {
            messages.clear();
        }
        *since = now;
        if messages.len() < SIMILAR_BEFORE_COMBINING {
            messages.insert(message.to_owned());
        }
        if messages.len() < SIMILAR_BEFORE_COMBINING {
            (format!("{alike}|{message}"), message.to_owned())
        } else {
            (alike.to_owned(), format!("{COMBINED}{message}"))
        }
    }

    fn spend_token(&mut self, now: DateTime<Utc>, key: &str) -> bool {
        let (last, tokens) = self.tokens.entry(key.to_owned()).or_insert((now, SPAM_BURST));
        let passed = (now - *last).num_milliseconds().max(0) as f64 / 1000.0;
        *tokens = (*tokens + passed / SPAM_SECONDS_PER_TOKEN).min(SPAM_BURST);
        *last = now;
        let allowed = *tokens >= 1.0;
        if allowed {
            *tokens -= 1.0;
        }
        allowed
    }
}

fn old_style(source: Source<'_>, about: &Value, field: &str, said: &Said<'_>, event_name: &str, now: DateTime<Utc>) -> Value {
    let stamp = object::stamp(now);
    let mut from = json!({"component": source.component});
    if !source.host.is_empty() {
        object::put(&mut from, &["host"], json!(source.host));
    }
    json!({
        "apiVersion": "v1", "kind": "Event",
        "metadata": {"name": event_name, "namespace": event_namespace(about)},
        "count": 1, "eventTime": null, "firstTimestamp": stamp, "lastTimestamp": stamp,
        "involvedObject": reference(about, field), "message": said.message, "reason": said.reason,
        "reportingComponent": source.component, "reportingInstance": source.host, "source": from, "type": said.kind,
    })
}

/// The object reference of an event.
fn reference(about: &Value, field: &str) -> Value {
    let mut reference = json!({
        "apiVersion": object::text(about, "/apiVersion"), "kind": object::text(about, "/kind"),
        "name": object::name(about), "uid": object::uid(about),
    });
    for (key, value) in [
        ("namespace", object::namespace(about)),
        ("resourceVersion", object::text(about, "/metadata/resourceVersion")),
        ("fieldPath", field),
    ] {
        if !value.is_empty() {
            object::put(&mut reference, &[key], json!(value));
        }
    }
    reference
}

/// Events of cluster-scoped objects live in `default`.
fn event_namespace(about: &Value) -> &str {
    match object::namespace(about) {
        "" => "default",
        namespace => namespace,
    }
}

fn manager_of(source: Source<'_>) -> &str {
    if source.component == "kubelet" { "kubelet" } else { "kube-controller-manager" }
}

/// Event names end in nanoseconds; the serial keeps two of one instant apart.
fn event_serial(now: DateTime<Utc>, serial: u32) -> u64 {
    (now.timestamp_nanos_opt().unwrap_or_default() as u64 & !0xf_ffff) | u64::from(serial & 0xf_ffff)
}
