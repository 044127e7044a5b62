//! The cluster and user a context leads to, as kubectl takes them: checked before anything is sent, so that what is wrong is a
//! sentence about the entry and never a failure inside of the library.
//!
//! Invariant: no sentence quotes a value of a user's entry, nor a proxy's user and password. Names, paths and servers only.
//! Where kubectl is lenient (empty values, base64 over several lines, a server without a scheme) so are we.

use std::path::Path;

use base64::Engine;
use kube::config::{AuthInfo, Cluster, Kubeconfig};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use secrecy::{ExposeSecret, SecretString};

use super::validity::not_after;
use crate::cluster::Error;
use crate::text::Time;

/// What a context leads to.
#[derive(Debug)]
pub struct Entries {
    /// Where the API server is; with a scheme and a host.
    pub server: http::Uri,
    /// The cluster's entry.
    pub cluster: Cluster,
    /// Certificates (DER) of the authorities that may vouch for the server; `None` are the system's.
    pub authorities: Option<Vec<Vec<u8>>>,
    /// The user's entry.
    pub user: AuthInfo,
    /// The namespace the context names.
    pub namespace: Option<String>,
}

/// Reads and checks the entries of `context`.
///
/// # Errors
/// [`Error::BadContext`], naming the entry or file and what is wrong with it.
pub fn of(config: &Kubeconfig, context: &str) -> Result<Entries, Error> {
    look(config, context).map_err(|why| Error::BadContext { context: context.to_owned(), why })
}

fn look(config: &Kubeconfig, context: &str) -> Result<Entries, String> {
    let chosen = config.contexts.iter().find(|c| c.name == context).and_then(|c| c.context.as_ref());
    let chosen = chosen.ok_or("its entry in the kubeconfig is empty")?;
    let cluster = config.clusters.iter().find(|c| c.name == chosen.cluster).and_then(|c| c.cluster.clone());
    let mut cluster = cluster.ok_or_else(|| format!("the kubeconfig has no cluster {:?}, which it names", chosen.cluster))?;
    let mut user = match chosen.user.as_deref().filter(|name| !name.is_empty()) {
        None => AuthInfo::default(),
        Some(name) => {
            let named = config.auth_infos.iter().find(|user| user.name == name);
            named.and_then(|user| user.auth_info.clone()).ok_or_else(|| no_user(named.is_some(), name))?
        }
    };
    forget_empty(&mut cluster, &mut user);
    let authorities = authorities(&cluster)?;
    let has_tls = authorities.is_some() || cluster.insecure_skip_tls_verify == Some(true) || has_certificate(&user);
    let server = server(cluster.server.as_deref(), has_tls)?;
    check_certificate(&mut user)?;
    check_token(&mut user)?;
    check_login(&user)?;
    let namespace = chosen.namespace.clone().filter(|name| !name.is_empty());
    Ok(Entries { server, cluster, authorities, user, namespace })
}

fn no_user(is_empty: bool, name: &str) -> String {
    if is_empty {
        format!("the entry of its user {name:?} is empty")
    } else {
        format!("the kubeconfig has no user {name:?}, which it names")
    }
}

/// An empty value is none, as for kubectl.
fn forget_empty(cluster: &mut Cluster, user: &mut AuthInfo) {
    let texts = [
        &mut cluster.server,
        &mut cluster.certificate_authority,
        &mut cluster.certificate_authority_data,
        &mut cluster.proxy_url,
        &mut cluster.tls_server_name,
        &mut user.client_certificate,
        &mut user.client_certificate_data,
        &mut user.client_key,
        &mut user.token_file,
        &mut user.username,
        &mut user.impersonate,
    ];
    for text in texts {
        if text.as_ref().is_some_and(|text| text.trim().is_empty()) {
            *text = None;
        }
    }
    for secret in [&mut user.token, &mut user.client_key_data] {
        if secret.as_ref().is_some_and(|secret| secret.expose_secret().trim().is_empty()) {
            *secret = None;
        }
    }
    if user.username.is_some() {
        user.password.get_or_insert_with(|| SecretString::from(String::new()));
    }
}

/// A server without a scheme is HTTP, or HTTPS when something about TLS is said: client-go's `DefaultServerURL`.
fn server(server: Option<&str>, has_tls: bool) -> Result<http::Uri, String> {
    let server = server.ok_or("its cluster names no server")?;
    let whole = match (server.contains("://"), has_tls) {
        (true, _) => server.to_owned(),
        (false, true) => format!("https://{server}"),
        (false, false) => format!("http://{server}"),
    };
    let wrong = || format!("its server {} is no address like https://HOST:PORT", crate::text::clean(server));
    let uri: http::Uri = whole.parse().map_err(|_| wrong())?;
    match uri.scheme_str() {
        Some("http" | "https") if uri.host().is_some_and(|host| !host.is_empty()) => Ok(uri),
        _ => Err(wrong()),
    }
}

fn authorities(cluster: &Cluster) -> Result<Option<Vec<Vec<u8>>>, String> {
    let Some(pem) =
        pem("certificate-authority", cluster.certificate_authority_data.as_deref(), cluster.certificate_authority.as_ref())?
    else {
        return Ok(None);
    };
    certificates("certificate-authority", &pem).map(Some)
}

/// The certificates (DER) of a PEM text.
pub(in crate::cluster) fn certificates(what: &str, pem: &[u8]) -> Result<Vec<Vec<u8>>, String> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).map(|found| found.map(|der| der.to_vec())).collect();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        _ => Err(format!("its {what} holds no certificate (PEM, BEGIN CERTIFICATE)")),
    }
}

/// The content of a `-data` value, or else of the file.
fn pem(what: &str, data: Option<&str>, file: Option<&String>) -> Result<Option<Vec<u8>>, String> {
    if let Some(data) = data {
        let whole: String = data.split_whitespace().collect();
        let decoded = base64::engine::general_purpose::STANDARD.decode(whole);
        return decoded.map(Some).map_err(|_| format!("its {what}-data is not base64: copy it again, whole"));
    }
    let Some(file) = file else { return Ok(None) };
    std::fs::read(file).map(Some).map_err(|error| format!("its {what} {file} cannot be read: {error}"))
}

fn has_certificate(user: &AuthInfo) -> bool {
    user.client_certificate.is_some() || user.client_certificate_data.is_some()
}

fn check_certificate(user: &mut AuthInfo) -> Result<(), String> {
    let certificate = pem("client-certificate", user.client_certificate_data.as_deref(), user.client_certificate.as_ref())?;
    let key_data = user.client_key_data.as_ref().map(ExposeSecret::expose_secret);
    let key = pem("client-key", key_data, user.client_key.as_ref())?;
    match (&certificate, &key) {
        (None, None) => return Ok(()),
        (Some(_), None) => return Err("its user has a client-certificate and no client-key".to_owned()),
        (None, Some(_)) => return Err("its user has a client-key and no client-certificate".to_owned()),
        (Some(certificate), Some(key)) => {
            certificates("client-certificate", certificate)?;
            PrivateKeyDer::from_pem_slice(key)
                .map_err(|_| "its client-key holds no private key (PEM, BEGIN ... PRIVATE KEY)".to_owned())?;
        }
    }
    // In one line, as the library wants it.
    user.client_certificate_data = certificate.map(encoded).filter(|_| user.client_certificate_data.is_some());
    user.client_key_data = key.map(|key| SecretString::from(encoded(key))).filter(|_| user.client_key_data.is_some());
    Ok(())
}

/// Until when the client certificate of a user is valid, if it has one.
pub(in crate::cluster) fn certificate_ends(user: &AuthInfo) -> Option<Time> {
    let pem = pem("client-certificate", user.client_certificate_data.as_deref(), user.client_certificate.as_ref()).ok()??;
    not_after(certificates("client-certificate", &pem).ok()?.first()?)
}

fn encoded(bytes: Vec<u8>) -> String {
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

fn check_token(user: &mut AuthInfo) -> Result<(), String> {
    if let Some(file) = &user.token_file {
        let token = token_in(Path::new(file)).map_err(|error| format!("its tokenFile {file} cannot be read: {error}"))?;
        check_header("tokenFile", token.expose_secret())?;
        // The file wins: it is the one that is kept fresh.
        user.token = None;
    }
    if let Some(token) = &user.token {
        let token = token.expose_secret().trim();
        check_header("token", token)?;
        user.token = Some(SecretString::from(token.to_owned()));
    }
    user.impersonate.as_deref().map_or(Ok(()), |name| check_header("as", name))
}

/// The token a file holds, without the line's end.
///
/// # Errors
/// It cannot be read.
pub(in crate::cluster) fn token_in(file: &Path) -> std::io::Result<SecretString> {
    Ok(SecretString::from(std::fs::read_to_string(file)?.trim().to_owned()))
}

fn check_header(what: &str, value: &str) -> Result<(), String> {
    match http::HeaderValue::from_str(value) {
        Ok(_) => Ok(()),
        Err(_) => Err(format!("its {what} holds characters that cannot be sent (a line break?): copy it again")),
    }
}

/// Ways to log in that kubectl has given up are not worth a try.
fn check_login(user: &AuthInfo) -> Result<(), String> {
    if let Some(provider) = &user.auth_provider
        && !matches!(&*provider.name, "oidc" | "gcp")
    {
        let name = crate::text::clean(&provider.name);
        return Err(format!("its auth-provider {name:?} is no longer supported, nor by kubectl: use an exec plugin (kubelogin)"));
    }
    match &user.exec {
        Some(exec) if exec.command.as_ref().is_none_or(|command| command.trim().is_empty()) => {
            Err("the exec entry of its user names no command".to_owned())
        }
        _ => Ok(()),
    }
}
