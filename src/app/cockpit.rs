//! The cockpit: incidents, why, and the strip of events, logs and metrics that follows the selection.
//!
//! Invariant: after [`Cockpit::follow_selection`] the selected incident exists, or nothing is selected because there is none.

use super::log_choice::{self, LogChoice};
use super::logs::Logs;
use super::preview::Preview;
use super::tail::Tail;
use super::{Effect, LogSpec, Reply, Screen, World};
use crate::config::{Action, Hit, Place};
use crate::diagnosis::{Fix, Incident, IncidentId};
use crate::kinds::ObjectRef;

/// A part of the cockpit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Pane {
    /// What is broken.
    #[default]
    Incidents,
    /// Why, how sure, what changed, what to do.
    Why,
    /// The event tail.
    Events,
    /// The end of a log.
    Logs,
    /// Usage against requests and limits.
    Metrics,
    /// The pods of the selection, on wide screens.
    Pods,
}

impl Pane {
    /// In the order of `Tab`.
    pub const ALL: [Self; 6] = [Self::Incidents, Self::Why, Self::Events, Self::Logs, Self::Metrics, Self::Pods];

    /// The word on its tab.
    pub fn word(self) -> &'static str {
        match self {
            Self::Incidents => "Incidents",
            Self::Why => "Why",
            Self::Events => "Events",
            Self::Logs => "Logs",
            Self::Metrics => "Metrics",
            Self::Pods => "Pods",
        }
    }

    fn place(self) -> Option<Place> {
        match self {
            Self::Incidents => Some(Place::Incidents),
            Self::Why => Some(Place::Why),
            Self::Events => Some(Place::EventsPane),
            Self::Metrics => Some(Place::Metrics),
            // The keys of the log view (ranges, follow) would take the fixes' digits; Enter opens the log view.
            Self::Logs | Self::Pods => None,
        }
    }
}

/// Columns from which incidents, why and pods stand side by side.
pub const WIDE: u16 = 180;
/// Columns and rows below which panes are tabs.
pub const TABS_BELOW: (u16, u16) = (100, 30);

/// How the panes are arranged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// One tab at a time; incidents and why share one.
    Tabs,
    /// Incidents and why on top, the strip below.
    Panes,
    /// As panes, with a table of pods.
    Wide,
}

impl Shape {
    /// The arrangement for a terminal of that size.
    pub fn of((columns, rows): (u16, u16)) -> Self {
        if columns < TABS_BELOW.0 || rows < TABS_BELOW.1 {
            Self::Tabs
        } else if columns < WIDE {
            Self::Panes
        } else {
            Self::Wide
        }
    }

    /// The panes it has, in the order of `Tab`.
    pub fn panes(self) -> &'static [Pane] {
        match self {
            Self::Tabs | Self::Panes => Pane::ALL.split_at(5).0,
            Self::Wide => &Pane::ALL,
        }
    }
}

/// The bottom screen.
#[derive(Debug, Default)]
pub struct Cockpit {
    /// The pane that gets the keys.
    pub focus: Pane,
    /// True while that pane fills the screen.
    pub zoomed: bool,
    /// The selected incident.
    pub selected: Option<IncidentId>,
    /// First line shown of the why pane.
    pub why_top: u16,
    /// First event shown of the tail.
    pub events_top: usize,
    /// Lines the log pane is scrolled up.
    pub log_up: usize,
    /// The event tail.
    pub tail: Tail,
    log: Option<LogChoice>,
    index: usize,
    moved: bool,
}

impl Cockpit {
    /// The selected incident.
    pub fn incident<'a>(&self, world: &'a World) -> Option<&'a Incident> {
        world.incident(self.selected.as_ref()?)
    }

    /// The log the pane shows.
    pub fn log_choice(&self) -> Option<&LogChoice> {
        self.log.as_ref()
    }

    /// The stream the pane shows.
    pub fn log_spec(&self) -> Option<LogSpec> {
        self.log.as_ref().map(LogChoice::spec)
    }

    /// Keeps the selection valid by id through every re-ranking, and what follows it up to date.
    pub fn follow_selection(&mut self, world: &World) {
        let position = self.selected.as_ref().and_then(|id| world.incidents().position(|incident| incident.id == *id));
        // Until the first lists are in and nobody chose, the worst is selected.
        let stays = position.filter(|_| self.moved || !world.is_loading());
        match stays {
            Some(at) => self.index = at,
            None => self.select(world, if self.moved { self.index } else { 0 }),
        }
        let incident = self.incident(world);
        let log = incident.and_then(|incident| log_choice::for_incident(&world.snapshot, incident));
        if self.log.as_ref().map(LogChoice::spec) != log.as_ref().map(LogChoice::spec) {
            self.log_up = 0;
        }
        self.log = log;
        self.tail.follow(world, incident);
    }

    /// Selects the incident at that place of the list, or the last one.
    fn select(&mut self, world: &World, at: usize) {
        let count = world.incidents().count();
        let at = at.min(count.saturating_sub(1));
        let id = world.incidents().nth(at).map(|incident| incident.id.clone());
        if id != self.selected {
            self.why_top = 0;
            self.events_top = 0;
        }
        self.selected = id;
        self.index = at;
    }

    fn step(&mut self, world: &World, by: isize) {
        let page = isize::from(i16::try_from(world.size.1).unwrap_or(i16::MAX)).max(4);
        let lines = |top: usize| top.saturating_add_signed(by);
        match self.focus {
            Pane::Incidents | Pane::Pods | Pane::Metrics => {
                self.moved = true;
                self.select(world, self.index.saturating_add_signed(by.clamp(-page, page)));
            }
            Pane::Why => self.why_top = u16::try_from(lines(usize::from(self.why_top))).unwrap_or(u16::MAX),
            Pane::Events => self.events_top = lines(self.events_top).min(self.tail.keys.len().saturating_sub(1)),
            Pane::Logs => self.log_up = self.log_up.saturating_add_signed(-by).min(world.feed.len().saturating_sub(1)),
        }
    }

    fn scroll(&mut self, world: &World, action: Action) -> bool {
        let page = isize::from(i16::try_from(world.size.1 / 3).unwrap_or(8)).max(1);
        let far = isize::from(i16::MAX);
        match action {
            Action::Down => self.step(world, 1),
            Action::Up => self.step(world, -1),
            Action::PageDown => self.step(world, page),
            Action::PageUp => self.step(world, -page),
            Action::Top => self.step(world, -far),
            Action::Bottom => self.step(world, far),
            _ => return false,
        }
        true
    }

    fn turn(&mut self, world: &World, forward: bool) {
        let panes = Shape::of(world.size).panes();
        let at = panes.iter().position(|pane| *pane == self.focus).unwrap_or(0);
        let next = if forward { at + 1 } else { at + panes.len() - 1 } % panes.len();
        self.focus = panes.get(next).copied().unwrap_or_default();
    }

    fn open(&mut self) -> Reply {
        match (self.focus, &self.log) {
            (Pane::Logs, Some(choice)) => Reply::push(Logs::new(choice.clone()).into(), Vec::new()),
            (Pane::Incidents, _) => {
                self.focus = Pane::Why;
                self.zoomed = true;
                Reply::none()
            }
            _ => {
                self.zoomed = !self.zoomed;
                Reply::none()
            }
        }
    }

    fn fix(&self, world: &World, nth: usize) -> Reply {
        let Some(incident) = self.incident(world) else { return Reply::notice("no incident is selected") };
        match incident.fixes.get(nth) {
            Some(fix) => preview(world, fix),
            None if incident.fixes.is_empty() => Reply::notice("no fix is known for this incident"),
            None => Reply::notice(format!("there are {} fixes", incident.fixes.len())),
        }
    }

    fn undo(&self, world: &World) -> Option<Reply> {
        let incident = self.incident(world)?;
        let undo = |fix: &&Fix| matches!(fix.action, Some(crate::actions::Intent::Undo { .. }));
        incident.fixes.iter().find(undo).map(|fix| preview(world, fix))
    }
}

/// Previews a fix; one that k3am cannot do itself is copied as a command.
fn preview(world: &World, fix: &Fix) -> Reply {
    match &fix.action {
        Some(intent) => {
            let (view, effects) = Preview::open(world, intent.clone(), Some(fix));
            Reply::push(view.into(), effects)
        }
        None => {
            let mut reply = Reply::effects(vec![Effect::Copy(fix.command.clone())]);
            reply.notice = Some(format!("k3am does not do this itself; copied: {}", fix.command));
            reply
        }
    }
}

impl Screen for Cockpit {
    fn places(&self, _world: &World) -> Vec<Place> {
        self.focus.place().into_iter().chain([Place::Cockpit]).collect()
    }

    fn on_action(&mut self, world: &World, hit: Hit) -> Option<Reply> {
        if self.scroll(world, hit.action) {
            return Some(Reply::none());
        }
        let reply = match hit.action {
            Action::NextPane | Action::Right => {
                self.turn(world, true);
                Reply::none()
            }
            Action::PreviousPane | Action::Left => {
                self.turn(world, false);
                Reply::none()
            }
            Action::Open => self.open(),
            Action::Zoom => {
                self.zoomed = !self.zoomed;
                Reply::none()
            }
            Action::Back | Action::Leave if self.zoomed => {
                self.zoomed = false;
                Reply::none()
            }
            Action::Fix => self.fix(world, hit.nth),
            Action::Undo => self.undo(world)?,
            Action::Events => {
                self.focus = Pane::Events;
                self.zoomed = true;
                Reply::none()
            }
            Action::Filter => match &self.log {
                Some(choice) => Reply::push(Logs::new(choice.clone()).with_filter_open().into(), Vec::new()),
                None => Reply::notice("no log to filter"),
            },
            Action::Dismiss => match self.selected.clone() {
                Some(id) => self.dismiss(world, id),
                None => Reply::notice("nothing is selected"),
            },
            _ => return None,
        };
        Some(reply)
    }

    fn selected(&self, world: &World) -> Option<ObjectRef> {
        let incident = self.incident(world)?;
        incident.workloads.first().or(incident.objects.first()).cloned()
    }
}

impl Cockpit {
    fn dismiss(&mut self, world: &World, id: IncidentId) -> Reply {
        if world.engine.incidents().iter().any(|incident| incident.id == id) {
            return Reply::notice("it is still there: only what has recovered can be dismissed");
        }
        Reply { dismiss: Some(id), ..Reply::default() }
    }
}
