//! The arithmetic and habits of workloads: what is at risk or slow although nothing is down.
//!
//! Invariant: these fire on measured or written facts only. What is merely unwise is advice ([`super::ADVICE`]), never an incident.

pub mod access_log;
pub mod traffic;
pub mod worker_timeout;
