//! Releases that fail in a way of their own: what they need, what they say, how they end. A table in `assets/practice/releases.yaml`.
//!
//! A release runs as its image otherwise would wherever nothing is amiss: with the variable it `needs` set, or not as the
//! entry's failure has it.

use super::super::kubelet::process::Program;
use super::super::random::Random;
use super::{BEHAVIOURS, Behaviour, Start};
use serde_json::Value;
use std::sync::OnceLock;
use std::time::Duration;

static TABLE: &str = include_str!("../../../assets/practice/releases.yaml");

/// See the module.
pub static RELEASE: Behaviour = Behaviour { name: "a release that fails", fits: |start| entry(start).is_some(), run };

/// How long a release goes on saying what it says `every` so many seconds.
const REPEATED: Duration = Duration::from_secs(1800);

fn table() -> &'static [Value] {
    static READ: OnceLock<Vec<Value>> = OnceLock::new();
    READ.get_or_init(|| serde_saphyr::from_str(TABLE).unwrap_or_default())
}

/// The entry of this image, when what it complains about holds.
fn entry(start: &Start<'_>) -> Option<&'static Value> {
    let text = |entry: &'static Value, field: &str| entry.get(field).and_then(Value::as_str).unwrap_or_default();
    table().iter().find(|entry| {
        let needs = text(entry, "needs");
        text(entry, "image") == start.image.full() && (needs.is_empty() || start.variable(needs).is_empty())
    })
}

fn run(start: &Start<'_>, random: &mut Random) -> Program {
    let Some(entry) = entry(start) else { return Program::quiet() };
    let number = |field: &str| entry.get(field).and_then(Value::as_i64);
    let after = Duration::from_secs_f64(entry.get("after").and_then(Value::as_f64).unwrap_or(1.2));
    let said = entry.get("says").and_then(Value::as_str).unwrap_or_default().lines().map(str::to_owned);
    let lives_on = number("exit").is_none();
    let usual = BEHAVIOURS.iter().skip(1).find(|behaviour| (behaviour.fits)(start)).filter(|_| lives_on);
    let mut program = usual.map_or_else(Program::quiet, |behaviour| (behaviour.run)(start, random));
    let every = entry.get("every").and_then(Value::as_f64).map(Duration::from_secs_f64);
    let times = every.map_or(1, |every| (REPEATED.as_secs_f64() / every.as_secs_f64()) as u32);
    for line in said {
        program.lines.extend((0..times).map(|time| (after + every.unwrap_or_default() * time, line.clone())));
    }
    program.lines.sort_by_key(|(at, _)| *at);
    if let Some(code) = number("exit") {
        program.exit = Some((after + Duration::from_millis(100), code as i32));
    }
    if let Some(port) = number("listens") {
        program.ports = vec![port];
    }
    if let Some(seconds) = entry.get("ready").and_then(Value::as_f64) {
        program.listens_after = Duration::from_secs_f64(seconds);
    }
    match number("answers") {
        Some(500) => program.answers = |_| 500,
        Some(503) => program.answers = |_| 503,
        _ => {}
    }
    if let Some(error) = entry.get("cannot start").and_then(Value::as_str) {
        program.start_error = Some(error.to_owned());
    }
    program
}
