//! The cockpit's state and how it changes: `update(&mut State, Msg) -> Vec<Effect>`, pure, tested without a terminal.
//!
//! [`Msg`] is everything that can happen; [`Effect`] everything the program can be asked to do. The shell turns effects into
//! work and the work's results into messages. Sub-states live one file a screen under `app/`, views under `ui/` by the same name.

pub mod effect;
pub mod msg;

pub use effect::{Effect, LogSpec};
pub use msg::{ContextInfo, LogBatch, Msg, ResourceKind};
