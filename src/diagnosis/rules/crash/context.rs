//! What an application talks to: is it a database, and which one? From its log, and from the environment of its container.
//!
//! Invariant: values of variables are read for host and port only; passwords never leave this file.

use crate::diagnosis::rule::Facts;
use crate::diagnosis::rules::logs::Quotable;
use crate::diagnosis::rules::pattern::Pattern;
use crate::kinds::network::Service;
use crate::kinds::pod_spec::Container;
use crate::kinds::pods::Pod;
use crate::snapshot::Snapshot;

/// The other side of a connection.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Endpoint {
    /// Host name or address.
    pub host: String,
    /// Port, when known.
    pub port: Option<String>,
    /// The variable it was read from.
    pub variable: Option<String>,
}

impl Endpoint {
    /// `host:port`, or the host alone.
    pub fn at(&self) -> String {
        match &self.port {
            Some(port) => format!("{}:{port}", self.host),
            None => self.host.clone(),
        }
    }
}

static URL: Pattern =
    Pattern::new(r"^(?P<scheme>[a-zA-Z][\w+.-]*)://(?:[^@/]*@)?(?P<host>\[[0-9a-fA-F:]+\]|[^:/?#,@]+)(?::(?P<port>\d+))?");
static JDBC: Pattern = Pattern::new(r"^jdbc:(?P<scheme>[a-z]+):(?://|thin:@//?)(?P<host>[^:/?;]+)(?::(?P<port>\d+))?");
static DATABASE_SCHEME: Pattern = Pattern::new(r"(?i)^(?:postgres|mysql|mariadb|mssql|oracle|cockroach|pgsql|sqlserver|db2)");
static DATABASE_NAME: Pattern = Pattern::new(
    r"(?i)^(?:.*_)?(?:DATABASE|DB|POSTGRES(?:QL)?|PG|MYSQL|MARIADB|SQL(?:ALCHEMY)?|JDBC|SPRING_DATASOURCE)(?:_.*)?$|^PG(?:HOST|PORT)$",
);
static OTHER_NAME: Pattern = Pattern::new(r"(?i)redis|kafka|rabbit|amqp|broker|mongo|elastic|memcache|nats|api|_service_");
static HOST_VARIABLE: Pattern = Pattern::new(r"(?i)(?:HOST|HOSTNAME|SERVER|ADDR(?:ESS)?)$|^PGHOST$");
static DATABASE_WORDS: Pattern = Pattern::new(
    r"(?i)psycopg|asyncpg|sqlalchemy|django\.db|postgres|pgx|lib/pq|\bpg_|node_modules/(?:pg|mysql|typeorm|sequelize|knex|prisma)|pg-pool|pg-protocol|mysql|mariadb|hikari|jdbc|pymysql|aiomysql|gorm|sequelize|typeorm|knex|prisma|activerecord|\bPDO|database|oracle|sqlserver|liquibase|flyway|alembic|tortoise|npgsql|postgrex|ecto\b|sqlx|diesel|SqlClient|EntityFrameworkCore|doctrine|r2dbc|hibernate|mikro-orm|drizzle",
);
static OTHER_WORDS: Pattern = Pattern::new(
    r"(?i)redis|kafka|rabbitmq|amqp|pika|celery|mongo|elasticsearch|opensearch|memcache|nats|httpx|requests\.exceptions|aiohttp|urllib3|axios|undici|fetch failed|HTTPConnectionPool|grpc",
);
const DATABASE_PORTS: &[&str] = &["5432", "6432", "3306", "33060", "1433", "1521", "26257", "5433"];
const OTHER_PORTS: &[&str] =
    &["6379", "26379", "9092", "9093", "9094", "5672", "5671", "27017", "9200", "11211", "4222", "80", "443", "8080", "8000"];

/// Whether the far side of a failed connection is a database; `None` when nothing tells.
pub fn is_database(
    log: &Quotable<'_>,
    line: usize,
    port: Option<&str>,
    host: Option<&str>,
    container: Option<&Container>,
) -> Option<bool> {
    if let Some(port) = port {
        if DATABASE_PORTS.contains(&port) {
            return Some(true);
        }
        if OTHER_PORTS.contains(&port) {
            return Some(false);
        }
    }
    let own = log.lines.get(line).map(|l| &*l.text).unwrap_or_default();
    match (DATABASE_WORDS.is_match(own), OTHER_WORDS.is_match(own)) {
        (true, false) => return Some(true),
        (false, true) => return Some(false),
        _ => {}
    }
    if let (Some(host), Some(container)) = (host, container)
        && let Some(named) = variable_with(container, host)
    {
        return Some(DATABASE_NAME.is_match(&named) && !OTHER_NAME.is_match(&named));
    }
    // The traceback around the line names the driver; the closest mention counts.
    let around = log.lines.iter().take(line + 12).skip(line.saturating_sub(80)).rev();
    for text in around.map(|l| &*l.text) {
        if OTHER_WORDS.is_match(text) {
            return Some(false);
        }
        if DATABASE_WORDS.is_match(text) {
            return Some(true);
        }
    }
    let host = host.unwrap_or_default();
    if DATABASE_WORDS.is_match(host) || host.starts_with("db") || host.contains("-db") {
        return Some(true);
    }
    container.filter(|_| host.is_empty()).and_then(|c| database_of(c).map(|_| true))
}

/// The variable whose value holds that host.
fn variable_with(container: &Container, host: &str) -> Option<String> {
    container.env.iter().find(|v| v.value.as_deref().is_some_and(|value| value.contains(host))).map(|v| v.name.to_string())
}

/// The database the container's environment points to, if a plain variable says so. Never its password.
pub fn database_of(container: &Container) -> Option<Endpoint> {
    let urls = container.env.iter().filter_map(|v| Some((v, v.value.as_deref()?)));
    for (variable, value) in urls {
        let captures = JDBC.captures(value).or_else(|| URL.captures(value));
        let Some(c) = captures else { continue };
        let scheme = c.name("scheme").map(|m| m.as_str()).unwrap_or_default();
        if !DATABASE_SCHEME.is_match(scheme) {
            continue;
        }
        let host = c.name("host")?.as_str().to_owned();
        let port = c.name("port").map(|m| m.as_str().to_owned());
        return Some(Endpoint { host, port, variable: Some(variable.name.to_string()) });
    }
    let host = container.env.iter().find(|v| {
        HOST_VARIABLE.is_match(&v.name) && DATABASE_NAME.is_match(&v.name) && !OTHER_NAME.is_match(&v.name) && v.value.is_some()
    })?;
    let port = container
        .env
        .iter()
        .find(|v| DATABASE_NAME.is_match(&v.name) && v.name.to_uppercase().ends_with("PORT"))
        .and_then(|v| v.value.clone());
    Some(Endpoint {
        host: host.value.as_deref()?.to_owned(),
        port: port.map(|p| p.to_string()),
        variable: Some(host.name.to_string()),
    })
}

/// The Service behind a host, as an address under one name for every pod that uses it.
pub fn service_of(facts: &Facts<'_>, namespace: &str, host: &str) -> Option<Endpoint> {
    let service = service_behind(facts.snapshot, namespace, host)?;
    let host = if &*service.meta.namespace == namespace {
        service.meta.name.to_string()
    } else {
        format!("{}.{}", service.meta.name, service.meta.namespace)
    };
    let port = service.spec.ports.first().map(|p| p.port.to_string());
    Some(Endpoint { host, port, variable: None })
}

/// What the pods that fail against one endpoint have in common, whatever each of them calls it: `name.namespace` for what lives in
/// the cluster, and no port where the name itself is the fault. None for the pod's own loopback: another pod's is another fault.
pub fn root_of(pod: &Pod, cause: &str, endpoint: &Endpoint) -> Option<String> {
    let host = endpoint.host.trim_end_matches('.');
    let address = host.parse::<std::net::IpAddr>();
    if host == "localhost" || address.is_ok_and(|a| a.is_loopback() || a.is_unspecified()) {
        return None;
    }
    let host = host.strip_suffix(".cluster.local").unwrap_or(host);
    let host = host.strip_suffix(".svc").unwrap_or(host);
    let host = if host.contains(['.', ':']) { host.to_owned() } else { format!("{host}.{}", pod.meta.namespace) };
    Some(match endpoint.port.as_deref().filter(|_| cause != "database-host-unknown") {
        Some(port) => format!("{host}:{port}"),
        None => host,
    })
}

/// The Service behind a host: by cluster name, by cluster IP, or by the address of a pod it selects.
pub fn service_behind<'a>(snapshot: &'a Snapshot, namespace: &str, host: &str) -> Option<&'a Service> {
    let named = |ns: &str, name: &str| snapshot.services.named(ns, name);
    let mut labels = host.split('.');
    let first = labels.next().unwrap_or_default();
    if host.parse::<std::net::IpAddr>().is_ok() {
        snapshot.services.iter().find(|s| s.spec.cluster_ip.as_deref() == Some(host)).or_else(|| {
            let pod =
                snapshot.pods.iter().find(|p| p.status.pod_ip.as_deref() == Some(host) && p.spec.host_network != Some(true))?;
            snapshot
                .services
                .in_namespace(&pod.meta.namespace)
                .find(|s| !s.spec.selector.is_empty() && s.spec.selector.iter().all(|(k, v)| pod.meta.labels.get(k) == Some(v)))
        })
    } else {
        match labels.next() {
            None => named(namespace, first),
            Some(ns) if matches!(labels.next(), None | Some("svc")) => named(ns, first),
            Some(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::pod_spec::EnvVar;

    fn container(name: &str, value: &str) -> Container {
        Container { env: vec![EnvVar { name: name.into(), value: Some(value.into()), value_from: None }], ..Container::default() }
    }

    #[test]
    fn one_server_has_one_root_whatever_each_pod_calls_it() {
        let of = |namespace: &str, host: &str| {
            let mut pod = Pod::default();
            pod.meta.namespace = namespace.into();
            let endpoint = Endpoint { host: host.to_owned(), port: Some("5432".to_owned()), variable: None };
            root_of(&pod, "database-unreachable", &endpoint)
        };
        assert_eq!(of("data", "pg"), of("shop", "pg.data"));
        assert_eq!(of("data", "pg"), of("shop", "pg.data.svc.cluster.local"));
        assert_ne!(of("data", "pg"), of("shop", "pg"));
        assert_eq!(of("shop", "127.0.0.1"), None);
    }

    #[test]
    fn urls_yield_host_and_port_but_no_password() {
        let found = database_of(&container("DATABASE_URL", "postgresql+asyncpg://app:s3cr3t@postgres.prod.svc:5432/app"))
            .expect("a database");
        assert_eq!(found.at(), "postgres.prod.svc:5432");
        let found = database_of(&container("SPRING_DATASOURCE_URL", "jdbc:mysql://db:3306/shop")).expect("a database");
        assert_eq!(found.at(), "db:3306");
        assert_eq!(database_of(&container("REDIS_URL", "redis://:pw@cache:6379/0")), None);
        assert_eq!(database_of(&container("DB_HOST", "pg")).expect("a database").at(), "pg");
    }
}
