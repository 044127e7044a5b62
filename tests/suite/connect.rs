//! From a kubeconfig to a connection, and every way that can fail: one sentence each, with what to do, without a credential.

use k3am::cluster::connect::contexts;
use k3am::cluster::{ConnectOptions, Error, connect};
use k3am::practice::access::Role;

use crate::live::practice;

fn options(dir: &tempfile::TempDir, content: &str) -> ConnectOptions {
    let path = dir.path().join("config");
    std::fs::write(&path, content).unwrap();
    ConnectOptions { kubeconfig: Some(path), ..ConnectOptions::default() }
}

/// A kubeconfig with two contexts at `server`; `user` is the user entry's body.
fn kubeconfig(server: &str, user: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: prod\nclusters:\n- name: c\n  cluster:\n    server: {server}\ncontexts:\n\
         - name: prod\n  context: {{cluster: c, user: u, namespace: shop}}\n- name: dev\n  context: {{cluster: c, user: u}}\n\
         users:\n- name: u\n  user:\n{user}\n"
    )
}

const TOKEN: &str = "    token: s3cr3t-token";

#[tokio::test]
async fn an_unknown_context_lists_the_known_ones() {
    let dir = tempfile::tempdir().unwrap();
    let asked = ConnectOptions { context: Some("stage".into()), ..options(&dir, &kubeconfig("http://127.0.0.1:1", TOKEN)) };
    let error = connect(&asked).await.unwrap_err();
    assert_eq!(error.to_string(), "no context named \"stage\" in the kubeconfig; it knows: dev, prod");
}

#[tokio::test]
async fn contexts_are_listed_with_the_current_one_marked() {
    let dir = tempfile::tempdir().unwrap();
    let mut asked = options(&dir, &kubeconfig("http://127.0.0.1:1", TOKEN));
    let names =
        |asked: &ConnectOptions| -> Vec<_> { contexts(asked).unwrap().into_iter().map(|c| (c.name, c.current)).collect() };
    assert_eq!(names(&asked), [("dev".to_owned(), false), ("prod".to_owned(), true)]);
    asked.context = Some("dev".into());
    assert_eq!(names(&asked), [("dev".to_owned(), true), ("prod".to_owned(), false)]);
    let connection = connect(&ConnectOptions { context: Some("prod".into()), ..asked }).await.unwrap();
    assert_eq!((&*connection.context, &*connection.default_namespace), ("prod", "shop"));
}

#[tokio::test]
async fn a_broken_kubeconfig_says_path_and_line_and_quotes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let broken = options(&dir, "apiVersion: v1\nkind: Config\nusers:\n- name: u\n  user: {token: s3cr3t-token\nclusters: ]\n");
    let error = connect(&broken).await.unwrap_err();
    let said = error.to_string();
    assert!(matches!(error, Error::Invalid { line: Some(_), .. }), "{error:?}");
    assert!(said.contains("config, line ") && !said.contains("s3cr3t"), "{said}");
}

#[tokio::test]
async fn a_missing_kubeconfig_named_by_the_flag_is_an_error_of_that_file() {
    let dir = tempfile::tempdir().unwrap();
    let asked = ConnectOptions { kubeconfig: Some(dir.path().join("nowhere")), ..ConnectOptions::default() };
    let error = connect(&asked).await.unwrap_err();
    assert!(matches!(&error, Error::Unreadable { path, .. } if path.ends_with("nowhere")), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_not_there_is_named_with_what_to_check() {
    let dir = tempfile::tempdir().unwrap();
    // Bound, so that no other test gets it, and not listening.
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let port = socket.local_addr().unwrap().port();
    let connection = connect(&options(&dir, &kubeconfig(&format!("http://127.0.0.1:{port}"), TOKEN))).await.unwrap();
    let said = connection.identify().await.unwrap_err().to_string();
    assert_eq!(said, format!("cannot reach 127.0.0.1:{port}: connection refused (is the cluster running, is the port right?)"));
}

#[tokio::test(flavor = "multi_thread")]
async fn expired_credentials_say_to_log_in_again() {
    let practice = practice(0);
    let connection = practice.user("gone", Role::Reader).await;
    assert!(connection.identify().await.unwrap().server_version.is_some());
    practice.cluster.revoke("gone");
    let error = connection.identify().await.unwrap_err();
    assert_eq!(error, Error::Unauthorized);
    assert!(error.to_string().contains("Log in again"));
}
