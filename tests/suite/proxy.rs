//! The ways through a proxy that a kubeconfig may name: HTTP `CONNECT` and SOCKS5, each played by a few lines here.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use k3am::cluster::{ConnectOptions, Connection, Error, connect};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::live::{Practice, practice};

#[derive(Clone, Copy)]
enum Kind {
    Connect,
    Socks,
    /// Lets nobody through.
    Closed,
}

/// A proxy to `target`, whatever it is asked for, and how many it let through.
async fn proxy(kind: Kind, target: SocketAddr) -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let count = Arc::new(AtomicUsize::new(0));
    let counts = Arc::clone(&count);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let counts = Arc::clone(&counts);
            tokio::spawn(async move {
                let mut asked = [0; 1024];
                match kind {
                    Kind::Connect | Kind::Closed => {
                        let read = stream.read(&mut asked).await.unwrap();
                        assert!(asked[..read].starts_with(b"CONNECT api.corp:6443 HTTP/1.1"));
                        let closed = matches!(kind, Kind::Closed);
                        let answer: &[u8] = if closed { b"HTTP/1.1 403 Forbidden\r\n\r\n" } else { b"HTTP/1.1 200 OK\r\n\r\n" };
                        stream.write_all(answer).await.unwrap();
                        if closed {
                            return;
                        }
                    }
                    Kind::Socks => {
                        let read = stream.read(&mut asked).await.unwrap();
                        assert!(read >= 3 && asked[0] == 5);
                        stream.write_all(&[5, 0]).await.unwrap();
                        let read = stream.read(&mut asked).await.unwrap();
                        // Version 5, connect, by name: the proxy resolves it.
                        assert!(asked[..4] == [5, 1, 0, 3] && asked[5..read].starts_with(b"api.corp"), "{:?}", &asked[..read]);
                        stream.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]).await.unwrap();
                    }
                }
                counts.fetch_add(1, Ordering::SeqCst);
                let mut target = TcpStream::connect(target).await.unwrap();
                let _ = tokio::io::copy_bidirectional(&mut stream, &mut target).await;
            });
        }
    });
    (address, count)
}

async fn through(practice: &Practice, proxy: &str) -> Result<Connection, Error> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("config");
    let own = format!("server: http://{}", practice.cluster.address());
    let text = practice.cluster.kubeconfig().replace(&own, &format!("server: http://api.corp:6443\n    proxy-url: {proxy}"));
    assert!(text.contains("api.corp"), "{text}");
    std::fs::write(&path, text).unwrap();
    connect(&ConnectOptions { kubeconfig: Some(path), ..ConnectOptions::default() }).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_is_reached_through_the_proxy_the_kubeconfig_names() {
    let practice = practice(0);
    for (kind, scheme) in [(Kind::Connect, "http"), (Kind::Socks, "socks5"), (Kind::Socks, "socks5h")] {
        let (address, count) = proxy(kind, practice.cluster.address()).await;
        let connection = through(&practice, &format!("{scheme}://{address}")).await.unwrap();
        assert!(connection.identify().await.unwrap().server_version.is_some(), "{scheme}");
        assert_eq!(count.load(Ordering::SeqCst), 1, "{scheme}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_that_refuses_is_named_without_its_password() {
    let practice = practice(0);
    let (address, _) = proxy(Kind::Closed, practice.cluster.address()).await;
    let connection = through(&practice, &format!("http://me:s3cr3t@{address}")).await.unwrap();
    let said = connection.identify().await.unwrap_err().to_string();
    let expected = format!("cannot reach api.corp:6443 through the proxy {address}: the proxy does not let us through");
    assert!(said.starts_with(&expected) && !said.contains("s3cr3t"), "{said}");
}
