//! Events.

use super::column::{Cell, Column, Health, NAMESPACE, TableSpec, cell, health};
use crate::changes::redact;
use crate::kinds::KindId;

/// The table.
pub static TABLE: TableSpec = TableSpec {
    name: "events",
    aliases: &["ev", "event"],
    kind: KindId::Event,
    columns: &[
        NAMESPACE,
        Column::new("LAST SEEN", 9, cell!(Event, |_s, event, now| Cell::ago(event.last_seen(), now))).right(),
        Column::new("TYPE", 7, cell!(Event, |_s, event, _now| Cell::text(&event.kind))),
        Column::new("REASON", 12, cell!(Event, |_s, event, _now| Cell::text(&event.reason))),
        Column::new("OBJECT", 20, cell!(Event, |_s, event, _now| Cell::text(event.object().to_string()))).flexible(),
        Column::new("COUNT", 5, cell!(Event, |_s, event, _now| Cell::count(event.times()))).right(),
        Column::new("MESSAGE", 20, cell!(Event, |_s, event, _now| Cell::text(redact::text(event.text())))).flexible(),
    ],
    sort: ("LAST SEEN", false),
    health: health!(Event, |event| if event.is_warning() { Health::Warning } else { Health::Healthy }),
};
