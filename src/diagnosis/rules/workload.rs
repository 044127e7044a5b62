//! The arithmetic and habits of workloads: what is at risk or slow although nothing is down.
//!
//! Invariant: these fire on measured or written facts only. What is merely unwise is advice ([`super::ADVICE`]), never an incident.

pub mod access_log;
pub mod connections;
pub mod environment;
pub mod leak;
pub mod liveness;
pub mod memory;
pub mod migration;
pub mod plain_password;
pub mod pool;
pub mod start;
pub mod throttled;
pub mod traffic;
pub mod worker_timeout;
