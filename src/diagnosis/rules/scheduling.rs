//! Pods that find no node.

pub mod claims;
pub mod decide;
pub mod message;
pub mod resize;
pub mod unschedulable;
