//! The pictures in `screenshots/`: real frames of the real state over a recorded night of the practice cluster.
//!
//! `k3am screenshots` writes them, a test fails when they are stale. The recording is a bundle (`tests/fixtures/night-shift`,
//! with `usage.jsonl` beside it), played at its own time; effects are answered from it as the cluster would have.

use std::fs;
use std::path::Path;

use anyhow::Context;
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use serde_json::Value;

use crate::actions::{self, Check, ObjectRequest, Objects};
use crate::app::{ConnectedInfo, Effect, Msg, Options, State, update};
use crate::config::{Config, Sources};
use crate::kinds::{KindId, ObjectRef};
use crate::snapshot::{Delta, Identity, LogBatch, LogKey, LogSpec, UsageKey};
use crate::source::bundle::{self, Bundle};
use crate::text::{Time, quantity};
use crate::ui;

mod svg;

/// Where the recording is, and where the pictures go, in the repository.
pub const RECORDING: &str = "tests/fixtures/night-shift";
/// See [`RECORDING`].
pub const PICTURES: &str = "screenshots";

/// A picture: its file, its size, the incident selected, the keys pressed.
struct Picture {
    file: &'static str,
    title: &'static str,
    size: (u16, u16),
    incident: &'static str,
    keys: &'static str,
}

/// The incident most pictures are about.
const ROLLOUT: &str = "fastapi-deployment";
/// One with a traceback.
const CRASH: &str = "orders-api";

const ALL: &[Picture] = &[
    Picture { file: "cockpit-80x24.svg", title: "The cockpit at 80x24", size: (80, 24), incident: ROLLOUT, keys: "" },
    Picture { file: "cockpit-120x40.svg", title: "The cockpit at 120x40", size: (120, 40), incident: ROLLOUT, keys: "" },
    Picture { file: "cockpit-200x60.svg", title: "The cockpit at 200x60", size: (200, 60), incident: ROLLOUT, keys: "" },
    Picture { file: "undo.svg", title: "The preview of an undo", size: (120, 40), incident: ROLLOUT, keys: "u" },
    Picture { file: "logs.svg", title: "The log of a run that crashed", size: (120, 40), incident: CRASH, keys: "l" },
];

/// Every picture: file name and content.
///
/// # Errors
/// The recording cannot be read.
pub fn render_all(recording: &Path) -> anyhow::Result<Vec<(&'static str, String)>> {
    ALL.iter().map(|picture| Ok((picture.file, render(recording, picture)?))).collect()
}

/// Writes every picture. Returns the files.
///
/// # Errors
/// The recording cannot be read, a picture cannot be written.
pub fn write_all(recording: &Path, pictures: &Path) -> anyhow::Result<Vec<String>> {
    fs::create_dir_all(pictures)?;
    let mut written = Vec::new();
    for (file, content) in render_all(recording)? {
        let path = pictures.join(file);
        fs::write(&path, content).with_context(|| format!("cannot write {}", path.display()))?;
        written.push(path.display().to_string());
    }
    Ok(written)
}

fn render(recording: &Path, picture: &Picture) -> anyhow::Result<String> {
    let mut stage = Stage::open(recording, picture.size)?;
    stage.select(picture.incident);
    for key in picture.keys.chars() {
        stage.press(key);
    }
    let (columns, rows) = picture.size;
    let mut terminal = Terminal::new(TestBackend::new(columns, rows))?;
    terminal.draw(|frame| ui::view(&stage.state, frame))?;
    Ok(svg::render(terminal.backend().buffer(), picture.title))
}

/// The cockpit over a recording.
struct Stage {
    state: State,
    bundle: Bundle,
    objects: Vec<(String, Value)>,
}

impl Stage {
    fn open(recording: &Path, size: (u16, u16)) -> anyhow::Result<Self> {
        let bundle = bundle::read(recording)?;
        let now = bundle.newest.context("the recording holds no time")?;
        let options =
            Options { config: Config::build(&Sources::default()).0, ascii: false, connecting_to: "practice".to_owned() };
        let objects = read_objects(&recording.join("objects"))?;
        let usage = read_usage(&recording.join("usage.jsonl"))?;
        let mut stage = Self { state: State::new(options, now), bundle, objects };
        let info = ConnectedInfo {
            context: "practice".to_owned(),
            acting_as: None,
            namespaces: Vec::new(),
            read_only: false,
            source: "practice",
        };
        stage.tell(Msg::Resize(size.0, size.1));
        stage.tell(Msg::Connected(Ok(info)));
        stage.tell(Msg::MetricsSource(Ok("metrics-server".to_owned())));
        stage.tell(Msg::Deltas(usage));
        let mut deltas = stage.bundle.deltas();
        for delta in &mut deltas {
            if let Delta::Identity(Identity { name, .. }) = delta {
                "practice".clone_into(name);
            }
        }
        stage.tell(Msg::Deltas(deltas));
        stage.tell(Msg::Tick(now));
        Ok(stage)
    }

    fn press(&mut self, key: char) {
        self.tell(Msg::Key(KeyEvent::new(KeyCode::Char(key), KeyModifiers::NONE)));
    }

    /// Walks down the incidents to the one of that workload.
    fn select(&mut self, workload: &str) {
        for _ in 0..self.state.incidents.rows.len() {
            let found = self
                .state
                .incidents
                .selected()
                .is_some_and(|row| row.incident.workloads.iter().any(|object| &*object.name == workload));
            if found {
                return;
            }
            self.press('j');
        }
    }

    /// Folds a message in and answers what it asks for from the recording.
    fn tell(&mut self, msg: Msg) {
        let effects = update(&mut self.state, msg);
        for effect in effects {
            if let Some(answer) = self.answer(effect) {
                self.tell(answer);
            }
        }
    }

    fn answer(&self, effect: Effect) -> Option<Msg> {
        match effect {
            Effect::FollowLog { stream, spec, .. } => Some(Msg::Log { stream, batch: self.log(&spec) }),
            Effect::Plan(intent) => {
                let objects = self.objects(&actions::needs(&intent));
                let plan = Box::new(actions::plan(&intent, &objects, &self.state.snapshot, self.state.now));
                Some(Msg::Planned { intent, plan })
            }
            // The practice cluster's admin may do everything, and it takes what its own planners make.
            Effect::Check(plan) => Some(Msg::Checked { intent: plan.intent, check: Check { access: Ok(()), dry_run: Ok(()) } }),
            _ => None,
        }
    }

    fn log(&self, spec: &LogSpec) -> LogBatch {
        let key = LogKey {
            namespace: spec.namespace.clone(),
            pod: spec.pod.clone(),
            container: spec.container.clone(),
            previous: spec.previous,
        };
        let lines = self.state.snapshot.logs.get(&key).map(|log| log.lines.clone()).unwrap_or_default();
        LogBatch { lines, ..LogBatch::default() }
    }

    fn objects(&self, requests: &[ObjectRequest]) -> Objects {
        let mut objects = Objects::default();
        let named = |value: &Value, object: &ObjectRef| {
            let text = |field: &str| value.pointer(&format!("/metadata/{field}")).and_then(Value::as_str).unwrap_or_default();
            text("name") == &*object.name && text("namespace") == &*object.namespace
        };
        for request in requests {
            for (kind, value) in &self.objects {
                let wanted = match request {
                    ObjectRequest::Object(object) => *kind == *object.kind && named(value, object),
                    ObjectRequest::OwnedBy { kind: wanted, owner } => *kind == wanted.name() && is_owned_by(value, owner),
                };
                if wanted {
                    objects.insert(kind, value.clone());
                }
            }
        }
        objects
    }
}

fn is_owned_by(value: &Value, owner: &ObjectRef) -> bool {
    let owners = value.pointer("/metadata/ownerReferences").and_then(Value::as_array);
    owners.into_iter().flatten().any(|reference| {
        reference.get("kind").and_then(Value::as_str) == Some(&owner.kind)
            && reference.get("name").and_then(Value::as_str) == Some(&owner.name)
    })
}

/// The recorded objects in full, with their kinds.
fn read_objects(folder: &Path) -> anyhow::Result<Vec<(String, Value)>> {
    let mut objects = Vec::new();
    for kind in KindId::ALL {
        let Ok(text) = fs::read_to_string(folder.join(format!("{}.json", kind.info().plural))) else { continue };
        let list: Value = serde_json::from_str(&text)?;
        let items = list.get("items").and_then(Value::as_array).cloned().unwrap_or_default();
        objects.extend(items.into_iter().map(|item| (kind.name().to_owned(), item)));
    }
    Ok(objects)
}

/// The recorded answers of the metrics API, oldest first, one a line.
fn read_usage(file: &Path) -> anyhow::Result<Vec<Delta>> {
    let text = fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let mut deltas = Vec::new();
    for line in text.lines() {
        let list: Value = serde_json::from_str(line)?;
        for pod in list.get("items").and_then(Value::as_array).into_iter().flatten() {
            deltas.extend(usage_of(pod));
        }
    }
    Ok(deltas)
}

fn usage_of(pod: &Value) -> Option<Delta> {
    let text = |value: &Value, pointer: &str| value.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
    let at: Time = text(pod, "/timestamp").parse().ok()?;
    let containers = pod.get("containers").and_then(Value::as_array)?;
    let samples = containers.iter().map(|container| {
        let key = UsageKey {
            namespace: text(pod, "/metadata/namespace").as_str().into(),
            pod: text(pod, "/metadata/name").as_str().into(),
            container: text(container, "/name").as_str().into(),
        };
        let measured = |pointer: &str| quantity(&text(container, pointer)).unwrap_or_default();
        (key, measured("/usage/cpu"), measured("/usage/memory"))
    });
    Some(Delta::Usage { samples: samples.collect(), at })
}
