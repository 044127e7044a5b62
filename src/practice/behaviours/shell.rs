//! A shell command, as busybox pods run it: `sleep`, `exit`, `echo`, `true`, `false`, joined by `;` or `&&`.
//!
//! PID 1 of a container ignores signals it has no handler for: a sleeping shell is killed when its grace period ends.

use super::super::kubelet::process::{Curve, Program};
use super::super::random::Random;
use super::{Behaviour, Start};
use std::time::Duration;

/// See the module.
pub static SHELL: Behaviour = Behaviour { name: "shell command", fits, run };

fn fits(start: &Start<'_>) -> bool {
    let line = start.command_line();
    let first = line.split_whitespace().next().unwrap_or_default();
    let known = ["sh", "/bin/sh", "bash", "/bin/bash", "sleep", "true", "false", "echo", "exit"];
    known.contains(&first) || start.image.short() == "busybox" || first.contains("missing")
}

fn run(start: &Start<'_>, _: &mut Random) -> Program {
    let line = start.command_line();
    let first = line.split_whitespace().next().unwrap_or_default();
    if first.contains("missing") {
        let error = format!(
            "failed to create containerd task: failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: exec: \"{first}\": stat {first}: no such file or directory: unknown"
        );
        return Program { start_error: Some(error), ..Program::quiet() };
    }
    let script = line
        .trim_start_matches("/bin/")
        .trim_start_matches("ba")
        .trim_start_matches("sh")
        .trim_start()
        .trim_start_matches("-c")
        .trim();
    let mut clock = Duration::from_millis(50);
    let mut lines = Vec::new();
    let mut code = 0;
    let mut ends = true;
    let mut handled = false;
    for step in script.replace("&&", ";").replace('\n', ";").split(';').map(str::trim).filter(|step| !step.is_empty()) {
        let (word, rest) = step.split_once(' ').unwrap_or((step, ""));
        match word {
            "sleep" if rest.trim() == "infinity" => ends = false,
            "sleep" => clock += Duration::from_secs_f64(rest.trim().parse::<f64>().unwrap_or(1.0).clamp(0.0, 1e8)),
            "echo" => lines.push((clock, rest.trim_matches(['"', '\'']).to_owned())),
            "trap" => handled = true,
            "exit" => {
                code = rest.trim().parse().unwrap_or(0);
                break;
            }
            "false" => code = 1,
            "while" | "tail" | "cat" => ends = false,
            _ => code = 0,
        }
        if !ends {
            break;
        }
    }
    let quiet = Program::quiet();
    Program {
        lines,
        exit: ends.then_some((clock, code)),
        memory: Curve::steady(1.0),
        on_stop: if handled { quiet.on_stop.clone() } else { None },
        ..quiet
    }
}
