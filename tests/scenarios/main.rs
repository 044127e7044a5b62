//! Every scenario of one cause, on a fast practice cluster: the cause is named first, and its first fix ends the incident.
//!
//! The look is the cockpit's: a live source, a snapshot, an engine fed with what changed and with the evidence it asks for. The
//! fix goes through the planner and the one door. The table it prints is the measure: recall, precision, grouping.
//! `SCENARIO=name cargo test --test scenarios -- --nocapture` plays one and says what was seen.
//!
//! A binary of its own: at thirty times the speed, a machine busy with other tests starves kubelets of their heartbeats. For the
//! same reason a scenario that fails beside others is played once more by itself, and the table says so.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use futures::StreamExt;
use k3am::actions::{Intent, needs, plan};
use k3am::cluster::{ConnectOptions, Door, connect};
use k3am::diagnosis::engine::Engine;
use k3am::diagnosis::{CauseId, Incident, Severity};
use k3am::practice::scenario::{Lesson, Scenario};
use k3am::practice::{Options, PracticeCluster};
use k3am::snapshot::{Changed, Delta, Snapshot};
use k3am::source::live::{LiveOptions, LiveSource};
use tokio::sync::mpsc;

use kubectl::Printed;

#[path = "../support/kubectl.rs"]
mod kubectl;

/// Simulated seconds in a real one.
const SPEED: f64 = 30.0;
/// Played at once.
const AT_ONCE: usize = 6;
/// How long the cause, and then the recovery, may take on a machine that has other things to do; most need a second.
const PATIENCE: Duration = Duration::from_secs(60);
/// Scenarios that may need to be played by themselves; more are a fault and not a busy machine.
const MOST_TWICE: usize = 4;
/// How long the picture must stay as it is to count (simulated seconds).
const STEADY: f64 = 12.0;

/// One look at a practice cluster that goes on.
struct Look<'a> {
    cluster: &'a PracticeCluster,
    source: LiveSource,
    rx: mpsc::Receiver<Vec<Delta>>,
    snapshot: Snapshot,
    engine: Engine,
    _usage: mpsc::UnboundedReceiver<k3am::source::live::UsageSource>,
}

impl<'a> Look<'a> {
    fn start(cluster: &'a PracticeCluster, connection: &k3am::cluster::Connection) -> Self {
        let (tx, rx) = mpsc::channel(64);
        let (told, usage) = mpsc::unbounded_channel();
        let source = LiveSource::start(connection, &LiveOptions { usage: Some(told), ..LiveOptions::default() }, &tx);
        Self { cluster, source, rx, snapshot: Snapshot::default(), engine: Engine::default(), _usage: usage }
    }

    /// Folds what arrives within a moment, and thinks again.
    async fn turn(&mut self) {
        let end = tokio::time::Instant::now() + Duration::from_millis(60);
        let mut changed: Vec<Changed> = Vec::new();
        while let Ok(Some(batch)) = tokio::time::timeout_at(end, self.rx.recv()).await {
            for delta in batch {
                changed.extend(self.snapshot.apply(delta));
            }
        }
        self.engine.update(&self.snapshot, &changed, self.cluster.clock().now());
        for request in self.engine.take_requests() {
            self.source.request(request);
        }
    }

    /// What is wrong now, worst first; hints are not incidents of the night.
    fn wrong(&self) -> Vec<&Incident> {
        self.engine
            .incidents()
            .iter()
            .map(|incident| &**incident)
            .filter(|incident| incident.severity != Severity::Info)
            .collect()
    }

    /// Looks until `holds` has held for a while; false when it never did.
    async fn until(&mut self, holds: impl Fn(&Self) -> bool) -> bool {
        let begun = Instant::now();
        let mut since: Option<(Instant, Vec<CauseId>)> = None;
        while begun.elapsed() < PATIENCE {
            self.turn().await;
            let causes: Vec<CauseId> = self.wrong().iter().map(|incident| incident.cause).collect();
            since = match since {
                _ if !holds(self) => None,
                Some((at, before)) if before == causes => Some((at, before)),
                _ => Some((Instant::now(), causes)),
            };
            if since.as_ref().is_some_and(|(at, _)| at.elapsed().as_secs_f64() * SPEED >= STEADY) {
                return true;
            }
        }
        false
    }

    fn seen(&self) -> String {
        let mut out = String::new();
        for incident in self.engine.incidents() {
            let about: Vec<String> = incident.workloads.iter().map(|w| format!("{}/{}", w.kind, w.name)).collect();
            let _ = writeln!(out, "    {} ({:?}) {about:?}: {}", incident.cause.0, incident.severity, incident.title);
            for evidence in &incident.evidence {
                let _ = writeln!(out, "        {} {}: {}", evidence.object, evidence.field, evidence.text);
            }
            for fix in &incident.fixes {
                let _ = writeln!(
                    out,
                    "        fix: {} [{}] {}",
                    fix.title,
                    fix.command,
                    if fix.action.is_some() { "(one key)" } else { "" }
                );
            }
        }
        out
    }
}

/// What came of one scenario.
#[derive(Default)]
struct Outcome {
    name: String,
    named_first: bool,
    incidents: usize,
    wrong: Vec<&'static str>,
    roots: usize,
    fix: String,
    healed: bool,
    took: f64,
    problem: String,
    /// What went wrong beside others and did not by itself.
    before: String,
}

/// Where the scenarios are: read from disk, so that writing one needs no compiler.
fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/scenarios/causes")
}

fn file(name: &str) -> String {
    folder().join(format!("{name}.yaml")).display().to_string()
}

/// Their names, in the order of the shipped table; those it lacks last.
fn names() -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter_map(|file| file.strip_suffix(".yaml").map(str::to_owned))
        .collect();
    names.sort();
    names.sort_by_key(|name| Scenario::lessons().position(|known| known == name).unwrap_or(usize::MAX));
    names
}

fn concerns(incident: &Incident, about: &str) -> bool {
    incident.workloads.iter().chain(&incident.objects).any(|object| format!("{}/{}", object.kind, object.name) == about)
}

async fn play(name: String) -> Outcome {
    let begun = Instant::now();
    let mut outcome = Outcome { name: name.clone(), ..Outcome::default() };
    if let Err(problem) = attempt(&name, &mut outcome).await {
        outcome.problem = problem;
    }
    outcome.took = begun.elapsed().as_secs_f64();
    outcome
}

async fn attempt(name: &str, outcome: &mut Outcome) -> Result<(), String> {
    let scenario = Scenario::find(&file(name)).map_err(|error| error.to_string())?;
    let lesson = scenario.lesson().ok_or("it names no cause")?;
    let options = Options { speed: SPEED, seed: 5, scenario: Some(file(name)), ..Options::default() };
    let cluster = PracticeCluster::start(&options).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let kubeconfig = cluster.write_kubeconfig(dir.path()).unwrap();
    let connection =
        connect(&ConnectOptions { kubeconfig: Some(kubeconfig.clone()), ..ConnectOptions::default() }).await.unwrap();
    let mut look = Look::start(&cluster, &connection);
    diagnosed(&mut look, &lesson, outcome).await?;
    if let Some(printed) = &*PRINTED {
        understood(printed, kubeconfig, look.wrong()).await?;
    }
    let door = Door::new(connection, None).with_journal(dir.path().join("journal"));
    heal(&mut look, &scenario, &lesson, &door, outcome).await?;
    let healed = look.until(|look| look.wrong().is_empty()).await;
    outcome.healed = healed;
    if healed { Ok(()) } else { Err(format!("after \"{}\" there is still:\n{}", outcome.fix, look.seen())) }
}

/// The cause is first, about the right thing, and beside it nothing that is not.
async fn diagnosed(look: &mut Look<'_>, lesson: &Lesson, outcome: &mut Outcome) -> Result<(), String> {
    let first = |look: &Look<'_>| {
        look.wrong().first().is_some_and(|incident| incident.cause.0 == lesson.cause && concerns(incident, &lesson.about))
    };
    outcome.named_first = look.until(first).await;
    let wrong = look.wrong();
    outcome.incidents = wrong.len();
    outcome.roots = wrong.iter().filter(|incident| incident.cause.0 == lesson.cause).count();
    let accepted: BTreeSet<&str> = lesson.also.iter().map(String::as_str).chain([lesson.cause.as_str()]).collect();
    outcome.wrong = wrong.iter().map(|incident| incident.cause.0).filter(|cause| !accepted.contains(cause)).collect();
    let seen = look.seen();
    if std::env::var_os("SCENARIO").is_some() {
        println!("{seen}");
    }
    if !outcome.named_first {
        return Err(format!("{} about {} was never first; seen:\n{seen}", lesson.cause, lesson.about));
    }
    if !outcome.wrong.is_empty() {
        return Err(format!("false alarms {:?}:\n{seen}", outcome.wrong));
    }
    if outcome.roots != 1 {
        return Err(format!("{} incidents of one root:\n{seen}", outcome.roots));
    }
    Ok(())
}

/// The official kubectl, once for all scenarios.
static PRINTED: LazyLock<Option<Arc<Printed>>> = LazyLock::new(|| Printed::open().map(Arc::new));

/// Every command that the fixes print is one that kubectl and the cluster accept.
async fn understood(printed: &Arc<Printed>, kubeconfig: PathBuf, incidents: Vec<&Incident>) -> Result<(), String> {
    let fixes = incidents.into_iter().flat_map(|incident| &incident.fixes);
    let commands: Vec<String> = fixes.map(|fix| fix.command.clone()).collect();
    let printed = Arc::clone(printed);
    let problems = tokio::task::spawn_blocking(move || {
        let tried = commands.iter().filter_map(|command| printed.problem(&kubeconfig, command));
        tried.collect::<Vec<String>>().join("\n")
    });
    let problems = problems.await.unwrap();
    if problems.is_empty() { Ok(()) } else { Err(format!("kubectl does not accept what is printed:\n{problems}")) }
}

/// Applies the first fix that k3am can apply, or makes the edit the scenario names.
async fn heal(
    look: &mut Look<'_>,
    scenario: &Scenario,
    lesson: &Lesson,
    door: &Door,
    outcome: &mut Outcome,
) -> Result<(), String> {
    let seen = look.seen();
    let Some(incident) = look.wrong().first().copied().cloned() else { return Err("the incident went by itself".to_owned()) };
    let first = incident.fixes.first().ok_or_else(|| format!("no fix at all:\n{seen}"))?;
    if !lesson.edit.is_empty() {
        if first.action.is_some() {
            return Err(format!("the first fix has a key, the scenario says a person must edit:\n{seen}"));
        }
        outcome.fix = format!("{} · by hand: {}", first.title, lesson.edit);
        look.cluster.simulation().repair(scenario);
        return Ok(());
    }
    let Some(fix) = incident.fixes.iter().find(|fix| fix.action.is_some()) else {
        return Err(format!("no fix that k3am can apply:\n{seen}"));
    };
    outcome.fix.clone_from(&fix.title);
    let intent: &Intent = fix.action.as_ref().unwrap();
    let objects = door.fetch(&needs(intent)).await.map_err(|error| error.to_string())?;
    let plan = plan(intent, &objects, &look.snapshot, look.cluster.clock().now()).map_err(|refusal| refusal.to_string())?;
    let check = door.check(&plan).await;
    check.access.and(check.dry_run).map_err(|why| format!("{} is refused: {why}", plan.title))?;
    door.apply(&plan).await.map_err(|error| format!("{} failed: {error}", plan.title))
}

fn table(outcomes: &[Outcome]) -> String {
    let mut out = String::new();
    let mark = |good: bool| if good { "yes" } else { "NO" };
    let _ = writeln!(out, "{:32} {:>6} {:>6} {:>5} {:>6} {:>5}  first fix", "scenario", "first", "wrong", "roots", "healed", "s");
    for outcome in outcomes {
        let _ = writeln!(
            out,
            "{:32} {:>6} {:>6} {:>5} {:>6} {:>5.1}  {}",
            outcome.name,
            mark(outcome.named_first),
            outcome.wrong.len(),
            outcome.roots,
            mark(outcome.healed),
            outcome.took,
            outcome.fix
        );
    }
    let named = outcomes.iter().filter(|o| o.named_first).count();
    let (all, wrong) = outcomes.iter().fold((0, 0), |(all, wrong), o| (all + o.incidents, wrong + o.wrong.len()));
    let grouped = outcomes.iter().filter(|o| o.roots == 1).count();
    let healed = outcomes.iter().filter(|o| o.healed).count();
    let count = outcomes.len();
    let causes: BTreeSet<String> =
        outcomes.iter().filter_map(|o| Scenario::find(&file(&o.name)).ok()?.lesson()).map(|lesson| lesson.cause).collect();
    let precision = if all == 0 { 0.0 } else { 100.0 * (all - wrong) as f64 / all as f64 };
    let _ = writeln!(
        out,
        "recall {named}/{count}, precision {precision:.0} % of {all} incidents, grouping {grouped}/{count}, healed {healed}/{count}, {} causes",
        causes.len()
    );
    out
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_cause_is_named_first_and_its_first_fix_ends_it() {
    let only = std::env::var("SCENARIO").unwrap_or_default();
    let names: Vec<String> = names().into_iter().filter(|name| only.split(',').any(|only| name.starts_with(only))).collect();
    let order = names.clone();
    let mut outcomes: Vec<Outcome> = futures::stream::iter(names)
        .map(|name| tokio::spawn(play(name)))
        .buffer_unordered(AT_ONCE)
        .map(Result::unwrap)
        .collect()
        .await;
    for outcome in outcomes.iter_mut().filter(|outcome| !outcome.problem.is_empty()) {
        let again = play(outcome.name.clone()).await;
        *outcome = Outcome { before: std::mem::take(&mut outcome.problem), ..again };
    }
    for outcome in outcomes.iter().filter(|outcome| !outcome.before.is_empty()) {
        println!("{} was played twice, because beside others: {}", outcome.name, outcome.before);
    }
    let twice = outcomes.iter().filter(|outcome| !outcome.before.is_empty()).count();
    outcomes.sort_by_key(|outcome| order.iter().position(|name| *name == outcome.name));
    let problems: Vec<String> =
        outcomes.iter().filter(|o| !o.problem.is_empty()).map(|o| format!("{}: {}", o.name, o.problem)).collect();
    let commands = PRINTED.as_ref().map_or(0, |printed| printed.understood());
    println!("{}\n{}{commands} printed commands understood by kubectl", problems.join("\n"), table(&outcomes));
    assert!(problems.is_empty(), "{} scenarios fail, see above", problems.len());
    assert!(twice <= MOST_TWICE, "{twice} scenarios need the machine for themselves, see above");
}

#[test]
fn every_scenario_of_a_cause_is_shipped_and_names_a_cause_there_is() {
    for name in names() {
        assert!(Scenario::lessons().any(|known| known == name), "{name} is not listed in scenario/causes.rs");
        let lesson = Scenario::find(&name).unwrap().lesson().unwrap_or_else(|| panic!("{name} names no cause"));
        assert!(CauseId::parse(&lesson.cause).is_some(), "{name}: {} is no cause", lesson.cause);
    }
}
