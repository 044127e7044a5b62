//! What a screen is, and the list of views that can lie above the cockpit.
//!
//! Invariant: a screen changes only itself; what it wants beyond that it says in its [`Reply`].

use crossterm::event::KeyEvent;

use super::feed::FeedChange;
use super::{Effect, LogSpec, Msg, World};
use crate::config::{Hit, Place};
use crate::diagnosis::IncidentId;
use crate::kinds::ObjectRef;

/// Where to go next.
#[derive(Debug)]
pub enum Go {
    /// Put a view on top.
    Push(Box<View>),
    /// Leave the view on top.
    Pop,
    /// Leave all views: back to the cockpit.
    Home,
}

/// What a screen wants done after a key or a message.
#[derive(Debug, Default)]
pub struct Reply {
    /// Work for the shell.
    pub effects: Vec<Effect>,
    /// Views to open or leave, in order.
    pub go: Vec<Go>,
    /// A line for the status bar.
    pub notice: Option<String>,
    /// What to do to the log feed.
    pub feed: Option<FeedChange>,
    /// An incident to take off the screen.
    pub dismiss: Option<IncidentId>,
}

impl Reply {
    /// Nothing more to do.
    pub fn none() -> Self {
        Self::default()
    }

    /// Work for the shell.
    pub fn effects(effects: Vec<Effect>) -> Self {
        Self { effects, ..Self::default() }
    }

    /// Opens a view, with the work it starts with.
    pub fn push(view: View, effects: Vec<Effect>) -> Self {
        Self { effects, go: vec![Go::Push(Box::new(view))], ..Self::default() }
    }

    /// Leaves the view on top.
    pub fn pop() -> Self {
        Self { go: vec![Go::Pop], ..Self::default() }
    }

    /// A line for the status bar.
    pub fn notice(sentence: impl Into<String>) -> Self {
        Self { notice: Some(sentence.into()), ..Self::default() }
    }
}

/// A screen: its keys and its messages. Drawn by the file of the same name under `ui/`.
pub trait Screen {
    /// Where its keys are pressed, narrowest first, without `everywhere`.
    fn places(&self, world: &World) -> Vec<Place>;

    /// A key of one of its places. `None`: not its business, see [`super::global`].
    fn on_action(&mut self, world: &World, hit: Hit) -> Option<Reply>;

    /// A key that nothing binds: text for a line being typed.
    fn on_key(&mut self, _world: &World, _key: KeyEvent) -> Reply {
        Reply::none()
    }

    /// Pasted text, for a line being typed.
    fn on_paste(&mut self, _world: &World, _text: &str) -> Reply {
        Reply::none()
    }

    /// An answer some screen waits for.
    fn on_msg(&mut self, _world: &World, _msg: &Msg) -> Reply {
        Reply::none()
    }

    /// The object keys like `d` and `l` are about.
    fn selected(&self, _world: &World) -> Option<ObjectRef> {
        None
    }

    /// The log it wants streamed while it is open.
    fn log_spec(&self) -> Option<LogSpec> {
        None
    }

    /// True when what lies below shows through, dimmed.
    fn is_overlay(&self) -> bool {
        false
    }
}

macro_rules! views {
    ($($variant:ident($view:ty), $doc:literal;)*) => {
        /// A view above the cockpit.
        #[derive(Debug)]
        pub enum View { $(#[doc = $doc] $variant($view),)* }

        impl View {
            /// The view as a screen.
            pub fn screen(&self) -> &dyn Screen {
                match self { $(Self::$variant(view) => view,)* }
            }

            /// The view as a screen that changes.
            pub fn screen_mut(&mut self) -> &mut dyn Screen {
                match self { $(Self::$variant(view) => view,)* }
            }
        }

        $(impl From<$view> for View { fn from(view: $view) -> Self { Self::$variant(view) } })*
    };
}

views! {
    Logs(super::logs::Logs), "The log of a container, full screen.";
    Preview(super::preview::Preview), "An action before it is applied.";
    Confirm(super::confirm::Confirm), "A question with two answers.";
}

