//! Everything that talks to a cluster; the only user of `kube::Client`.
//!
//! `connect` makes a [`Connection`] of a kubeconfig (`settings` reads it, `login` keeps the credentials good, `plugin` runs
//! those of users), `watch` turns lists and watches into deltas, `logs`, `metrics` and
//! `objects` fetch on demand, `door` is the one way to write. Every one-shot call has a time limit; errors are sentences for a
//! person ([`Error`]). To add a kind to the watches nothing is needed here: `kinds` lists them.

pub mod connect;
pub mod discovery;
pub mod door;
pub mod error;
mod heart;
mod http;
mod in_cluster;
pub mod kubeconfig;
mod login;
pub mod logs;
pub mod metrics;
pub mod objects;
pub mod plugin;
mod proxy;
mod settings;
pub mod watch;

pub use connect::{ConnectOptions, Connection, connect, connect_hearing};
pub use door::Door;
pub use error::Error;
