//! The API itself: aggregated APIs, certificates, what its components say in events and running programs in their logs.
pub mod certificate;
pub mod events;
pub mod kubelet;
pub mod remarks;
pub mod service;
