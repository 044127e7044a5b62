//! Volumes that cannot be attached or mounted, and claims that lost theirs.

pub mod claim;
pub mod mount;
pub mod resize;
