//! Secrets: metadata only; their values are never listed.

use super::column::{AGE, Cell, Column, Health, NAME, NAMESPACE, TableSpec, cell};
use super::config_maps::{changed, changed_by};
use crate::kinds::KindId;

/// The table.
pub static TABLE: TableSpec = TableSpec {
    name: "secrets",
    aliases: &["sec", "secret"],
    kind: KindId::Secret,
    columns: &[
        NAMESPACE,
        NAME,
        Column::new("TYPE", 8, cell!(Secret, |_s, secret, _now| Cell::or_dash(secret.kind.as_ref()))).wide().flexible(),
        Column::new("CHANGED BY", 14, cell!(Secret, |_s, secret, _now| changed_by(&secret.meta))),
        Column::new("CHANGED", 8, cell!(Secret, |_s, secret, now| changed(&secret.meta, now))).right(),
        AGE,
    ],
    sort: ("NAMESPACE", false),
    health: |_, _| Health::Healthy,
};
