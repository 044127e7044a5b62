//! From facts to incidents: pure rules, grouped under one cause, ranked.
//!
//! Data flow: [`engine::Engine::update`] reruns the rules ([`rules::ALL`]) for subjects a [`crate::snapshot::Changed`] touches,
//! keeps their [`Finding`]s, and [`correlate`] merges them into ranked [`Incident`]s. Rules may ask for more evidence
//! ([`EvidenceRequest`]); the engine hands the requests out, sources answer with `Delta::Log`.
//!
//! To add a rule: one file under `rules/<area>/`, one line in `rules.rs`, `fires` and `quiet` fixtures.

pub mod cause;
pub mod correlate;
pub mod engine;
pub mod finding;
pub mod incident;
pub mod rule;
pub mod rules;
pub mod signatures;

pub use cause::{CAUSES, Cause, CauseId, Severity};
pub use finding::{Confidence, Evidence, EvidenceRequest, EvidenceSource, Finding, Root};
pub use incident::{BlastRadius, Fix, Incident, IncidentId, Risk};
pub use rule::{Facts, Output, Rule};
