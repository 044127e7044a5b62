//! Fixes for causes read from logs.

use crate::actions::Intent;
use crate::diagnosis::finding::Finding;
use crate::diagnosis::incident::{Fix, Risk};
use crate::diagnosis::rule::Facts;
use crate::diagnosis::rules::commands::{
    can_roll_out, edit, fact, fix, kubectl, quoted, read_log, restart, target, with_action, workload_log,
};
use crate::kinds::{ObjectRef, Row};

/// Best first, by cause.
pub fn fixes(facts: &Facts<'_>, finding: &Finding) -> Vec<Fix> {
    let mut fixes = match finding.cause.0 {
        "database-host-unknown" | "database-unreachable" | "dependency-unreachable" => reach(facts, finding),
        "database-too-many-connections" | "database-pool-exhausted" => connections(facts, finding),
        "database-auth-failed" | "database-tls-required" => login(finding),
        "setting-missing" => setting(finding),
        "migration-failed" => migration(facts, finding),
        "process-exits" => vec![edit(
            finding,
            "Keep the process in the foreground, or run it as a Job",
            "a workload that is meant to run for ever must not end",
        )],
        "filesystem-read-only" | "permission-denied" | "disk-full" => storage(finding),
        "heap-exhausted" => vec![edit(
            finding,
            "Raise the runtime's heap limit and the container's together",
            "-Xmx, MaxRAMPercentage or --max-old-space-size was reached, not the container's limit",
        )],
        "command-not-found" | "command-not-executable" | "exec-format-error" | "module-missing" => {
            vec![edit(finding, "Correct image or command", "what it needs is not in the image it runs")]
        }
        "api-access-forbidden" => rights(finding),
        _ => Vec::new(),
    };
    fixes.extend(read_log(finding, true));
    fixes
}

/// A Service of the wanted name in another namespace.
fn elsewhere(facts: &Facts<'_>, finding: &Finding) -> Option<String> {
    let name = fact(finding, "host").split('.').next().filter(|n| !n.is_empty())?;
    let service = facts.snapshot.services.iter().find(|s| &*s.meta.name == name)?;
    Some(format!("{}.{}.svc", service.meta.name, service.meta.namespace))
}

fn reach(facts: &Facts<'_>, finding: &Finding) -> Vec<Fix> {
    let workload = &finding.workload;
    let namespace = &workload.namespace;
    let (host, variable) = (fact(finding, "host"), fact(finding, "variable"));
    let mut fixes = Vec::new();
    if finding.cause.0 == "database-host-unknown" {
        let why = match elsewhere(facts, finding) {
            Some(other) => format!("{host} does not resolve; the cluster has {other}"),
            None => format!("{host} does not resolve"),
        };
        let title =
            if variable.is_empty() { "Correct the host name".to_owned() } else { format!("Correct the host in {variable}") };
        fixes.push(edit(finding, title, why));
        fixes.push(fix(
            "List the Services the name could mean",
            "kubectl get services -A".to_owned(),
            Risk::Safe,
            "a Service of another namespace is called NAME.NAMESPACE.svc",
        ));
        return fixes;
    }
    let endpoint = fact(finding, "endpoint");
    let service = endpoint.split(':').next().unwrap_or_default();
    if let Some(row) = super::context::service_of(facts, namespace, service) {
        let (name, ns) = row.host.split_once('.').unwrap_or((row.host.as_str(), namespace));
        fixes.push(fix(
            format!("See whether {name} has ready pods"),
            kubectl(ns, format!("get endpointslices,pods -l kubernetes.io/service-name={}", quoted(name))),
            Risk::Safe,
            "a Service without ready endpoints refuses connections",
        ));
    }
    let is_loopback = matches!(host, "127.0.0.1" | "localhost" | "::1");
    let why = if is_loopback {
        format!("{host} is the pod itself, and nothing listens there")
    } else {
        format!("it connects to {endpoint} now")
    };
    let title = if variable.is_empty() { "Correct the address".to_owned() } else { format!("Correct the address in {variable}") };
    fixes.push(edit(finding, title, why));
    fixes
}

fn connections(facts: &Facts<'_>, finding: &Finding) -> Vec<Fix> {
    let workload = &finding.workload;
    let mut fixes = Vec::new();
    let ready = facts.snapshot.pods_of(workload).iter().filter(|p| p.is_ready()).count();
    if matches!(&*workload.kind, "Deployment" | "StatefulSet") && ready > 0 && finding.cause.0 == "database-too-many-connections"
    {
        let replicas = i32::try_from(ready).unwrap_or(1);
        let command = kubectl(&workload.namespace, format!("scale {} --replicas={replicas}", target(workload)));
        let plain = fix(
            format!("Scale {workload} down to the {ready} pods that are connected"),
            command,
            Risk::Disruptive,
            "every further pod asks for connections the database does not have",
        );
        fixes.push(with_action(plain, Intent::Scale { workload: workload.clone(), replicas }));
    }
    fixes.push(edit(
        finding,
        "Lower the pool size per process",
        "replicas × processes × (pool size + overflow) must stay below the server's limit",
    ));
    if let Some(Row::Deployment(d)) = facts.snapshot.find(workload)
        && d.spec.replicas.unwrap_or(1) > 1
        && finding.cause.0 == "database-pool-exhausted"
    {
        fixes.extend(restart(finding, "frees leaked connections for a while"));
    }
    fixes
}

fn login(finding: &Finding) -> Vec<Fix> {
    let mut fixes = Vec::new();
    if finding.cause.0 == "database-tls-required" && can_roll_out(&finding.workload) {
        let command = kubectl(&finding.workload.namespace, format!("set env {} PGSSLMODE=require", target(&finding.workload)));
        fixes.push(fix(
            "Ask for TLS",
            command,
            Risk::Disruptive,
            "for servers that accept encrypted connections only; libpq clients read it",
        ));
    }
    fixes.push(edit(finding, "Correct user, password or database name", "the database answered and refused this login"));
    fixes.extend(restart(finding, "only when the Secret was corrected after the pods started: variables are read once"));
    fixes
}

fn setting(finding: &Finding) -> Vec<Fix> {
    let name = fact(finding, "name");
    let is_variable = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    let mut fixes = Vec::new();
    if is_variable && can_roll_out(&finding.workload) {
        let command = kubectl(&finding.workload.namespace, format!("set env {} {name}=\"${name}\"", target(&finding.workload)));
        fixes.push(fix(
            format!("Set {name}"),
            command,
            Risk::Disruptive,
            format!("takes the value of {name} in your shell; for a password use --from=secret/NAME instead"),
        ));
    }
    fixes.push(edit(
        finding,
        "Add the setting",
        if name.is_empty() { "the application names it in its log".to_owned() } else { format!("the application needs {name}") },
    ));
    fixes
}

fn migration(facts: &Facts<'_>, finding: &Finding) -> Vec<Fix> {
    let jobs = facts.snapshot.jobs.in_namespace(&finding.workload.namespace).find(|j| j.meta.name.contains("migrat"));
    let mut fixes = Vec::new();
    if let Some(job) = jobs {
        let job = ObjectRef::new("Job", &job.meta.namespace, &job.meta.name);
        let what = ("Read the migration Job's log", "the schema and the image must belong together");
        fixes.extend(workload_log(facts, &job, "--tail=100", what));
    }
    fixes.push(edit(
        finding,
        "Use the image that knows the database's revision",
        "the image is older (or newer) than the schema: do not undo further back",
    ));
    fixes
}

fn storage(finding: &Finding) -> Vec<Fix> {
    let path = fact(finding, "path");
    let why = match (finding.cause.0, path) {
        ("disk-full", _) if finding.summary.contains("database's own disk") => return Vec::new(),
        ("disk-full", _) => "mount a larger volume, or free space".to_owned(),
        (_, "") => "mount a writable volume there, or set fsGroup or runAsUser".to_owned(),
        (_, path) => format!("give it a writable volume at {path}, or the right fsGroup or user"),
    };
    vec![edit(finding, "Correct volumes or security context", why)]
}

fn rights(finding: &Finding) -> Vec<Fix> {
    let account = fact(finding, "user");
    let Some((namespace, name)) = account.split_once(':') else { return Vec::new() };
    let subject = format!("system:serviceaccount:{namespace}:{name}");
    vec![fix(
        format!("See what {account} may do"),
        kubectl(&finding.workload.namespace, format!("auth can-i --list --as={}", quoted(&subject))),
        Risk::Safe,
        "then bind a role that holds the missing right",
    )]
}
