//! Everything the screen is a function of.

use super::cockpit::Cockpit;
use super::follow::Follow;
use super::incidents::Incidents;
use super::logs::Logs;
use super::msg::{ConnectFailure, ConnectedInfo, ContextInfo, ResourceKind};
use super::picker::Picker;
use super::preview::{Preview, WayBack};
use super::prompt::Prompt;
use super::view::{self, View};
use crate::config::Config;
use crate::diagnosis::engine::Engine;
use crate::snapshot::{Changed, CoverageState, Snapshot};
use crate::text::Time;

/// What the program was started with.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Keys, theme, read-only.
    pub config: Config,
    /// Draw with ASCII characters only.
    pub ascii: bool,
    /// What is being connected to, for the first frame.
    pub connecting_to: String,
}

/// Where the facts come from.
#[derive(Debug, Clone, PartialEq)]
pub enum ConnectionState {
    /// Not there yet.
    Connecting {
        /// Context name.
        to: String,
    },
    /// Facts arrive.
    Connected(ConnectedInfo),
    /// No connection; what was known stays on screen.
    Failed(ConnectFailure),
}

/// Everything the screen is a function of.
#[derive(Debug)]
pub struct State {
    /// Keys, theme, read-only.
    pub config: Config,
    /// Draw with ASCII characters only.
    pub ascii: bool,
    /// The cluster.
    pub snapshot: Snapshot,
    /// The diagnosis.
    pub engine: Engine,
    /// What changed since the rules last ran.
    pub unjudged: Vec<Changed>,
    /// When the server last said anything at all. A watch of a quiet kind says nothing for a minute, and is live all the same.
    pub heard: Option<Time>,
    /// The time of the last tick or message: what ages are judged by.
    pub now: Time,
    /// Columns and rows of the terminal.
    pub size: (u16, u16),
    /// Where the facts come from.
    pub connection: ConnectionState,
    /// What a credential plugin has said while there is no connection, newest last: a code to type in, a page to open.
    pub plugin_says: Vec<String>,
    /// Where usage comes from, or why there is none.
    pub metrics_source: Option<Result<String, String>>,
    /// The incidents as shown, with the recovered ones.
    pub incidents: Incidents,
    /// What the strip below follows: events, logs and metrics of the selection.
    pub follow: Follow,
    /// Focus, zoom and scrolling of the cockpit.
    pub cockpit: Cockpit,
    /// The log stream.
    pub logs: Logs,
    /// Views on top of the cockpit, the last one visible.
    pub views: Vec<View>,
    /// Views that were left, the last one first to come back; opening a view forgets them.
    pub forward: Vec<view::Left>,
    /// The preview of an action, over everything.
    pub preview: Option<Preview>,
    /// What takes the last applied action back.
    pub way_back: Option<WayBack>,
    /// The `:` prompt, or another line being asked for.
    pub prompt: Option<Prompt>,
    /// A list to choose from, over everything.
    pub picker: Option<Picker>,
    /// The question whether to quit is open.
    pub asks_to_quit: bool,
    /// A line for the footer, and since when.
    pub notice: Option<(String, Time)>,
    /// Kinds the server offers.
    pub resources: Vec<ResourceKind>,
    /// Contexts of the kubeconfig.
    pub contexts: Vec<ContextInfo>,
    /// Something visible changed since the last frame; the shell takes it back.
    pub dirty: bool,
}

impl State {
    /// The state before anything has arrived.
    pub fn new(options: Options, now: Time) -> Self {
        Self {
            config: options.config,
            ascii: options.ascii,
            snapshot: Snapshot::default(),
            engine: Engine::default(),
            unjudged: Vec::new(),
            heard: None,
            now,
            size: (80, 24),
            connection: ConnectionState::Connecting { to: options.connecting_to },
            plugin_says: Vec::new(),
            metrics_source: None,
            incidents: Incidents::default(),
            follow: Follow::default(),
            cockpit: Cockpit::default(),
            logs: Logs::default(),
            views: Vec::new(),
            forward: Vec::new(),
            preview: None,
            way_back: None,
            prompt: None,
            picker: None,
            asks_to_quit: false,
            notice: None,
            resources: Vec::new(),
            contexts: Vec::new(),
            dirty: true,
        }
    }

    /// True when there is nothing of a cluster to show: not connected, and nothing known from before.
    pub fn is_without_cluster(&self) -> bool {
        !matches!(self.connection, ConnectionState::Connected(_)) && self.snapshot.pods.is_empty()
    }

    /// True while a first list is under way.
    pub fn is_listing(&self) -> bool {
        self.snapshot.coverage.iter().any(|(_, _, state)| matches!(state, CoverageState::Syncing { .. }))
    }

    /// True when facts are folded in that the rules have not been run for.
    pub fn is_behind(&self) -> bool {
        !self.unjudged.is_empty() || self.engine.is_behind()
    }

    /// True when writes are refused.
    pub fn is_read_only(&self) -> bool {
        self.config.readonly || matches!(&self.connection, ConnectionState::Connected(info) if info.read_only)
    }

    /// Puts a view on top.
    pub fn open(&mut self, view: View) {
        self.forward.clear();
        self.views.push(view);
    }

    /// Shows a line in the footer for a while.
    pub fn notify(&mut self, line: impl Into<String>) {
        self.notice = Some((line.into(), self.now));
        self.dirty = true;
    }
}
