//! Credentials that must be had first, that expire, and that are had again while k3am runs: exec plugins, token files, a
//! kubeconfig that somebody logs in to elsewhere.
#![cfg(unix)]

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::Duration;

use k3am::cluster::{ConnectOptions, Connection, Error, connect, connect_hearing};
use k3am::practice::access::Role;
use tokio::time::{Instant, sleep, timeout};

use crate::live::{Practice, practice};
use crate::tls::{fixture, front};

const PATIENCE: Duration = Duration::from_secs(60);

/// A directory with a kubeconfig and, in it, a plugin `login-tool`.
struct Home {
    dir: tempfile::TempDir,
    server: String,
    /// More lines of the cluster's entry.
    cluster: String,
}

impl Home {
    fn at(server: String) -> Self {
        Self { dir: tempfile::tempdir().unwrap(), server, cluster: String::new() }
    }

    fn of(practice: &Practice) -> Self {
        Self::at(format!("http://{}", practice.cluster.address()))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Writes the plugin; `$HERE` is this directory, and it counts its runs in `runs`.
    fn plugin(&self, script: &str) -> &Self {
        let here = self.dir.path().display();
        let text = format!("#!/bin/sh\nHERE={here}\necho run >>$HERE/runs\n{script}\n");
        std::fs::write(self.path("new"), text).unwrap();
        std::fs::set_permissions(self.path("new"), PermissionsExt::from_mode(0o755)).unwrap();
        std::fs::rename(self.path("new"), self.path("login-tool")).unwrap();
        self
    }

    fn runs(&self) -> usize {
        std::fs::read_to_string(self.path("runs")).map_or(0, |runs| runs.lines().count())
    }

    /// The options for a user with these lines.
    fn user(&self, lines: &[&str]) -> ConnectOptions {
        let user: String = lines.iter().map(|line| format!("    {line}\n")).collect();
        let text = format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: c\ncontexts: [{{name: c, context: {{cluster: c, user: u}}}}]\nclusters:\n\
             - name: c\n  cluster:\n    server: {}\n{}users:\n- name: u\n  user:\n{user}",
            self.server, self.cluster
        );
        std::fs::write(self.path("config"), text).unwrap();
        ConnectOptions { kubeconfig: Some(self.path("config")), ..ConnectOptions::default() }
    }

    /// The options for a user of the plugin, with more lines in its entry.
    fn exec(&self, more: &[&str]) -> ConnectOptions {
        let mut lines = vec!["exec:", "  apiVersion: client.authentication.k8s.io/v1", "  command: ./login-tool"];
        lines.extend(more);
        self.user(&lines)
    }

    async fn error(&self, more: &[&str]) -> String {
        timeout(PATIENCE, connect(&self.exec(more))).await.unwrap().unwrap_err().to_string()
    }
}

fn token(practice: &Practice, user: &str) -> String {
    let text = practice.cluster.kubeconfig_for(user, Role::Reader);
    text.lines().find_map(|line| line.trim().strip_prefix("token: ")).unwrap().trim_matches('"').to_owned()
}

fn credential(status: &str) -> String {
    format!("echo '{{\"apiVersion\":\"client.authentication.k8s.io/v1\",\"kind\":\"ExecCredential\",\"status\":{{{status}}}}}'")
}

fn printing(token: &str) -> String {
    credential(&format!("\"token\":\"{token}\""))
}

async fn answers(connection: &Connection) -> Result<(), Error> {
    connection.identify().await.map(|_| ())
}

async fn until_it_answers(connection: &Connection) {
    let started = Instant::now();
    while let Err(error) = answers(connection).await {
        assert!(started.elapsed() < PATIENCE, "{error}");
        sleep(Duration::from_millis(200)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_plugin_is_quoted_from_stderr_only_and_gets_no_terminal() {
    let home = Home::at("http://127.0.0.1:1".to_owned());
    // Reads its stdin to the end: it would hang if it were given ours.
    home.plugin(
        "cat >/dev/null\necho s3cr3t-stdout\nprintf '\\033[31msession expired\\033[0m,\\nrun: login-tool login\\n' >&2\nexit 1",
    );
    let said = home.error(&["  args: [--token, s3cr3t-argument]", "  interactiveMode: IfAvailable"]).await;
    assert!(said.contains("session expired, run: login-tool login") && said.contains("login-tool` failed"), "{said:?}");
    assert!(!said.contains("s3cr3t") && !said.contains('\u{1b}') && !said.contains("wants a terminal"), "{said:?}");
    let said = home.error(&["  interactiveMode: Always"]).await;
    assert!(said.contains("session expired") && said.contains("it wants a terminal, interactiveMode: Always"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_plugin_prints_must_be_a_credential_and_is_never_quoted() {
    let home = Home::at("http://127.0.0.1:1".to_owned());
    for garbage in ["echo 'welcome, your token is s3cr3t'", "true", "head -c 4000 /dev/urandom", "echo '{\"status\":null}'"] {
        let said = home.plugin(garbage).error(&[]).await;
        assert!(said.contains("did not print an ExecCredential") && !said.contains("s3cr3t"), "{garbage}: {said}");
    }
    let said = home.plugin("exit 7").error(&[]).await;
    assert!(said.contains("exit status: 7") && said.contains("said nothing"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_that_is_not_installed_comes_with_the_kubeconfigs_hint() {
    let home = Home::at("http://127.0.0.1:1".to_owned());
    let lines = ["exec:", "  apiVersion: client.authentication.k8s.io/v1", "  command: no-such-login-tool-anywhere"];
    let error = connect(&home.user(&lines)).await.unwrap_err();
    assert!(matches!(&error, Error::NoAuthPlugin { hint, .. } if hint.is_empty()), "{error:?}");
    let hint = "  installHint: \"Get it:\\n  brew install login-tool\"";
    let said = connect(&home.user(&[&lines[..], &[hint]].concat())).await.unwrap_err().to_string();
    assert!(
        said.contains("no-such-login-tool-anywhere` is not installed") && said.ends_with("Get it: brew install login-tool"),
        "{said}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_gets_its_environment_and_what_it_must_know_of_the_cluster() {
    let practice = practice(0);
    let home = Home { cluster: "    tls-server-name: api.example\n".to_owned(), ..Home::of(&practice) };
    let keep = "echo \"$ROLE\" >$HERE/role\necho \"$KUBERNETES_EXEC_INFO\" >$HERE/info\n";
    home.plugin(&format!("{keep}{}", printing(&token(&practice, "ann"))));
    let environment = ["  env: [{name: ROLE, value: on-call}]", "  provideClusterInfo: true"];
    let connection = connect(&home.exec(&environment)).await.unwrap();
    answers(&connection).await.unwrap();
    assert_eq!(std::fs::read_to_string(home.path("role")).unwrap(), "on-call\n");
    let info: serde_json::Value = serde_json::from_slice(&std::fs::read(home.path("info")).unwrap()).unwrap();
    assert_eq!((&info["kind"], &info["spec"]["interactive"]), (&"ExecCredential".into(), &false.into()));
    assert_eq!(info["spec"]["cluster"]["server"], *home.server);
    assert_eq!(info["spec"]["cluster"]["tls-server-name"], "api.example");
    assert_eq!(home.runs(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_may_give_a_client_certificate() {
    let practice = practice(0);
    let server = front("server", true, practice.cluster.address()).await;
    let cluster = format!("    certificate-authority: {}\n", fixture("ca.crt").display());
    let home = Home { cluster, ..Home::at(format!("https://{server}")) };
    let pem = |name: &str| std::fs::read_to_string(fixture(name)).unwrap().trim().replace('\n', "\\n");
    let pair = format!("\"clientCertificateData\":\"{}\",\"clientKeyData\":\"{}\"", pem("client.crt"), pem("client.key"));
    // The shell's `echo` may read the escapes itself: printed from a file instead.
    let status = format!("{pair},\"token\":\"{}\"", token(&practice, "ann"));
    std::fs::write(home.path("credential"), format!("{{\"kind\":\"ExecCredential\",\"status\":{{{status}}}}}")).unwrap();
    home.plugin("cat $HERE/credential");
    let connection = connect(&home.exec(&[])).await.unwrap();
    answers(&connection).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_has_expired_is_renewed_before_it_is_used() {
    let practice = practice(0);
    let home = Home::of(&practice);
    let old = credential("\"token\":\"stale\",\"expirationTimestamp\":\"2026-01-01T00:00:00Z\"");
    let new = credential(&format!("\"token\":\"{}\",\"expirationTimestamp\":\"2099-01-01T00:00:00Z\"", token(&practice, "ann")));
    home.plugin(&format!("if [ $(wc -l <$HERE/runs) -gt 1 ]; then {new}; else {old}; fi"));
    let connection = connect(&home.exec(&[])).await.unwrap();
    let all = futures::future::join_all((0..20).map(|_| answers(&connection))).await;
    assert!(all.iter().all(Result::is_ok), "{all:?}");
    assert_eq!(home.runs(), 2, "once to connect, once to renew, whoever asked");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_token_is_asked_for_again_and_a_plugin_that_fails_is_left_alone_for_a_while() {
    let practice = practice(0);
    let home = Home::of(&practice);
    home.plugin(&printing(&token(&practice, "ann")));
    let connection = connect(&home.exec(&[])).await.unwrap();
    answers(&connection).await.unwrap();
    home.plugin("echo 'the session has ended, log in' >&2\nexit 1");
    practice.cluster.revoke("ann");
    let revoked = Instant::now();
    assert_eq!(answers(&connection).await.unwrap_err(), Error::Unauthorized);
    for _ in 0..30 {
        let said = answers(&connection).await.unwrap_err().to_string();
        assert!(said.contains("the session has ended, log in"), "{said}");
    }
    // It rests for five seconds at first: thirty answers take less, but on a machine that stands still.
    let most = 3 + usize::try_from(revoked.elapsed().as_secs() / 5).unwrap();
    assert!(home.runs() <= most, "run {} times, not {most}", home.runs());
    // Somebody logs in.
    home.plugin(&printing(&token(&practice, "ann")));
    until_it_answers(&connection).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_401_that_passes_by_itself_leaves_a_plugin_alone() {
    use k3am::practice::faults::Answer;
    let practice = practice(0);
    let home = Home::of(&practice);
    home.plugin(&printing(&token(&practice, "ann")));
    let connection = connect(&home.exec(&[])).await.unwrap();
    practice.cluster.faults().answer(Answer::Code(401), 2);
    // Refused, renewed, refused again and resting; then the server has recovered.
    assert_eq!(answers(&connection).await.unwrap_err(), Error::Unauthorized);
    assert_eq!(answers(&connection).await.unwrap_err(), Error::Unauthorized);
    answers(&connection).await.unwrap();
    home.plugin("sleep 600");
    sleep(Duration::from_secs(6)).await;
    answers(&connection).await.unwrap();
    assert_eq!(home.runs(), 2, "a good token is not asked for again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_elsewhere_that_rewrites_the_kubeconfig_is_noticed() {
    let practice = practice(0);
    let home = Home::of(&practice);
    let first = format!("token: {}", token(&practice, "ann"));
    let connection = connect(&home.user(&[&first])).await.unwrap();
    answers(&connection).await.unwrap();
    practice.cluster.revoke("ann");
    assert_eq!(answers(&connection).await.unwrap_err(), Error::Unauthorized);
    home.user(&[&format!("token: {}", token(&practice, "bob"))]);
    until_it_answers(&connection).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_file_may_end_in_a_line_break_beats_the_token_and_is_read_again() {
    let practice = practice(0);
    let home = Home::of(&practice);
    std::fs::write(home.path("token"), format!("{}\n", token(&practice, "ann"))).unwrap();
    let connection = connect(&home.user(&["tokenFile: token", "token: stale"])).await.unwrap();
    answers(&connection).await.unwrap();
    practice.cluster.revoke("ann");
    assert_eq!(answers(&connection).await.unwrap_err(), Error::Unauthorized);
    std::fs::write(home.path("token"), token(&practice, "bob")).unwrap();
    until_it_answers(&connection).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_is_heard_while_it_runs_and_ends_with_whoever_waits_for_it() {
    let home = Home::at("http://127.0.0.1:1".to_owned());
    home.plugin("echo 'open https://login.example and enter CODE-7' >&2\necho $$ >$HERE/pid\nexec sleep 600");
    let (says, mut said) = tokio::sync::mpsc::unbounded_channel();
    let options = home.exec(&[]);
    let waiting = tokio::spawn(async move { connect_hearing(&options, Some(says)).await.map(|_| ()) });
    let line = timeout(PATIENCE, said.recv()).await.unwrap().unwrap();
    assert_eq!(line, "open https://login.example and enter CODE-7");
    while !home.path("pid").exists() {
        sleep(Duration::from_millis(20)).await;
    }
    let process = PathBuf::from("/proc").join(std::fs::read_to_string(home.path("pid")).unwrap().trim());
    waiting.abort();
    let started = Instant::now();
    // Gone, or a zombie that nobody has waited for yet.
    while std::fs::read_to_string(process.join("stat")).is_ok_and(|stat| !stat.contains(") Z ")) && cfg!(target_os = "linux") {
        assert!(started.elapsed() < PATIENCE, "the plugin outlived its login");
        sleep(Duration::from_millis(50)).await;
    }
}

#[test]
fn diagnose_names_a_plugin_that_hangs_and_what_it_asked_for() {
    let home = Home::at("http://127.0.0.1:1".to_owned());
    home.plugin("echo 'enter CODE-7' >&2\nexec sleep 600");
    let file = home.exec(&[]).kubeconfig.unwrap();
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_k3am"))
        .args(["diagnose", "--timeout", "10s", "--kubeconfig"])
        .arg(file)
        .output()
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(said.contains("credential plugin") && said.contains("10s") && said.contains("enter CODE-7"), "{said}");
}
