//! Ingresses.

use super::column::{AGE, Cell, Column, Health, NAME, NAMESPACE, TableSpec, cell};
use crate::kinds::KindId;
use crate::kinds::network::Ingress;

/// The table.
pub static TABLE: TableSpec = TableSpec {
    name: "ingresses",
    aliases: &["ing", "ingress"],
    kind: KindId::Ingress,
    columns: &[
        NAMESPACE,
        NAME,
        Column::new("CLASS", 8, cell!(Ingress, |_s, ingress, _now| Cell::or_dash(ingress.spec.ingress_class_name.as_ref()))),
        Column::new("HOSTS", 16, cell!(Ingress, |_s, ingress, _now| Cell::text(hosts(ingress)))).flexible(),
        Column::new("BACKENDS", 16, cell!(Ingress, |_s, ingress, _now| Cell::text(backends(ingress)))).flexible(),
        AGE,
    ],
    sort: ("NAMESPACE", false),
    health: |_, _| Health::Healthy,
};

fn hosts(ingress: &Ingress) -> String {
    let hosts: Vec<&str> = ingress.spec.rules.iter().map(|rule| rule.host.as_deref().unwrap_or("*")).collect();
    if hosts.is_empty() { "*".to_owned() } else { hosts.join(",") }
}

fn backends(ingress: &Ingress) -> String {
    let paths = ingress.spec.rules.iter().flat_map(|rule| &rule.http.paths).map(|path| &path.backend);
    let mut names: Vec<&str> =
        paths.chain(&ingress.spec.default_backend).filter_map(|b| b.service.as_ref()).map(|s| &*s.name).collect();
    names.sort_unstable();
    names.dedup();
    if names.is_empty() { "-".to_owned() } else { names.join(",") }
}
