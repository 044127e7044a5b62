//! A FastAPI service under uvicorn: connects to `DATABASE_URL` at start, and ends with exit code 3 when that fails.
//!
//! Lines as uvicorn and SQLAlchemy wrote them in the captures.

use super::super::kubelet::process::{Curve, MEBIBYTE, Program, Stop};
use super::super::kubelet::services::{self, Client, DatabaseUrl};
use super::super::random::Random;
use super::{Behaviour, Start};
use std::time::Duration;

static TRACEBACK: &str = include_str!("../../../assets/practice/sqlalchemy-traceback.txt");

/// See the module.
pub static FASTAPI: Behaviour = Behaviour { name: "FastAPI under uvicorn", fits, run };

fn fits(start: &Start<'_>) -> bool {
    let words = ["fastapi", "uvicorn", "orders", "api", "app", "notifications", "reports"];
    words.iter().any(|word| start.image.short().contains(word)) || start.environment.contains_key("DATABASE_URL")
}

fn run(start: &Start<'_>, random: &mut Random) -> Program {
    let after = |milliseconds: u64| Duration::from_millis(milliseconds);
    let mut lines = vec![
        (after(700), "INFO:     Started server process [1]".to_owned()),
        (after(710), "INFO:     Waiting for application startup.".to_owned()),
    ];
    let problem = DatabaseUrl::parse(start.variable("DATABASE_URL"))
        .and_then(|url| services::connect(start.store, &Client::of(start.pod, start.environment), &url).err());
    if let Some(error) = problem {
        let at = after(1100);
        lines.extend(TRACEBACK.replace("{error}", &error).lines().map(|line| (at, line.to_owned())));
        return Program { lines, exit: Some((after(1200), 3)), memory: Curve::steady(52.0), cpu: (0.3, 0.2), ..Program::quiet() };
    }
    let port = start.port(8000);
    lines.push((after(1300), "INFO:     Application startup complete.".to_owned()));
    lines.push((after(1310), format!("INFO:     Uvicorn running on http://0.0.0.0:{port} (Press CTRL+C to quit)")));
    let needs = start.quantity("WORKING_SET").unwrap_or_else(|| random.between(86.0, 98.0) * MEBIBYTE);
    Program {
        lines,
        ports: vec![port],
        listens_after: after(1310),
        answers: |path| if is_known(path) { 200 } else { 404 },
        access_log: Some(|peer, request, status| {
            format!("INFO:     {peer} - \"{request} HTTP/1.1\" {status} {}", phrase(status))
        }),
        busy: start.busy(),
        memory: Curve { base: needs * 0.55, peak: needs, ramp: Duration::from_secs(14), leak: 0.0 },
        cpu: start.demand().unwrap_or((0.045, 0.006)),
        disk: start.scratch(),
        on_stop: Some(Stop {
            after: after(650),
            code: 0,
            lines: [
                "Shutting down",
                "Waiting for application shutdown.",
                "Application shutdown complete.",
                "Finished server process [1]",
            ]
            .map(|line| format!("INFO:     {line}"))
            .to_vec(),
        }),
        traffic: Some(traffic),
        ..Program::quiet()
    }
}

fn phrase(status: u16) -> &'static str {
    match status {
        200 => "OK",
        503 => "Service Unavailable",
        _ => "Not Found",
    }
}

fn is_known(path: &str) -> bool {
    path == "/" || ["health", "ready", "live", "docs", "metrics", "orders", "items"].iter().any(|word| path.contains(word))
}

fn traffic(random: &mut Random) -> (Duration, Vec<String>) {
    const REQUESTS: &[(&str, &str)] = &[
        ("GET /orders?limit=20", "200 OK"),
        ("GET /orders/7719", "200 OK"),
        ("GET /orders/8042", "200 OK"),
        ("POST /orders", "201 Created"),
        ("GET /items/31", "200 OK"),
        ("GET /items/9999", "404 Not Found"),
        ("POST /login", "200 OK"),
        ("GET /customers/512", "200 OK"),
    ];
    let peer = format!("10.88.0.{}:{}", 1 + random.below(3), 32768 + random.below(28000));
    let mut lines = Vec::new();
    for _ in 0..=random.below(2) {
        let (request, answer) = random.pick(REQUESTS).copied().unwrap_or(("GET /", "200 OK"));
        if random.below(900) == 0 {
            let took = random.between(1.1, 3.4);
            let (method, path) = request.split_once(' ').unwrap_or((request, "/"));
            lines.push(format!("WARNING:  SLOW REQUEST {method} {path} took {took:.2}s"));
        }
        lines.push(format!("INFO:     {peer} - \"{request} HTTP/1.1\" {answer}"));
    }
    (random.seconds(1.2, 4.5), lines)
}
