//! Pods that get no network, and nodes without one.

pub mod sandbox;
