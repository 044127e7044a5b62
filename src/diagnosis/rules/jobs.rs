//! Jobs and CronJobs.

pub mod cron;
pub mod job;
