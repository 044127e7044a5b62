//! What images do when they run: a table of behaviours, tried in order.
//!
//! To add one: a file in `behaviours/` with a `Behaviour`, and a line in [`BEHAVIOURS`]. The last one takes every image.

mod fastapi;
mod generic;
mod nginx;
mod postgres;
mod redis;
mod release;
mod shell;
mod worker;

use super::kubelet::image::Reference;
use super::kubelet::process::{Curve, Program};
use super::object;
use super::quantity;
use super::random::Random;
use super::store::Store;
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::Duration;

/// Everything a behaviour may look at when a container starts.
pub struct Start<'a> {
    /// The store, for what the process would find over the network.
    pub store: &'a Store,
    /// The pod.
    pub pod: &'a Value,
    /// The container's spec.
    pub container: &'a Value,
    /// Its image.
    pub image: &'a Reference,
    /// Its environment.
    pub environment: &'a BTreeMap<String, String>,
}

impl Start<'_> {
    /// `command` and `args` as one line.
    pub fn command_line(&self) -> String {
        let words = object::items(self.container, "/command").iter().chain(object::items(self.container, "/args"));
        words.filter_map(Value::as_str).collect::<Vec<_>>().join(" ")
    }

    /// The first declared container port, or a default.
    pub fn port(&self, default: i64) -> i64 {
        object::items(self.container, "/ports").first().and_then(|port| object::int(port, "/containerPort")).unwrap_or(default)
    }

    /// A variable, empty when it is not set.
    pub fn variable(&self, name: &str) -> &str {
        self.environment.get(name).map_or("", String::as_str)
    }

    /// Cores the program wants all the time (`CPU_DEMAND`), when it is told.
    pub fn demand(&self) -> Option<(f64, f64)> {
        self.quantity("CPU_DEMAND").map(|cores| (cores, cores))
    }

    /// Cores of work its owner's pods share (`CPU_QUEUE`), so that more pods mean less for each.
    pub fn queue(&self) -> f64 {
        self.quantity("CPU_QUEUE").unwrap_or(0.0)
    }

    /// How often, and for how many seconds, it is too busy to be ready (`BUSY=60/25`), when it is told.
    pub fn busy(&self) -> Option<(Duration, Duration)> {
        let (every, lasts) = self.variable("BUSY").split_once('/')?;
        Some((Duration::from_secs(every.parse().ok()?), Duration::from_secs(lasts.parse().ok()?)))
    }

    /// The files it writes into its own file system: `SCRATCH` bytes within half a minute.
    pub fn scratch(&self) -> Curve {
        let peak = self.quantity("SCRATCH").unwrap_or(64.0 * 1024.0);
        Curve { base: 64.0 * 1024.0, peak, ramp: Duration::from_secs(30), leak: 0.0 }
    }

    /// A variable read as a quantity such as `180Mi`, in bytes.
    pub fn quantity(&self, name: &str) -> Option<f64> {
        self.environment.get(name).map(|text| quantity::parse(&Value::String(text.clone())))
    }
}

/// One kind of program.
pub struct Behaviour {
    /// What it is, for people who read the table.
    pub name: &'static str,
    /// Whether it describes this container.
    pub fits: fn(&Start<'_>) -> bool,
    /// Its plan.
    pub run: fn(&Start<'_>, &mut Random) -> Program,
}

/// Every behaviour; the first that fits is taken.
pub static BEHAVIOURS: &[&Behaviour] = &[
    &release::RELEASE,
    &shell::SHELL,
    &postgres::POSTGRES,
    &nginx::NGINX,
    &redis::REDIS,
    &worker::WORKER,
    &fastapi::FASTAPI,
    &generic::GENERIC,
];

/// The plan for a container.
pub fn plan(start: &Start<'_>, random: &mut Random) -> Program {
    BEHAVIOURS
        .iter()
        .find(|behaviour| (behaviour.fits)(start))
        .map_or_else(Program::quiet, |behaviour| (behaviour.run)(start, random))
}
