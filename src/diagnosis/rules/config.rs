//! What a container needs before its first instruction: ConfigMaps, Secrets, keys, volumes, an entrypoint.

pub mod refs;
pub mod start;
