//! Namespaces.

use super::column::{AGE, Cell, Column, Health, NAME, TableSpec, cell, health};
use crate::kinds::KindId;

/// The table.
pub static TABLE: TableSpec = TableSpec {
    name: "namespaces",
    aliases: &["namespace"],
    kind: KindId::Namespace,
    columns: &[
        NAME,
        Column::new("STATUS", 11, cell!(Namespace, |_s, namespace, _now| Cell::text(&namespace.status.phase))),
        Column::new(
            "PODS",
            5,
            cell!(Namespace, |s, namespace, _now| {
                Cell::count(i32::try_from(s.pods.in_namespace(&namespace.meta.name).count()).unwrap_or(i32::MAX))
            }),
        )
        .right(),
        AGE,
    ],
    sort: ("NAME", false),
    health: health!(Namespace, |namespace| match &*namespace.status.phase {
        "Terminating" => Health::Warning,
        _ => Health::Healthy,
    }),
};
