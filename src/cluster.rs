//! Everything that talks to a cluster; the only user of `kube::Client`.
//!
//! `connect` makes a [`Connection`] of a kubeconfig, `watch` turns lists and watches into deltas, `logs`, `metrics` and
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
pub mod logs;
pub mod metrics;
pub mod objects;
mod proxy;
pub mod watch;

pub use connect::{ConnectOptions, Connection, connect};
pub use door::Door;
pub use error::Error;
