//! Watch events of the load: pods that fail their readiness probe for a second, and the events that say so.
//!
//! Each change is one edit of the stored text, serialised once; watches share its bytes.

use std::collections::VecDeque;
use std::time::Duration;

use serde_json::json;
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::practice::clock::timestamp;
use crate::practice::random::Random;
use crate::practice::resources::{EVENTS, PODS};
use crate::practice::store::Store;

/// How often changes are made; a tenth of a second's worth at once would be a burst no cluster has.
const STEP: Duration = Duration::from_millis(10);
/// How long a pod stays unready.
const UNREADY: Duration = Duration::from_secs(1);

type Key = (String, String);

/// Changes `per_second` objects of the load each second, for ever: half of them pods, half of them events about them.
pub async fn stream(store: Store, per_second: usize, seed: u64) {
    let (stored, _) = store.list_stored(&PODS, None);
    let pods: Vec<Key> = stored.iter().filter(|pod| pod.is_load()).map(|pod| pod.key.clone()).collect();
    drop(stored);
    if per_second == 0 || pods.is_empty() {
        return;
    }
    let mut random = Random::of(seed, "load");
    let mut unready: VecDeque<(Instant, Key)> = VecDeque::new();
    let mut step = interval(STEP);
    step.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let (start, mut made) = (Instant::now(), 0.0);
    loop {
        step.tick().await;
        let due = start.elapsed().as_secs_f64() * per_second as f64;
        // After a pause of the machine: no burst.
        made = f64::max(made, due - per_second as f64 / 10.0);
        while made < due {
            made += 2.0;
            if unready.front().is_some_and(|(since, _)| since.elapsed() >= UNREADY) {
                if let Some((_, pod)) = unready.pop_front() {
                    turn(&store, &pod, true);
                    say(&store, &pod, "Normal", "Started", "Started container app");
                }
            } else if let Some(pod) = random.pick(&pods) {
                turn(&store, pod, false);
                let probe = "Readiness probe failed: HTTP probe failed with statuscode: 503";
                say(&store, pod, "Warning", "Unhealthy", probe);
                unready.push_back((Instant::now(), pod.clone()));
            }
        }
    }
}

/// The pod's kubelet reports it ready or not.
fn turn(store: &Store, pod: &Key, ready: bool) {
    let (was, is) = if ready { ("False", "True") } else { ("True", "False") };
    store.change_inert(&PODS, pod, |version, before| {
        let text = before?;
        let mut text = with_version(text, version)?;
        for condition in ["Ready", "ContainersReady"] {
            let status = |status: &str| format!("\"status\":\"{status}\",\"type\":\"{condition}\"");
            text = text.replace(&status(was), &status(is));
        }
        Some(text.replace(&format!("\"ready\":{}", !ready), &format!("\"ready\":{ready}")))
    });
}

/// An event about the pod; the same again counts up.
fn say(store: &Store, pod: &Key, kind: &str, reason: &str, message: &str) {
    let now = timestamp(store.clock().now());
    let name = format!("{}.{:x}", pod.1, reason.bytes().fold(17_u64, |hash, byte| hash * 31 + u64::from(byte)));
    let key = (pod.0.clone(), name);
    store.change_inert(&EVENTS, &key, |version, before| {
        let count = before.and_then(|text| number_after(text, "\"count\":")).unwrap_or(0) + 1;
        let object = json!({"apiVersion": "v1", "kind": "Event",
            "metadata": {"name": key.1, "namespace": key.0, "uid": format!("10adeeee-0000-4000-8000-{version:012x}"),
                "resourceVersion": version.to_string(), "creationTimestamp": now},
            "involvedObject": {"apiVersion": "v1", "kind": "Pod", "namespace": pod.0, "name": pod.1,
                "fieldPath": "spec.containers{app}"},
            "reason": reason, "message": message, "type": kind, "count": count, "firstTimestamp": now, "lastTimestamp": now,
            "source": {"component": "kubelet"}, "reportingComponent": "kubelet", "reportingInstance": ""});
        Some(object.to_string())
    });
}

/// The text with another resourceVersion.
fn with_version(text: &str, version: u64) -> Option<String> {
    const FIELD: &str = "\"resourceVersion\":\"";
    let (head, rest) = text.split_once(FIELD)?;
    let (_, tail) = rest.split_once('"')?;
    Some(format!("{head}{FIELD}{version}\"{tail}"))
}

fn number_after(text: &str, field: &str) -> Option<u64> {
    let (_, rest) = text.split_once(field)?;
    rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::practice::clock::Clock;
    use crate::practice::load;

    #[test]
    fn a_pod_turns_unready_and_back_and_watches_are_told() {
        let store = Store::new(Clock::new(1.0), 1);
        load::fill(&store, 3).unwrap();
        let pod = store.list_stored(&PODS, None).0.first().unwrap().key.clone();
        let (_, mut watch) = store.list_and_subscribe(&PODS);
        let mut controller = store.subscribe(&PODS);
        let was = store.stored(&PODS, &pod.0, &pod.1).unwrap();
        let status = |object: &serde_json::Value| object["status"]["containerStatuses"][0]["ready"].clone();
        turn(&store, &pod, false);
        let change = watch.receiver.try_recv().unwrap();
        assert_eq!(status(&change.whole()), false);
        assert_eq!(change.whole()["metadata"]["resourceVersion"], change.version.to_string());
        assert!(controller.try_recv().is_err(), "no controller runs the load");
        turn(&store, &pod, true);
        let back = store.stored(&PODS, &pod.0, &pod.1).unwrap();
        assert_eq!(back.object()["status"], was.object()["status"]);
        say(&store, &pod, "Warning", "Unhealthy", "no");
        say(&store, &pod, "Warning", "Unhealthy", "no");
        let (events, _) = store.list_stored(&EVENTS, None);
        assert_eq!(events.first().unwrap().object()["count"], 2);
    }
}
