//! Kubeconfigs for the practice cluster.

use std::net::SocketAddr;

/// A kubeconfig for the server, with a token or (none) as the cluster admin, in the namespace `namespace`. Its entries are called
/// `name`, so that several can be merged.
pub fn render(address: SocketAddr, token: Option<&str>, namespace: &str, name: &str) -> String {
    let user = token.map_or_else(|| "  user: {}\n".to_owned(), |token| format!("  user:\n    token: {token}\n"));
    // kubectl sends no token over plain HTTP, so the URL carries it too (`access::split_path_token`).
    let prefix = token.map(|token| format!("/as/{token}")).unwrap_or_default();
    format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: {name}\npreferences: {{}}\nclusters:\n- name: {name}\n  cluster:\n    \
         server: http://{address}{prefix}\ncontexts:\n- name: {name}\n  context:\n    cluster: {name}\n    user: {name}\n    \
         namespace: {namespace}\nusers:\n- name: {name}\n{user}"
    )
}
