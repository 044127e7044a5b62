//! Jobs and CronJobs.

pub mod cron;
pub mod job;
pub mod schedule;
