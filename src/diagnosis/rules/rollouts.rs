//! Rollouts that do not get through.

pub mod admission;
pub mod short;
pub mod stuck;
