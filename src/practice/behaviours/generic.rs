//! Any other image: a quiet server on its declared ports.

use super::super::kubelet::process::{Curve, Program, Stop};
use super::super::object;
use super::Behaviour;
use std::time::Duration;

/// See the module.
pub static GENERIC: Behaviour = Behaviour {
    name: "anything else",
    fits: |_| true,
    run: |start, random| Program {
        lines: vec![(Duration::from_millis(400), "server started".to_owned())],
        ports: object::items(start.container, "/ports").iter().filter_map(|port| object::int(port, "/containerPort")).collect(),
        listens_after: Duration::from_millis(400),
        memory: Curve::steady(random.between(18.0, 40.0)),
        cpu: (0.01, 0.003),
        on_stop: Some(Stop {
            after: Duration::from_millis(400),
            code: 0,
            lines: vec!["received SIGTERM, shutting down".to_owned()],
        }),
        ..Program::quiet()
    },
};
