//! Pods that get no network, and nodes without one.

pub mod dns;
pub mod policy;
pub mod sandbox;
