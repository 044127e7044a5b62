//! k3am, "Kubernetes at 3 a.m.": a terminal cockpit that opens on the cause of what is broken and on a safe fix.
//!
//! ```text
//!  source: live watches ┐
//!          bundle       ├─► Delta ─► Snapshot (slim rows, indexes, coverage) ─► diagnosis ─► Incidents ┐
//!                       ┘                              └─► changes (what changed) ────────────────────┤
//!  logs, metrics ───────────► rings, series ──────────────────────────────────────────────────────────┤
//!  keys, resize, frame time ─► app::update(&mut State, Msg) -> Vec<Effect> ◄──────────────────────────┘
//!                              ui::view(&State, Frame)             Effect ─► cluster / shell ─► Msg
//! ```
//!
//! Invariants (held by `tests/suite/tidy.rs` where a test can): the core (`text`, `kinds`, `snapshot`, `diagnosis`, `changes`,
//! `actions`, `report`, `app`, `ui`) reads no clock, no network, no terminal; `cluster` is the only user of `kube::Client`,
//! `shell` the only user of the terminal; every write to a cluster passes `cluster::door`; `practice` shares no decoding with
//! the rest, or both could be wrong alike.

pub mod actions;
pub mod app;
pub mod changes;
pub mod cli;
pub mod cluster;
pub mod commands;
pub mod config;
pub mod diagnosis;
pub mod kinds;
pub mod practice;
pub mod protobuf;
pub mod report;
pub mod shell;
pub mod snapshot;
pub mod source;
pub mod text;
pub mod ui;
