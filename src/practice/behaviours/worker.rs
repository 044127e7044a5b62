//! Workers that load what they need into memory: thumbnails, batches, caches.
//!
//! `WORKING_SET` (default 176Mi) is what they need, `LEAK_PER_MINUTE` what they lose. A limit below the need ends in an OOM kill.

use super::super::kubelet::process::{Curve, MEBIBYTE, Program, Stop};
use super::super::random::Random;
use super::{Behaviour, Start};
use std::time::Duration;

/// See the module.
pub static WORKER: Behaviour = Behaviour { name: "memory-hungry worker", fits, run };

fn fits(start: &Start<'_>) -> bool {
    ["worker", "thumbnails", "resizer", "batch"].iter().any(|word| start.image.short().contains(word))
        || start.environment.contains_key("LEAK_PER_MINUTE")
}

fn run(start: &Start<'_>, _: &mut Random) -> Program {
    let needs = start.quantity("WORKING_SET").unwrap_or(176.0 * MEBIBYTE);
    let after = |milliseconds: u64, line: &str| (Duration::from_millis(milliseconds), line.to_owned());
    Program {
        lines: vec![
            after(300, "INFO     thumbnails.worker starting, concurrency=4"),
            after(500, "INFO     thumbnails.cache warming cache"),
            after(9500, "INFO     thumbnails.worker ready, waiting for jobs on queue \"images\""),
        ],
        ports: vec![start.port(8080)],
        listens_after: Duration::from_millis(600),
        memory: Curve {
            base: 41.0 * MEBIBYTE,
            peak: needs,
            ramp: Duration::from_secs(9),
            leak: start.quantity("LEAK_PER_MINUTE").unwrap_or(0.0) / 60.0,
        },
        cpu: start.demand().unwrap_or((0.18, 0.12)),
        queue: start.queue(),
        disk: start.scratch(),
        on_stop: Some(Stop {
            after: Duration::from_millis(900),
            code: 0,
            lines: vec!["INFO     thumbnails.worker stopping".to_owned()],
        }),
        traffic: Some(|random| {
            let line = format!("INFO     thumbnails.worker job {} done in {:.2}s", random.hex(8), random.between(0.2, 1.9));
            (random.seconds(3.0, 9.0), vec![line])
        }),
        works_alone: true,
        ..Program::quiet()
    }
}
