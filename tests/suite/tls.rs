//! TLS between us and a server: what is wrong with a certificate, of either side, is said in one sentence. Certificates are
//! fixtures (`tests/fixtures/tls/make.sh`).

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use k3am::cluster::{ConnectOptions, Error, connect};
use k3am::practice::access::Role;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig, crypto::ring};

use crate::live::{Practice, practice};

pub fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/tls").join(name)
}

/// A TLS server in front of `target`, with the certificate of that name; with `wants_client`, for those with one only.
pub async fn front(name: &str, wants_client: bool, target: SocketAddr) -> SocketAddr {
    let chain = vec![CertificateDer::from_pem_file(fixture(&format!("{name}.crt"))).unwrap()];
    let key = PrivateKeyDer::from_pem_file(fixture(&format!("{name}.key"))).unwrap();
    let provider = Arc::new(ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions().unwrap();
    let builder = if wants_client {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(fixture("ca.crt")).unwrap()).unwrap();
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap();
        builder.with_client_cert_verifier(verifier)
    } else {
        builder.with_no_client_auth()
    };
    let acceptor = TlsAcceptor::from(Arc::new(builder.with_single_cert(chain, key).unwrap()));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(mut stream) = acceptor.accept(stream).await else { return };
                let Ok(mut target) = TcpStream::connect(target).await else { return };
                let _ = tokio::io::copy_bidirectional(&mut stream, &mut target).await;
            });
        }
    });
    address
}

fn address(practice: &Practice) -> SocketAddr {
    practice.cluster.address()
}

fn token(practice: &Practice) -> String {
    let text = practice.cluster.kubeconfig_for("ann", Role::Reader);
    text.lines().find_map(|line| line.trim().strip_prefix("token: ")).unwrap().trim_matches('"').to_owned()
}

/// Asks a server for its version; `cluster` and `user` are more lines of their entries.
async fn asked(practice: &Practice, server: &str, cluster: &str, user: &str) -> Result<bool, Error> {
    asked_with(&token(practice), server, cluster, user).await
}

async fn asked_with(token: &str, server: &str, cluster: &str, user: &str) -> Result<bool, Error> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("config");
    let text = format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: c\ncontexts: [{{name: c, context: {{cluster: c, user: u}}}}]\nclusters:\n\
         - name: c\n  cluster:\n    server: {server}\n    {cluster}\nusers:\n- name: u\n  user:\n    token: {token}\n    {user}\n"
    );
    std::fs::write(&path, text).unwrap();
    let connection = connect(&ConnectOptions { kubeconfig: Some(path), ..ConnectOptions::default() }).await?;
    connection.identify().await.map(|identity| identity.server_version.is_some())
}

fn trusting(name: &str) -> String {
    format!("certificate-authority: {}", fixture(name).display())
}

fn as_client(name: &str) -> String {
    let file = |end: &str| fixture(&format!("{name}.{end}")).display().to_string();
    format!("client-certificate: {}\n    client-key: {}", file("crt"), file("key"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_cannot_be_trusted_is_told_with_what_is_wrong_with_it() {
    let practice = practice(0);
    let cases = [
        ("server", "stranger.crt", "signed by an authority this context does not trust"),
        ("expired", "ca.crt", "its certificate has expired"),
        ("other", "ca.crt", "its certificate is for another name"),
    ];
    for (server, authority, words) in cases {
        let address = front(server, false, address(&practice)).await;
        let said = asked(&practice, &format!("https://{address}"), &trusting(authority), "").await.unwrap_err().to_string();
        assert!(said.starts_with(&format!("cannot reach {address}: ")) && said.contains(words), "{server}: {said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn authority_data_another_name_and_no_check_at_all_work_as_for_kubectl() {
    use base64::Engine;
    let practice = practice(0);
    let server = format!("https://{}", front("server", false, address(&practice)).await);
    let whole = base64::engine::general_purpose::STANDARD.encode(std::fs::read(fixture("ca.crt")).unwrap());
    assert!(asked(&practice, &server, &format!("certificate-authority-data: {whole}"), "").await.unwrap());
    let (first, second) = whole.split_at(64);
    let folded = format!("certificate-authority-data: |\n      {first}\n      {second}");
    assert!(asked(&practice, &server, &folded, "").await.unwrap(), "base64 over several lines");
    let bare = server.trim_start_matches("https://");
    assert!(asked(&practice, bare, &trusting("ca.crt"), "").await.unwrap(), "with an authority no scheme is HTTPS");
    let other = format!("https://{}", front("other", false, address(&practice)).await);
    let named = format!("{}\n    tls-server-name: api.example", trusting("ca.crt"));
    assert!(asked(&practice, &other, &named, "").await.unwrap());
    let expired = format!("https://{}", front("expired", false, address(&practice)).await);
    assert!(asked(&practice, &expired, "insecure-skip-tls-verify: true", "").await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn client_certificates_are_sent_and_a_refused_one_is_told() {
    let practice = practice(0);
    let server = format!("https://{}", front("server", true, address(&practice)).await);
    assert!(asked(&practice, &server, &trusting("ca.crt"), &as_client("client")).await.unwrap());
    let expired = asked(&practice, &server, &trusting("ca.crt"), &as_client("client-expired")).await.unwrap_err().to_string();
    assert!(expired.contains("client certificate has expired"), "{expired}");
    let none = asked(&practice, &server, &trusting("ca.crt"), "").await.unwrap_err().to_string();
    assert!(none.contains("wants a client certificate"), "{none}");
    let mixed = as_client("client").replace("client.key", "server.key");
    let mixed = asked(&practice, &server, &trusting("ca.crt"), &mixed).await.unwrap_err().to_string();
    assert!(mixed.contains("client-key does not belong to"), "{mixed}");
}

/// The API server takes any client certificate in the handshake and judges it afterwards.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_certificate_that_has_expired_is_the_reason_for_a_401() {
    let practice = practice(0);
    let server = format!("https://{}", front("server", false, address(&practice)).await);
    for (client, words) in [("client-expired", "its client certificate expired on 2021-01-01"), ("client", "(401)")] {
        let asked = asked_with("stale", &server, &trusting("ca.crt"), &as_client(client)).await;
        let said = asked.unwrap_err().to_string();
        assert!(said.contains(words), "{client}: {said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn http_where_tls_is_expected_and_the_other_way_round_are_told() {
    let practice = practice(0);
    let plain = format!("https://{}", address(&practice));
    let said = asked(&practice, &plain, &trusting("ca.crt"), "").await.unwrap_err().to_string();
    assert!(said.contains("it does not speak TLS: is it http"), "{said}");
    let secure = format!("http://{}", front("server", false, address(&practice)).await);
    let said = asked(&practice, &secure, "", "").await.unwrap_err().to_string();
    assert!(said.contains("is it https"), "{said}");
}
