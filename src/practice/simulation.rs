//! The life behind the API: controllers, scheduler, kubelets, and the scenario that upsets them.

use super::aggregation::Availability;
use super::clock::Clock;
use super::controllers::autoscaler::Autoscaler;
use super::controllers::certificate_signing::CertificateSigning;
use super::controllers::cron_job::CronJobController;
use super::controllers::daemon_set::DaemonSetController;
use super::controllers::deployment::DeploymentController;
use super::controllers::disruption::DisruptionController;
use super::controllers::endpoint_slice::EndpointSliceController;
use super::controllers::event_expiry::EventExpiry;
use super::controllers::garbage_collector::GarbageCollector;
use super::controllers::ip_address::IpAddresses;
use super::controllers::job::JobController;
use super::controllers::namespace::NamespaceController;
use super::controllers::node_lifecycle::NodeLifecycle;
use super::controllers::persistent_volume::PersistentVolumeController;
use super::controllers::replica_set::ReplicaSetController;
use super::controllers::resource_quota::ResourceQuotaController;
use super::controllers::stateful_set::StatefulSetController;
use super::controllers::{Controller, drive};
use super::custom::Definitions;
use super::flow_control::FlowControl;
use super::kubelet::Kubelets;
use super::kubelet::node::{DeadNodes, NodeReports};
use super::recorder::Recorder;
use super::runtime::Runtime;
use super::scenario::{self, Scenario};
use super::scheduler::Scheduler;
use super::store::Store;
use tokio::task::JoinSet;

/// The running simulation; dropping it ends every task.
pub struct Handle {
    _tasks: JoinSet<()>,
    dead: DeadNodes,
    store: Store,
}

impl Handle {
    /// Stops a node from reporting, as if it had lost power.
    pub fn fail_node(&self, node: &str) {
        self.dead.kill(node);
    }

    /// Makes the repair that a scenario of one cause leaves to a person.
    pub fn repair(&self, scenario: &Scenario) {
        scenario::step::perform(scenario.repair(), &self.store, &self.dead);
    }

    /// Lets a silent node report again.
    pub fn revive_node(&self, node: &str) {
        self.dead.revive(node);
    }
}

/// Starts the simulation over an empty or seeded store, without a scenario.
pub fn start(store: Store, runtime: Runtime, clock: Clock, seed: u64) -> Handle {
    start_with(store, runtime, clock, seed, None)
}

/// Starts the simulation and plays a scenario: its history is in place before the first controller looks.
pub fn start_with(store: Store, runtime: Runtime, clock: Clock, seed: u64, scenario: Option<Scenario>) -> Handle {
    let dead = DeadNodes::default();
    let recorder = Recorder::new(store.clone(), clock.clone());
    scenario::base::lay(&store, scenario.as_ref());
    let mut kubelets = Kubelets::new(store.clone(), runtime.clone(), recorder.clone(), dead.clone(), seed);
    if let Some(scenario) = &scenario {
        scenario::history::lay(&store, scenario);
    }
    kubelets.resume_all();
    if scenario.is_some() {
        scenario::history::settle(&store);
    }
    let mut crew = Crew { tasks: JoinSet::new(), store: store.clone(), clock: clock.clone() };
    crew.hire(Definitions::new(store.clone()));
    crew.hire(Availability::new(store.clone()));
    crew.hire(NamespaceController::new(store.clone(), clock.clone()));
    crew.hire(DeploymentController::new(store.clone(), clock.clone(), recorder.clone()));
    crew.hire(ReplicaSetController::new(store.clone(), clock.clone(), recorder.clone()));
    crew.hire(StatefulSetController::new(store.clone(), clock.clone(), recorder.clone()));
    crew.hire(DaemonSetController::new(store.clone(), clock.clone(), recorder.clone()));
    crew.hire(CronJobController::new(store.clone(), clock.clone(), recorder.clone()));
    crew.hire(DisruptionController::new(store.clone(), clock.clone(), recorder.clone()));
    crew.hire(Autoscaler::new(store.clone(), clock.clone(), recorder.clone(), runtime));
    crew.hire(JobController::new(store.clone(), clock.clone(), recorder.clone()));
    crew.hire(EndpointSliceController::new(store.clone(), clock.clone()));
    crew.hire(CertificateSigning::new(store.clone(), clock.clone()));
    crew.hire(IpAddresses::new(store.clone()));
    crew.hire(FlowControl::new(store.clone(), clock.clone()));
    crew.hire(GarbageCollector::new(store.clone()));
    crew.hire(PersistentVolumeController::new(store.clone(), clock.clone(), recorder.clone()));
    crew.hire(ResourceQuotaController::new(store.clone()));
    crew.hire(EventExpiry::new(store.clone(), clock.clone()));
    crew.hire(NodeLifecycle::new(store.clone(), clock.clone(), recorder.clone()));
    crew.hire(Scheduler::new(store.clone(), clock.clone(), recorder));
    crew.hire(NodeReports::new(store.clone(), dead.clone()));
    crew.hire(kubelets);
    let mut tasks = crew.tasks;
    if let Some(scenario) = scenario {
        tasks.spawn(scenario::play(scenario, store.clone(), clock, dead.clone()));
    }
    Handle { _tasks: tasks, dead, store }
}

/// The tasks so far.
struct Crew {
    tasks: JoinSet<()>,
    store: Store,
    clock: Clock,
}

impl Crew {
    fn hire(&mut self, controller: impl Controller) {
        self.tasks.spawn(drive(controller, self.store.clone(), self.clock.clone()));
    }
}
