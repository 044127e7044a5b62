//! What a process finds when it connects to another: names of Services, their ready pods, and the password of a database.

use super::super::controllers::endpoint_slice::target_port;
use super::super::object;
use super::super::resources::{PODS, SERVICES};
use super::super::store::Store;
use super::environment;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A `postgresql://user:password@host:port/database` URL, taken apart. Nothing of it is ever logged but host, port and user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DatabaseUrl {
    user: String,
    password: String,
    host: String,
    port: i64,
    database: String,
}

impl DatabaseUrl {
    /// Takes a URL apart; `None` when it is no PostgreSQL URL.
    pub fn parse(url: &str) -> Option<Self> {
        let (scheme, rest) = url.split_once("://")?;
        if !scheme.starts_with("postgres") {
            return None;
        }
        let (login, address) = rest.rsplit_once('@').unwrap_or(("", rest));
        let (user, password) = login.split_once(':').unwrap_or((login, ""));
        let (server, database) = address.split_once('/').unwrap_or((address, ""));
        let (host, port) = server.split_once(':').unwrap_or((server, "5432"));
        let database = database.split('?').next().unwrap_or_default();
        Some(Self {
            user: user.to_owned(),
            password: password.to_owned(),
            host: host.to_owned(),
            port: port.parse().unwrap_or(5432),
            database: if database.is_empty() { user.to_owned() } else { database.to_owned() },
        })
    }
}

/// Who connects: the pod, and how many connections its pool opens at once.
pub struct Client<'a> {
    /// The pod.
    pub pod: &'a Value,
    /// Its pool: `POOL_SIZE` of each of its `WEB_CONCURRENCY` processes.
    pub pool: i64,
}

impl<'a> Client<'a> {
    /// A pod's client as its environment sets it up.
    pub fn of(pod: &'a Value, environment: &BTreeMap<String, String>) -> Self {
        Self { pod, pool: pool(environment) }
    }
}

fn pool(environment: &BTreeMap<String, String>) -> i64 {
    let number = |name: &str, default: i64| environment.get(name).and_then(|value| value.parse().ok()).unwrap_or(default);
    number("POOL_SIZE", 5) * number("WEB_CONCURRENCY", 1)
}

/// Connections PostgreSQL keeps for its superuser.
const RESERVED: i64 = 3;

/// Whether a server has room for a client: its limit (`-c max_connections=N`, 100 by default) less what running pods hold.
fn room(store: &Store, server: &Value, service: &Value, client: &Client<'_>) -> Result<(), &'static str> {
    let words = object::containers(server, "containers").first().into_iter().flat_map(|container| {
        object::items(container, "/args").iter().chain(object::items(container, "/command")).filter_map(Value::as_str)
    });
    let limit = words.filter_map(|word| word.split("max_connections=").nth(1)?.parse::<i64>().ok()).next_back().unwrap_or(100);
    let held: i64 = store
        .list(&PODS, None)
        .iter()
        .filter(|pod| object::uid(pod) != object::uid(client.pod) && object::text(pod, "/status/phase") == "Running")
        .map(|pod| held_by(store, pod, service))
        .sum();
    let wanted = held + client.pool;
    match wanted {
        _ if wanted <= limit - RESERVED => Ok(()),
        _ if held >= limit - RESERVED => Err("remaining connection slots are reserved for non-replication superuser connections"),
        _ => Err("sorry, too many clients already"),
    }
}

/// The connections a pod's running containers hold to a Service.
fn held_by(store: &Store, pod: &Value, service: &Value) -> i64 {
    let running = |container: &Value| {
        object::items(pod, "/status/containerStatuses").iter().any(|status| {
            object::text(status, "/name") == object::text(container, "/name") && status.pointer("/state/running").is_some()
        })
    };
    let pools = object::containers(pod, "containers").iter().filter(|container| running(container)).filter_map(|container| {
        let environment = environment::resolve(store, pod, container).ok()?;
        let url = DatabaseUrl::parse(environment.get("DATABASE_URL")?)?;
        let target = resolve(store, object::namespace(pod), &url.host)?;
        (object::uid(&target) == object::uid(service)).then(|| pool(&environment))
    });
    pools.sum()
}

/// Connects to a database as psycopg2 would: `Err` is its `OperationalError`, which may have several lines.
pub fn connect(store: &Store, client: &Client<'_>, url: &DatabaseUrl) -> Result<(), String> {
    let namespace = object::namespace(client.pod);
    let local = ["localhost", "127.0.0.1", "::1"].contains(&url.host.as_str());
    let refused = |address: &str| {
        let shown = if address == url.host { format!("\"{address}\"") } else { format!("\"{}\" ({address})", url.host) };
        format!(
            "connection to server at {shown}, port {} failed: Connection refused\n\tIs the server running on that host and accepting TCP/IP connections?",
            url.port
        )
    };
    if local {
        return Err(refused(if url.host == "localhost" { "127.0.0.1" } else { &url.host }));
    }
    let Some(service) = resolve(store, namespace, &url.host) else {
        return Err(format!("could not translate host name \"{}\" to address: Name or service not known", url.host));
    };
    let address = object::text(&service, "/spec/clusterIP").to_owned();
    let Some(pod) = ready_pod(store, &service, url.port) else { return Err(refused(&address)) };
    let container = object::containers(&pod, "containers").first().cloned().unwrap_or_default();
    let settings = environment::resolve(store, &pod, &container).unwrap_or_default();
    let fatal = |text: String| {
        Err(format!("connection to server at \"{}\" ({address}), port {} failed: FATAL:  {text}", url.host, url.port))
    };
    // A full server answers before it looks at the password.
    if let Err(full) = room(store, &pod, &service, client) {
        return fatal(full.to_owned());
    }
    let owner = settings.get("POSTGRES_USER").map_or("postgres", String::as_str);
    if settings.get("POSTGRES_PASSWORD").is_some_and(|password| *password != url.password) || url.user != owner {
        return fatal(format!("password authentication failed for user \"{}\"", url.user));
    }
    let database = settings.get("POSTGRES_DB").map_or(owner, String::as_str);
    if url.database != database && url.database != "postgres" {
        return fatal(format!("database \"{}\" does not exist", url.database));
    }
    Ok(())
}

/// The Service a host name means from inside a namespace.
pub fn resolve(store: &Store, namespace: &str, host: &str) -> Option<Arc<Value>> {
    let host = host.trim_end_matches('.').trim_end_matches(".cluster.local");
    let host = host.strip_suffix(".svc").unwrap_or(host);
    let mut parts = host.split('.');
    let name = parts.next()?;
    let namespace = parts.next().unwrap_or(namespace);
    if parts.next().is_some() {
        return None;
    }
    store.get(&SERVICES, namespace, name)
}

/// A ready pod behind a port of a Service; `None` means the connection is refused.
fn ready_pod(store: &Store, service: &Value, port: i64) -> Option<Arc<Value>> {
    let port = object::items(service, "/spec/ports").iter().find(|listed| object::int(listed, "/port") == Some(port))?;
    let selector = serde_json::json!({"matchLabels": object::at(service, "/spec/selector")});
    let pods = store.list(&PODS, Some(object::namespace(service)));
    pods.into_iter().find(|pod| {
        object::selects(&selector, object::at(pod, "/metadata/labels"))
            && object::condition_is_true(pod, "Ready")
            && target_port(port, Some(pod)).is_some()
    })
}

/// Whether any Service selects a pod: then traffic reaches it when it is ready.
pub fn has_service(store: &Store, pod: &Value) -> bool {
    store.list(&SERVICES, Some(object::namespace(pod))).iter().any(|service| {
        let selector = object::at(service, "/spec/selector");
        selector.is_object()
            && object::selects(&serde_json::json!({"matchLabels": selector}), object::at(pod, "/metadata/labels"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn database_urls_come_apart() {
        let url = DatabaseUrl::parse("postgresql+psycopg2://app:s3cret@postgres.db.svc:6432/orders?sslmode=disable").unwrap();
        assert_eq!((url.host.as_str(), url.port, url.database.as_str()), ("postgres.db.svc", 6432, "orders"));
        assert_eq!(DatabaseUrl::parse("redis://x"), None);
    }
}
