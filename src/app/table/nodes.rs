//! Nodes.

use super::column::{AGE, Cell, Column, Health, NAME, TableSpec, cell, health};
use crate::kinds::nodes::Node;
use crate::kinds::{Condition, KindId};

/// The table.
pub static TABLE: TableSpec = TableSpec {
    name: "nodes",
    aliases: &["no", "node"],
    kind: KindId::Node,
    columns: &[
        NAME,
        Column::new("STATUS", 10, cell!(Node, |_s, node, _now| Cell::text(status(node)))),
        Column::new("ROLES", 8, cell!(Node, |_s, node, _now| Cell::text(roles(node)))),
        AGE,
        Column::new("VERSION", 8, cell!(Node, |_s, node, _now| Cell::text(&node.status.node_info.kubelet_version))),
        Column::new(
            "PODS",
            8,
            cell!(Node, |s, node, _now| {
                let pods = i32::try_from(s.pods_on(&node.meta.name).filter(|p| !p.is_finished()).count()).unwrap_or(i32::MAX);
                let room = node.status.allocatable.get("pods").map_or("-", |q| &*q.0);
                Cell::sorted(format!("{pods} of {room}"), f64::from(pods))
            }),
        )
        .right(),
        Column::new("PRESSURE", 8, cell!(Node, |_s, node, _now| Cell::text(pressure(node)))),
        Column::new("RUNTIME", 10, cell!(Node, |_s, node, _now| Cell::text(&node.status.node_info.container_runtime_version)))
            .wide()
            .flexible(),
        Column::new("ARCH", 5, cell!(Node, |_s, node, _now| Cell::text(&node.status.node_info.architecture))).wide(),
    ],
    sort: ("NAME", false),
    health: health!(Node, |node| match () {
        () if !node.is_ready() => Health::Broken,
        () if pressure(node) != "-" || node.spec.unschedulable == Some(true) => Health::Warning,
        () => Health::Healthy,
    }),
};

fn status(node: &Node) -> String {
    let ready = match Condition::find(&node.status.conditions, "Ready") {
        Some(condition) if condition.is_true() => "Ready",
        Some(_) => "NotReady",
        None => "Unknown",
    };
    if node.spec.unschedulable == Some(true) { format!("{ready},SchedulingDisabled") } else { ready.to_owned() }
}

fn roles(node: &Node) -> String {
    let roles: Vec<&str> = node.meta.labels.keys().filter_map(|key| key.strip_prefix("node-role.kubernetes.io/")).collect();
    if roles.is_empty() { "-".to_owned() } else { roles.join(",") }
}

/// `Memory`, `Disk`, `PID`: the pressure conditions that are true.
fn pressure(node: &Node) -> String {
    let conditions = node.status.conditions.iter().filter(|c| c.is_true());
    let found: Vec<&str> = conditions.filter_map(|c| c.kind.strip_suffix("Pressure")).collect();
    if found.is_empty() { "-".to_owned() } else { found.join(",") }
}
