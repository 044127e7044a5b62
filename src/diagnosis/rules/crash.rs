//! Containers that end and are started again.

pub mod from_log;
pub mod oom;
pub mod context;
pub mod log_fixes;
