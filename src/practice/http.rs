//! The server's life: listen, stop as a process that dies would, listen again on the same port.
//!
//! The server has a tokio runtime of its own, so that stopping it cuts every connection at once, whatever runtime the program
//! uses.

use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context;
use axum::Router;
use axum::serve::ListenerExt;
use tokio::net::TcpSocket;
use tokio::runtime;

use super::api::{Api, handle};

/// A server that can be stopped and started.
pub struct Server {
    api: Arc<Api>,
    address: SocketAddr,
    running: Mutex<Option<runtime::Runtime>>,
    /// Bound and never listening: nobody else is given the port while the server is down.
    _keeps_port: Option<TcpSocket>,
}

impl Server {
    /// Listens and serves. Port 0 picks a free one.
    pub fn start(api: Arc<Api>, bind: SocketAddr) -> anyhow::Result<Self> {
        let keeps_port = reserve(bind);
        let bind = keeps_port.as_ref().and_then(|socket| socket.local_addr().ok()).unwrap_or(bind);
        let listener = TcpListener::bind(bind).with_context(|| format!("cannot listen on {bind}"))?;
        let address = listener.local_addr()?;
        let running = run(api.clone(), listener)?;
        Ok(Self { api, address, running: Mutex::new(Some(running)), _keeps_port: keeps_port })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Dies: every connection is cut, new ones are refused. The objects stay.
    pub fn stop(&self) {
        if let Some(running) = self.lock().take() {
            running.shutdown_background();
        }
    }

    /// Comes back on the same port. Waits up to two seconds for the old listener to be gone.
    pub fn restart(&self) -> anyhow::Result<()> {
        self.stop();
        let mut last = None;
        for _ in 0..200 {
            match TcpListener::bind(self.address) {
                Ok(listener) => {
                    *self.lock() = Some(run(self.api.clone(), listener)?);
                    return Ok(());
                }
                Err(error) => last = Some(error),
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Err(anyhow::anyhow!("cannot listen on {} again: {last:?}", self.address))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<runtime::Runtime>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Takes a port without listening on it. Linux alone lets a listener in beside it (both with `SO_REUSEADDR`, `socket(7)`);
/// elsewhere, and where it cannot be had, there is none and the listener says what is wrong.
fn reserve(bind: SocketAddr) -> Option<TcpSocket> {
    if !cfg!(target_os = "linux") {
        return None;
    }
    let socket = if bind.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }.ok()?;
    socket.set_reuseaddr(true).ok()?;
    socket.bind(bind).ok()?;
    Some(socket)
}

fn run(api: Arc<Api>, listener: TcpListener) -> anyhow::Result<runtime::Runtime> {
    listener.set_nonblocking(true)?;
    let runtime = runtime::Builder::new_multi_thread().worker_threads(2).thread_name("practice-api").enable_all().build()?;
    let guard = runtime.enter();
    let listener = tokio::net::TcpListener::from_std(listener)?.tap_io(|stream| {
        // Watch events are small and must not wait for more.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "practice server: TCP_NODELAY");
        }
    });
    drop(guard);
    let router = Router::new().fallback(handle).with_state(api);
    runtime.spawn(async move {
        if let Err(error) = axum::serve(listener, router).await {
            tracing::warn!(%error, "practice server ended");
        }
    });
    Ok(runtime)
}
