//! Probes that kill, and probes that keep pods out of Services.

pub mod failure;
pub mod flapping;
pub mod kills;
pub mod readiness;
