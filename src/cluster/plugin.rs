//! Exec credential plugins (`client.authentication.k8s.io`), as kubectl runs them, but for the terminal: that is the screen's.
//!
//! Run by us and not by the library, which gives them our stdin, has no time limit, and runs one anew for each request once
//! its token has expired. Invariant: stdout may hold a token and is never quoted; what a plugin says on stderr is for people.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use chrono::DateTime;
use kube::config::{ExecConfig, ExecInteractiveMode};
use secrecy::SecretString;
use serde::Deserialize;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, BufReader};
use tokio::process::Command;
use tokio::sync::mpsc;

use super::Error;
use crate::text::{Time, clean, ellipsis};

/// How long a plugin may take: people confirm logins in a browser.
const LIMIT: Duration = Duration::from_secs(120);
/// Most of its output that is read: a token or a certificate and key.
const LARGEST: u64 = 1 << 20;
/// How much of what it said is quoted: the end, where the reason is.
const QUOTED: usize = 400;

/// Hears, line by line, what a plugin says on stderr while it runs.
pub type Says = mpsc::UnboundedSender<String>;

/// What a plugin printed.
pub(super) struct Credential {
    pub(super) token: Option<SecretString>,
    /// Certificate and key, PEM.
    pub(super) certificate: Option<(String, String)>,
    pub(super) expires: Option<Time>,
}

#[derive(Deserialize)]
struct Printed {
    status: Option<Status>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Status {
    expiration_timestamp: Option<String>,
    token: Option<String>,
    client_certificate_data: Option<String>,
    client_key_data: Option<String>,
}

/// Runs a plugin to its end. Dropping the future kills it.
///
/// # Errors
/// [`Error::NoAuthPlugin`] or [`Error::AuthPlugin`], with its own words.
pub(super) async fn run(exec: &ExecConfig, says: Option<&Says>) -> Result<Credential, Error> {
    let program = exec.command.clone().unwrap_or_default();
    let name = Path::new(&program).file_name().map_or_else(|| program.clone(), |name| name.to_string_lossy().into_owned());
    let failed = |said: String| Error::AuthPlugin { command: clean(&name), said };
    let mut child = command(exec, &program).spawn().map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => {
            let words = exec.install_hint.as_deref().map(clean).unwrap_or_default();
            let hint = words.split_whitespace().collect::<Vec<_>>().join(" ");
            Error::NoAuthPlugin { command: clean(&program), hint: ellipsis(&hint, QUOTED) }
        }
        _ => failed(error.to_string()),
    })?;
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let mut said = String::new();
    let work = async { tokio::join!(all_of(stdout), heard(stderr, &mut said, says), child.wait()) };
    let ended = tokio::time::timeout(LIMIT, work).await;
    let wants_terminal = exec.interactive_mode == Some(ExecInteractiveMode::Always);
    let wants =
        if wants_terminal { " (it wants a terminal, interactiveMode: Always, which k3am keeps for the screen)" } else { "" };
    let Ok((printed, (), status)) = ended else {
        let words = if said.is_empty() { "it said nothing".to_owned() } else { format!("it said: {said}") };
        return Err(failed(format!("it did not end within {}s; {words}{wants}", LIMIT.as_secs())));
    };
    match status {
        Ok(status) if status.success() => read(&printed).map_err(failed),
        Ok(status) if said.is_empty() => Err(failed(format!("it ended with {status} and said nothing{wants}"))),
        Ok(_) => Err(failed(format!("{said}{wants}"))),
        Err(error) => Err(failed(error.to_string())),
    }
}

fn command(exec: &ExecConfig, program: &str) -> Command {
    let mut command = Command::new(program);
    command.args(exec.args.iter().flatten());
    let pairs = exec.env.iter().flatten().filter_map(|pair| Some((pair.get("name")?, pair.get("value")?)));
    command.envs(pairs);
    let cluster = exec.cluster.as_ref().filter(|_| exec.provide_cluster_info);
    let spec = cluster.map_or_else(
        || serde_json::json!({ "interactive": false }),
        |cluster| serde_json::json!({ "interactive": false, "cluster": cluster }),
    );
    let version = exec.api_version.as_deref().unwrap_or("client.authentication.k8s.io/v1");
    let info = serde_json::json!({ "apiVersion": version, "kind": "ExecCredential", "spec": spec });
    command.env("KUBERNETES_EXEC_INFO", info.to_string());
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    // In a group of its own: one that opens the terminal itself is stopped by the kernel instead of eating keys.
    #[cfg(unix)]
    command.process_group(0);
    command
}

async fn all_of(output: Option<impl AsyncRead + Unpin>) -> Vec<u8> {
    let mut all = Vec::new();
    if let Some(output) = output {
        let _ = output.take(LARGEST).read_to_end(&mut all).await;
    }
    all
}

/// Passes lines on and keeps the end of them.
async fn heard(output: Option<impl AsyncRead + Unpin>, said: &mut String, says: Option<&Says>) {
    let Some(output) = output else { return };
    let mut lines = BufReader::new(output).split(b'\n');
    while let Ok(Some(line)) = lines.next_segment().await {
        let line = clean(String::from_utf8_lossy(&line).trim());
        if line.is_empty() {
            continue;
        }
        if let Some(says) = says {
            let _ = says.send(line.clone());
        }
        if !said.is_empty() {
            said.push(' ');
        }
        said.push_str(&line);
        let over = said.chars().count().saturating_sub(QUOTED);
        if over > 0 {
            *said = said.chars().skip(over).collect();
        }
    }
}

/// JSON or, as some plugins write, YAML.
fn read(printed: &[u8]) -> Result<Credential, String> {
    let no = || "it did not print an ExecCredential (JSON with status.token, or with a client certificate and key)".to_owned();
    let text = std::str::from_utf8(printed).map_err(|_| no())?;
    let found: Printed = serde_json::from_str(text).or_else(|_| serde_saphyr::from_str(text)).map_err(|_| no())?;
    let status = found.status.ok_or_else(no)?;
    let filled = |text: Option<String>| text.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
    let token = filled(status.token);
    if token.as_deref().is_some_and(|token| http::HeaderValue::from_str(token).is_err()) {
        return Err("its token holds characters that cannot be sent".to_owned());
    }
    let certificate = filled(status.client_certificate_data).zip(filled(status.client_key_data));
    if token.is_none() && certificate.is_none() {
        return Err("its answer holds neither a token nor a client certificate and key".to_owned());
    }
    let expires = status.expiration_timestamp.as_deref().and_then(|at| DateTime::parse_from_rfc3339(at).ok());
    Ok(Credential { token: token.map(SecretString::from), certificate, expires: expires.map(|at| at.to_utc()) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(printed: &str) -> String {
        read(printed.as_bytes()).err().unwrap()
    }

    #[test]
    fn json_and_yaml_are_read_and_anything_else_is_refused_without_a_quote() {
        let token = r#"{"kind":"ExecCredential","status":{"token":"abc\n","expirationTimestamp":"2026-11-23T08:00:00Z"}}"#;
        let found = read(token.as_bytes()).unwrap();
        assert!(found.token.is_some() && found.certificate.is_none());
        assert_eq!(found.expires.unwrap().to_rfc3339(), "2026-11-23T08:00:00+00:00");
        let pair = "status:\n  clientCertificateData: |\n    PEM\n  clientKeyData: KEY\n";
        assert!(read(pair.as_bytes()).unwrap().certificate.is_some());
        for wrong in ["", "logged in as s3cr3t", "{\"status\":", "{}", "[]"] {
            assert!(refused(wrong).starts_with("it did not print an ExecCredential"), "{wrong}");
        }
        assert!(refused(r#"{"status":{"token":""}}"#).contains("neither a token nor"));
        assert!(refused(r#"{"status":{"clientCertificateData":"x"}}"#).contains("neither a token nor"));
        assert!(!refused(r#"{"status":{"token":"s3cr3t\nx"}}"#).contains("s3cr3t"));
    }
}
