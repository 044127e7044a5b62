//! The cockpit's core behind the shell's seam. Everything about what is shown is `app` and `ui`; this only ties them together.

use ratatui::Frame;
use ratatui::text::{Line, Text};
use ratatui::widgets::Paragraph;

use super::{Cockpit, event_loop::Setup};
use crate::app::msg::ConnectFailure;
use crate::app::{Effect, Msg};
use crate::config::{Action, Place};
use crate::diagnosis::engine::Engine;
use crate::snapshot::Snapshot;
use crate::text::{Time, clean};

/// The incidents as a list, until `app::State` takes this place.
pub struct Live {
    config: std::sync::Arc<crate::config::Config>,
    snapshot: Snapshot,
    engine: Engine,
    now: Time,
    status: String,
}

impl Live {
    /// Before anything is known.
    pub fn new(setup: &Setup, now: Time) -> Self {
        let status = if setup.ascii { "connecting ..." } else { "connecting …" }.to_owned();
        Self { config: setup.config.clone(), snapshot: Snapshot::default(), engine: Engine::default(), now, status }
    }

    fn key(&self, key: &crossterm::event::KeyEvent) -> Vec<Effect> {
        match self.config.keymap.find(&[Place::NoCluster, Place::Everywhere], key).map(|hit| hit.action) {
            Some(Action::Quit | Action::Leave) => vec![Effect::Quit],
            Some(Action::StartPractice) => vec![Effect::StartPractice],
            Some(Action::Redraw) => vec![Effect::ClearScreen],
            Some(Action::Suspend) => vec![Effect::Suspend],
            _ => Vec::new(),
        }
    }

    fn fold(&mut self, deltas: Vec<crate::snapshot::Delta>) -> Vec<Effect> {
        let changed: Vec<_> = deltas.into_iter().flat_map(|delta| self.snapshot.apply(delta)).collect();
        self.engine.update(&self.snapshot, &changed, self.now);
        self.engine.take_requests().into_iter().map(Effect::Fetch).collect()
    }
}

impl Cockpit for Live {
    fn update(&mut self, msg: Msg) -> Vec<Effect> {
        match msg {
            Msg::Key(key) => return self.key(&key),
            Msg::Tick(now) => self.now = now,
            Msg::Deltas(deltas) => return self.fold(deltas),
            Msg::Notice(notice) => self.status = notice,
            Msg::Connected(Ok(info)) => {
                (self.snapshot, self.engine) = (Snapshot::default(), Engine::default());
                self.status = format!("{}  {}", info.context, info.source);
            }
            Msg::Connected(Err(ConnectFailure::NoKubeconfig)) => {
                self.status = "there is no kubeconfig: p starts the practice cluster, q leaves".to_owned();
            }
            Msg::Connected(Err(ConnectFailure::Other(why))) => self.status = why,
            _ => {}
        }
        Vec::new()
    }

    fn draw(&self, frame: &mut Frame<'_>) {
        let mut text = Text::from(format!("k3am  {}  pods {}", clean(&self.status), self.snapshot.pods.len()));
        for incident in self.engine.incidents() {
            text.push_line(Line::from(format!("{}  {}", incident.cause, clean(&incident.title))));
        }
        frame.render_widget(Paragraph::new(text), frame.area());
    }

    fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }
}
