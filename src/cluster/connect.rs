//! From a kubeconfig (or a pod's service account) to a [`Connection`].

use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::OnceCell;

use super::Error;
use super::discovery::Resource;
use super::heart::Heart;
use super::login::{self, Login};
use super::plugin::Says;
use crate::snapshot::Identity;

pub use super::settings::{check, contexts, destination};

/// What to connect to, as the command line says it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ConnectOptions {
    /// `--kubeconfig`.
    pub kubeconfig: Option<PathBuf>,
    /// `--context`.
    pub context: Option<String>,
    /// `--as`.
    pub impersonate: Option<String>,
    /// `--as-group`, with `--as` only.
    pub impersonate_groups: Vec<String>,
    /// `-n`, none or several.
    pub namespaces: Vec<String>,
}

/// A cluster we can call. Cheap to clone.
#[derive(Clone)]
pub struct Connection {
    pub(super) login: Arc<Login>,
    /// Host and port, for messages.
    pub(super) host: String,
    /// Context name, or `in-cluster`.
    pub context: String,
    /// The namespace of the context (`default` if it names none).
    pub default_namespace: String,
    /// `-n`: only these namespaces; empty is all.
    pub namespaces: Vec<String>,
    /// What discovery found, once it was asked for.
    pub(super) resources: Arc<OnceCell<Vec<Resource>>>,
    /// Whether the server is there, and its clock.
    pub(super) heart: Arc<Heart>,
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection").field("context", &self.context).field("host", &self.host).finish_non_exhaustive()
    }
}

/// Connects as `options` say. Runs credential plugins, but does not yet call the server; see [`Connection::identify`].
///
/// # Errors
/// There is no kubeconfig ([`Error::NoKubeconfig`]), it cannot be used, or the credentials cannot be had.
pub async fn connect(options: &ConnectOptions) -> Result<Connection, Error> {
    connect_hearing(options, None).await
}

/// As [`connect`]; `says` hears what a credential plugin has to say to the person, now and whenever it runs again.
///
/// # Errors
/// As [`connect`].
pub async fn connect_hearing(options: &ConnectOptions, says: Option<Says>) -> Result<Connection, Error> {
    let made = login::make(options, says.as_ref()).await?;
    Ok(Connection {
        host: made.host.clone(),
        context: made.context.clone(),
        default_namespace: made.default_namespace.clone(),
        namespaces: options.namespaces.clone(),
        login: Arc::new(Login::new(made, options, says)),
        resources: Arc::default(),
        heart: Arc::default(),
    })
}

impl Connection {
    /// A connection over a client of one's own, for tests.
    pub fn with_client(client: kube::Client, context: &str) -> Self {
        let default_namespace = client.default_namespace().to_owned();
        Self {
            login: Arc::new(Login::of_client(client)),
            host: "test".to_owned(),
            context: context.to_owned(),
            default_namespace,
            namespaces: Vec::new(),
            resources: Arc::default(),
            heart: Arc::default(),
        }
    }

    /// The same cluster, looking only at `namespaces` (empty is all).
    #[must_use]
    pub fn narrowed_to(&self, namespaces: Vec<String>) -> Self {
        Self { namespaces, ..self.clone() }
    }

    /// Host and port of the API server.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Asks the server for its version; the first call that proves that it is there and takes our credentials.
    ///
    /// # Errors
    /// Unreachable, credentials not accepted, or not a Kubernetes server. A refusal (403) is not an error: the version is `None`.
    pub async fn identify(&self) -> Result<Identity, Error> {
        #[derive(serde::Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Version {
            git_version: String,
        }
        let server_version = match self.get_json::<Version>("/version").await {
            Ok(version) => Some(crate::text::clean(&version.git_version)),
            Err(error) if error.is_forbidden() || error.is_not_found() => None,
            Err(error) => return Err(error),
        };
        Ok(Identity { name: self.context.clone(), server_version })
    }
}
