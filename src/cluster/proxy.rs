//! Through which proxy a server is reached: the kubeconfig's `proxy-url`, else `HTTPS_PROXY` and `NO_PROXY` as kubectl (Go's
//! `httpproxy`) reads them. Not the library's own choice: kube 5.0.0 holds `NO_PROXY` against the proxy's name, and refuses a
//! list it cannot parse.

use std::net::IpAddr;

use http::Uri;

/// The proxy for `server`. `named` is the kubeconfig's, to which `NO_PROXY` does not apply; `variable` looks one up.
///
/// # Errors
/// What is wrong with the proxy's address, without its user and password.
pub(super) fn of(server: &Uri, named: Option<&str>, variable: impl Fn(&str) -> Option<String>) -> Result<Option<Uri>, String> {
    let set = |name: &str| {
        let upper = variable(name).filter(|value| !value.trim().is_empty());
        upper.or_else(|| variable(&name.to_lowercase()).filter(|value| !value.trim().is_empty()))
    };
    if let Some(named) = named {
        return parse("its proxy-url", named).map(Some);
    }
    let name = if server.scheme_str() == Some("http") { "HTTP_PROXY" } else { "HTTPS_PROXY" };
    match set(name) {
        Some(proxy) if !is_direct(server, &set("NO_PROXY").unwrap_or_default()) => parse(name, &proxy).map(Some),
        _ => Ok(None),
    }
}

fn parse(from: &str, proxy: &str) -> Result<Uri, String> {
    let proxy = proxy.trim();
    let whole = if proxy.contains("://") { proxy.to_owned() } else { format!("http://{proxy}") };
    // What curl and Go call it when the proxy resolves names; ours always does.
    let whole = whole.strip_prefix("socks5h://").map_or(whole.clone(), |rest| format!("socks5://{rest}"));
    let uri: Uri = whole.parse().map_err(|_| format!("{from} is no address like http://HOST:PORT"))?;
    match uri.scheme_str() {
        Some("http" | "https" | "socks5") if uri.host().is_some() => Ok(uri),
        scheme => Err(format!("{from} is of a kind k3am cannot use ({}): http, https or socks5", scheme.unwrap_or("none"))),
    }
}

/// True when `NO_PROXY`, or that it is this machine, says to go straight.
fn is_direct(server: &Uri, exceptions: &str) -> bool {
    let host = server.host().unwrap_or_default().trim_matches(['[', ']']).to_lowercase();
    let address: Option<IpAddr> = host.parse().ok();
    if host == "localhost" || address.is_some_and(|address| address.is_loopback()) {
        return true;
    }
    let port = server.port_u16().unwrap_or(if server.scheme_str() == Some("http") { 80 } else { 443 });
    exceptions.split(',').map(|entry| entry.trim().to_lowercase()).any(|entry| matches(&entry, &host, address, port))
}

fn matches(entry: &str, host: &str, address: Option<IpAddr>, port: u16) -> bool {
    if entry.is_empty() || entry == "*" {
        return entry == "*";
    }
    if let Some((network, bits)) = entry.split_once('/')
        && let (Ok(network), Ok(bits)) = (network.parse::<IpAddr>(), bits.parse::<u32>())
    {
        return address.is_some_and(|address| contains(network, bits, address));
    }
    let (name, wanted) = match entry.rsplit_once(':') {
        Some((name, wanted)) if !name.contains(':') || name.ends_with(']') => (name, wanted.parse::<u16>().ok()),
        _ => (entry, None),
    };
    if wanted.is_some_and(|wanted| wanted != port) {
        return false;
    }
    if let Ok(entry) = name.trim_matches(['[', ']']).parse::<IpAddr>() {
        return address == Some(entry);
    }
    // `corp` is the name and what is below it, `.corp` and `*.corp` only what is below.
    let name = name.strip_prefix('*').unwrap_or(name);
    match name.strip_prefix('.') {
        Some(domain) => host.strip_suffix(domain).is_some_and(|below| below.ends_with('.')),
        None => host == name || host.strip_suffix(name).is_some_and(|below| below.ends_with('.')),
    }
}

fn contains(network: IpAddr, bits: u32, address: IpAddr) -> bool {
    match (network, address) {
        (IpAddr::V4(network), IpAddr::V4(address)) => {
            let shift = 32_u32.saturating_sub(bits);
            shift >= 32 || u32::from(network) >> shift == u32::from(address) >> shift
        }
        (IpAddr::V6(network), IpAddr::V6(address)) => {
            let shift = 128_u32.saturating_sub(bits);
            shift >= 128 || u128::from(network) >> shift == u128::from(address) >> shift
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(server: &str, named: Option<&str>, set: &[(&str, &str)]) -> Option<String> {
        let variable = |name: &str| set.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        of(&server.parse().unwrap(), named, variable)
            .unwrap()
            .map(|proxy| format!("{}:{}", proxy.host().unwrap(), proxy.port_u16().unwrap()))
    }

    #[test]
    fn the_kubeconfigs_proxy_beats_the_environments_and_no_proxy() {
        let set = [("HTTPS_PROXY", "http://env:1"), ("NO_PROXY", "*")];
        assert_eq!(chosen("https://api.corp:6443", Some("http://own:2"), &set).as_deref(), Some("own:2"));
        assert_eq!(chosen("https://api.corp:6443", None, &set), None);
        assert_eq!(chosen("https://api.corp:6443", None, &set[..1]).as_deref(), Some("env:1"));
        assert_eq!(chosen("https://api.corp", None, &[("https_proxy", "env:3")]).as_deref(), Some("env:3"));
        assert_eq!(chosen("http://api.corp", None, &set[..1]), None, "HTTPS_PROXY is for HTTPS");
        assert_eq!(chosen("https://127.0.0.1:6443", None, &set[..1]), None, "this machine is reached straight");
    }

    #[test]
    fn no_proxy_names_hosts_domains_networks_and_ports_of_the_server() {
        let goes = |server: &str, exceptions: &str| {
            chosen(server, None, &[("HTTPS_PROXY", "http://env:1"), ("NO_PROXY", exceptions)]).is_some()
        };
        for direct in ["api.corp", "corp", ".corp", "*.corp", "x, api.corp:6443", "localhost,,corp,"] {
            assert!(!goes("https://api.corp:6443", direct), "{direct}");
        }
        for proxied in ["orp", "api.corp:443", "api.corporate", "env", ""] {
            assert!(goes("https://api.corp:6443", proxied), "{proxied}");
        }
        assert!(!goes("https://10.1.2.3", "10.0.0.0/8") && !goes("https://[fd00::1]:6443", "fd00::/8"));
        assert!(goes("https://11.1.2.3", "10.0.0.0/8") && goes("https://10.1.2.3", "10.1.2.4"));
    }

    #[test]
    fn a_proxy_that_cannot_be_used_is_told_without_its_password() {
        for proxy in ["ftp://me:s3cr3t@host:1", "http://me:s3cr3t@ho st"] {
            let said = of(&"https://a".parse().unwrap(), Some(proxy), |_| None).unwrap_err();
            assert!(said.starts_with("its proxy-url") && !said.contains("s3cr3t"), "{said}");
        }
        assert_eq!(chosen("https://a", Some("socks5h://host:1080"), &[]).as_deref(), Some("host:1080"));
    }
}
