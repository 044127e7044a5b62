//! The practice cluster: a Kubernetes API server on loopback with controllers and a kubelet model behind it.
//!
//! Invariant: shares no code with the rest of the crate (no `kinds`, no `text`), or both could be wrong alike. The API half
//! ([`store`], `http` and what it calls) knows objects but no behaviour; the simulation half knows behaviour but no HTTP.

pub mod base64;
pub mod behaviours;
pub mod clock;
pub mod controllers;
pub mod defaults;
pub mod fields;
pub mod json;
pub mod kubelet;
pub mod managed;
pub mod object;
pub mod quantity;
pub mod random;
pub mod recorder;
pub mod resources;
pub mod runtime;
pub mod scenario;
pub mod scheduler;
pub mod schema;
pub mod simulation;
pub mod status;
pub mod store;
pub mod template_hash;
