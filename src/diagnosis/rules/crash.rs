//! Containers that end and are started again.

pub mod context;
pub mod from_log;
pub mod init_stuck;
pub mod log_fixes;
pub mod oom;
