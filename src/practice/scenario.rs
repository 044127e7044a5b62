//! Scenarios: what a practice cluster looked like before, and what happens to it, as data files in `assets/scenarios`.
//!
//! A file has `nodes` (the machines), `history` (writes dated in the past, played through the real controllers) and `steps`
//! (what happens from the start on). With `base: shop` it starts from that file in `assets/scenarios/base`. A scenario of one
//! cause (`assets/scenarios/causes`) also says which `cause` must be named about what, and what repairs it ([`Lesson`]).
//! To add one: a file, and a line in [`FILES`] or in `scenario/causes.rs`.

pub mod base;
mod causes;
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

/// What scenarios start from.
static BASES: &[(&str, &str)] = &[("shop", include_str!("../../assets/scenarios/base/shop.yaml"))];

/// A scenario, read from its file.
#[derive(Clone, Debug)]
pub struct Scenario(Value);

/// What a scenario of one cause teaches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lesson {
    /// The cause that must be named first.
    pub cause: String,
    /// What it is about, as `Kind/name`.
    pub about: String,
    /// Causes that may be named beside it: true as well, and not one of its symptoms.
    pub also: Vec<String>,
    /// Why the repair is a person's edit (the entry `repair` of the file); empty when k3am's own first action must do.
    pub edit: String,
}

impl Scenario {
    /// The scenario of that name, or of that file (`*.yaml`); the error names those there are.
    pub fn find(name: &str) -> anyhow::Result<Self> {
        if std::path::Path::new(name).extension().is_some_and(|extension| extension == "yaml") {
            let read = std::fs::read_to_string(name).map_err(|error| anyhow::anyhow!("cannot read {name}: {error}"))?;
            return Self::read(&read);
        }
        let Some((_, file)) = FILES.iter().chain(causes::FILES).find(|(known, _)| *known == name) else {
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
        FILES.iter().chain(causes::FILES).map(|(name, _)| *name)
    }

    /// The names of the scenarios of one cause.
    pub fn lessons() -> impl Iterator<Item = &'static str> {
        causes::FILES.iter().map(|(name, _)| *name)
    }

    /// Reads a scenario from YAML, put on top of its base if it names one.
    pub fn read(yaml: &str) -> anyhow::Result<Self> {
        let mut read: Value = serde_saphyr::from_str(yaml)?;
        let base = object::text(&read, "/base").to_owned();
        if base.is_empty() {
            return Ok(Self(read));
        }
        let Some((_, file)) = BASES.iter().find(|(known, _)| *known == base) else {
            anyhow::bail!("there is no base {base:?} of scenarios");
        };
        let mut whole: Value = serde_saphyr::from_str(file)?;
        for list in ["nodes", "history"] {
            let own = object::items(&read, &format!("/{list}")).to_vec();
            if let Some(entries) = whole.get_mut(list).and_then(Value::as_array_mut) {
                entries.extend(own);
            }
            object::remove(&mut read, &[list]);
        }
        for (key, value) in object::fields(&read, "") {
            object::put(&mut whole, &[key], value.clone());
        }
        Ok(Self(whole))
    }

    /// What a scenario of one cause teaches; none for the others.
    pub fn lesson(&self) -> Option<Lesson> {
        let text = |pointer: &str| object::text(&self.0, pointer).to_owned();
        let also = object::items(&self.0, "/also").iter().filter_map(Value::as_str).map(str::to_owned).collect();
        let lesson = Lesson { cause: text("/cause"), about: text("/about"), also, edit: text("/repair/why") };
        (!lesson.cause.is_empty()).then_some(lesson)
    }

    /// The repair that is a person's: an entry as those of `steps`.
    pub(super) fn repair(&self) -> &Value {
        object::at(&self.0, "/repair")
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
