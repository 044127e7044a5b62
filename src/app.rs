//! The cockpit's state and how it changes: `update(&mut State, Msg) -> Vec<Effect>`, pure, tested without a terminal.
//!
//! [`Msg`] is everything that can happen; [`Effect`] everything the program can be asked to do. The shell turns effects into
//! work and the work's results into messages. Sub-states live one file a screen under `app/`, views under `ui/` by the same name.
//!
//! To add a view: a sub-state file here with `on(&mut State, Hit) -> Vec<Effect>`, a drawing file in `ui/`, a variant of [`View`]
//! with its line in [`view::dispatch`] and in `ui::view`.

pub mod cockpit;
pub mod edit;
pub mod effect;
pub mod filter;
pub mod follow;
pub mod in_view;
pub mod incidents;
pub mod keys;
pub mod level;
pub mod logs;
pub mod msg;
pub mod picker;
pub mod preview;
pub mod prompt;
pub mod state;
pub mod table;
pub mod text_view;
pub mod timeline;
pub mod update;
pub mod view;

pub use cockpit::Pane;
pub use effect::Effect;
pub use msg::{ConnectFailure, ConnectedInfo, ContextInfo, Msg, ObjectText, ResourceKind};
pub use state::{ConnectionState, Options, State};
pub use update::update;
pub use view::View;
