//! nginx, as a web front or proxy.

use super::super::kubelet::process::{Curve, Program, Stop};
use super::super::random::Random;
use super::{Behaviour, Start};
use std::time::Duration;

/// See the module.
pub static NGINX: Behaviour = Behaviour { name: "nginx", fits, run };

fn fits(start: &Start<'_>) -> bool {
    let name = start.image.short();
    name.contains("nginx") || name == "web"
}

fn run(start: &Start<'_>, _: &mut Random) -> Program {
    let notice = |milliseconds: u64, line: &str| (Duration::from_millis(milliseconds), format!("[notice] 1#1: {line}"));
    Program {
        lines: vec![
            (Duration::from_millis(90), "/docker-entrypoint.sh: Configuration complete; ready for start up".to_owned()),
            notice(120, "using the \"epoll\" event method"),
            notice(121, "nginx/1.27.5"),
            notice(130, "start worker processes"),
        ],
        ports: vec![start.port(80)],
        listens_after: Duration::from_millis(130),
        answers: |path| if path.contains("missing") { 404 } else { 200 },
        memory: Curve::steady(9.0),
        cpu: (0.008, 0.001),
        on_stop: Some(Stop {
            after: Duration::from_millis(200),
            code: 0,
            lines: vec!["[notice] 1#1: signal 15 (SIGTERM) received, exiting".to_owned()],
        }),
        traffic: Some(|random| {
            let path = random.pick(&["/", "/assets/app.js", "/assets/app.css", "/favicon.ico", "/cart"]).copied().unwrap_or("/");
            let line = format!("10.88.0.1 - - \"GET {path} HTTP/1.1\" 200 {} \"-\" \"Mozilla/5.0\"", 300 + random.below(9000));
            (random.seconds(2.0, 6.0), vec![line])
        }),
        ..Program::quiet()
    }
}
