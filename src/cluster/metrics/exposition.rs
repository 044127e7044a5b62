//! The kubelet's `/metrics/resource` and `/metrics/cadvisor`, a line at a time: counters and gauges of containers.
//!
//! Format: Prometheus text exposition; series as in the kubelet's `stability: STABLE` resource metrics:
//! `container_cpu_usage_seconds_total{container="c",namespace="n",pod="p"} 1.5 1763839000000`.

use std::collections::BTreeMap;

use crate::snapshot::UsageKey;

/// What one line says of a container.
#[derive(Debug, Clone, PartialEq)]
pub enum Sample {
    /// CPU seconds since its start, with the time of measurement in milliseconds.
    Cpu(UsageKey, f64, Option<i64>),
    /// Working set in bytes.
    Memory(UsageKey, f64),
    /// Page cache within the working set, in bytes.
    ActiveFile(UsageKey, f64),
}

/// Reads one line; `None` for comments and other series.
pub fn parse(line: &str) -> Option<Sample> {
    let (name, rest) = line.split_once('{')?;
    let known =
        ["container_cpu_usage_seconds_total", "container_memory_working_set_bytes", "container_memory_total_active_file_bytes"];
    if !known.contains(&name) {
        return None;
    }
    let (labels, values) = rest.rsplit_once('}')?;
    let mut values = values.split_whitespace();
    let value: f64 = values.next()?.parse().ok().filter(|v: &f64| v.is_finite())?;
    let key = UsageKey {
        namespace: label(labels, "namespace")?.into(),
        pod: label(labels, "pod")?.into(),
        container: label(labels, "container")?.into(),
    };
    if name.starts_with("container_cpu") {
        return Some(Sample::Cpu(key, value, values.next().and_then(|at| at.parse().ok())));
    }
    Some(if name.ends_with("active_file_bytes") { Sample::ActiveFile(key, value) } else { Sample::Memory(key, value) })
}

/// CPU throttling counters gathered from the lines of `/metrics/cadvisor`.
#[derive(Debug, Clone, Default)]
pub struct Throttling(BTreeMap<(String, String, String), (UsageKey, f64, f64)>);

impl Throttling {
    /// Takes a line, when it is about a pod `wanted` wants. Series without a container are the whole pod's.
    pub fn line(&mut self, line: &str, wanted: impl Fn(&UsageKey) -> bool) {
        let Some((name, rest)) = line.split_once('{') else { return };
        let throttled = match name {
            "container_cpu_cfs_periods_total" => false,
            "container_cpu_cfs_throttled_periods_total" => true,
            _ => return,
        };
        let Some((labels, values)) = rest.rsplit_once('}') else { return };
        let value: Option<f64> = values.split_whitespace().next().and_then(|v| v.parse().ok()).filter(|v: &f64| v.is_finite());
        let of = |name| label(labels, name).unwrap_or_default();
        let (Some(value), namespace, pod) = (value, of("namespace"), of("pod")) else { return };
        let container = of("container");
        if namespace.is_empty() || pod.is_empty() || container == "POD" {
            return;
        }
        let key = UsageKey { namespace: namespace.into(), pod: pod.into(), container: container.into() };
        if !wanted(&key) {
            return;
        }
        let sorted = (namespace.to_owned(), pod.to_owned(), container.to_owned());
        let entry = self.0.entry(sorted).or_insert((key, 0.0, 0.0));
        // A container that was restarted may still have its old cgroup's series: the busier one is the one that runs.
        if throttled { entry.2 = entry.2.max(value) } else { entry.1 = entry.1.max(value) }
    }

    /// Periods and throttled periods of each container that has a limit, by namespace, pod and container.
    pub fn samples(self) -> Vec<(UsageKey, f64, f64)> {
        self.0.into_values().filter(|(_, periods, _)| *periods > 0.0).collect()
    }
}

/// A label's value. Names of pods, namespaces and containers are DNS labels: nothing to unescape.
fn label<'a>(labels: &'a str, name: &str) -> Option<&'a str> {
    labels.split(',').find_map(|pair| {
        let (key, value) = pair.split_once('=')?;
        (key.trim() == name).then(|| value.trim().trim_matches('"'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn container_series_are_read_and_others_skipped() {
        let key = UsageKey { namespace: "shop".into(), pod: "web-1".into(), container: "app".into() };
        let cpu = r#"container_cpu_usage_seconds_total{container="app",namespace="shop",pod="web-1"} 6.25 1763839000000"#;
        assert_eq!(parse(cpu), Some(Sample::Cpu(key.clone(), 6.25, Some(1_763_839_000_000))));
        let memory = r#"container_memory_working_set_bytes{container="app",namespace="shop",pod="web-1"} 1.5e+07 1"#;
        assert_eq!(parse(memory), Some(Sample::Memory(key, 15_000_000.0)));
        assert_eq!(parse("# HELP container_cpu_usage_seconds_total x"), None);
        assert_eq!(parse("node_cpu_usage_seconds_total 12 1"), None);
        assert_eq!(parse(r#"pod_memory_working_set_bytes{namespace="a",pod="b"} 3 1"#), None);
    }

    #[test]
    fn throttling_is_read_by_container_and_for_the_pod_as_a_whole() {
        let mut found = Throttling::default();
        let labels = |container: &str| {
            format!(r#"container="{container}",id="/kubepods/x",image="",name="",namespace="shop",pod="web-1""#)
        };
        for (container, periods, throttled) in [("app", 1000, 400), ("", 1001, 401)] {
            let labels = labels(container);
            found.line(&format!("container_cpu_cfs_periods_total{{{labels}}} {periods} 1795379579205"), |_| true);
            found.line(&format!("container_cpu_cfs_throttled_periods_total{{{labels}}} {throttled} 1795379579205"), |_| true);
        }
        found.line(r#"container_cpu_cfs_periods_total{container="",id="/",image="",name="",namespace="",pod=""} 9"#, |_| true);
        found.line(&format!("container_cpu_cfs_periods_total{{{}}} 7", labels("other")), |key| &*key.container != "other");
        let seen: Vec<(String, f64, f64)> =
            found.samples().into_iter().map(|(k, a, b)| (k.container.to_string(), a, b)).collect();
        assert_eq!(seen, [(String::new(), 1001.0, 401.0), ("app".to_owned(), 1000.0, 400.0)]);
    }
}
