//! Rows of services, endpoints, slices, ingresses, network policies and autoscalers.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::{Columns, age, count, name, selector, text_or};
use crate::practice::json::{at, integer, items, text};

/// The kinds of this file.
pub const COLUMNS: &[Columns] = &[
    Columns {
        plural: "services",
        headings: &[
            ("Name", "string", 0),
            ("Type", "string", 0),
            ("Cluster-IP", "string", 0),
            ("External-IP", "string", 0),
            ("Port(s)", "string", 0),
            ("Age", "string", 0),
            ("Selector", "string", 1),
        ],
        row: service,
    },
    Columns {
        plural: "endpoints",
        headings: &[("Name", "string", 0), ("Endpoints", "string", 0), ("Age", "string", 0)],
        row: endpoints,
    },
    Columns {
        plural: "endpointslices",
        headings: &[
            ("Name", "string", 0),
            ("AddressType", "string", 0),
            ("Ports", "string", 0),
            ("Endpoints", "string", 0),
            ("Age", "string", 0),
        ],
        row: endpoint_slice,
    },
    Columns {
        plural: "ingresses",
        headings: &[
            ("Name", "string", 0),
            ("Class", "string", 0),
            ("Hosts", "string", 0),
            ("Address", "string", 0),
            ("Ports", "string", 0),
            ("Age", "string", 0),
        ],
        row: ingress,
    },
    Columns {
        plural: "networkpolicies",
        headings: &[("Name", "string", 0), ("Pod-Selector", "string", 0), ("Age", "string", 0)],
        row: |object, now| vec![name(object), json!(selector(at(object, "spec.podSelector"))), age(object, now)],
    },
    Columns {
        plural: "horizontalpodautoscalers",
        headings: &[
            ("Name", "string", 0),
            ("Reference", "string", 0),
            ("Targets", "string", 0),
            ("MinPods", "string", 0),
            ("MaxPods", "string", 0),
            ("Replicas", "string", 0),
            ("Age", "string", 0),
        ],
        row: autoscaler,
    },
    Columns {
        plural: "poddisruptionbudgets",
        headings: &[
            ("Name", "string", 0),
            ("Min Available", "string", 0),
            ("Max Unavailable", "string", 0),
            ("Allowed Disruptions", "integer", 0),
            ("Age", "string", 0),
        ],
        row: |object, now| {
            let bound = |path: &str| json!(at(object, path).map_or_else(|| "N/A".to_owned(), plain));
            vec![
                name(object),
                bound("spec.minAvailable"),
                bound("spec.maxUnavailable"),
                count(object, "status.disruptionsAllowed"),
                age(object, now),
            ]
        },
    },
];

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn or_none(parts: &[String], separator: &str) -> Value {
    json!(if parts.is_empty() { "<none>".to_owned() } else { parts.join(separator) })
}

fn service(object: &Value, now: DateTime<Utc>) -> Vec<Value> {
    let ports: Vec<String> = items(object, "spec.ports")
        .iter()
        .map(|port| {
            let number = integer(port, "port").unwrap_or(0);
            let node = integer(port, "nodePort").map_or_else(String::new, |node| format!(":{node}"));
            format!("{number}{node}/{}", text(port, "protocol"))
        })
        .collect();
    let external: Vec<String> = match text(object, "spec.type") {
        "ExternalName" => vec![text(object, "spec.externalName").to_owned()],
        "LoadBalancer" => {
            let given: Vec<String> =
                items(object, "status.loadBalancer.ingress").iter().map(|at| text(at, "ip").to_owned()).collect();
            if given.is_empty() { vec!["<pending>".to_owned()] } else { given }
        }
        _ => items(object, "spec.externalIPs").iter().map(plain).collect(),
    };
    vec![
        name(object),
        json!(text(object, "spec.type")),
        text_or(object, "spec.clusterIP", "<none>"),
        or_none(&external, ","),
        or_none(&ports, ","),
        age(object, now),
        json!(selector(at(object, "spec.selector"))),
    ]
}

fn shortened(mut all: Vec<String>) -> Value {
    let total = all.len();
    if total > 3 {
        all.truncate(3);
        return json!(format!("{} + {} more...", all.join(","), total - 3));
    }
    or_none(&all, ",")
}

fn endpoints(object: &Value, now: DateTime<Utc>) -> Vec<Value> {
    let mut all = Vec::new();
    for subset in items(object, "subsets") {
        for port in items(subset, "ports") {
            for address in items(subset, "addresses") {
                all.push(format!("{}:{}", text(address, "ip"), integer(port, "port").unwrap_or(0)));
            }
        }
    }
    vec![name(object), shortened(all), age(object, now)]
}

fn endpoint_slice(object: &Value, now: DateTime<Utc>) -> Vec<Value> {
    let ports: Vec<String> =
        items(object, "ports").iter().filter_map(|port| integer(port, "port")).map(|port| port.to_string()).collect();
    let addresses: Vec<String> = items(object, "endpoints").iter().flat_map(|of| items(of, "addresses")).map(plain).collect();
    let unset = |cell: Value| if cell == json!("<none>") { json!("<unset>") } else { cell };
    vec![
        name(object),
        json!(text(object, "addressType")),
        unset(or_none(&ports, ",")),
        unset(shortened(addresses)),
        age(object, now),
    ]
}

fn ingress(object: &Value, now: DateTime<Utc>) -> Vec<Value> {
    let hosts: Vec<String> = items(object, "spec.rules")
        .iter()
        .map(|rule| text(rule, "host"))
        .map(|host| if host.is_empty() { "*".to_owned() } else { host.to_owned() })
        .collect();
    let addresses: Vec<String> = items(object, "status.loadBalancer.ingress")
        .iter()
        .map(|ingress| [text(ingress, "ip"), text(ingress, "hostname")].concat())
        .collect();
    let ports = if items(object, "spec.tls").is_empty() { "80" } else { "80, 443" };
    vec![
        name(object),
        text_or(object, "spec.ingressClassName", "<none>"),
        or_none(&hosts, ","),
        json!(addresses.join(",")),
        json!(ports),
        age(object, now),
    ]
}

fn autoscaler(object: &Value, now: DateTime<Utc>) -> Vec<Value> {
    let targets: Vec<String> = items(object, "spec.metrics")
        .iter()
        .enumerate()
        .map(|(index, metric)| {
            let resource = text(metric, "resource.name");
            let current = items(object, "status.currentMetrics").get(index);
            let used = current.and_then(|current| integer(current, "resource.current.averageUtilization"));
            let used = used.map_or_else(|| "<unknown>".to_owned(), |used| format!("{used}%"));
            let wanted = integer(metric, "resource.target.averageUtilization");
            let wanted = wanted.map_or_else(|| "<auto>".to_owned(), |wanted| format!("{wanted}%"));
            format!("{resource}: {used}/{wanted}")
        })
        .collect();
    vec![
        name(object),
        json!(format!("{}/{}", text(object, "spec.scaleTargetRef.kind"), text(object, "spec.scaleTargetRef.name"))),
        or_none(&targets, ", "),
        json!(count(object, "spec.minReplicas").to_string()),
        count(object, "spec.maxReplicas"),
        count(object, "status.currentReplicas"),
        age(object, now),
    ]
}
