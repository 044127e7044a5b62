//! Autoscalers and disruption budgets.

pub mod autoscaler;
pub mod budget;
