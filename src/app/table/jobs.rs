//! Jobs.

use super::column::{AGE, Cell, Column, Health, NAME, NAMESPACE, TableSpec, cell, health};
use crate::kinds::jobs::Job;
use crate::kinds::{Condition, KindId};
use crate::text::duration;

/// The table.
pub static TABLE: TableSpec = TableSpec {
    name: "jobs",
    aliases: &["jo", "job"],
    kind: KindId::Job,
    columns: &[
        NAMESPACE,
        NAME,
        Column::new("STATUS", 9, cell!(Job, |_s, job, _now| Cell::text(status(job)))),
        Column::new(
            "COMPLETIONS",
            11,
            cell!(Job, |_s, job, _now| Cell::ratio(job.status.succeeded, job.spec.completions.unwrap_or(1))),
        )
        .right(),
        Column::new("FAILED", 6, cell!(Job, |_s, job, _now| Cell::count(job.status.failed))).right(),
        Column::new(
            "DURATION",
            8,
            cell!(Job, |_s, job, now| match job.status.start_time {
                Some(start) => Cell::text(duration(job.status.completion_time.unwrap_or(now) - start)),
                None => Cell::text("-"),
            }),
        )
        .right(),
        AGE,
    ],
    sort: ("NAMESPACE", false),
    health: health!(Job, |job| match status(job) {
        "Complete" | "Suspended" => Health::Done,
        "Failed" => Health::Broken,
        _ if job.status.failed > 0 => Health::Warning,
        _ => Health::Healthy,
    }),
};

fn status(job: &Job) -> &'static str {
    let is = |kind: &str| Condition::find(&job.status.conditions, kind).is_some_and(Condition::is_true);
    match () {
        () if is("Complete") => "Complete",
        () if is("Failed") => "Failed",
        () if job.meta.deletion_timestamp.is_some() => "Terminating",
        () if is("Suspended") => "Suspended",
        () if is("FailureTarget") => "FailureTarget",
        () => "Running",
    }
}
