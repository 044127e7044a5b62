//! The kubelet's `/metrics/resource`, a line at a time: counters and gauges of containers.
//!
//! Format: Prometheus text exposition; series as in the kubelet's `stability: STABLE` resource metrics:
//! `container_cpu_usage_seconds_total{container="c",namespace="n",pod="p"} 1.5 1763839000000`.

use crate::snapshot::UsageKey;

/// What one line says of a container.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Sample {
    /// CPU seconds since its start, with the time of measurement in milliseconds.
    Cpu(UsageKey, f64, Option<i64>),
    /// Working set in bytes.
    Memory(UsageKey, f64),
}

/// Reads one line; `None` for comments and other series.
pub(super) fn parse(line: &str) -> Option<Sample> {
    let (name, rest) = line.split_once('{')?;
    if !matches!(name, "container_cpu_usage_seconds_total" | "container_memory_working_set_bytes") {
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
    Some(Sample::Memory(key, value))
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
}
