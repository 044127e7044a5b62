//! ReplicaSets.

use super::column::{AGE, Cell, Column, NAME, NAMESPACE, TableSpec, cell, health, of_counts};
use super::deployments::images;
use crate::kinds::KindId;

/// The table.
pub static TABLE: TableSpec = TableSpec {
    name: "replicasets",
    aliases: &["rs", "replicaset"],
    kind: KindId::ReplicaSet,
    columns: &[
        NAMESPACE,
        NAME,
        Column::new("DESIRED", 7, cell!(ReplicaSet, |_s, rs, _now| Cell::count(rs.spec.replicas.unwrap_or(1)))).right(),
        Column::new("CURRENT", 7, cell!(ReplicaSet, |_s, rs, _now| Cell::count(rs.status.replicas))).right(),
        Column::new("READY", 5, cell!(ReplicaSet, |_s, rs, _now| Cell::count(rs.status.ready_replicas))).right(),
        Column::new("REVISION", 8, cell!(ReplicaSet, |_s, rs, _now| Cell::count(rs.revision().unwrap_or(0)))).right(),
        AGE,
        Column::new("IMAGES", 20, cell!(ReplicaSet, |_s, rs, _now| Cell::text(images(&rs.spec.template.spec)))).wide().flexible(),
    ],
    sort: ("NAMESPACE", false),
    health: health!(ReplicaSet, |rs| of_counts(rs.status.ready_replicas, rs.spec.replicas.unwrap_or(1))),
};
