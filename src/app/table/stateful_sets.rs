//! StatefulSets.

use super::column::{AGE, Cell, Column, NAME, NAMESPACE, TableSpec, cell, health, of_counts};
use super::deployments::images;
use crate::kinds::KindId;

/// The table.
pub static TABLE: TableSpec = TableSpec {
    name: "statefulsets",
    aliases: &["sts", "statefulset"],
    kind: KindId::StatefulSet,
    columns: &[
        NAMESPACE,
        NAME,
        Column::new(
            "READY",
            5,
            cell!(StatefulSet, |_s, set, _now| Cell::ratio(set.status.ready_replicas, set.spec.replicas.unwrap_or(1))),
        )
        .right(),
        Column::new("UP-TO-DATE", 10, cell!(StatefulSet, |_s, set, _now| Cell::count(set.status.updated_replicas))).right(),
        AGE,
        Column::new("SERVICE", 10, cell!(StatefulSet, |_s, set, _now| Cell::or_dash(set.spec.service_name.as_ref()))).wide(),
        Column::new("IMAGES", 20, cell!(StatefulSet, |_s, set, _now| Cell::text(images(&set.spec.template.spec))))
            .wide()
            .flexible(),
    ],
    sort: ("NAMESPACE", false),
    health: health!(StatefulSet, |set| of_counts(set.status.ready_replicas, set.spec.replicas.unwrap_or(1))),
};
