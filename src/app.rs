//! The cockpit's state and how it changes: `update(&mut State, Msg) -> Vec<Effect>`, pure, tested without a terminal.
//!
//! [`Msg`] is everything that can happen; [`Effect`] everything the program can be asked to do. The shell turns effects into
//! work and the work's results into messages. [`State`] is the [`World`] (facts every view may read) and a stack of screens:
//! the cockpit at the bottom, [`View`]s above it.
//!
//! To add a view: one file here with a struct that implements [`Screen`] (its keys, its messages), one line in
//! [`view::View`]'s list, one file of the same name under `ui/` with its `draw`, one line in `ui::draw_view`.
//! To add something a key does on any selected object: one line in [`global::GLOBAL`].

use std::sync::Arc;

use crossterm::event::KeyEvent;

use crate::config::{Config, Place};
use crate::snapshot::{Changed, Delta};
use crate::text::Time;

pub mod cockpit;
pub mod confirm;
pub mod effect;
pub mod feed;
pub mod filter;
pub mod follow_up;
pub mod global;
pub mod level;
pub mod line;
pub mod log_choice;
pub mod logs;
pub mod msg;
pub mod no_cluster;
pub mod preview;
pub mod tail;
pub mod view;
pub mod world;

pub use cockpit::Cockpit;
pub use effect::{Effect, LogSpec};
pub use msg::{ContextInfo, LogBatch, Msg, ResourceKind};
pub use view::{Go, Reply, Screen, View};
pub use world::{Link, World};

/// What the cockpit is started with.
#[derive(Debug, Clone)]
pub struct Options {
    /// Settings: keys, theme, favourites.
    pub config: Arc<Config>,
    /// Draw with ASCII only.
    pub ascii: bool,
    /// The time now.
    pub now: Time,
}

/// Everything on the screen.
#[derive(Debug)]
pub struct State {
    /// Facts: the cluster, the incidents, the connection.
    pub world: World,
    /// The bottom screen.
    pub cockpit: Cockpit,
    /// Screens above it, the last one on top.
    pub views: Vec<View>,
    /// Screens left by `history-back`, the next one last.
    pub forward: Vec<View>,
}

impl State {
    /// The state before anything is known.
    pub fn new(options: Options) -> Self {
        Self { world: World::new(options), cockpit: Cockpit::default(), views: Vec::new(), forward: Vec::new() }
    }

    /// The screen that gets the keys.
    pub fn top(&self) -> &dyn Screen {
        match self.views.last() {
            Some(view) => view.screen(),
            None => &self.cockpit,
        }
    }

    /// Where keys are pressed now, narrowest first.
    pub fn places(&self) -> Vec<Place> {
        let mut places = if self.world.link == Link::NoKubeconfig && self.views.is_empty() {
            vec![Place::NoCluster]
        } else {
            self.top().places(&self.world)
        };
        if !places.iter().any(|place| place.is_modal()) {
            places.push(Place::Everywhere);
        }
        places
    }

    /// Does what a screen replied.
    pub fn carry_out(&mut self, reply: Reply) -> Vec<Effect> {
        let mut effects = reply.effects;
        if let Some(sentence) = reply.notice {
            self.world.notice(sentence);
        }
        if let Some(change) = reply.feed {
            self.world.feed.change(change, self.world.now);
        }
        if let Some(id) = reply.dismiss {
            self.world.follow_up.dismiss(&id);
        }
        for go in reply.go {
            match go {
                Go::Push(view) => {
                    self.forward.clear();
                    self.views.push(*view);
                }
                Go::Pop => {
                    self.views.pop();
                }
                Go::Home => self.views.clear(),
            }
        }
        effects.extend(self.refresh());
        effects
    }

    /// Lets the cockpit follow its selection again: events, logs.
    pub fn refresh(&mut self) -> Vec<Effect> {
        self.cockpit.follow_selection(&self.world);
        let wanted = self.views.iter().rev().find_map(|view| view.screen().log_spec()).or_else(|| self.cockpit.log_spec());
        match wanted {
            Some(spec) => self.world.feed.follow(spec),
            None => self.world.feed.stop(),
        }
    }
}

/// Folds a message in; what it asks for in return. Dispatch only.
pub fn update(state: &mut State, msg: Msg) -> Vec<Effect> {
    match msg {
        Msg::Key(key) => on_key(state, key),
        Msg::Paste(text) => on_paste(state, &text),
        Msg::Resize(columns, rows) => {
            state.world.size = (columns, rows);
            Vec::new()
        }
        Msg::Tick(now) => on_tick(state, now),
        Msg::Deltas(deltas) => on_deltas(state, deltas),
        Msg::Log { stream, batch } => {
            state.world.feed.take(stream, batch);
            Vec::new()
        }
        Msg::MetricsSource(source) => {
            state.world.metrics_source = Some(source);
            Vec::new()
        }
        Msg::Notice(sentence) => {
            state.world.notice(sentence);
            Vec::new()
        }
        Msg::Redraw => vec![Effect::ClearScreen],
        Msg::Connected(result) => world::on_connected(state, result),
        msg => on_answer(state, &msg),
    }
}

/// Answers belong to whichever screen waits for them: offered to all, the cockpit last.
fn on_answer(state: &mut State, msg: &Msg) -> Vec<Effect> {
    match msg {
        Msg::Resources(kinds) => state.world.resources.clone_from(kinds),
        Msg::Applied { intent, at, result: Ok(()) } => state.world.follow_up.applied(intent, *at),
        _ => {}
    }
    let mut effects = Vec::new();
    for at in (0..state.views.len()).rev() {
        let world = &state.world;
        let Some(reply) = state.views.get_mut(at).map(|view| view.screen_mut().on_msg(world, msg)) else { break };
        effects.extend(state.carry_out(reply));
    }
    if matches!(msg, Msg::Applied { .. }) {
        effects.extend(on_facts(state, &[]));
    }
    effects
}

fn on_key(state: &mut State, key: KeyEvent) -> Vec<Effect> {
    state.world.notice = None;
    let places = state.places();
    let hit = state.world.config.keymap.find(&places, &key);
    let world = &state.world;
    let screen: &mut dyn Screen = match state.views.last_mut() {
        Some(view) => view.screen_mut(),
        None => &mut state.cockpit,
    };
    let reply = match hit {
        Some(hit) => screen.on_action(world, hit),
        None => Some(screen.on_key(world, key)),
    };
    let mut effects = match (reply, hit) {
        (Some(reply), _) => state.carry_out(reply),
        (None, Some(hit)) => global::act(state, hit),
        (None, None) => Vec::new(),
    };
    effects.extend(state.refresh());
    effects
}

fn on_paste(state: &mut State, text: &str) -> Vec<Effect> {
    let world = &state.world;
    let reply = match state.views.last_mut() {
        Some(view) => view.screen_mut().on_paste(world, text),
        None => Reply::default(),
    };
    state.carry_out(reply)
}

fn on_tick(state: &mut State, now: Time) -> Vec<Effect> {
    state.world.now = now;
    if state.world.engine.next_recheck().is_some_and(|due| due <= now) {
        return on_facts(state, &[]);
    }
    state.world.follow_up.watch(&state.world.snapshot, state.world.engine.incidents(), now);
    state.refresh()
}

fn on_deltas(state: &mut State, deltas: Vec<Delta>) -> Vec<Effect> {
    let mut changed: Vec<Changed> = Vec::new();
    for delta in deltas {
        changed.extend(state.world.snapshot.apply(delta));
    }
    state.world.note(&changed);
    on_facts(state, &changed)
}

/// Reruns the diagnosis over what changed, once a batch.
fn on_facts(state: &mut State, changed: &[Changed]) -> Vec<Effect> {
    let world = &mut state.world;
    world.engine.update(&world.snapshot, changed, world.now);
    world.follow_up.watch(&world.snapshot, world.engine.incidents(), world.now);
    let mut effects: Vec<Effect> = world.engine.take_requests().into_iter().map(Effect::Fetch).collect();
    effects.extend(state.refresh());
    effects
}
