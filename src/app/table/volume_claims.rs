//! PersistentVolumeClaims.

use super::column::{AGE, Cell, Column, Health, NAME, NAMESPACE, TableSpec, cell, health};
use crate::kinds::KindId;

/// The table.
pub static TABLE: TableSpec = TableSpec {
    name: "persistentvolumeclaims",
    aliases: &["pvc", "persistentvolumeclaim"],
    kind: KindId::PersistentVolumeClaim,
    columns: &[
        NAMESPACE,
        NAME,
        Column::new("STATUS", 8, cell!(PersistentVolumeClaim, |_s, claim, _now| Cell::text(&claim.status.phase))),
        Column::new("VOLUME", 12, cell!(PersistentVolumeClaim, |_s, claim, _now| Cell::or_dash(claim.spec.volume_name.as_ref())))
            .flexible(),
        Column::new(
            "CLASS",
            10,
            cell!(PersistentVolumeClaim, |_s, claim, _now| Cell::or_dash(claim.spec.storage_class_name.as_ref())),
        ),
        AGE,
    ],
    sort: ("NAMESPACE", false),
    health: health!(PersistentVolumeClaim, |claim| match &*claim.status.phase {
        "Bound" => Health::Healthy,
        "Lost" => Health::Broken,
        _ => Health::Warning,
    }),
};
