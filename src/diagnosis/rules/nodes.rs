//! Nodes: not ready, under pressure, and what they did to their pods.

pub mod condition;
pub mod evicted;
