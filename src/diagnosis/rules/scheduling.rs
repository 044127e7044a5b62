//! Pods that find no node.

pub mod message;
pub mod unschedulable;
pub mod resize;
