//! Rollouts that do not get through.

pub mod admission;
pub mod stuck;
pub mod short;
