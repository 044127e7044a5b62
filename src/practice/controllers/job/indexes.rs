//! Indexed completion: which numbers of a Job are done, and which want a pod.

use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;

use crate::practice::object;

/// The label and annotation that number a pod.
const INDEX: &str = "batch.kubernetes.io/job-completion-index";

/// Whether a Job counts by numbers.
pub fn is_indexed(job: &Value) -> bool {
    object::text(job, "/spec/completionMode") == "Indexed"
}

/// The number of a pod.
pub fn of(pod: &Value) -> Option<i64> {
    object::annotation(pod, INDEX).parse().ok()
}

/// The numbers that some pod has done.
pub fn done(pods: &[Arc<Value>]) -> BTreeSet<i64> {
    pods.iter().filter(|pod| object::text(pod, "/status/phase") == "Succeeded").filter_map(|pod| of(pod)).collect()
}

/// The numbers a status says are done already: pods that are gone still count.
pub fn read(written: &str) -> BTreeSet<i64> {
    let ranges = written.split(',').filter_map(|part| {
        let (from, to) = part.split_once('-').unwrap_or((part, part));
        Some(from.parse().ok()?..=to.parse().ok()?)
    });
    ranges.flatten().collect()
}

/// The numbers that want a pod, the lowest first.
pub fn wanted(completions: i64, done: &BTreeSet<i64>, active: &[Arc<Value>]) -> Vec<i64> {
    let busy: BTreeSet<i64> = active.iter().filter_map(|pod| of(pod)).collect();
    (0..completions).filter(|index| !done.contains(index) && !busy.contains(index)).collect()
}

/// `0,2-4`: how the status writes numbers.
pub fn written(done: &BTreeSet<i64>) -> String {
    let mut ranges: Vec<(i64, i64)> = Vec::new();
    for index in done {
        match ranges.last_mut() {
            Some((_, last)) if *last + 1 == *index => *last = *index,
            _ => ranges.push((*index, *index)),
        }
    }
    let parts = ranges.into_iter().map(|(first, last)| match last - first {
        0 => first.to_string(),
        1 => format!("{first},{last}"),
        _ => format!("{first}-{last}"),
    });
    parts.collect::<Vec<_>>().join(",")
}

/// Numbers a pod: its name, label, annotation, host name, and the variable its containers read.
pub fn number(pod: &mut Value, job: &str, index: i64) {
    let number = index.to_string();
    object::put(pod, &["metadata", "generateName"], json!(format!("{job}-{index}-")));
    object::put(pod, &["metadata", "labels", INDEX], json!(number));
    object::put(pod, &["metadata", "annotations", INDEX], json!(number));
    object::put(pod, &["spec", "hostname"], json!(format!("{job}-{index}")));
    for list in ["/spec/containers", "/spec/initContainers"] {
        for container in pod.pointer_mut(list).and_then(Value::as_array_mut).into_iter().flatten() {
            let mut variables = object::items(container, "/env").to_vec();
            if variables.iter().any(|variable| object::text(variable, "/name") == "JOB_COMPLETION_INDEX") {
                continue;
            }
            variables.push(json!({"name": "JOB_COMPLETION_INDEX",
                "valueFrom": {"fieldRef": {"fieldPath": format!("metadata.labels['{INDEX}']")}}}));
            object::put(container, &["env"], json!(variables));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_in_ranges_and_read_again() {
        for (numbers, expected) in [(&[][..], ""), (&[0], "0"), (&[0, 1], "0,1"), (&[0, 2, 3, 4, 7], "0,2-4,7")] {
            let done: BTreeSet<i64> = numbers.iter().copied().collect();
            assert_eq!(written(&done), expected);
            assert_eq!(read(expected), done);
        }
    }
}
