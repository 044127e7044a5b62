//! Scenarios: what a practice cluster looked like before, and what happens to it, as data files in `assets/scenarios`.
//!
//! A file has `nodes` (the machines), `history` (writes dated in the past, played through the real controllers) and `steps`
//! (what happens from the start on). To add one: a file in `assets/scenarios` and a line in [`FILES`].

pub mod base;
pub mod history;
pub mod step;

use super::clock::Clock;
use super::kubelet::node::DeadNodes;
use super::object;
use super::store::Store;
use serde_json::Value;
use std::time::Duration;

/// Every scenario by name.
static FILES: &[(&str, &str)] = &[
    ("quiet", include_str!("../../assets/scenarios/quiet.yaml")),
    ("night-shift", include_str!("../../assets/scenarios/night-shift.yaml")),
];

/// A scenario, read from its file.
#[derive(Clone, Debug)]
pub struct Scenario(Value);

impl Scenario {
    /// The scenario of that name; the error names those there are.
    pub fn find(name: &str) -> anyhow::Result<Self> {
        let Some((_, file)) = FILES.iter().find(|(known, _)| *known == name) else {
            let known: Vec<_> = Self::names().collect();
            anyhow::bail!("there is no scenario {name:?}; there are {}", known.join(", "));
        };
        Self::read(file)
    }

    /// The namespace a client should look at first.
    pub fn namespace(&self) -> &str {
        match object::text(&self.0, "/namespace") {
            "" => "default",
            namespace => namespace,
        }
    }

    /// The names there are.
    pub fn names() -> impl Iterator<Item = &'static str> {
        FILES.iter().map(|(name, _)| *name)
    }

    /// Reads a scenario from YAML.
    pub fn read(yaml: &str) -> anyhow::Result<Self> {
        Ok(Self(serde_saphyr::from_str(yaml)?))
    }

    fn nodes(&self) -> &[Value] {
        object::items(&self.0, "/nodes")
    }

    fn history(&self) -> &[Value] {
        object::items(&self.0, "/history")
    }

    fn steps(&self) -> &[Value] {
        object::items(&self.0, "/steps")
    }
}

/// Plays the steps at their times.
pub async fn play(scenario: Scenario, store: Store, clock: Clock, dead: DeadNodes) {
    let begun = clock.now();
    let mut steps: Vec<&Value> = scenario.steps().iter().collect();
    steps.sort_by_key(|step| seconds(step.get("at")));
    for step in steps {
        let due = begun + chrono::Duration::seconds(seconds(step.get("at")));
        let wait = (due - clock.now()).to_std().unwrap_or(Duration::ZERO);
        if !wait.is_zero() {
            clock.sleep(wait).await;
        }
        step::perform(step, &store, &dead);
    }
    // The task stays: a set of tasks is the simulation's life.
    futures::future::pending::<()>().await;
}

/// A number of seconds: `45`, `90s`, `10m`, `36h`, `9d`.
pub fn seconds(written: Option<&Value>) -> i64 {
    let Some(written) = written else { return 0 };
    if let Some(number) = written.as_i64() {
        return number;
    }
    let text = written.as_str().unwrap_or_default();
    let (digits, unit) = text.split_at(text.len().saturating_sub(1));
    let factor = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => return text.parse().unwrap_or(0),
    };
    digits.parse::<i64>().unwrap_or(0) * factor
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_scenario_reads_and_has_nodes() {
        for name in Scenario::names() {
            let scenario = Scenario::find(name).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert!(!scenario.nodes().is_empty(), "{name}");
        }
    }

    #[test]
    fn times_read_in_their_units() {
        for (written, expected) in [("9d", 777_600), ("90s", 90), ("10m", 600), ("12", 12)] {
            assert_eq!(seconds(Some(&serde_json::json!(written))), expected);
        }
    }
}
