//! Facts every screen may read: the cluster, the incidents, the connection, the log feed. Screens never change it; messages do.

use std::sync::Arc;

use super::feed::Feed;
use super::follow_up::FollowUp;
use super::msg::{ConnectFailure, ConnectedInfo};
use super::{Effect, Options, ResourceKind, State};
use crate::config::Config;
use crate::diagnosis::engine::Engine;
use crate::diagnosis::{Incident, IncidentId};
use crate::kinds::KindId;
use crate::snapshot::{Changed, CoverageState, Snapshot};
use crate::text::{self, Time};

/// Whether there is a cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Link {
    /// Not yet.
    Connecting,
    /// Yes.
    Up(ConnectedInfo),
    /// No, and why; tried again by the shell.
    Down(String),
    /// There is no kubeconfig: the practice cluster is offered.
    NoKubeconfig,
}

/// Facts every screen may read.
#[derive(Debug)]
pub struct World {
    /// Settings: keys, theme, favourites.
    pub config: Arc<Config>,
    /// Draw with ASCII only.
    pub ascii: bool,
    /// The cluster.
    pub snapshot: Snapshot,
    /// Its diagnosis.
    pub engine: Engine,
    /// What became of incidents: recoveries, fixes under way.
    pub follow_up: FollowUp,
    /// The time of the last tick.
    pub now: Time,
    /// Columns and rows of the terminal.
    pub size: (u16, u16),
    /// Whether there is a cluster.
    pub link: Link,
    /// The one log stream.
    pub feed: Feed,
    /// Where usage comes from, or why there is none.
    pub metrics_source: Option<Result<String, String>>,
    /// Kinds the server offers, for the prompt.
    pub resources: Vec<ResourceKind>,
    /// The line of the status bar, and since when.
    pub notice: Option<(String, Time)>,
    /// Counts events that came or went: what shows events looks again when it changes.
    pub events_version: u64,
    /// Pods that are not ready and should be; kept here because the header shows it in every frame.
    pub pods_not_ready: usize,
}

/// How long the status bar shows a notice.
const NOTICE_SECONDS: i64 = 8;

impl World {
    /// The world before anything is known.
    pub fn new(options: Options) -> Self {
        Self {
            config: options.config,
            ascii: options.ascii,
            snapshot: Snapshot::default(),
            engine: Engine::default(),
            follow_up: FollowUp::default(),
            now: options.now,
            size: (80, 24),
            link: Link::Connecting,
            feed: Feed::default(),
            metrics_source: None,
            resources: Vec::new(),
            notice: None,
            events_version: 0,
            pods_not_ready: 0,
        }
    }

    /// Says something in the status bar.
    pub fn notice(&mut self, sentence: impl Into<String>) {
        self.notice = Some((text::clean(&sentence.into()), self.now));
    }

    /// What the status bar says now.
    pub fn current_notice(&self) -> Option<&str> {
        let (sentence, at) = self.notice.as_ref()?;
        ((self.now - *at).num_seconds() < NOTICE_SECONDS).then_some(sentence)
    }

    /// Keeps the counts of the header in step with the snapshot.
    pub fn note(&mut self, changed: &[Changed]) {
        let touches = |kind: KindId| {
            changed.iter().any(|c| match c {
                Changed::Object { kind: k, .. } | Changed::Coverage(k) => *k == kind,
                Changed::Evidence(_) => false,
            })
        };
        if touches(KindId::Event) {
            self.events_version += 1;
        }
        if touches(KindId::Pod) {
            self.pods_not_ready = self.snapshot.pods.iter().filter(|pod| !pod.is_ready() && !pod.is_finished()).count();
        }
    }

    /// The connection, when it is up.
    pub fn connected(&self) -> Option<&ConnectedInfo> {
        match &self.link {
            Link::Up(info) => Some(info),
            Link::Connecting | Link::Down(_) | Link::NoKubeconfig => None,
        }
    }

    /// True when writes are refused.
    pub fn is_read_only(&self) -> bool {
        self.config.readonly || self.connected().is_some_and(|info| info.read_only)
    }

    /// The incidents on the screen: current ones, worst first, then what recovered and was not dismissed.
    pub fn incidents(&self) -> impl Iterator<Item = &Incident> {
        self.engine.incidents().iter().chain(self.follow_up.recovered().map(|r| &r.incident))
    }

    /// The incident of that id, current or recovered.
    pub fn incident(&self, id: &IncidentId) -> Option<&Incident> {
        self.incidents().find(|incident| incident.id == *id)
    }

    /// True while the first lists of what matters most are under way.
    pub fn is_loading(&self) -> bool {
        let waits = |kind| {
            let mut states = self.snapshot.coverage.of_kind(kind).peekable();
            states.peek().is_none() || states.any(|state| matches!(state, CoverageState::Syncing { .. }))
        };
        waits(KindId::Pod) || waits(KindId::Event) || waits(KindId::Deployment)
    }
}

/// A connection came up or failed.
pub fn on_connected(state: &mut State, result: Result<ConnectedInfo, ConnectFailure>) -> Vec<Effect> {
    match result {
        Ok(info) => {
            let (now, size) = (state.world.now, state.world.size);
            let options = Options { config: Arc::clone(&state.world.config), ascii: state.world.ascii, now };
            let feed = std::mem::take(&mut state.world.feed);
            *state = State::new(options);
            state.world.size = size;
            state.world.feed = feed.restarted();
            state.world.link = Link::Up(info);
            vec![Effect::StopLog]
        }
        Err(ConnectFailure::NoKubeconfig) => {
            state.world.link = Link::NoKubeconfig;
            Vec::new()
        }
        Err(ConnectFailure::Other(why)) => {
            let why = text::clean(&why);
            if state.world.connected().is_some() {
                state.world.notice(why);
            } else {
                state.world.link = Link::Down(why);
            }
            Vec::new()
        }
    }
}
