//! Events live an hour, as the API server's `--event-ttl` has it.

use super::super::clock::Clock;
use super::super::object;
use super::super::resources::{EVENTS, ResourceType};
use super::super::store::Store;
use super::{Change, Controller, Key};
use std::time::Duration;

const TIME_TO_LIVE: i64 = 3600;
const SWEEP: Duration = Duration::from_secs(120);

/// See the module. It has one key: the sweep.
pub struct EventExpiry {
    store: Store,
    clock: Clock,
    begun: bool,
}

impl EventExpiry {
    /// A sweeper over a store.
    pub fn new(store: Store, clock: Clock) -> Self {
        Self { store, clock, begun: false }
    }
}

impl Controller for EventExpiry {
    fn watches(&self) -> Vec<&'static ResourceType> {
        vec![&EVENTS]
    }

    fn keys(&mut self, _: &Change) -> Vec<Key> {
        if std::mem::replace(&mut self.begun, true) { Vec::new() } else { vec![Key::default()] }
    }

    fn reconcile(&mut self, _: &Key) -> Option<Duration> {
        let now = self.clock.now();
        for event in self.store.list(&EVENTS, None) {
            let seen = ["/series/lastObservedTime", "/lastTimestamp", "/eventTime", "/metadata/creationTimestamp"];
            let last = seen.iter().find_map(|field| object::time(&event, field));
            if last.is_some_and(|last| (now - last).num_seconds() > TIME_TO_LIVE) {
                let _ = self.store.delete(&EVENTS, object::namespace(&event), object::name(&event), Some(0));
            }
        }
        Some(SWEEP)
    }
}
