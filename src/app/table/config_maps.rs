//! ConfigMaps: metadata only; their values are never listed.

use super::column::{AGE, Cell, Column, Health, NAME, NAMESPACE, TableSpec, cell};
use crate::kinds::KindId;
use crate::kinds::meta::Meta;
use crate::text::Time;

/// The table.
pub static TABLE: TableSpec = TableSpec {
    name: "configmaps",
    aliases: &["cm", "configmap"],
    kind: KindId::ConfigMap,
    columns: &[
        NAMESPACE,
        NAME,
        Column::new("CHANGED BY", 14, cell!(ConfigMap, |_s, map, _now| changed_by(&map.meta))),
        Column::new("CHANGED", 8, cell!(ConfigMap, |_s, map, now| changed(&map.meta, now))).right(),
        AGE,
    ],
    sort: ("NAMESPACE", false),
    health: |_, _| Health::Healthy,
};

/// The last writer, from `managedFields`.
pub(super) fn changed_by(meta: &Meta) -> Cell {
    Cell::or_dash(meta.last_writer().map(|writer| &writer.manager))
}

/// When it was last written.
pub(super) fn changed(meta: &Meta, now: Time) -> Cell {
    Cell::ago(meta.last_writer().and_then(|writer| writer.time), now)
}
