//! DaemonSets.

use super::column::{AGE, Cell, Column, NAME, NAMESPACE, TableSpec, cell, health, of_counts};
use super::deployments::images;
use crate::kinds::KindId;

/// The table.
pub static TABLE: TableSpec = TableSpec {
    name: "daemonsets",
    aliases: &["ds", "daemonset"],
    kind: KindId::DaemonSet,
    columns: &[
        NAMESPACE,
        NAME,
        Column::new("DESIRED", 7, cell!(DaemonSet, |_s, d, _now| Cell::count(d.status.desired_number_scheduled))).right(),
        Column::new("CURRENT", 7, cell!(DaemonSet, |_s, d, _now| Cell::count(d.status.current_number_scheduled))).right(),
        Column::new(
            "READY",
            5,
            cell!(DaemonSet, |_s, d, _now| Cell::ratio(d.status.number_ready, d.status.desired_number_scheduled)),
        )
        .right(),
        Column::new("UP-TO-DATE", 10, cell!(DaemonSet, |_s, d, _now| Cell::count(d.status.updated_number_scheduled))).right(),
        Column::new("AVAILABLE", 9, cell!(DaemonSet, |_s, d, _now| Cell::count(d.status.number_available))).right(),
        AGE,
        Column::new("IMAGES", 20, cell!(DaemonSet, |_s, d, _now| Cell::text(images(&d.spec.template.spec)))).wide().flexible(),
    ],
    sort: ("NAMESPACE", false),
    health: health!(DaemonSet, |d| of_counts(d.status.number_ready, d.status.desired_number_scheduled)),
};
