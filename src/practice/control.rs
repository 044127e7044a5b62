//! Faults for other processes: a port beside the API server's, `curl -X POST http://127.0.0.1:PORT/hang/20`.
//!
//! A path is a command and its words. To add a fault: a method in `faults.rs` (or a method of the cluster) and an entry of
//! [`COMMANDS`]; `GET /` lists them.
#![expect(clippy::unnecessary_wraps, reason = "every command has the one signature of the table")]

use std::fmt::Write;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use axum::Router;
use axum::extract::{Request, State};
use axum::response::Response;
use http::Method;

use super::PracticeCluster;
use super::faults::Answer;
use super::reply::with_type;

const PLAIN: &str = "text/plain; charset=utf-8";
/// How long a server that is to restart stays away when it is not said.
const AWAY: f64 = 2.0;

/// The words after a command's name.
type Words<'a> = &'a [&'a str];

/// One fault on demand.
struct Command {
    name: &'static str,
    /// Its words, as `GET /` shows them.
    words: &'static str,
    about: &'static str,
    perform: fn(&Arc<PracticeCluster>, Words<'_>) -> Result<String, String>,
}

const COMMANDS: &[Command] = &[
    Command {
        name: "restart",
        words: "[SECONDS]",
        about: "die, cut every connection, come back after that long",
        perform: restart,
    },
    Command { name: "hang", words: "[SECONDS]", about: "half-open: hold connections, send nothing", perform: hang },
    Command { name: "drop-watches", words: "", about: "end every open watch", perform: drop_watches },
    Command { name: "expire-versions", words: "", about: "410 for older resourceVersions; ends watches too", perform: expire },
    Command { name: "answer", words: "CODE [SECONDS]", about: "answer everything 401, 429, 500 or 503", perform: answer },
    Command { name: "truncate", words: "[SECONDS]", about: "answer everything with JSON that breaks off", perform: truncate },
    Command { name: "garbage", words: "[SECONDS]", about: "answer everything with HTML", perform: garbage },
    Command { name: "delay", words: "MILLISECONDS [SECONDS]", about: "wait before each answer", perform: delay },
    Command {
        name: "refuse",
        words: "VERB RESOURCE [SECONDS]",
        about: "403 for a verb (`*`: all) on a resource",
        perform: refuse,
    },
    Command { name: "expire-token", words: "USER", about: "401 for that user's token from now on", perform: expire_token },
    Command { name: "clear", words: "", about: "back to normal", perform: clear },
];

/// Does what the words say. Without a span a fault lasts until `clear`.
///
/// # Errors
/// What is wrong with the words.
pub fn perform(cluster: &Arc<PracticeCluster>, words: &[&str]) -> Result<String, String> {
    let (name, rest) = words.split_first().ok_or_else(usage)?;
    let command = COMMANDS.iter().find(|command| command.name == *name).ok_or_else(usage)?;
    (command.perform)(cluster, rest).map_err(|why| format!("{why}; usage: {} {}", command.name, command.words))
}

/// The commands, one a line, as paths.
pub fn usage() -> String {
    COMMANDS.iter().fold("POST one of these; without SECONDS a fault lasts until /clear\n".to_owned(), |mut out, command| {
        let path = format!("/{} {}", command.name, command.words).trim_end().replace(' ', "/");
        let _ = writeln!(out, "  {path:<42}{}", command.about);
        out
    })
}

/// Takes orders on loopback until the future is dropped; port 0 picks a free one. Call it in a tokio runtime.
///
/// # Errors
/// The port is taken.
pub async fn listen(
    cluster: Arc<PracticeCluster>,
    port: u16,
) -> anyhow::Result<(SocketAddr, impl Future<Output = std::io::Result<()>>)> {
    let bind = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let listener = tokio::net::TcpListener::bind(bind).await.with_context(|| format!("cannot listen on {bind}"))?;
    let address = listener.local_addr()?;
    let router = Router::new().fallback(handle).with_state(cluster);
    Ok((address, async move { axum::serve(listener, router).await }))
}

async fn handle(State(cluster): State<Arc<PracticeCluster>>, request: Request) -> Response {
    let words: Vec<&str> = request.uri().path().split('/').filter(|word| !word.is_empty()).collect();
    match request.method() {
        &Method::POST => match perform(&cluster, &words) {
            Ok(said) => with_type(200, PLAIN, said + "\n"),
            Err(why) => with_type(400, PLAIN, why + "\n"),
        },
        _ => with_type(if words.is_empty() { 200 } else { 405 }, PLAIN, usage()),
    }
}

fn number(words: Words<'_>, at: usize, what: &str) -> Result<Option<f64>, String> {
    let Some(word) = words.get(at) else { return Ok(None) };
    match word.parse::<f64>() {
        Ok(number) if (0.0..=1e6).contains(&number) => Ok(Some(number)),
        _ => Err(format!("{word:?} is not a number of {what}")),
    }
}

fn span(words: Words<'_>, at: usize) -> Result<Option<Duration>, String> {
    Ok(number(words, at, "seconds")?.map(Duration::from_secs_f64))
}

fn lasting(what: &str, span: Option<Duration>) -> String {
    span.map_or_else(|| format!("{what} until /clear"), |span| format!("{what} for {} s", span.as_secs_f64()))
}

/// Does something later, without holding anybody up.
fn after(span: Duration, cluster: &Arc<PracticeCluster>, then: impl FnOnce(&PracticeCluster) + Send + 'static) {
    let cluster = Arc::downgrade(cluster);
    std::thread::spawn(move || {
        std::thread::sleep(span);
        if let Some(cluster) = cluster.upgrade() {
            then(&cluster);
        }
    });
}

fn restart(cluster: &Arc<PracticeCluster>, words: Words<'_>) -> Result<String, String> {
    let away = span(words, 0)?.unwrap_or(Duration::from_secs_f64(AWAY));
    cluster.stop_serving();
    after(away, cluster, |cluster| {
        if let Err(error) = cluster.resume_serving() {
            tracing::warn!(%error, "practice server did not come back");
        }
    });
    Ok(lasting("away", Some(away)))
}

fn hang(cluster: &Arc<PracticeCluster>, words: Words<'_>) -> Result<String, String> {
    let span = span(words, 0)?;
    cluster.faults().hang();
    if let Some(span) = span {
        after(span, cluster, |cluster| cluster.faults().recover());
    }
    Ok(lasting("hangs", span))
}

fn drop_watches(cluster: &Arc<PracticeCluster>, _: Words<'_>) -> Result<String, String> {
    cluster.faults().drop_watches();
    Ok("every watch ended".to_owned())
}

fn expire(cluster: &Arc<PracticeCluster>, _: Words<'_>) -> Result<String, String> {
    cluster.expire_versions();
    cluster.faults().drop_watches();
    Ok("older versions get 410".to_owned())
}

fn answer(cluster: &Arc<PracticeCluster>, words: Words<'_>) -> Result<String, String> {
    let code = number(words, 0, "an HTTP status")?.ok_or("say which code")?;
    let answer = match code as u16 {
        429 => Answer::TooManyRequests(1),
        code @ (401 | 500..=599) => Answer::Code(code),
        other => return Err(format!("{other} is none of 401, 429, 5xx")),
    };
    answers(cluster, answer, span(words, 1)?)
}

fn truncate(cluster: &Arc<PracticeCluster>, words: Words<'_>) -> Result<String, String> {
    answers(cluster, Answer::Truncated, span(words, 0)?)
}

fn garbage(cluster: &Arc<PracticeCluster>, words: Words<'_>) -> Result<String, String> {
    answers(cluster, Answer::Garbage, span(words, 0)?)
}

/// Watches that are open end, or the answer would meet nobody for a minute.
fn answers(cluster: &Arc<PracticeCluster>, answer: Answer, span: Option<Duration>) -> Result<String, String> {
    match span {
        Some(span) => cluster.faults().answer_for(answer, span),
        None => cluster.faults().answer(answer, usize::MAX),
    }
    cluster.faults().drop_watches();
    Ok(lasting(&format!("answers {answer:?}"), span))
}

fn delay(cluster: &Arc<PracticeCluster>, words: Words<'_>) -> Result<String, String> {
    let wait = number(words, 0, "milliseconds")?.ok_or("say how long")?;
    let span = span(words, 1)?;
    cluster.faults().delay(Duration::from_secs_f64(wait / 1000.0), span);
    Ok(lasting(&format!("each answer takes {wait} ms longer"), span))
}

fn refuse(cluster: &Arc<PracticeCluster>, words: Words<'_>) -> Result<String, String> {
    let (Some(verb), Some(resource)) = (words.first(), words.get(1)) else { return Err("say which".to_owned()) };
    let span = span(words, 2)?;
    cluster.faults().refuse(verb, resource, span);
    if matches!(*verb, "watch" | "*") {
        cluster.faults().drop_watches();
    }
    Ok(lasting(&format!("nobody may {verb} {resource}"), span))
}

fn expire_token(cluster: &Arc<PracticeCluster>, words: Words<'_>) -> Result<String, String> {
    let user = words.first().ok_or("say whose")?;
    cluster.revoke(user);
    cluster.faults().drop_watches();
    Ok(format!("the token of {user} is not accepted any more"))
}

fn clear(cluster: &Arc<PracticeCluster>, _: Words<'_>) -> Result<String, String> {
    cluster.faults().clear();
    Ok("back to normal".to_owned())
}
