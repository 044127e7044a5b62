//! EndpointSlices.

use super::column::{AGE, Cell, Column, NAME, NAMESPACE, TableSpec, cell, health, of_counts};
use crate::kinds::KindId;
use crate::kinds::network::EndpointSlice;

/// The table.
pub static TABLE: TableSpec = TableSpec {
    name: "endpointslices",
    aliases: &["eps", "endpointslice"],
    kind: KindId::EndpointSlice,
    columns: &[
        NAMESPACE,
        NAME,
        Column::new("SERVICE", 12, cell!(EndpointSlice, |_s, slice, _now| Cell::text(slice.service_name().unwrap_or("-")))),
        Column::new("READY", 5, cell!(EndpointSlice, |_s, slice, _now| Cell::ratio(ready(slice), all(slice)))).right(),
        Column::new("ENDPOINTS", 16, cell!(EndpointSlice, |_s, slice, _now| Cell::text(addresses(slice)))).flexible(),
        AGE,
    ],
    sort: ("NAMESPACE", false),
    health: health!(EndpointSlice, |slice| of_counts(ready(slice), all(slice))),
};

fn ready(slice: &EndpointSlice) -> i32 {
    i32::try_from(slice.endpoints.iter().filter(|e| e.conditions.ready.unwrap_or(true)).count()).unwrap_or(i32::MAX)
}

fn all(slice: &EndpointSlice) -> i32 {
    i32::try_from(slice.endpoints.len()).unwrap_or(i32::MAX)
}

fn addresses(slice: &EndpointSlice) -> String {
    let found: Vec<&str> = slice.endpoints.iter().flat_map(|e| &e.addresses).map(|a| &**a).collect();
    if found.is_empty() { "-".to_owned() } else { found.join(",") }
}
