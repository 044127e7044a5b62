//! What a container needs from the node and the pod around it for one step.

use super::super::object;
use super::super::recorder::{Recorder, Said, Source};
use super::super::runtime::Runtime;
use super::super::store::Store;
use chrono::{DateTime, Utc};
use serde_json::Value;
use std::collections::HashSet;
use std::net::Ipv4Addr;

/// See the module.
pub struct Host<'a> {
    /// The objects.
    pub store: &'a Store,
    /// Logs and use.
    pub runtime: &'a Runtime,
    /// Events.
    pub recorder: &'a Recorder,
    /// The images present on the node, by full name.
    pub images: &'a mut HashSet<String>,
    /// The pod as it is now.
    pub pod: &'a Value,
    /// The node's name.
    pub node: &'a str,
    /// The pod's address.
    pub ip: Option<Ipv4Addr>,
    /// The time of this step.
    pub now: DateTime<Utc>,
    /// Whether a Service selects the pod.
    pub in_service: bool,
    /// Whether the pod is being stopped.
    pub stopping: bool,
    /// Whether the step changed anything the status shows.
    pub changed: bool,
    /// Whether events are to be recorded; not while resuming what happened long ago.
    pub quiet: bool,
}

impl Host<'_> {
    /// A `Normal` event about a container (or the pod, with an empty field).
    pub fn say(&self, field: &str, reason: &str, message: &str) {
        self.record(field, Said::normal(reason, message));
    }

    /// A `Warning` event.
    pub fn warn(&self, field: &str, reason: &str, message: &str) {
        self.record(field, Said::warning(reason, message));
    }

    fn record(&self, field: &str, said: Said<'_>) {
        if !self.quiet {
            self.recorder.record_field(Source { component: "kubelet", host: self.node }, self.pod, field, said);
        }
    }

    /// The pod's address as text.
    pub fn address(&self) -> String {
        self.ip.map(|ip| ip.to_string()).unwrap_or_default()
    }

    /// The address the kubelet probes from: the first of the pod's range.
    pub fn gateway(&self) -> String {
        self.ip
            .map(|ip| {
                let [first, second, third, _] = ip.octets();
                format!("{first}.{second}.{third}.1")
            })
            .unwrap_or_default()
    }

    /// `name_namespace(uid)`, as the kubelet names pods in its messages.
    pub fn pod_full_name(&self) -> String {
        format!("{}_{}({})", object::name(self.pod), object::namespace(self.pod), object::uid(self.pod))
    }
}
