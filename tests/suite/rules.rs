//! Every rule against its fixtures: `fires*` must yield exactly the expected findings, `quiet*` none.
//! The format is in `tests/fixtures/rules/README.md`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use k3am::actions::Intent;
use k3am::diagnosis::rule::{Facts, Output, Rule};
use k3am::diagnosis::{CauseId, Finding, Fix, Risk, rules};
use k3am::kinds::{KindId, ObjectRef, Pool, Row};
use k3am::snapshot::{Delta, LogKey, Scope, Snapshot, UsageKey};
use k3am::source::bundle;
use k3am::text::{Time, quantity};
use serde::Deserialize;
use serde_json::Value;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Fixture {
    now: Time,
    objects: Vec<Value>,
    #[serde(default)]
    logs: Vec<Log>,
    #[serde(default)]
    usage: Vec<UsageSample>,
    #[serde(default)]
    throttling: Vec<ThrottlingSample>,
    #[serde(default)]
    missing: Vec<String>,
    #[serde(default)]
    expect: Vec<Expected>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Log {
    namespace: String,
    pod: String,
    container: String,
    #[serde(default)]
    previous: bool,
    text: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct UsageSample {
    namespace: String,
    pod: String,
    container: String,
    at: Time,
    cpu: String,
    memory: String,
    /// How much of the memory is page cache.
    #[serde(default)]
    cache: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ThrottlingSample {
    namespace: String,
    pod: String,
    container: String,
    at: Time,
    periods: f64,
    throttled: f64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Expected {
    cause: String,
    workload: String,
    #[serde(default)]
    confidence: Option<String>,
    #[serde(default)]
    summary: Option<String>,
}

impl Fixture {
    fn snapshot(&self) -> Snapshot {
        let mut snapshot = Snapshot::default();
        let pool = Pool::default();
        let complete: Vec<KindId> =
            KindId::ALL.iter().copied().filter(|kind| !self.missing.iter().any(|m| m == kind.name())).collect();
        for &kind in &complete {
            snapshot.apply(Delta::ListStarted { kind, scope: Scope::Cluster });
        }
        for object in &self.objects {
            let name = object.get("kind").and_then(Value::as_str).expect("every object has a kind");
            let kind = KindId::from_name(name).unwrap_or_else(|| panic!("{name} is not a watched kind"));
            let row = Row::from_value(kind, object.clone(), &pool).unwrap_or_else(|e| panic!("{name}: {e}"));
            snapshot.apply(Delta::Upsert { scope: Scope::Cluster, row });
        }
        for kind in complete {
            snapshot.apply(Delta::Listed { kind, scope: Scope::Cluster, at: self.now });
        }
        for log in &self.logs {
            let pod = snapshot.pods.named(&log.namespace, &log.pod).unwrap_or_else(|| panic!("log of unknown pod {}", log.pod));
            let restarts =
                pod.containers().find(|c| *c.status.name == log.container).map(|c| c.status.restart_count).unwrap_or_default();
            let key = LogKey {
                namespace: log.namespace.as_str().into(),
                pod: log.pod.as_str().into(),
                container: log.container.as_str().into(),
                previous: log.previous,
            };
            snapshot.apply(Delta::Log { key, excerpt: bundle::excerpt(&log.text, restarts) });
        }
        for sample in &self.usage {
            let key = UsageKey {
                namespace: sample.namespace.as_str().into(),
                pod: sample.pod.as_str().into(),
                container: sample.container.as_str().into(),
            };
            let amount = |text: &str| quantity(text).unwrap_or_else(|| panic!("{text} is not a quantity"));
            if let Some(cache) = &sample.cache {
                snapshot.apply(Delta::PageCache { samples: vec![(key.clone(), amount(cache))] });
            }
            let samples = vec![(key, amount(&sample.cpu), amount(&sample.memory))];
            snapshot.apply(Delta::Usage { samples, at: sample.at });
        }
        for sample in &self.throttling {
            let key = UsageKey {
                namespace: sample.namespace.as_str().into(),
                pod: sample.pod.as_str().into(),
                container: sample.container.as_str().into(),
            };
            snapshot.apply(Delta::Throttling { samples: vec![(key, sample.periods, sample.throttled)], at: sample.at });
        }
        snapshot
    }
}

/// What the rule finds over every subject of its kind.
fn findings(rule: &Rule, facts: &Facts<'_>) -> Vec<Finding> {
    let mut found = Vec::new();
    for key in facts.snapshot.keys(rule.subject) {
        let row = facts.snapshot.row(rule.subject, &key).unwrap();
        let mut output = Output::default();
        (rule.check)(facts, &row, &mut output);
        found.extend(output.findings);
    }
    found
}

/// The causes all rules together find over these objects; for the catalogue's samples.
pub(crate) fn causes_of(now: &str, objects: Vec<Value>) -> BTreeSet<&'static str> {
    let fixture = Fixture {
        now: now.parse().unwrap(),
        objects,
        logs: Vec::new(),
        usage: Vec::new(),
        throttling: Vec::new(),
        missing: Vec::new(),
        expect: Vec::new(),
    };
    let snapshot = fixture.snapshot();
    let facts = Facts { snapshot: &snapshot, now: fixture.now };
    rules::ALL.iter().flat_map(|rule| findings(rule, &facts)).map(|finding| finding.cause.0).collect()
}

/// A snapshot of these objects and logs (namespace, pod, container, previous, text).
pub(crate) fn snapshot_of(now: &str, objects: Vec<Value>, logs: Vec<(String, String, String, bool, String)>) -> Snapshot {
    let logs =
        logs.into_iter().map(|(namespace, pod, container, previous, text)| Log { namespace, pod, container, previous, text });
    let (now, logs) = (now.parse().unwrap(), logs.collect());
    Fixture { now, objects, logs, usage: Vec::new(), missing: Vec::new(), expect: Vec::new(), throttling: Vec::new() }.snapshot()
}

fn name_of(object: &ObjectRef) -> String {
    format!("{}/{}/{}", object.kind, object.namespace, object.name)
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/rules")
}

/// The `.yaml` files of a rule whose names start with `prefix`, sorted.
fn fixtures(rule: &str, prefix: &str) -> Vec<(String, Fixture)> {
    let Ok(entries) = std::fs::read_dir(root().join(rule)) else { return Vec::new() };
    let mut paths: Vec<PathBuf> = entries.map(|e| e.unwrap().path()).collect();
    paths.sort();
    paths.retain(|p| {
        let name = p.file_name().unwrap().to_string_lossy();
        name.starts_with(prefix) && name.ends_with(".yaml")
    });
    paths
        .into_iter()
        .map(|path| {
            let text = std::fs::read_to_string(&path).unwrap();
            let label = format!("{rule}/{}", path.file_name().unwrap().to_string_lossy());
            let fixture = serde_saphyr::from_str(&text).unwrap_or_else(|e| panic!("{label}: {e}"));
            (label, fixture)
        })
        .collect()
}

#[test]
fn fires_fixtures_yield_exactly_the_expected_findings() {
    let mut problems = Vec::new();
    for rule in rules::every() {
        for (label, fixture) in fixtures(rule.name, "fires") {
            let snapshot = fixture.snapshot();
            let found = findings(rule, &Facts { snapshot: &snapshot, now: fixture.now });
            check_expected(&label, &fixture, &found, &mut problems);
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

fn check_expected(label: &str, fixture: &Fixture, found: &[Finding], problems: &mut Vec<String>) {
    let got: BTreeSet<(String, String)> = found.iter().map(|f| (f.cause.0.to_owned(), name_of(&f.workload))).collect();
    let wanted: BTreeSet<(String, String)> = fixture.expect.iter().map(|e| (e.cause.clone(), e.workload.clone())).collect();
    if wanted.is_empty() {
        problems.push(format!("{label}: a fires fixture expects nothing"));
    }
    if got != wanted {
        problems.push(format!("{label}: found {got:?}, expected {wanted:?}"));
    }
    for expected in &fixture.expect {
        let of_it: Vec<&Finding> =
            found.iter().filter(|f| f.cause.0 == expected.cause && name_of(&f.workload) == expected.workload).collect();
        if let Some(word) = &expected.confidence
            && !of_it.iter().any(|f| f.confidence.word() == word)
        {
            let got: Vec<&str> = of_it.iter().map(|f| f.confidence.word()).collect();
            problems.push(format!("{label}: {} of {} is {got:?}, expected {word}", expected.cause, expected.workload));
        }
        if let Some(part) = &expected.summary
            && !of_it.iter().any(|f| f.summary.contains(part))
        {
            let got: Vec<&str> = of_it.iter().map(|f| f.summary.as_str()).collect();
            problems.push(format!("{label}: summaries {got:?} do not contain {part:?}"));
        }
    }
}

#[test]
fn quiet_fixtures_yield_nothing() {
    let mut problems = Vec::new();
    for rule in rules::every() {
        for (label, fixture) in fixtures(rule.name, "quiet") {
            assert!(fixture.expect.is_empty(), "{label}: a quiet fixture expects nothing");
            let snapshot = fixture.snapshot();
            for finding in findings(rule, &Facts { snapshot: &snapshot, now: fixture.now }) {
                problems.push(format!("{label}: {} of {}: {}", finding.cause, name_of(&finding.workload), finding.summary));
            }
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

/// The commands of the fixes of everything that the fixtures show.
pub(crate) fn commands_of_fixtures() -> BTreeSet<String> {
    let mut commands = BTreeSet::new();
    for rule in rules::every() {
        for (_, fixture) in fixtures(rule.name, "fires") {
            let snapshot = fixture.snapshot();
            let facts = Facts { snapshot: &snapshot, now: fixture.now };
            let fixes = findings(rule, &facts).into_iter().flat_map(|finding| (rule.fixes)(&facts, &finding));
            commands.extend(fixes.map(|fix| fix.command));
        }
    }
    commands
}

#[test]
fn every_finding_quotes_evidence_and_has_complete_fixes() {
    let mut problems = Vec::new();
    for rule in rules::every() {
        for (label, fixture) in fixtures(rule.name, "fires") {
            let snapshot = fixture.snapshot();
            let facts = Facts { snapshot: &snapshot, now: fixture.now };
            for finding in findings(rule, &facts) {
                check_finding(&label, rule, &facts, &finding, &mut problems);
            }
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

/// What cannot be run as it stands: no program, something to fill in, an unknown verb, an object without its namespace.
fn wrong_with(fix: &Fix) -> Option<&'static str> {
    const VERBS: &[&str] = &[
        "annotate",
        "api-resources",
        "apply",
        "auth",
        "autoscale",
        "certificate",
        "config",
        "cordon",
        "cp",
        "create",
        "debug",
        "delete",
        "describe",
        "drain",
        "edit",
        "events",
        "exec",
        "explain",
        "expose",
        "get",
        "label",
        "logs",
        "patch",
        "replace",
        "rollout",
        "run",
        "scale",
        "set",
        "taint",
        "top",
        "uncordon",
    ];
    if let Some(at) = fix.command.find("kubectl ") {
        let rest = fix.command.get(at..).unwrap_or_default();
        let mut words = rest.split_whitespace().skip(1);
        let mut verb = words.next();
        while matches!(verb, Some("-n")) {
            words.next();
            verb = words.next();
        }
        if !verb.is_some_and(|verb| VERBS.contains(&verb)) {
            return Some("kubectl has no such verb");
        }
    }
    let holes = fix.command.contains('<') && fix.command.contains('>') && !fix.command.contains("<<");
    if holes && (fix.action.is_some() || fix.risk == Risk::Safe) {
        return Some("has something to fill in, and is called safe or has a key");
    }
    let of_namespace = match fix.action.as_ref()? {
        Intent::Undo { workload, .. }
        | Intent::Scale { workload, .. }
        | Intent::Restart { workload }
        | Intent::SetImage { workload, .. }
        | Intent::SetMemoryLimit { workload, .. } => &workload.namespace,
        Intent::Edit { object, .. }
        | Intent::SetField { object, .. }
        | Intent::Delete { object, .. }
        | Intent::RemoveFinalizer { object, .. } => &object.namespace,
        _ => return None,
    };
    let named = fix.command.contains(&format!("-n {of_namespace}"));
    (!of_namespace.is_empty() && !named).then_some("does not name the namespace of what it acts on")
}

fn check_finding(label: &str, rule: &Rule, facts: &Facts<'_>, finding: &Finding, problems: &mut Vec<String>) {
    let mut problem = |text: String| problems.push(format!("{label}: {}: {text}", finding.cause));
    if !rule.causes.contains(&finding.cause) {
        problem("is not among the causes the rule declares".to_owned());
    }
    if finding.evidence.is_empty() {
        problem("has no evidence".to_owned());
    }
    if finding.evidence.iter().any(|e| e.text.trim().is_empty() || e.field.is_empty()) {
        problem("quotes nothing, or not from where".to_owned());
    }
    if finding.summary.is_empty() || finding.summary.ends_with('.') || finding.summary.contains('\n') {
        problem(format!("summary {:?} is not one sentence without a full stop", finding.summary));
    }
    let fixes = (rule.fixes)(facts, finding);
    if fixes.is_empty() && !finding.derived {
        problem("has no fix".to_owned());
    }
    for fix in fixes {
        if fix.command.is_empty() || fix.title.is_empty() || fix.why.is_empty() {
            problem(format!("fix {:?} lacks a title, a command or a reason", fix.title));
        }
        if let Some(text) = wrong_with(&fix) {
            problem(format!("fix {:?}: {text}: {}", fix.title, fix.command));
        }
    }
}

#[test]
fn every_rule_has_fixtures_a_page_and_known_causes() {
    let mut problems = Vec::new();
    let mut names = BTreeSet::new();
    for rule in rules::every() {
        let mut problem = |text: &str| problems.push(format!("{}: {text}", rule.name));
        if !names.insert(rule.name) {
            problem("another rule has the same name");
        }
        for prefix in ["fires", "quiet"] {
            if fixtures(rule.name, prefix).is_empty() {
                problem(&format!("no {prefix}*.yaml under tests/fixtures/rules/{}", rule.name));
            }
        }
        for heading in ["What it detects", "Reads", "Source", "Look-alikes", "Fixes"] {
            if !rule.doc.contains(heading) {
                problem(&format!("its page has no heading {heading:?}"));
            }
        }
        if rule.causes.is_empty() {
            problem("declares no cause");
        }
        for cause in rule.causes {
            if CauseId::parse(cause.0).is_none() {
                problem(&format!("{cause} is not in the vocabulary"));
            }
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn every_fixture_folder_belongs_to_a_rule() {
    for entry in std::fs::read_dir(root()).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_dir() {
            let name = entry.file_name().to_string_lossy().into_owned();
            assert!(rules::every().any(|r| r.name == name), "tests/fixtures/rules/{name}: no such rule");
        }
    }
}

/// Causes without a rule or a `fires` fixture of their own, with the reason. Meant to be empty.
const WITHOUT: &[(&str, &str)] = &[("rollout-regression", "the mark of an incident, not a cause of its own")];

/// Rules of incidents and of advice.
fn every_rule() -> impl Iterator<Item = &'static &'static Rule> {
    rules::ALL.iter().chain(rules::ADVICE)
}

/// Rules by the causes they declare, and causes that a `fires` fixture expects.
fn named_by_fixtures() -> BTreeSet<String> {
    let of_rule = |rule: &&Rule| fixtures(rule.name, "fires").into_iter().flat_map(|(_, f)| f.expect).map(|e| e.cause);
    every_rule().flat_map(|rule| of_rule(rule).collect::<Vec<_>>()).collect()
}

#[test]
fn every_cause_has_a_rule_that_names_it_in_a_fixture() {
    let named = named_by_fixtures();
    let mut problems = Vec::new();
    for cause in k3am::diagnosis::cause::CAUSES {
        if WITHOUT.iter().any(|(id, _)| *id == cause.id) {
            continue;
        }
        if !every_rule().any(|rule| rule.causes.contains(&CauseId(cause.id))) {
            problems.push(format!("{}: no rule declares it", cause.id));
        } else if !named.contains(cause.id) {
            problems.push(format!("{}: no fires fixture expects it", cause.id));
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

/// What the rules say about a fixture with its measurements, and without.
fn with_and_without_usage(rule: &Rule, fixture: &Fixture) -> (Vec<Finding>, Vec<Finding>) {
    let mut snapshot = fixture.snapshot();
    let measured = findings(rule, &Facts { snapshot: &snapshot, now: fixture.now });
    snapshot.usage.clear();
    snapshot.page_cache.clear();
    (measured, findings(rule, &Facts { snapshot: &snapshot, now: fixture.now }))
}

#[test]
fn the_list_of_rules_that_read_usage_is_complete_and_has_no_other() {
    let (mut read, mut problems) = (BTreeSet::new(), Vec::new());
    for owner in rules::every() {
        for (_, fixture) in fixtures(owner.name, "").into_iter().filter(|(_, fixture)| !fixture.usage.is_empty()) {
            for rule in rules::every() {
                let (with, without) = with_and_without_usage(rule, &fixture);
                if with != without {
                    read.insert(rule.name);
                }
            }
        }
    }
    let listed: BTreeSet<&str> = rules::READ_USAGE.iter().copied().collect();
    for path in crate::tidy::sources().into_iter().filter(|path| path.to_string_lossy().contains("diagnosis/rules")) {
        let text = std::fs::read_to_string(&path).unwrap();
        let path = path.display();
        let reads = ["snapshot.usage", "snapshot.page_cache"].iter().any(|field| text.contains(field));
        if reads && !listed.iter().any(|name| text.contains(&format!("name: \"{name}\""))) {
            problems.push(format!("{path} reads usage and holds no rule of READ_USAGE"));
        }
    }
    for name in read.difference(&listed) {
        problems.push(format!("{name} reads usage and is not in READ_USAGE: it would be blind to new measurements"));
    }
    for name in listed.difference(&read) {
        problems.push(format!("{name} is in READ_USAGE, and no fixture shows that usage matters to it"));
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}
