//! Deployments.

use super::column::{AGE, Cell, Column, NAME, NAMESPACE, TableSpec, cell, health, of_counts};
use crate::kinds::KindId;
use crate::kinds::pod_spec::PodSpec;

/// The table.
pub static TABLE: TableSpec = TableSpec {
    name: "deployments",
    aliases: &["deploy", "dp", "deployment"],
    kind: KindId::Deployment,
    columns: &[
        NAMESPACE,
        NAME,
        Column::new(
            "READY",
            5,
            cell!(Deployment, |_s, d, _now| Cell::ratio(d.status.ready_replicas, d.spec.replicas.unwrap_or(1))),
        )
        .right(),
        Column::new("UP-TO-DATE", 10, cell!(Deployment, |_s, d, _now| Cell::count(d.status.updated_replicas))).right(),
        Column::new("AVAILABLE", 9, cell!(Deployment, |_s, d, _now| Cell::count(d.status.available_replicas))).right(),
        AGE,
        Column::new("IMAGES", 20, cell!(Deployment, |_s, d, _now| Cell::text(images(&d.spec.template.spec)))).wide().flexible(),
    ],
    sort: ("NAMESPACE", false),
    health: health!(Deployment, |d| {
        let want = d.spec.replicas.unwrap_or(1);
        let stuck = d.status.updated_replicas < want || d.status.unavailable_replicas > 0;
        let counts = of_counts(d.status.ready_replicas, want);
        if stuck && want > 0 { counts.max(super::column::Health::Warning) } else { counts }
    }),
};

/// Images of the containers, in their order.
pub fn images(spec: &PodSpec) -> String {
    spec.containers.iter().map(|c| &*c.image).collect::<Vec<_>>().join(",")
}
