//! The command line from outside: what is wrong is one clear sentence on standard error and exit status 2, before any screen.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

const KUBECONFIG: &str = r"
apiVersion: v1
kind: Config
current-context: one
contexts: [{name: one, context: {cluster: c, user: u}}, {name: two, context: {cluster: c, user: u}}]
clusters: [{name: c, cluster: {server: 'http://127.0.0.1:9'}}]
users: [{name: u, user: {}}]
";

fn k3am(home: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_k3am"));
    command.env_clear().env("HOME", home).stdin(Stdio::null());
    command
}

/// The one line on standard error of a run that must be refused.
fn refusal(command: &mut Command) -> String {
    let Output { status, stdout, stderr } = command.output().unwrap();
    let said = String::from_utf8(stderr).unwrap();
    assert_eq!(status.code(), Some(2), "{said}");
    assert!(stdout.is_empty(), "nothing may be on standard output: {}", String::from_utf8_lossy(&stdout));
    assert_eq!(said.trim_end().lines().count(), 1, "one line: {said}");
    assert!(!said.contains('\u{1b}'), "no screen was opened: {said:?}");
    said
}

#[test]
fn without_a_terminal_the_cockpit_says_what_to_use_instead() {
    let home = tempfile::tempdir().unwrap();
    let said = refusal(&mut k3am(home.path()));
    assert!(said.contains("no kubeconfig") && said.contains("k3am demo"), "{said}");
    std::fs::create_dir(home.path().join(".kube")).unwrap();
    std::fs::write(home.path().join(".kube/config"), KUBECONFIG).unwrap();
    let said = refusal(&mut k3am(home.path()));
    assert!(said.contains("terminal") && said.contains("k3am diagnose"), "{said}");
}

#[test]
fn an_unknown_context_is_refused_with_those_there_are() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("config");
    std::fs::write(&file, KUBECONFIG).unwrap();
    let said = refusal(k3am(home.path()).arg("--kubeconfig").arg(&file).args(["--context", "three"]));
    assert!(said.contains("three") && said.contains("one") && said.contains("two"), "{said}");
}

#[test]
fn a_kubeconfig_that_cannot_be_read_is_named_and_never_quoted() {
    let home = tempfile::tempdir().unwrap();
    let said = refusal(k3am(home.path()).args(["--kubeconfig", "/nonexistent/config"]));
    assert!(said.contains("/nonexistent/config"), "{said}");
    let file = home.path().join("config");
    std::fs::write(&file, "users: [{name: u, user: {token: s3cr3t-t0k3n}").unwrap();
    let said = refusal(k3am(home.path()).arg("--kubeconfig").arg(&file));
    assert!(said.contains(&*file.to_string_lossy()) && !said.contains("s3cr3t"), "{said}");
}

/// What may be wrong in a kubeconfig (cluster's and user's lines), and what must be said about it.
const BROKEN: &[(&str, &str, &str)] = &[
    ("server: ''", "", "names no server"),
    ("server: 'https://a b'", "", "no address like https://HOST:PORT"),
    ("server: 'ftp://a'", "", "no address like https://HOST:PORT"),
    ("server: 'https://a', proxy-url: 'ftp://me:s3cr3t@p:1'", "", "proxy-url is of a kind k3am cannot use (ftp)"),
    ("server: 'https://a', certificate-authority: none.crt", "", "certificate-authority HOME/none.crt cannot be read"),
    ("server: 'https://a', certificate-authority-data: '!s3cr3t'", "", "certificate-authority-data is not base64"),
    ("server: 'https://a', certificate-authority-data: aGVsbG8K", "", "holds no certificate (PEM"),
    ("server: 'https://a'", "client-certificate: none.crt, client-key: none.key", "HOME/none.crt cannot be read"),
    (
        "server: 'https://a'",
        "client-certificate-data: 's3cr3t!', client-key-data: 's3cr3t!'",
        "client-certificate-data is not base64",
    ),
    ("server: 'https://a'", "client-key-data: czNjcjN0", "client-key and no client-certificate"),
    ("server: 'https://a'", "token: \"s3cr3t\\nX\"", "token holds characters that cannot be sent"),
    ("server: 'https://a'", "tokenFile: none", "tokenFile HOME/none cannot be read"),
    ("server: 'https://a'", "exec: {apiVersion: v1, args: [s3cr3t]}", "names no command"),
    (
        "server: 'https://a'",
        "auth-provider: {name: azure, config: {access-token: s3cr3t}}",
        "auth-provider \"azure\" is no longer",
    ),
];

#[test]
fn what_is_wrong_in_a_kubeconfig_is_one_sentence_before_any_screen_and_quotes_no_secret() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("config");
    for (cluster, user, expected) in BROKEN {
        let text = KUBECONFIG.replace("server: 'http://127.0.0.1:9'", cluster).replace("user: {}", &format!("user: {{{user}}}"));
        std::fs::write(&file, text).unwrap();
        for command in [["diagnose"].as_slice(), &[]] {
            let said = refusal(k3am(home.path()).args(command).arg("--kubeconfig").arg(&file));
            let expected = expected.replace("HOME", &home.path().to_string_lossy());
            assert!(said.contains(&expected) && said.contains("the context \"one\" cannot be used"), "{cluster} {user}: {said}");
            assert!(!said.contains("s3cr3t") && !said.contains("panicked"), "{said}");
        }
    }
}

#[test]
fn what_is_no_kubeconfig_is_named_for_what_it_is() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("config");
    let cases: [(&[u8], &str); 4] = [
        (b"apiVersion: v1\nkind: Pod\nmetadata: {name: x}\n", "it is a Pod, not a kubeconfig"),
        (b"\x89\xff\x00\x01", "it is not text"),
        (b"just words", "it is not YAML of a kubeconfig"),
        (b"", "holds no context"),
    ];
    for (content, expected) in cases {
        std::fs::write(&file, content).unwrap();
        let said = refusal(k3am(home.path()).arg("diagnose").arg("--kubeconfig").arg(&file));
        assert!(said.contains(expected), "{said}");
    }
    let said = refusal(k3am(home.path()).arg("diagnose").arg("--kubeconfig").arg(home.path()));
    assert!(said.contains("Is a directory"), "{said}");
    std::fs::write(&file, KUBECONFIG.replace("current-context: one", "")).unwrap();
    let said = refusal(k3am(home.path()).arg("--kubeconfig").arg(&file));
    assert!(said.contains("no current-context; pick one with --context: one, two"), "{said}");
}

/// A kubeconfig with one context, whose server nobody serves on: which one was taken shows in the refusal.
fn leading_to(port: u16, context: &str, current: &str) -> String {
    let named = |name: &str| KUBECONFIG.replace("one", name).replace("127.0.0.1:9", &format!("127.0.0.1:{port}"));
    named(context).replace(&format!("current-context: {context}"), &format!("current-context: {current:?}"))
}

#[test]
fn the_kubeconfig_list_is_merged_as_kubectl_does_and_the_flag_beats_it() {
    let home = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(home.path().join(".kube")).unwrap();
    std::fs::create_dir(home.path().join("deep")).unwrap();
    let write = |name: &str, text: String| std::fs::write(home.path().join(name), text).unwrap();
    write(".kube/config", leading_to(4, "home", "home"));
    write("first", leading_to(1, "one", ""));
    write("second", leading_to(2, "other", "other"));
    let ask = |list: &str, more: &[&str]| {
        refusal(k3am(home.path()).current_dir(home.path()).env("KUBECONFIG", list).arg("diagnose").args(more))
    };
    assert!(ask("first:second", &["--context", "one"]).contains("cannot reach 127.0.0.1:1"));
    // The first file's current-context is empty, so the second's counts; cluster `c` is still the first one's.
    assert!(ask("missing:first:second", &[]).contains("cannot reach 127.0.0.1:1"));
    assert!(ask("second:first", &[]).contains("cannot reach 127.0.0.1:2"));
    assert!(ask("", &[]).contains("cannot reach 127.0.0.1:4"), "an empty list is none");
    assert!(ask("second", &["--kubeconfig", "first", "--context", "one"]).contains("cannot reach 127.0.0.1:1"));
    assert!(ask("second", &["--kubeconfig", "missing"]).contains("cannot read the kubeconfig missing"));
    assert!(ask("missing:gone", &[]).contains("looked at missing, gone"));
    // Paths are relative to the file that names them.
    write("deep/config", leading_to(3, "one", "one").replace("user: {}", "user: {tokenFile: token}"));
    assert!(ask("second:deep/config", &["--context", "one"]).contains("cannot reach 127.0.0.1:2"), "the first user `u` wins");
    assert!(ask("deep/config", &[]).contains("tokenFile deep/token cannot be read"));
    write("deep/token", "t".to_owned());
    assert!(ask("deep/config", &[]).contains("cannot reach 127.0.0.1:3"));
}

#[test]
fn acting_as_someone_else_says_who_may_not() {
    use k3am::practice::access::Role;
    let home = tempfile::tempdir().unwrap();
    let (cluster, file) = as_user(home.path(), Role::Reader);
    let diagnose = |more: &[&str]| {
        let output = k3am(home.path()).args(["diagnose", "--kubeconfig"]).arg(&file).args(more).output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let (status, said) = diagnose(&["--as", "bob", "--as-group", "team"]);
    assert_eq!(status, Some(2));
    assert!(said.contains("cannot impersonate") && said.contains("ann"), "{said}");
    std::fs::write(&file, cluster.kubeconfig()).unwrap();
    assert_eq!(diagnose(&["--as", "bob", "--as-group", "system:masters"]), (Some(0), String::new()));
    let (status, said) = diagnose(&["--as", "bob"]);
    assert!(status == Some(2) && said.contains("bob"), "{said}");
    assert!(diagnose(&["--as-group", "team"]).1.contains("--as <USER>"), "a group needs a user");
}

#[test]
fn a_pod_without_its_service_account_is_told_which_file_is_missing() {
    let home = tempfile::tempdir().unwrap();
    let said = refusal(
        k3am(home.path()).arg("diagnose").env("KUBERNETES_SERVICE_HOST", "10.0.0.1").env("KUBERNETES_SERVICE_PORT", "443"),
    );
    assert!(said.contains("service account cannot be used") && said.contains("serviceaccount/token"), "{said}");
}

#[test]
fn an_unknown_scenario_is_refused_with_those_there_are() {
    let home = tempfile::tempdir().unwrap();
    let said = refusal(k3am(home.path()).args(["demo", "--scenario", "doomsday"]));
    assert!(said.contains("doomsday") && said.contains("night-shift"), "{said}");
}

#[test]
fn wrong_flags_are_refused_with_status_2() {
    let home = tempfile::tempdir().unwrap();
    for arguments in [["--no-such-flag"].as_slice(), &["demo", "--speed", "0"], &["-A", "-n", "shop"]] {
        let output = k3am(home.path()).args(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(String::from_utf8_lossy(&output.stderr).starts_with("error:"), "{arguments:?}");
    }
}

#[test]
fn keys_prints_the_key_table() {
    let home = tempfile::tempdir().unwrap();
    let output = k3am(home.path()).arg("keys").output().unwrap();
    let table = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success());
    assert!(table.contains("| `u` | undo the rollout"), "{table}");
}

#[test]
fn serve_prints_a_kubeconfig_of_a_server_that_answers_and_takes_it_back_at_the_end() {
    let home = tempfile::tempdir().unwrap();
    let mut server = k3am(home.path()).args(["demo", "--serve", "--speed", "5"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(server.stdout.take().unwrap()).lines();
    let kubeconfig = PathBuf::from(lines.next().unwrap().unwrap());
    let text = std::fs::read_to_string(&kubeconfig).unwrap();
    assert!(kubeconfig.starts_with(home.path()), "outside of the state directory: {}", kubeconfig.display());
    let address = text.split("http://").nth(1).and_then(|rest| rest.lines().next()).unwrap().trim_end_matches(['"', '\'']);
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(b"GET /version HTTP/1.1\r\nHost: practice\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("gitVersion"), "{answer}");
    assert!(Command::new("kill").args(["-INT", &server.id().to_string()]).status().unwrap().success());
    assert!(server.wait().unwrap().success());
    assert!(!kubeconfig.exists(), "the kubeconfig of a server that is gone was left behind");
}

/// A practice cluster that stands still, and the kubeconfig of a user who may do what `role` says.
fn as_user(home: &Path, role: k3am::practice::access::Role) -> (k3am::practice::PracticeCluster, PathBuf) {
    let cluster = k3am::practice::PracticeCluster::start(&k3am::practice::Options::default()).unwrap();
    let file = home.join("config");
    std::fs::write(&file, cluster.kubeconfig_for("ann", role)).unwrap();
    (cluster, file)
}

#[test]
fn without_any_right_nothing_was_looked_at_and_the_status_says_so() {
    let home = tempfile::tempdir().unwrap();
    let (_cluster, file) = as_user(home.path(), k3am::practice::access::Role::Nothing);
    let said = refusal(k3am(home.path()).args(["diagnose", "--kubeconfig"]).arg(&file));
    assert!(said.contains("may not list anything") && said.contains("ann") && said.contains("assets/rbac"), "{said}");
}

#[test]
fn what_is_forbidden_is_said_once_however_many_kinds_it_is() {
    let home = tempfile::tempdir().unwrap();
    let role = k3am::practice::access::Role::NamespaceReader("default".to_owned());
    let (_cluster, file) = as_user(home.path(), role);
    let output = k3am(home.path()).args(["diagnose", "--kubeconfig"]).arg(&file).output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(said.matches("forbidden to").count(), 1, "{said}");
    let unseen: Vec<&str> = said.split("forbidden to ann:").nth(1).unwrap().split_whitespace().collect();
    let pods = unseen.windows(4).filter(|words| words.starts_with(&["pods", "in"])).count();
    assert_eq!(pods, 1, "{said}");
}
