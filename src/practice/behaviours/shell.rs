//! A shell command, as busybox pods run it: `sleep`, `exit`, `echo`, `true`, `false`, joined by `;` or `&&`.
//!
//! `head -c 200m /dev/zero | tail` is how people use up memory in a pod without an image for it: `tail` keeps a line without end,
//! and the kernel kills the whole container for it (`memory.oom.group`, set by kubelets since 1.28).
//!
//! PID 1 of a container ignores signals it has no handler for: a sleeping shell is killed when its grace period ends.

use super::super::kubelet::process::{Curve, MEBIBYTE, Program};
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
    for step in steps(script) {
        let (word, rest) = step.split_once(' ').unwrap_or((&step, ""));
        match word {
            "sleep" if rest.trim() == "infinity" => ends = false,
            "sleep" => clock += Duration::from_secs_f64(rest.trim().parse::<f64>().unwrap_or(1.0).clamp(0.0, 1e8)),
            "echo" | "printf" => lines.extend(unquoted(rest).split('\n').map(|line| (clock, line.to_owned()))),
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
        memory: memory(script),
        on_stop: if handled { quiet.on_stop.clone() } else { None },
        ..quiet
    }
}

/// The commands of a script, one after the other: what stands in quotes is not taken apart.
fn steps(script: &str) -> Vec<String> {
    let mut steps = vec![String::new()];
    let mut quote = None;
    let mut rest = script.chars().peekable();
    while let Some(c) = rest.next() {
        match quote {
            Some(open) => quote = (c != open).then_some(open),
            None if c == '"' || c == '\'' => quote = Some(c),
            None if c == ';' || c == '\n' || (c == '&' && rest.next_if_eq(&'&').is_some()) => {
                steps.push(String::new());
                continue;
            }
            None => {}
        }
        if let Some(step) = steps.last_mut() {
            step.push(c);
        }
    }
    steps.iter().map(|step| step.trim().to_owned()).filter(|step| !step.is_empty()).collect()
}

/// An argument without its quotes, with the escapes that `printf` knows and people use.
fn unquoted(argument: &str) -> String {
    let bare = argument.trim().trim_matches(['"', '\'']);
    let bare = bare.strip_suffix("\\n").unwrap_or(bare);
    bare.replace("\\n", "\n").replace("\\t", "\t").replace("\\033", "\u{1b}").replace("\\007", "\u{7}")
}

/// Bytes a second such a `tail` grows by; in the captured cluster 32Mi lasted 15 s.
const GROWTH: f64 = 2.0 * MEBIBYTE;

/// What the script's children keep in memory: as much as `tail` is given of `/dev/zero`, without `head` all there is.
fn memory(script: &str) -> Curve {
    let Some((before, _)) = script.split_once("/dev/zero").filter(|_| script.contains("tail")) else { return Curve::steady(1.0) };
    let base = MEBIBYTE;
    let Some((_, given)) = before.rsplit_once("head -c") else {
        return Curve { base, peak: base, ramp: Duration::ZERO, leak: GROWTH };
    };
    let given = given.trim().to_lowercase();
    let digits = given.trim_end_matches(|c: char| !c.is_ascii_digit());
    let unit = match given.get(digits.len()..).unwrap_or_default().chars().next() {
        Some('k') => 1024.0,
        Some('m') => MEBIBYTE,
        Some('g') => 1024.0 * MEBIBYTE,
        _ => 1.0,
    };
    let peak = base + digits.parse::<f64>().unwrap_or(0.0) * unit;
    Curve { base, peak, ramp: Duration::from_secs_f64(peak / GROWTH), leak: 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_in_quotes_is_one_argument() {
        assert_eq!(steps("echo 'a; b && c' && sleep 5; exit 1"), ["echo 'a; b && c'", "sleep 5", "exit 1"]);
        assert_eq!(unquoted(r#""two\nlines\033[31m\n""#), "two\nlines\u{1b}[31m");
    }

    #[test]
    fn what_tail_is_given_of_zeros_it_keeps() {
        let at_last = |script: &str| memory(script).at(Duration::from_secs(3600)) / MEBIBYTE;
        assert!((at_last("while true; do (head -c 200m /dev/zero | tail >/dev/null); sleep 5; done") - 201.0).abs() < 0.1);
        assert!((at_last("head -c 2G /dev/zero | tail") - 2049.0).abs() < 0.1);
        assert!(at_last("tail /dev/zero") > 1000.0);
        assert!(at_last("sleep 5; echo tail of the log") < 2.0);
        assert!(at_last("dd if=/dev/zero of=/data/file") < 2.0);
    }
}
