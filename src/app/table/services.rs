//! Services.

use super::column::{AGE, Cell, Column, Health, NAME, NAMESPACE, TableSpec, cell};
use crate::kinds::network::Service;
use crate::kinds::{KindId, Row};
use crate::snapshot::Snapshot;

/// The table.
pub static TABLE: TableSpec = TableSpec {
    name: "services",
    aliases: &["svc", "service"],
    kind: KindId::Service,
    columns: &[
        NAMESPACE,
        NAME,
        Column::new(
            "TYPE",
            9,
            cell!(Service, |_s, service, _now| Cell::text(service.spec.kind.as_deref().unwrap_or("ClusterIP"))),
        ),
        Column::new("CLUSTER-IP", 12, cell!(Service, |_s, service, _now| Cell::or_dash(service.spec.cluster_ip.as_ref()))),
        Column::new(
            "ENDPOINTS",
            9,
            cell!(Service, |s, service, _now| {
                let (ready, all) = endpoints(s, service);
                if service.spec.selector.is_empty() && all == 0 { Cell::sorted("-", 1.0) } else { Cell::ratio(ready, all) }
            }),
        )
        .right(),
        Column::new("PORTS", 10, cell!(Service, |_s, service, _now| Cell::text(ports(service)))).flexible(),
        AGE,
        Column::new("EXTERNAL", 10, cell!(Service, |_s, service, _now| Cell::text(external(service)))).wide(),
    ],
    sort: ("NAMESPACE", false),
    health,
};

/// Ready endpoints and all, over the slices of the Service.
fn endpoints(snapshot: &Snapshot, service: &Service) -> (i32, i32) {
    let slices = snapshot.endpoint_slices.in_namespace(&service.meta.namespace);
    let ours = slices.filter(|slice| slice.service_name() == Some(&*service.meta.name));
    ours.flat_map(|slice| &slice.endpoints)
        .fold((0, 0), |(ready, all), endpoint| (ready + i32::from(endpoint.conditions.ready.unwrap_or(true)), all + 1))
}

fn health(snapshot: &Snapshot, row: &Row) -> Health {
    let Row::Service(service) = row else { return Health::Healthy };
    // Without every slice known, no endpoint seen says nothing.
    let known = snapshot.coverage.is_complete(KindId::EndpointSlice, &service.meta.namespace);
    if service.spec.selector.is_empty() || !known {
        return Health::Healthy;
    }
    match endpoints(snapshot, service) {
        (0, _) => Health::Broken,
        (ready, all) if ready < all => Health::Warning,
        _ => Health::Healthy,
    }
}

fn ports(service: &Service) -> String {
    let ports: Vec<String> =
        service.spec.ports.iter().map(|p| format!("{}/{}", p.port, p.protocol.as_deref().unwrap_or("TCP"))).collect();
    if ports.is_empty() { "-".to_owned() } else { ports.join(",") }
}

fn external(service: &Service) -> String {
    let found: Vec<&str> =
        service.status.load_balancer.ingress.iter().filter_map(|i| i.ip.as_deref().or(i.hostname.as_deref())).collect();
    if found.is_empty() { "-".to_owned() } else { found.join(",") }
}
