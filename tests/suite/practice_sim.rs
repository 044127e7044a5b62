//! The practice cluster's life: each failure reaches the shape of the capture, and its right fix heals it.

use k3am::practice::clock::Clock;
use k3am::practice::object;
use k3am::practice::resources::{DEPLOYMENTS, EVENTS, NODES, PODS, REPLICA_SETS, ResourceType};
use k3am::practice::runtime::Runtime;
use k3am::practice::scenario::Scenario;
use k3am::practice::simulation::{self, Handle};
use k3am::practice::store::{Store, Writer};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A running practice cluster without its HTTP half.
struct Cluster {
    store: Store,
    runtime: Runtime,
    _handle: Handle,
}

impl Cluster {
    fn start(scenario: Option<&str>, speed: f64) -> Self {
        let clock = Clock::new(speed);
        let store = Store::new(clock.clone(), 7);
        let runtime = Runtime::new();
        let scenario = scenario.map(|name| Scenario::find(name).unwrap());
        let handle = simulation::start_with(store.clone(), runtime.clone(), clock, 7, scenario);
        Self { store, runtime, _handle: handle }
    }

    fn pods(&self, prefix: &str) -> Vec<Arc<Value>> {
        self.store.list(&PODS, Some("fastapi-prod")).into_iter().filter(|pod| object::name(pod).starts_with(prefix)).collect()
    }

    fn dump(&self) {
        for pod in self.store.list(&PODS, None) {
            println!(
                "{:<44} {:<10} del={} node={} ip={} {}",
                object::name(&pod),
                object::text(&pod, "/status/phase"),
                object::text(&pod, "/metadata/deletionTimestamp"),
                object::text(&pod, "/spec/nodeName"),
                object::text(&pod, "/status/podIP"),
                object::items(&pod, "/status/containerStatuses")
                    .iter()
                    .map(|status| format!("r{} {}", status["restartCount"], status["state"]))
                    .collect::<Vec<_>>()
                    .join(" ")
            );
        }
        for deployment in self.store.list(&DEPLOYMENTS, None) {
            println!(
                "{} {} {}",
                object::name(&deployment),
                deployment["status"],
                deployment["metadata"]["annotations"]["deployment.kubernetes.io/revision"]
            );
        }
        for set in self.store.list(&REPLICA_SETS, None) {
            println!(
                "{} {} {} {}",
                object::name(&set),
                set["metadata"]["creationTimestamp"],
                set["metadata"]["annotations"],
                set["status"]
            );
        }
        for event in self.store.list(&EVENTS, None) {
            println!(
                "{} {} x{} {}: {}",
                object::text(&event, "/involvedObject/name"),
                event["reason"],
                event["count"],
                event["type"],
                object::text(&event, "/message")
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn peek() {
    let cluster = Cluster::start(Some("night-shift"), 20.0);
    println!("START");
    cluster.dump();
    tokio::time::sleep(Duration::from_secs(5)).await;
    println!("AFTER 100s");
    cluster.dump();
}
