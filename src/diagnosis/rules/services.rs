//! Services that lead nowhere.

pub mod endpoints;
pub mod ports;
