//! The kubelet model: every node's pods, stepped when something is due.
//!
//! One control loop serves all nodes; a pod on a dead node is simply not served, which is what its API objects would show.
//! Where to add: a program in `behaviours`, a failure of starting in `container/begin.rs`, a probe in `probe.rs`.

mod admission;
pub mod container;
pub mod environment;
pub mod host;
pub mod image;
pub mod network;
pub mod node;
mod pressure;
pub mod probe;
pub mod process;
pub mod services;
pub mod status;
mod volumes;
pub mod worker;

use super::clock::Clock;
use super::controllers::{Change, Controller, Key};
use super::object;
use super::recorder::{Recorder, Said, Source};
use super::resources::{NODES, PODS, ResourceType, SERVICES};
use super::runtime::Runtime;
use super::store::{Store, Writer};
use chrono::{DateTime, Utc};
use container::Measured;
use host::Host;
use network::Addresses;
use node::DeadNodes;
use serde_json::{Value, json};
use std::collections::{HashMap, HashSet};
use std::time::Duration;
use worker::Worker;

/// How often use is measured, as metrics-server does.
const MEASURE: Duration = Duration::from_secs(15);
/// The key of the measuring round; no pod can have an empty name.
const ROUND: (&str, &str) = ("", "");

/// See the module.
pub struct Kubelets {
    store: Store,
    runtime: Runtime,
    recorder: Recorder,
    clock: Clock,
    dead: DeadNodes,
    seed: u64,
    addresses: Addresses,
    images: HashMap<String, HashSet<String>>,
    workers: HashMap<Key, Worker>,
    /// The pods' node and uid, to clean up when they are gone.
    measured: bool,
}

impl Kubelets {
    /// The kubelets of all nodes.
    pub fn new(store: Store, runtime: Runtime, recorder: Recorder, dead: DeadNodes, seed: u64) -> Self {
        let clock = store.clock().clone();
        Self {
            store,
            runtime,
            recorder,
            clock,
            dead,
            seed,
            addresses: Addresses::default(),
            images: HashMap::new(),
            workers: HashMap::new(),
            measured: false,
        }
    }

    /// Takes up, before any controller looks, the pods that scenarios place as running for long: those with a start time.
    pub fn resume_all(&mut self) {
        self.learn_nodes();
        for pod in self.store.list(&PODS, None) {
            if let Some(since) = object::time(&pod, "/status/startTime") {
                self.resume(&pod, since);
            }
        }
    }

    fn resume(&mut self, pod: &Value, since: DateTime<Utc>) {
        let key = (object::namespace(pod).to_owned(), object::name(pod).to_owned());
        let node = object::text(pod, "/spec/nodeName").to_owned();
        let Ok(ip) = self.addresses.allocate(&node, object::uid(pod)) else { return };
        let mut worker = Worker::new(pod, &self.host_ip(&node), since, self.seed);
        let images = self.images.entry(node.clone()).or_default();
        let in_service = services::has_service(&self.store, pod);
        let mut host = Host {
            store: &self.store,
            runtime: &self.runtime,
            recorder: &self.recorder,
            images,
            pod,
            node: &node,
            ip: Some(ip),
            now: self.clock.now(),
            in_service,
            stopping: false,
            changed: true,
            quiet: true,
        };
        worker.resume(&mut host, since);
        let settled = since + chrono::Duration::seconds(6);
        worker.write(&self.store.dated(settled), pod, Some(ip.to_string()), settled);
        self.workers.insert(key, worker);
    }

    fn learn_nodes(&mut self) {
        for node in self.store.list(&NODES, None) {
            self.addresses.learn(object::name(&node), object::text(&node, "/spec/podCIDR"));
            let present = self.images.entry(object::name(&node).to_owned()).or_default();
            let names = object::items(&node, "/status/images").iter().flat_map(|image| object::items(image, "/names"));
            present.extend(names.filter_map(Value::as_str).map(str::to_owned));
        }
    }

    fn host_ip(&self, node: &str) -> String {
        let node = self.store.get(&NODES, "", node);
        let addresses = node.as_ref().map_or(&[][..], |node| object::items(node, "/status/addresses"));
        let internal = addresses.iter().find(|address| object::text(address, "/type") == "InternalIP");
        internal.map(|address| object::text(address, "/address").to_owned()).unwrap_or_default()
    }

    /// Drops what is known of a pod that is gone, or that another pod of the same name replaced.
    fn drop_worker(&mut self, key: &Key) {
        if let Some(worker) = self.workers.remove(key) {
            self.addresses.release(&worker.node, &worker.uid);
            self.runtime.forget(&worker.uid);
            self.recorder.forget(&worker.uid);
        }
    }

    fn measure(&mut self) {
        let now = self.clock.now();
        let mut uses = Vec::new();
        let sharers = self.sharers();
        for (key, worker) in &mut self.workers {
            if self.dead.contains(&worker.node) {
                for container in &worker.main {
                    self.runtime.clear_usage(&worker.uid, &container.name);
                }
                continue;
            }
            if !worker.is_running() {
                continue;
            }
            let Some(pod) = self.store.get(&PODS, &key.0, &key.1) else { continue };
            let in_service = services::has_service(&self.store, &pod);
            let sharers = sharers.get(object::controller_uid(&pod)).copied().unwrap_or(1);
            let mut containers = Vec::new();
            for container in &mut worker.main {
                if let Some(measured) = container.usage(now, in_service, sharers) {
                    note_use(&self.runtime, &worker.uid, &container.name, &measured, now);
                    containers.push((container.name.clone(), measured));
                }
            }
            uses.push(pressure::Use { key: key.clone(), node: worker.node.clone(), containers });
        }
        for eviction in pressure::round(&self.store, &self.recorder, &uses, now) {
            self.evict(&eviction);
        }
    }

    /// How many pods run, by the uid of their controller: those of one owner share its queue.
    fn sharers(&self) -> HashMap<String, usize> {
        let mut sharers = HashMap::new();
        for (key, worker) in &self.workers {
            let running = worker.is_running() && !self.dead.contains(&worker.node);
            if let Some(pod) = self.store.get(&PODS, &key.0, &key.1).filter(|_| running) {
                *sharers.entry(object::controller_uid(&pod).to_owned()).or_default() += 1;
            }
        }
        sharers
    }

    /// Evicts a pod that uses too much, or whose node has too little.
    fn evict(&mut self, eviction: &pressure::Eviction) {
        self.stop_for_good(&eviction.key, "Evicted", &eviction.message);
    }

    /// Stops a pod for good: it stays as a failed object that says why.
    fn stop_for_good(&mut self, key: &Key, reason: &str, message: &str) {
        let now = self.clock.now();
        let Some(pod) = self.store.get(&PODS, &key.0, &key.1).filter(|pod| object::is_active_pod(pod)) else { return };
        let Some(worker) = self.workers.get_mut(key) else { return };
        let source = Source { component: "kubelet", host: &worker.node };
        self.recorder.record(source, &pod, Said::warning(reason, message));
        worker.end(&self.runtime, now);
        worker.write(&self.store, &pod, None, now);
        self.addresses.release(&worker.node, &worker.uid);
        let _ = self.store.modify(&PODS, &key.0, &key.1, Writer::status(worker::MANAGER), |pod| {
            object::put(pod, &["status", "reason"], json!(reason));
            object::put(pod, &["status", "message"], json!(message));
            let mut conditions = object::items(pod, "/status/conditions").to_vec();
            conditions.push(json!({
                "type": "DisruptionTarget", "status": "True", "reason": "TerminationByKubelet", "message": message,
                "lastProbeTime": null, "lastTransitionTime": object::stamp(now),
            }));
            object::put(pod, &["status", "conditions"], json!(conditions));
        });
    }

    fn sync(&mut self, key: &Key, pod: &Value) -> Option<DateTime<Utc>> {
        let now = self.clock.now();
        let node = object::text(pod, "/spec/nodeName").to_owned();
        let host_ip = self.host_ip(&node);
        let seed = self.seed;
        let worker = self.workers.entry(key.clone()).or_insert_with(|| Worker::new(pod, &host_ip, now, seed));
        let ip = object::text(pod, "/status/podIP").parse().ok();
        let mut host = Host {
            store: &self.store,
            runtime: &self.runtime,
            recorder: &self.recorder,
            images: self.images.entry(node.clone()).or_default(),
            pod,
            node: &node,
            ip,
            now,
            in_service: services::has_service(&self.store, pod),
            stopping: false,
            changed: false,
            quiet: false,
        };
        worker.sync(&mut host, &mut self.addresses)
    }
}

/// Hands what a container uses to the metrics. One that has been running for long has the counters of its whole life.
fn note_use(runtime: &Runtime, uid: &str, container: &str, measured: &Measured, now: DateTime<Utc>) {
    let known = runtime.usage(uid).iter().any(|usage| usage.container == container);
    runtime.set_usage(uid, container, measured.cpu, measured.memory, now);
    if let Some(share) = measured.throttled {
        let seconds = if known { MEASURE.as_secs_f64() } else { measured.elapsed.as_secs_f64() };
        // A period is a tenth of a second; an idle process does not run in each.
        let periods = seconds * 10.0 * (measured.cpu * 10.0).min(1.0);
        runtime.count_periods(uid, container, (periods, periods * share));
    }
}

impl Controller for Kubelets {
    fn watches(&self) -> Vec<&'static ResourceType> {
        vec![&PODS, &NODES, &SERVICES]
    }

    fn keys(&mut self, change: &Change) -> Vec<Key> {
        let key = (object::namespace(&change.object).to_owned(), object::name(&change.object).to_owned());
        match change.resource.kind {
            "Node" => {
                self.learn_nodes();
                let here: Vec<Key> =
                    self.workers.iter().filter(|(_, worker)| worker.node == key.1).map(|(key, _)| key.clone()).collect();
                if std::mem::replace(&mut self.measured, true) { here } else { vec![(ROUND.0.to_owned(), ROUND.1.to_owned())] }
            }
            "Pod" => {
                if change.is_deleted() && self.workers.get(&key).is_some_and(|worker| worker.uid == object::uid(&change.object)) {
                    self.drop_worker(&key);
                }
                vec![key]
            }
            // A new Service starts traffic to pods that ran without.
            _ if change.is_added() => {
                let namespace = key.0;
                self.workers.keys().filter(|key| key.0 == namespace).cloned().collect()
            }
            _ => Vec::new(),
        }
    }

    fn reconcile(&mut self, key: &Key) -> Option<Duration> {
        if (key.0.as_str(), key.1.as_str()) == ROUND {
            self.measure();
            return Some(MEASURE);
        }
        let pod = self.store.get(&PODS, &key.0, &key.1)?;
        if self.workers.get(key).is_some_and(|worker| worker.uid != object::uid(&pod)) {
            self.drop_worker(key);
        }
        let node = object::text(&pod, "/spec/nodeName");
        if node.is_empty() || self.dead.contains(node) || self.is_over(key, &pod) {
            return None;
        }
        if !self.workers.contains_key(key) && !self.admits(&pod) {
            return None;
        }
        let due = self.sync(key, &pod)?;
        Some((due - self.clock.now()).to_std().unwrap_or_default())
    }
}

impl Kubelets {
    /// A finished pod needs nothing more unless it is being deleted.
    fn is_over(&self, key: &Key, pod: &Value) -> bool {
        object::is_finished_pod(pod) && !object::is_deleting(pod) && !self.workers.get(key).is_some_and(Worker::is_running)
    }
}
