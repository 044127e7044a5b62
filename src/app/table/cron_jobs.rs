//! CronJobs.

use super::column::{AGE, Cell, Column, Health, NAME, NAMESPACE, TableSpec, cell, health};
use crate::kinds::KindId;

/// The table.
pub static TABLE: TableSpec = TableSpec {
    name: "cronjobs",
    aliases: &["cj", "cronjob"],
    kind: KindId::CronJob,
    columns: &[
        NAMESPACE,
        NAME,
        Column::new("SCHEDULE", 12, cell!(CronJob, |_s, job, _now| Cell::text(&job.spec.schedule))),
        Column::new(
            "SUSPENDED",
            9,
            cell!(CronJob, |_s, job, _now| Cell::text(if job.spec.suspend == Some(true) { "yes" } else { "no" })),
        ),
        Column::new("LAST RUN", 8, cell!(CronJob, |_s, job, now| Cell::ago(job.status.last_schedule_time, now))).right(),
        Column::new("LAST SUCCESS", 12, cell!(CronJob, |_s, job, now| Cell::ago(job.status.last_successful_time, now))).right(),
        AGE,
    ],
    sort: ("NAMESPACE", false),
    health: health!(CronJob, |job| match (job.status.last_schedule_time, job.status.last_successful_time) {
        _ if job.spec.suspend == Some(true) => Health::Done,
        (Some(_), None) => Health::Warning,
        _ => Health::Healthy,
    }),
};
