//! Redis.

use super::super::kubelet::process::{Curve, Program};
use super::Behaviour;
use std::time::Duration;

/// See the module.
pub static REDIS: Behaviour = Behaviour {
    name: "Redis",
    fits: |start| start.image.short().starts_with("redis"),
    run: |_, _| Program {
        lines: [
            "oO0OoO0OoO0Oo Redis is starting oO0OoO0OoO0Oo",
            "Running mode=standalone, port=6379.",
            "Ready to accept connections tcp",
        ]
        .iter()
        .map(|line| (Duration::from_millis(150), format!("1:M * {line}")))
        .collect(),
        ports: vec![6379],
        listens_after: Duration::from_millis(150),
        memory: Curve::steady(11.0),
        cpu: (0.006, 0.004),
        ..Program::quiet()
    },
};
