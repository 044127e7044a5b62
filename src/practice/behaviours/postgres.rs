//! PostgreSQL.

use super::super::kubelet::process::{Curve, Program, Stop};
use super::super::random::Random;
use super::{Behaviour, Start};
use std::time::Duration;

/// See the module.
pub static POSTGRES: Behaviour = Behaviour { name: "PostgreSQL", fits: |start| start.image.short().starts_with("postgres"), run };

fn run(start: &Start<'_>, _: &mut Random) -> Program {
    if start.variable("POSTGRES_PASSWORD").is_empty() && start.variable("POSTGRES_HOST_AUTH_METHOD").is_empty() {
        let text = "Error: Database is uninitialized and superuser password is not specified.\n       You must specify POSTGRES_PASSWORD to a non-empty value for the\n       superuser.";
        let lines = text.lines().map(|line| (Duration::from_millis(200), line.to_owned())).collect();
        return Program { lines, exit: Some((Duration::from_millis(250), 1)), ..Program::quiet() };
    }
    let after = |milliseconds: u64, line: &str| (Duration::from_millis(milliseconds), line.to_owned());
    Program {
        lines: vec![
            after(400, "PostgreSQL Database directory appears to contain a database; Skipping initialization"),
            after(
                600,
                "LOG:  starting PostgreSQL 15.18 (Debian 15.18-0+deb12u1) on x86_64-pc-linux-gnu, compiled by gcc (Debian 12.2.0-14+deb12u1) 12.2.0, 64-bit",
            ),
            after(610, "LOG:  listening on IPv4 address \"0.0.0.0\", port 5432"),
            after(612, "LOG:  listening on Unix socket \"/var/run/postgresql/.s.PGSQL.5432\""),
            after(900, "LOG:  database system is ready to accept connections"),
        ],
        ports: vec![5432],
        listens_after: Duration::from_millis(900),
        memory: Curve::steady(74.0),
        cpu: (0.03, 0.01),
        on_stop: Some(Stop {
            after: Duration::from_millis(800),
            code: 0,
            lines: vec!["LOG:  received smart shutdown request".to_owned(), "LOG:  database system is shut down".to_owned()],
        }),
        traffic: Some(|random| {
            let line = format!(
                "LOG:  checkpoint complete: wrote {} buffers (0.3%); 0 WAL file(s) added, 0 removed, 0 recycled; write={:.3} s, sync=0.003 s, total={:.3} s",
                20 + random.below(60),
                random.between(2.0, 5.0),
                random.between(5.0, 6.0)
            );
            (Duration::from_secs(300), vec![line])
        }),
        works_alone: true,
        ..Program::quiet()
    }
}
