//! From what the command line says to the library's settings: which kubeconfig, which context, which server and how to reach
//! it. Reads files and the environment, asks nobody.

use std::path::Path;

use kube::config::{Config, ExecAuthCluster, Kubeconfig};

use super::kubeconfig::entries::{self, Entries};
use super::{ConnectOptions, Error, in_cluster, kubeconfig, proxy};

/// What a pod's own cluster is called.
pub(super) const IN_CLUSTER: &str = "in-cluster";

/// The settings that `options` lead to, and the name of the context.
///
/// # Errors
/// There is no kubeconfig ([`Error::NoKubeconfig`]), or it cannot be used.
pub(super) fn of(options: &ConnectOptions) -> Result<(Config, String), Error> {
    let (found, looked) = find_kubeconfig(options)?;
    let (mut config, context) = match found {
        Some(found) => from_kubeconfig(&found, options)?,
        None => (in_cluster(options, looked)?, IN_CLUSTER.to_owned()),
    };
    if let Some(user) = &options.impersonate {
        config.auth_info.impersonate = Some(user.clone());
        config.auth_info.impersonate_groups = Some(options.impersonate_groups.clone());
    }
    if is_loopback(config.cluster_url.host().unwrap_or_default()) {
        config.disable_compression = true;
    }
    Ok((config, context))
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
/// As `connect`, except that no kubeconfig at all is none.
pub fn check(options: &ConnectOptions) -> Result<(), Error> {
    match of(options) {
        Ok(_) | Err(Error::NoKubeconfig { .. } | Error::NoServiceAccount { .. }) => Ok(()),
        Err(error) => Err(error),
    }
}

/// What `options` lead to, for a person who waits: the context and its server.
pub fn destination(options: &ConnectOptions) -> String {
    match of(options) {
        Ok((config, context)) => format!("{context} at {}", host_of(&config.cluster_url)),
        Err(_) => options.context.clone().unwrap_or_else(|| "the current context".to_owned()),
    }
}

/// Host and port of an address, for messages.
pub(super) fn host_of(url: &http::Uri) -> String {
    let host = url.host().unwrap_or("the server");
    url.port_u16().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
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
    let entries = entries::of(found, &context)?;
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
        (_, Some(name)) => Err(Error::UnknownContext { name: name.clone(), known: Vec::new() }),
        (Ok(None), None) => Err(Error::NoKubeconfig { looked }),
        (Ok(Some(config)), None) => Ok(config),
        (Err(why), None) => Err(Error::NoServiceAccount { looked, why }),
    }
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.trim_matches(['[', ']']).parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}
