//! The configuration a pod gets: where the API server is, by environment, and its service account, by files.
//!
//! Source: "Accessing the Kubernetes API from a Pod" in the Kubernetes documentation; as client-go, both variables are needed.

use std::path::Path;

use kube::config::Config;

use super::kubeconfig::entries;

/// Where the kubelet mounts the service account.
pub(super) const SERVICE_ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

/// The configuration of the pod we run in; `None` when we do not run in one. `variable` looks up an environment variable,
/// `account` is the directory of the service account.
///
/// # Errors
/// This is a pod, but what it was given cannot be used: which file, and why.
pub(super) fn config(variable: impl Fn(&str) -> Option<String>, account: &Path) -> Result<Option<Config>, String> {
    let set = |name: &str| variable(name).filter(|value| !value.is_empty());
    let (Some(host), Some(port)) = (set("KUBERNETES_SERVICE_HOST"), set("KUBERNETES_SERVICE_PORT")) else { return Ok(None) };
    let host = if host.contains(':') { format!("[{host}]") } else { host };
    let url = format!("https://{host}:{port}");
    let url = url.parse().map_err(|_| "KUBERNETES_SERVICE_HOST and _PORT are no address".to_owned())?;
    let (token, authority) = (account.join("token"), account.join("ca.crt"));
    let unreadable = |path: &Path, error: &std::io::Error| format!("{} cannot be read: {error}", path.display());
    entries::token_in(&token).map_err(|error| unreadable(&token, &error))?;
    let pem = std::fs::read(&authority).map_err(|error| unreadable(&authority, &error))?;
    let mut config = Config::new(url);
    config.root_cert = Some(entries::certificates("ca.crt", &pem)?);
    config.root_cert_file = Some(authority);
    config.auth_info.token_file = Some(token.display().to_string());
    if let Ok(namespace) = std::fs::read_to_string(account.join("namespace")) {
        namespace.trim().clone_into(&mut config.default_namespace);
    }
    Ok(Some(config))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/tls/ca.crt");

    fn pod(name: &str) -> Option<String> {
        let set = [("KUBERNETES_SERVICE_HOST", "fd00::1"), ("KUBERNETES_SERVICE_PORT", "6443")];
        set.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
    }

    #[test]
    fn outside_of_a_pod_there_is_none() {
        assert!(config(|_| None, Path::new("/nonexistent")).unwrap().is_none());
        assert!(config(|name| pod(name).filter(|_| name.ends_with("HOST")), Path::new("/nonexistent")).unwrap().is_none());
    }

    #[test]
    fn a_pod_reaches_the_server_by_its_service_account_and_names_the_file_it_lacks() {
        let account = tempfile::tempdir().unwrap();
        let said = config(pod, account.path()).unwrap_err();
        assert!(said.contains("token cannot be read"), "{said}");
        std::fs::write(account.path().join("token"), "abc").unwrap();
        let said = config(pod, account.path()).unwrap_err();
        assert!(said.contains("ca.crt cannot be read"), "{said}");
        std::fs::copy(CA, account.path().join("ca.crt")).unwrap();
        std::fs::write(account.path().join("namespace"), "shop\n").unwrap();
        let found = config(pod, account.path()).unwrap().unwrap();
        assert_eq!((found.cluster_url.to_string(), &*found.default_namespace), ("https://[fd00::1]:6443/".to_owned(), "shop"));
        assert!(found.auth_info.token_file.unwrap().ends_with("/token") && found.root_cert.unwrap().len() == 1);
    }
}
