//! Objects that are deleted and do not go.

pub mod namespace;
pub mod objects;
pub mod pod;
