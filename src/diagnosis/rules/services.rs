//! Services that lead nowhere.

pub mod endpoints;
pub mod ingress;
pub mod ports;
pub mod route;
mod wrong_pods;
