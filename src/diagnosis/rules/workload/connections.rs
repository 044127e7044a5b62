//! `connection-budget`: all pods of all workloads that use one database may open more connections than it takes.

use crate::diagnosis::cause::{CauseId, Severity};
use crate::diagnosis::finding::{Confidence, Evidence, EvidenceSource, Finding, Root};
use crate::diagnosis::incident::{Fix, Risk};
use crate::diagnosis::rule::{Facts, Output, Rule};
use crate::diagnosis::rules::commands::{fact, fix, kubectl, quoted, set_env};
use crate::diagnosis::rules::crash::context;
use crate::diagnosis::rules::draft::{self, Draft};
use crate::diagnosis::rules::{logs, pattern::Pattern};
use crate::kinds::network::Service;
use crate::kinds::pod_spec::{Container, PodSpec};
use crate::kinds::pods::Pod;
use crate::kinds::{KindId, Meta, ObjectRef, Row};
use crate::snapshot::Snapshot;

use super::environment;
use super::pool::{self, Pool};

/// The rule.
pub static CONNECTION_BUDGET: Rule = Rule {
    name: "connection-budget",
    causes: &[CauseId("connection-budget")],
    doc: "\
What it detects
  A database in the cluster whose clients may together open more connections than it takes: the sum over the workloads that point
  to its Service of replicas x workers x pool size. A warning when the pods of now exceed it, worth knowing when only the
  autoscaler's maximum does.
Reads
  Environment variables (plain, and from ConfigMaps whose content a bundle holds) and the command line of Deployments and
  StatefulSets: the database's address, pool size and overflow
  (names of SQLAlchemy, asyncpg, Django, Rails, Node, Go and HikariCP settings, or a parameter of the URL), workers (--workers, -w,
  WEB_CONCURRENCY, GUNICORN_CMD_ARGS); spec.replicas; spec.maxReplicas of the autoscaler. The limit: max_connections in command
  line or environment of the database's pod, or in its log; else the default of its image, 100 for PostgreSQL, 151 for MySQL.
Source
  PostgreSQL: max_connections 100, of which 3 are reserved for superusers. MySQL: max_connections 151.
Look-alikes
  A pooler (pgbouncer, Odyssey, PgCat, ProxySQL) in between takes far more clients than the database has connections: not judged.
  A pool whose size is not written is not guessed. Once the limit is reached, database-too-many-connections is the incident and
  this explains it.
Fixes
  Smaller pools, fewer replicas at most, a pooler, or a higher limit (which costs the database memory).
",
    subject: KindId::Service,
    needs: &[KindId::Deployment],
    check,
    fixes,
};

static POOLER: Pattern = Pattern::new(r"(?i)pgbouncer|odyssey|pgcat|proxysql|pgpool|maxscale|supavisor");
static MAX_FLAG: Pattern = Pattern::new(r"max[_-]connections[= ]+(\d{1,5})\b");
static MAX_NAME: Pattern =
    Pattern::new(r"(?i)^(?:(?:POSTGRES(?:QL)?|PG|MYSQL|MARIADB|DB|DATABASE|POSTGRESQL_CONF)_)?MAX_CONN(?:ECTION)?S?$");
static MAX_LOG: Pattern = Pattern::new(r#"\bmax_connections"?\s*(?:[=:]|is|changed to|set to)\s*"?(\d{1,5})\b"#);
/// Reserved for superusers by PostgreSQL.
const RESERVED: u64 = 3;

/// A database's limit and where it was read.
struct Limit {
    connections: u64,
    reserved: u64,
    /// Written somewhere, not the default of the image.
    is_written: bool,
    evidence: Evidence,
}

/// A workload that uses it.
struct Client {
    kind: &'static str,
    meta: Meta,
    container: String,
    pool: Pool,
    replicas: u64,
    /// What its autoscaler may make of it, with the autoscaler's name.
    at_most: Option<(u64, ObjectRef)>,
    /// Where its numbers stand.
    quotes: Vec<Evidence>,
}

impl Client {
    fn now(&self) -> u64 {
        self.replicas * self.pool.connections()
    }

    fn most(&self) -> u64 {
        self.at_most.as_ref().map_or(self.replicas, |(most, _)| (*most).max(self.replicas)) * self.pool.connections()
    }
}

/// True for Services that look like a database's: by their port.
pub fn is_database(service: &Service) -> bool {
    service.spec.ports.iter().any(|p| matches!(p.port, 5432 | 3306))
}

/// The database Services that the containers of a workload point to; for the engine, which looks at them again when it changes.
pub fn databases_of<'a>(snapshot: &'a Snapshot, namespace: &str, spec: &PodSpec) -> Vec<&'a Service> {
    let services = spec
        .containers
        .iter()
        .map(|c| environment::resolved(snapshot, namespace, c))
        .filter_map(|c| context::service_behind(snapshot, namespace, &context::database_of(&c)?.host));
    services.collect()
}

fn check(facts: &Facts<'_>, row: &Row, out: &mut Output) {
    let Row::Service(service) = row else { return };
    if !is_database(service) || service.spec.selector.is_empty() || POOLER.is_match(&service.meta.name) {
        return;
    }
    let selected = |pod: &&Pod| service.spec.selector.iter().all(|(k, v)| pod.meta.labels.get(k) == Some(v));
    let pods: Vec<&Pod> = facts.snapshot.pods.in_namespace(&service.meta.namespace).filter(selected).collect();
    let Some(limit) = pods.iter().find_map(|pod| limit(facts, pod)) else { return };
    let clients = clients(facts.snapshot, service, &pods);
    let (now, most) = (clients.iter().map(Client::now).sum::<u64>(), clients.iter().map(Client::most).sum::<u64>());
    let free = limit.connections.saturating_sub(limit.reserved);
    if most <= free {
        return;
    }
    for client in &clients {
        out.findings.push(found(facts, service, client, &limit, (now, most, clients.len())));
    }
}

/// What the database's pod says about its limit.
fn limit(facts: &Facts<'_>, pod: &Pod) -> Option<Limit> {
    for container in &pod.spec.containers {
        if POOLER.is_match(&container.image) {
            return None;
        }
        let reserved = if container.image.contains("postgres") { RESERVED } else { 0 };
        let path = pod.spec.container_path(&container.name);
        let written = |connections: u64, field: String, text: String| Limit {
            connections,
            reserved,
            is_written: true,
            evidence: draft::pod_spec(pod, field, text),
        };
        for (field, words) in [("command", &container.command), ("args", &container.args)] {
            let line = words.iter().map(|w| &**w).collect::<Vec<_>>().join(" ");
            if let Some(n) = MAX_FLAG.group(&line, 1).and_then(|n| n.parse().ok()) {
                return Some(written(n, format!("{path}.{field}"), format!("max_connections={n}")));
            }
        }
        let variable = container.env.iter().find(|v| MAX_NAME.is_match(&v.name));
        if let Some((variable, n)) = variable.and_then(|v| Some((v, v.value.as_deref()?.trim().parse().ok()?))) {
            return Some(written(n, format!("{path}.env[{}]", variable.name), n.to_string()));
        }
        let log = logs::known(facts, pod, &container.name);
        let logged = log.as_ref().and_then(|log| {
            let line = log.lines.iter().rev().find(|l| MAX_LOG.is_match(&l.text))?;
            let n = MAX_LOG.group(&line.text, 1)?.parse().ok()?;
            Some((n, draft::log_line(log.pod.clone(), &container.name, log.previous, line)))
        });
        if let Some((connections, evidence)) = logged {
            return Some(Limit { connections, reserved, is_written: true, evidence });
        }
        if let Some(connections) = default_of(container) {
            let evidence =
                draft::pod_spec(pod, format!("{path}.image"), format!("{} (its default is {connections})", container.image));
            return Some(Limit { connections, reserved, is_written: false, evidence });
        }
    }
    None
}

/// The default of the image; nothing when a configuration file may say otherwise.
fn default_of(container: &Container) -> Option<u64> {
    let configured =
        container.args.iter().chain(&container.command).any(|a| a.contains("config_file") || a.contains("defaults-file"))
            || container.volume_mounts.iter().any(|m| m.mount_path.contains("conf") || m.mount_path.contains("/etc/"));
    if configured {
        return None;
    }
    let image = container.image.rsplit('/').next().unwrap_or_default().split([':', '@']).next().unwrap_or_default();
    match image {
        "postgres" | "postgresql" | "postgis" | "timescaledb" => Some(100),
        "mysql" | "mariadb" => Some(151),
        _ => None,
    }
}

fn clients(snapshot: &Snapshot, service: &Service, pods: &[&Pod]) -> Vec<Client> {
    let mut addresses: Vec<&str> = pods.iter().filter_map(|pod| pod.status.pod_ip.as_deref()).collect();
    addresses.extend(service.spec.cluster_ip.as_deref().filter(|ip| *ip != "None" && !ip.is_empty()));
    addresses.push(&service.meta.name);
    // Reading an environment takes a while: only where some value names the database at all.
    let names_it = |container: &Container| {
        let mut values = container.env.iter().filter_map(|v| v.value.as_deref());
        values.any(|value| addresses.iter().any(|address| value.contains(address)))
    };
    let deployments = snapshot.deployments.iter().map(|d| ("Deployment", &d.meta, d.spec.replicas, &d.spec.template.spec));
    let sets = snapshot.stateful_sets.iter().map(|s| ("StatefulSet", &s.meta, s.spec.replicas, &s.spec.template.spec));
    deployments
        .chain(sets)
        .filter_map(|(kind, meta, replicas, spec)| {
            let (container, pool) = spec.containers.iter().find_map(|c| {
                let whole = environment::resolved(snapshot, &meta.namespace, c);
                let endpoint = names_it(&whole).then(|| context::database_of(&whole)).flatten()?;
                let behind = context::service_behind(snapshot, &meta.namespace, &endpoint.host)?;
                let is_it = behind.meta.name == service.meta.name && behind.meta.namespace == service.meta.namespace;
                if is_it { Some((c, pool::of(&whole)?)) } else { None }
            })?;
            let scaler = snapshot.autoscalers.in_namespace(&meta.namespace).find(|hpa| {
                let target = &hpa.spec.scale_target_ref;
                &*target.kind == kind && target.name == meta.name
            });
            let most = scaler.and_then(|hpa| {
                let object = ObjectRef::new("HorizontalPodAutoscaler", &meta.namespace, &hpa.meta.name);
                Some((u64::try_from(hpa.spec.max_replicas).ok()?, object))
            });
            Some(Client {
                kind,
                meta: meta.clone(),
                quotes: quotes(snapshot, kind, meta, (container, &spec.container_path(&container.name)), &pool),
                container: container.name.to_string(),
                pool,
                replicas: u64::try_from(replicas.unwrap_or(1)).unwrap_or(0),
                at_most: most,
            })
        })
        .collect()
}

/// The numbers of a pool as they stand in the workload's template, or in the ConfigMap they come from.
fn quotes(snapshot: &Snapshot, kind: &str, meta: &Meta, (container, path): (&Container, &str), pool: &Pool) -> Vec<Evidence> {
    let object = ObjectRef::new(kind, &meta.namespace, &meta.name);
    let quote = |(field, text): &(String, String)| {
        let variable = field.strip_prefix("env[").and_then(|f| f.strip_suffix(']')).unwrap_or_default();
        environment::quoted(snapshot, &meta.namespace, container, variable, text).unwrap_or_else(|| {
            draft::quote(object.clone(), EvidenceSource::Spec, format!("spec.template.{path}.{field}"), text.clone(), None)
        })
    };
    pool.read.iter().map(quote).collect()
}

fn found(
    facts: &Facts<'_>,
    service: &Service,
    client: &Client,
    limit: &Limit,
    (now, most, clients): (u64, u64, usize),
) -> Finding {
    let object = ObjectRef::new(client.kind, &client.meta.namespace, &client.meta.name);
    let port = service.spec.ports.first().map_or(5432, |p| p.port);
    let database = format!("{}:{port}", service.meta.name);
    let free = limit.connections.saturating_sub(limit.reserved);
    let is_over_now = now > free;
    let pods = if is_over_now { client.replicas } else { client.at_most.as_ref().map_or(client.replicas, |(most, _)| *most) };
    let sum = if is_over_now { now } else { most };
    let workers = if client.pool.workers > 1 { format!(" x {} workers", client.pool.workers) } else { String::new() };
    let others = match clients {
        0 | 1 => String::new(),
        2 => format!(", {sum} with the other workload that uses it"),
        n => format!(", {sum} with the other {} workloads that use it", n - 1),
    };
    let kept = if limit.reserved > 0 { format!(" ({} of them reserved)", limit.reserved) } else { String::new() };
    let when = if is_over_now { "" } else { "at the autoscaler's maximum " };
    let says = format!(
        "{when}{pods} pods{workers} x a pool of {} may open {} connections{others}; the database {database} takes {}{kept}",
        client.pool.size,
        pods * client.pool.connections(),
        limit.connections
    );
    let spec = |field: String, text: String| draft::quote(object.clone(), EvidenceSource::Spec, field, text, None);
    let mut draft = Draft::new(facts, "connection-budget", client.kind, &client.meta)
        .container(&client.container)
        .root(Root::Outside { what: "database", name: format!("{}.{}:{port}", service.meta.name, service.meta.namespace).into() })
        .derived()
        .severity(if is_over_now { Severity::Warning } else { Severity::Info })
        .sure(if limit.is_written { Confidence::Certain } else { Confidence::Likely })
        .says(says)
        .maybe("variable", client.pool.read.first().and_then(|(field, _)| field.strip_prefix("env[")?.strip_suffix(']')))
        .fact("database", &service.meta.name)
        .fact("databaseNamespace", &service.meta.namespace);
    let fair = free / most.max(1).div_ceil(client.pool.size.max(1)).max(1);
    draft = draft.fact("fair", &fair.max(1).to_string());
    draft = draft.because_all(client.quotes.iter().cloned());
    draft = draft.because(spec("spec.replicas".to_owned(), client.replicas.to_string()));
    if let Some((most, scaler)) = client.at_most.as_ref().filter(|_| !is_over_now) {
        draft = draft.because(draft::quote(scaler.clone(), EvidenceSource::Spec, "spec.maxReplicas", most.to_string(), None));
    }
    draft.because(limit.evidence.clone()).done()
}

fn fixes(_facts: &Facts<'_>, finding: &Finding) -> Vec<Fix> {
    let mut fixes = Vec::new();
    let (variable, fair) = (fact(finding, "variable"), fact(finding, "fair"));
    if !variable.is_empty() && !variable.to_uppercase().contains("URL") {
        let why = "so that all pods together stay below the limit; the pods are replaced one by one";
        fixes.extend(set_env(finding, &format!("{variable}={fair}"), why));
    }
    let (database, namespace) = (fact(finding, "database"), fact(finding, "databaseNamespace"));
    fixes.push(fix(
        "See the database and its configuration",
        kubectl(namespace, format!("describe service {}", quoted(database))),
        Risk::Safe,
        "a higher max_connections costs it memory; a pooler in front (pgbouncer) does not",
    ));
    fixes
}
