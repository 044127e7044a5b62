//! The practice cluster: a Kubernetes API server on loopback with controllers and a kubelet model behind it.
//!
//! Invariant: shares no code with the rest of the crate (no `kinds`, no `text`), or both could be wrong alike. The API half
//! ([`store`], [`api`] and what it calls) knows objects but no behaviour; the simulation half knows behaviour but no HTTP.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;

pub mod access;
mod admission;
mod aggregation;
pub mod api;
mod apply;
pub mod base64;
pub mod behaviours;
mod cel;
pub mod certificates;
pub mod clock;
pub mod control;
pub mod controllers;
mod custom;
pub mod defaults;
mod discovery;
mod eviction;
pub mod faults;
pub mod fields;
mod flow_control;
mod health;
mod hooks;
mod http;
pub mod json;
mod jsonpath;
pub mod kubeconfig;
pub mod kubelet;
mod list;
mod load;
mod logs;
pub mod managed;
mod metrics;
pub mod object;
mod patches;
mod policies;
mod protobuf;
mod published;
pub mod quantity;
mod query;
pub mod random;
mod rbac;
pub mod recorder;
mod reply;
mod request;
pub mod resources;
mod reviews;
pub mod runtime;
mod scale;
pub mod scenario;
pub mod scheduler;
pub mod schema;
mod scrape;
mod selectors;
pub mod simulation;
pub mod status;
pub mod store;
mod strategic;
mod streams;
mod table;
pub mod template_hash;
mod validate;
mod views;
mod watch;
pub mod webhooks;
mod writes;

use access::{Access, Role};
use api::Api;
use clock::Clock;
use controllers::endpoints::EndpointsController;
use faults::Faults;
use runtime::Runtime;
use scenario::Scenario;
use scrape::Requests;
use store::Store;

/// What cluster to start.
#[derive(Clone, Debug)]
pub struct Options {
    /// Simulated seconds in a real one.
    pub speed: f64,
    /// Makes names and uids repeatable.
    pub seed: u64,
    /// The scenario to play (a file in `assets/scenarios`), none for an empty cluster.
    pub scenario: Option<String>,
    /// Where to listen; port 0 picks a free one.
    pub bind: SocketAddr,
    /// How many pods of load to add.
    pub pods: usize,
    /// How many objects of the load change in a second.
    pub events_per_second: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            speed: 1.0,
            seed: 1,
            scenario: None,
            bind: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            pods: 0,
            events_per_second: 0,
        }
    }
}

/// A running practice cluster; it ends when dropped.
pub struct PracticeCluster {
    api: Arc<Api>,
    server: http::Server,
    namespace: String,
    simulation: simulation::Handle,
    life: Option<tokio::runtime::Runtime>,
}

impl Drop for PracticeCluster {
    fn drop(&mut self) {
        if let Some(life) = self.life.take() {
            life.shutdown_background();
        }
    }
}

impl PracticeCluster {
    /// Starts a cluster: its nodes and namespaces, the scenario's history, controllers and kubelets, the load, the server.
    /// Both halves run on threads of their own. An unknown scenario is an error that names those there are.
    pub fn start(options: &Options) -> anyhow::Result<Self> {
        let clock = Clock::new(options.speed);
        let store = Store::new(clock.clone(), options.seed);
        let runtime = Runtime::new();
        let scenario = options.scenario.as_deref().map(Scenario::find).transpose()?;
        let namespace = scenario.as_ref().map_or("default", Scenario::namespace).to_owned();
        let life =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).thread_name("practice-life").enable_all().build()?;
        let guard = life.enter();
        let simulation = simulation::start_with(store.clone(), runtime.clone(), clock.clone(), options.seed, scenario);
        drop(guard);
        rbac::bootstrap(&store);
        aggregation::bootstrap(&store);
        admission::bootstrap(&store);
        flow_control::bootstrap(&store);
        life.spawn(controllers::drive(EndpointsController::new(store.clone()), store.clone(), clock.clone()));
        load::fill(&store, options.pods)?;
        life.spawn(load::stream(store.clone(), options.events_per_second, options.seed));
        let api = Arc::new(Api {
            store,
            runtime,
            clock,
            faults: Faults::default(),
            access: Access::default(),
            requests: Requests::default(),
        });
        let server = http::Server::start(api.clone(), options.bind)?;
        Ok(Self { api, server, namespace, simulation, life: Some(life) })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// The clock of the cluster.
    pub fn clock(&self) -> &Clock {
        &self.api.clock
    }

    /// The objects of the cluster.
    pub fn store(&self) -> &Store {
        &self.api.store
    }

    /// Logs and use of its containers.
    pub fn runtime(&self) -> &Runtime {
        &self.api.runtime
    }

    /// The faults a test can switch on.
    pub fn faults(&self) -> &Faults {
        &self.api.faults
    }

    /// The life behind the objects: nodes can be failed through it.
    pub fn simulation(&self) -> &simulation::Handle {
        &self.simulation
    }

    /// A kubeconfig of the cluster admin, as YAML.
    pub fn kubeconfig(&self) -> String {
        kubeconfig::render(self.address(), None, &self.namespace, "practice")
    }

    /// A kubeconfig of a new user with a role, as YAML.
    pub fn kubeconfig_for(&self, user: &str, role: Role) -> String {
        let namespace = match &role {
            Role::NamespaceReader(namespace) | Role::NamespaceAdmin(namespace) => namespace.clone(),
            _ => self.namespace.clone(),
        };
        let token = self.api.access.grant(&self.api.store, user, role);
        kubeconfig::render(self.address(), Some(&token), &namespace, &format!("practice-{user}"))
    }

    /// A kubeconfig for each of [`Role::named`], with the role's name and what it may.
    pub fn kubeconfigs(&self) -> Vec<(&'static str, &'static str, String)> {
        Role::named(&self.namespace).into_iter().map(|(name, may, role)| (name, may, self.kubeconfig_for(name, role))).collect()
    }

    /// Writes the admin's kubeconfig to `dir/kubeconfig` and returns the path.
    pub fn write_kubeconfig(&self, dir: &Path) -> anyhow::Result<PathBuf> {
        let path = dir.join("kubeconfig");
        std::fs::write(&path, self.kubeconfig()).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(path)
    }

    /// Takes a user's token back: requests with it get 401.
    pub fn revoke(&self, user: &str) {
        self.api.access.revoke(&format!("token-{user}"));
    }

    /// The server dies: connections are cut, new ones refused. Objects and simulation go on.
    pub fn stop_serving(&self) {
        self.server.stop();
    }

    /// The server comes back on the same port.
    pub fn resume_serving(&self) -> anyhow::Result<()> {
        self.server.restart()
    }

    /// Watches from an earlier version, and continue tokens, get 410 from now on.
    pub fn expire_versions(&self) {
        self.api.store.expire_history();
    }
}
