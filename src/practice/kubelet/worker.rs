//! One pod on a live node: sandbox, init containers, containers, and the way out.
//!
//! Invariant: the status is written only when something it shows has changed; a waiting pod costs nothing.

use super::super::object;
use super::super::random::Random;
use super::super::resources::{NODES, PODS};
use super::super::runtime::Runtime;
use super::super::store::{Store, Writer};
use super::container::{Container, State};
use super::host::Host;
use super::network::Addresses;
use super::status::{self, Facts};
use super::volumes;
use chrono::{DateTime, Utc};
use serde_json::Value;
use std::time::Duration;

/// The manager in managedFields.
pub const MANAGER: &str = "kubelet";

/// The annotation of a node by which scenarios break its network plugin: the plugin's error.
const CNI_ERROR: &str = "practice.k3am.dev/cni-error";

/// See the module.
pub struct Worker {
    /// The node it runs on.
    pub node: String,
    /// The pod's uid.
    pub uid: String,
    /// Init containers in order.
    pub init: Vec<Container>,
    /// The containers.
    pub main: Vec<Container>,
    /// Those `kubectl debug` put beside them.
    ephemeral: Vec<Container>,
    seed: u64,
    host_ip: String,
    start: DateTime<Utc>,
    sandbox: Sandbox,
    stage: Stage,
    generation: Value,
    mount_wait: Duration,
    random: Random,
}

enum Sandbox {
    Pending { retry: DateTime<Utc> },
    Ready,
}

enum Stage {
    Alive,
    Stopping {
        grace: i64,
    },
    /// Everything has stopped; the API object goes at that time.
    Gone {
        phase: &'static str,
        at: DateTime<Utc>,
    },
}

impl Worker {
    /// A worker for a pod just assigned to a node.
    pub fn new(pod: &Value, host_ip: &str, now: DateTime<Utc>, seed: u64) -> Self {
        let uid = object::uid(pod).to_owned();
        let mut random = Random::of(seed, &format!("{}/{}", object::namespace(pod), object::name(pod)));
        let build = |list: &str, init: bool| -> Vec<Container> {
            let named = |spec: &Value| Random::of(seed, &format!("{uid}/{}", object::text(spec, "/name")));
            object::containers(pod, list).iter().map(|spec| Container::new(pod, spec, init, named(spec))).collect()
        };
        let (init, main) = (build("initContainers", true), build("containers", false));
        Self {
            node: object::text(pod, "/spec/nodeName").to_owned(),
            init,
            main,
            ephemeral: Vec::new(),
            seed,
            host_ip: host_ip.to_owned(),
            start: now,
            sandbox: Sandbox::Pending { retry: now + random.seconds(0.5, 1.4) },
            stage: Stage::Alive,
            generation: Value::Null,
            mount_wait: Duration::from_millis(500),
            random,
            uid,
        }
    }

    /// Takes up a pod that has been running since `since`.
    pub fn resume(&mut self, host: &mut Host<'_>, since: DateTime<Utc>) {
        self.start = since;
        self.sandbox = Sandbox::Ready;
        for container in self.init.iter_mut().chain(&mut self.main) {
            let reported = object::items(host.pod, "/status/containerStatuses")
                .iter()
                .find(|status| object::text(status, "/name") == container.name);
            container.restarts = reported.and_then(|status| object::int(status, "/restartCount")).unwrap_or(0).max(0) as u32;
            container.resume(host, since + chrono::Duration::seconds(2));
        }
    }

    /// Does what is due and writes the status if it changed; answers when something is due next.
    pub fn sync(&mut self, host: &mut Host<'_>, addresses: &mut Addresses) -> Option<DateTime<Utc>> {
        host.stopping = !matches!(self.stage, Stage::Alive);
        let due = match &self.stage {
            Stage::Gone { at, .. } if *at <= host.now => {
                addresses.release(&self.node, &self.uid);
                let _ = host.store.delete(&PODS, object::namespace(host.pod), object::name(host.pod), Some(0));
                return None;
            }
            Stage::Gone { at, .. } if *at == DateTime::<Utc>::MAX_UTC => {
                self.stage = Stage::Gone { phase: "Failed", at: host.now };
                Some(host.now)
            }
            Stage::Gone { at, .. } => Some(*at),
            _ if object::is_deleting(host.pod) => self.sync_stopping(host),
            _ => self.sync_alive(host, addresses),
        };
        let generation = object::at(host.pod, "/metadata/generation").clone();
        // The node controller marks pods of a silent node not ready; a kubelet that is back corrects that.
        let gated = object::gates(host.pod).any(|(_, status)| status != Some("True"));
        let ready = !gated && self.main.iter().all(|container| container.ready);
        let overwritten = ready != object::condition_is_true(host.pod, "Ready");
        if host.changed || overwritten || generation != self.generation {
            self.generation = generation;
            self.write(host.store, host.pod, host.ip.map(|ip| ip.to_string()), host.now);
        }
        due
    }

    fn sync_alive(&mut self, host: &mut Host<'_>, addresses: &mut Addresses) -> Option<DateTime<Utc>> {
        if let Sandbox::Pending { retry } = self.sandbox {
            if retry > host.now {
                return Some(retry);
            }
            if let Some(retry) = self.make_sandbox(host, addresses) {
                self.sandbox = Sandbox::Pending { retry };
                return Some(retry);
            }
            host.changed = true;
            self.sandbox = Sandbox::Ready;
        }
        let mut due = None;
        for container in &mut self.init {
            due = earlier(due, container.step(host));
            let passed = container.done().is_some_and(|exit| exit.code == 0) || (container.is_sidecar() && container.started);
            if !passed {
                return due;
            }
            container.ready = true;
        }
        for container in &mut self.main {
            due = earlier(due, container.step(host));
        }
        due = earlier(due, self.step_ephemeral(host));
        if self.main.iter().all(|container| container.done().is_some()) {
            // A finished pod gives its address back; its status keeps showing it.
            addresses.release(&self.node, &self.uid);
        }
        due
    }

    /// Takes up the ephemeral containers that have come, and does what is due in them.
    fn step_ephemeral(&mut self, host: &mut Host<'_>) -> Option<DateTime<Utc>> {
        for spec in object::containers(host.pod, "ephemeralContainers") {
            let name = object::text(spec, "/name");
            if !self.ephemeral.iter().any(|container| container.name == name) {
                let random = Random::of(self.seed, &format!("{}/{name}", self.uid));
                self.ephemeral.push(Container::ephemeral(host.pod, spec, random));
                host.changed = true;
            }
        }
        let mut due = None;
        for container in &mut self.ephemeral {
            due = earlier(due, container.step(host));
            // They have no part in what makes a pod ready.
            container.ready = false;
        }
        due
    }

    /// Mounts volumes and gets an address; `Some(retry)` when that failed.
    fn make_sandbox(&mut self, host: &mut Host<'_>, addresses: &mut Addresses) -> Option<DateTime<Utc>> {
        if volumes::complain(host) {
            self.mount_wait = (self.mount_wait * 2).min(Duration::from_secs(122));
            return Some(host.now + self.mount_wait);
        }
        let node = host.store.get(&NODES, "", &self.node);
        // On the node's own network no plugin is asked.
        if object::at(host.pod, "/spec/hostNetwork") == &Value::Bool(true)
            && let Ok(own) = self.host_ip.parse()
        {
            host.ip = Some(own);
            return None;
        }
        let broken = node.as_ref().map_or("", |node| object::annotation(node, CNI_ERROR));
        if !broken.is_empty() {
            let message = format!(
                "Failed to create pod sandbox: rpc error: code = Unknown desc = failed to setup network for sandbox \"{}\": {broken}",
                self.random.hex(64)
            );
            host.warn("", "FailedCreatePodSandBox", &message);
            return Some(host.now + self.random.seconds(11.0, 16.0));
        }
        match addresses.allocate(&self.node, &self.uid) {
            Ok(ip) => {
                host.ip = Some(ip);
                None
            }
            Err(exhausted) => {
                let message = format!(
                    "Failed to create pod sandbox: rpc error: code = Unknown desc = failed to setup network for sandbox \"{}\": plugin type=\"bridge\" failed (add): failed to allocate for range 0: no IP addresses available in range set: {}",
                    self.random.hex(64),
                    exhausted.0
                );
                host.warn("", "FailedCreatePodSandBox", &message);
                Some(host.now + self.random.seconds(11.0, 16.0))
            }
        }
    }

    fn sync_stopping(&mut self, host: &mut Host<'_>) -> Option<DateTime<Utc>> {
        let grace = object::int(host.pod, "/metadata/deletionGracePeriodSeconds").unwrap_or(30).max(0);
        let begun = match self.stage {
            Stage::Stopping { grace: before } => before <= grace,
            _ => false,
        };
        host.stopping = true;
        if !begun {
            let first = matches!(self.stage, Stage::Alive);
            self.stage = Stage::Stopping { grace };
            for container in self.init.iter_mut().chain(&mut self.main).chain(&mut self.ephemeral) {
                if container.is_running() && first {
                    host.say(&container.field(), "Killing", &format!("Stopping container {}", container.name));
                }
                container.stop(host, Duration::from_secs(grace.max(1) as u64));
            }
        }
        let mut due = None;
        let all = self.init.iter_mut().chain(&mut self.main).chain(&mut self.ephemeral);
        for container in all.filter(|container| container.is_running()) {
            due = earlier(due, container.step(host));
        }
        if self.init.iter().chain(&self.main).chain(&self.ephemeral).any(Container::is_running) {
            return due;
        }
        let failed = self.main.iter().any(|container| container.done().is_none_or(|exit| exit.code != 0));
        let at = host.now + self.random.seconds(0.6, 1.3);
        self.stage = Stage::Gone { phase: if failed { "Failed" } else { "Succeeded" }, at };
        for container in &mut self.main {
            container.ready = false;
        }
        host.changed = true;
        Some(at)
    }

    /// Writes the status with a store handle (which decides the date of the write).
    pub fn write(&mut self, store: &Store, pod: &Value, pod_ip: Option<String>, now: DateTime<Utc>) {
        let ended = match self.stage {
            Stage::Gone { phase, .. } => Some(phase),
            _ => None,
        };
        let sandbox = matches!(self.sandbox, Sandbox::Ready);
        let facts = Facts { pod, host_ip: &self.host_ip, pod_ip, start: self.start, sandbox, now, ended };
        let mut composed = status::compose(&facts, &mut self.init, &mut self.main);
        status::put_ephemeral(&mut composed, &mut self.ephemeral, pod);
        let (namespace, name) = (object::namespace(pod), object::name(pod));
        let _ = store.modify(&PODS, namespace, name, Writer::status(MANAGER), |pod| {
            if object::uid(pod) == self.uid {
                object::put(pod, &["status"], composed);
            }
        });
    }

    /// Kills everything at once, for an eviction.
    pub fn end(&mut self, runtime: &Runtime, now: DateTime<Utc>) {
        for container in self.init.iter_mut().chain(&mut self.main).chain(&mut self.ephemeral) {
            container.kill(runtime, &self.uid, now);
        }
        self.stage = Stage::Gone { phase: "Failed", at: DateTime::<Utc>::MAX_UTC };
    }

    /// Whether anything in it runs.
    pub fn is_running(&self) -> bool {
        self.main.iter().any(|container| matches!(container.state, State::Running(_)))
    }
}

fn earlier(left: Option<DateTime<Utc>>, right: Option<DateTime<Utc>>) -> Option<DateTime<Utc>> {
    [left, right].into_iter().flatten().min()
}
