//! From a kubeconfig (or a pod's service account) to a [`Connection`].

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use kube::config::{Config, ExecAuthCluster, Kubeconfig};
use tokio::sync::OnceCell;

use super::discovery::Resource;
use super::heart::Heart;
use super::kubeconfig::entries::Entries;
use super::{Error, in_cluster, kubeconfig, proxy};
use crate::snapshot::Identity;

/// How long a credential plugin may take: people confirm logins in a browser.
const PLUGIN_LIMIT: Duration = Duration::from_secs(60);
/// How long a TCP and TLS connection may take.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);

/// What to connect to, as the command line says it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ConnectOptions {
    /// `--kubeconfig`.
    pub kubeconfig: Option<PathBuf>,
    /// `--context`.
    pub context: Option<String>,
    /// `--as`.
    pub impersonate: Option<String>,
    /// `-n`, none or several.
    pub namespaces: Vec<String>,
}

/// A cluster we can call. Cheap to clone.
#[derive(Clone)]
pub struct Connection {
    pub(super) client: kube::Client,
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
    let (found, looked) = find_kubeconfig(options)?;
    let (config, context) = match found {
        Some(found) => from_kubeconfig(&found, options)?,
        None => (in_cluster(options, looked)?, "in-cluster".to_owned()),
    };
    build(config, context, options).await
}

/// The contexts of the kubeconfig that `options` lead to, by name; empty without one.
///
/// # Errors
/// A file cannot be read or is not a kubeconfig.
pub fn contexts(options: &ConnectOptions) -> Result<Vec<kubeconfig::ContextEntry>, Error> {
    let (found, _) = find_kubeconfig(options)?;
    let mut entries = found.as_ref().map(kubeconfig::contexts).unwrap_or_default();
    if let Some(wanted) = &options.context {
        for entry in &mut entries {
            entry.current = entry.name == *wanted;
        }
    }
    Ok(entries)
}

/// What can be known wrong without asking anybody: the files, the context, and what it leads to.
///
/// # Errors
/// As [`connect`], except that no kubeconfig at all is none.
pub fn check(options: &ConnectOptions) -> Result<(), Error> {
    match find_kubeconfig(options)? {
        (Some(found), _) => from_kubeconfig(&found, options).map(|_| ()),
        (None, looked) => match in_cluster(options, looked) {
            Err(error @ Error::UnknownContext { .. }) => Err(error),
            _ => Ok(()),
        },
    }
}

fn find_kubeconfig(options: &ConnectOptions) -> Result<(Option<Kubeconfig>, String), Error> {
    let home = etcetera::home_dir().ok();
    let paths = kubeconfig::paths(options.kubeconfig.as_deref(), std::env::var_os("KUBECONFIG").as_deref(), home.as_deref());
    let looked = paths.iter().map(|p| p.display().to_string()).collect::<Vec<_>>().join(", ");
    Ok((kubeconfig::read(&paths, options.kubeconfig.is_some())?, looked))
}

fn from_kubeconfig(found: &Kubeconfig, options: &ConnectOptions) -> Result<(Config, String), Error> {
    let known = || kubeconfig::contexts(found).into_iter().map(|c| c.name).collect::<Vec<_>>();
    let Some(context) = options.context.clone().or_else(|| found.current_context.clone()).filter(|c| !c.is_empty()) else {
        return Err(Error::NoCurrentContext { known: known() });
    };
    if !found.contexts.iter().any(|named| named.name == context) {
        return Err(Error::UnknownContext { name: context, known: known() });
    }
    let entries = kubeconfig::entries::of(found, &context)?;
    let config = configured(entries).map_err(|why| Error::BadContext { context: context.clone(), why })?;
    Ok((config, context))
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// The library's settings for the entries. Not made by the library itself, whose way to a proxy is wrong (see `proxy`).
fn configured(entries: Entries) -> Result<Config, String> {
    let Entries { server, cluster, authorities, mut user, namespace } = entries;
    let proxy = proxy::of(&server, cluster.proxy_url.as_deref(), variable)?;
    if let Some(exec) = user.exec.as_mut().filter(|exec| exec.provide_cluster_info) {
        let info = ExecAuthCluster::try_from(&cluster);
        exec.cluster = Some(info.map_err(|_| "its certificate-authority cannot be given to the plugin".to_owned())?);
    }
    let mut config = Config::new(server);
    config.accept_invalid_certs = cluster.insecure_skip_tls_verify.unwrap_or(false);
    // Where no certificate is looked at, the system's authorities need not be read, nor be there.
    let needs_none = config.accept_invalid_certs || config.cluster_url.scheme_str() == Some("http");
    config.root_cert = authorities.or_else(|| needs_none.then(Vec::new));
    config.disable_compression = cluster.disable_compression.unwrap_or(false);
    config.tls_server_name = cluster.tls_server_name;
    config.default_namespace = namespace.unwrap_or(config.default_namespace);
    config.proxy_url = proxy;
    config.auth_info = user;
    Ok(config)
}

fn in_cluster(options: &ConnectOptions, looked: String) -> Result<Config, Error> {
    let found = in_cluster::config(variable, Path::new(in_cluster::SERVICE_ACCOUNT));
    let looked = if looked.is_empty() { "~/.kube/config".to_owned() } else { looked };
    match (found, &options.context) {
        (Ok(None), None) => Err(Error::NoKubeconfig { looked }),
        (_, Some(name)) => Err(Error::UnknownContext { name: name.clone(), known: Vec::new() }),
        (Ok(Some(config)), None) => Ok(config),
        (Err(why), None) => Err(Error::NoServiceAccount { looked, why }),
    }
}

async fn build(mut config: Config, context: String, options: &ConnectOptions) -> Result<Connection, Error> {
    config.default_retry = false;
    config.connect_timeout = Some(CONNECT_LIMIT);
    if let Some(user) = &options.impersonate {
        config.auth_info.impersonate = Some(user.clone());
    }
    let mut host = host_of(&config.cluster_url);
    if let Some(through) = &config.proxy_url {
        host = format!("{host} through the proxy {}", host_of(through));
    }
    if is_loopback(config.cluster_url.host().unwrap_or_default()) {
        config.disable_compression = true;
    }
    let default_namespace = config.default_namespace.clone();
    let plugin = config.auth_info.exec.as_ref().and_then(|exec| exec.command.clone()).unwrap_or_else(|| "exec".to_owned());
    // Building the client runs the credential plugin and waits for it.
    let runtime = tokio::runtime::Handle::current();
    let building = tokio::task::spawn_blocking(move || {
        let _guard = runtime.enter();
        kube::Client::try_from(config)
    });
    let client = match tokio::time::timeout(PLUGIN_LIMIT, building).await {
        Ok(Ok(Ok(client))) => client,
        Ok(Ok(Err(error))) => return Err(cannot_build(&host, &context, plugin, &error)),
        Ok(Err(_)) => return Err(Error::Credentials("the credential plugin could not be run".to_owned())),
        Err(_) => {
            let said = format!("it did not answer within {}s", PLUGIN_LIMIT.as_secs());
            return Err(Error::AuthPlugin { command: plugin, said });
        }
    };
    let (namespaces, resources, heart) = (options.namespaces.clone(), Arc::default(), Arc::default());
    Ok(Connection { client, host, context, default_namespace, namespaces, resources, heart })
}

fn cannot_build(host: &str, context: &str, plugin: String, error: &kube::Error) -> Error {
    if let kube::Error::Auth(kube::client::AuthError::AuthExecStart(start)) = error {
        return match start.kind() {
            std::io::ErrorKind::NotFound => Error::NoAuthPlugin { command: plugin },
            _ => Error::AuthPlugin { command: plugin, said: start.to_string() },
        };
    }
    match Error::from_client(host, error) {
        Error::Unreachable { why, .. } => Error::BadContext { context: context.to_owned(), why },
        other => other,
    }
}

fn host_of(url: &http::Uri) -> String {
    let host = url.host().unwrap_or("the server");
    url.port_u16().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.trim_matches(['[', ']']).parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

impl Connection {
    /// A connection over a client of one's own, for tests.
    pub fn with_client(client: kube::Client, context: &str) -> Self {
        let default_namespace = client.default_namespace().to_owned();
        Self {
            client,
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
