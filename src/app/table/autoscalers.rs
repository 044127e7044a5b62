//! HorizontalPodAutoscalers.

use super::column::{AGE, Cell, Column, Health, NAME, NAMESPACE, TableSpec, cell, health};
use crate::kinds::{Condition, KindId};

/// The table.
pub static TABLE: TableSpec = TableSpec {
    name: "horizontalpodautoscalers",
    aliases: &["hpa", "horizontalpodautoscaler"],
    kind: KindId::HorizontalPodAutoscaler,
    columns: &[
        NAMESPACE,
        NAME,
        Column::new(
            "REFERENCE",
            16,
            cell!(HorizontalPodAutoscaler, |_s, hpa, _now| {
                let target = &hpa.spec.scale_target_ref;
                Cell::text(format!("{}/{}", target.kind.to_lowercase(), target.name))
            }),
        )
        .flexible(),
        Column::new("MIN", 4, cell!(HorizontalPodAutoscaler, |_s, hpa, _now| Cell::count(hpa.spec.min_replicas.unwrap_or(1))))
            .right(),
        Column::new("MAX", 4, cell!(HorizontalPodAutoscaler, |_s, hpa, _now| Cell::count(hpa.spec.max_replicas))).right(),
        Column::new(
            "REPLICAS",
            8,
            cell!(HorizontalPodAutoscaler, |_s, hpa, _now| Cell::count(hpa.status.current_replicas.unwrap_or(0))),
        )
        .right(),
        Column::new("WANTED", 6, cell!(HorizontalPodAutoscaler, |_s, hpa, _now| Cell::count(hpa.status.desired_replicas)))
            .right(),
        AGE,
    ],
    sort: ("NAMESPACE", false),
    health: health!(HorizontalPodAutoscaler, |hpa| {
        let is_not = |kind| Condition::find(&hpa.status.conditions, kind).is_some_and(|c| &*c.status == "False");
        if is_not("ScalingActive") || is_not("AbleToScale") { Health::Warning } else { Health::Healthy }
    }),
};
