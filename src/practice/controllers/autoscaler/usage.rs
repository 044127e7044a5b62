//! How many replicas the measured use asks for (`replica_calculator.go`): pure arithmetic in thousandths, as the real one counts.
//!
//! Pods that are not ready yet count as idle when there is too much to do, pods without a measurement as busy when there is too
//! little: a size never follows from pods that cannot be judged.

use chrono::{DateTime, Duration, Utc};
use serde_json::Value;
use std::collections::BTreeMap;

use crate::practice::object;
use crate::practice::quantity;

/// `--horizontal-pod-autoscaler-cpu-initialization-period`.
const CPU_INITIALISATION: Duration = Duration::minutes(5);
/// `--horizontal-pod-autoscaler-initial-readiness-delay`.
const INITIAL_READINESS: Duration = Duration::seconds(30);
/// The window of a sample, as the practice metrics say it.
const WINDOW: Duration = Duration::milliseconds(15_020);

/// One pod's measured use, in thousandths of a core or byte, and when it was measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    /// Thousandths.
    pub milli: i64,
    /// When.
    pub at: DateTime<Utc>,
}

/// What a metric is compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Goal {
    /// Percent of what the pods request.
    Utilisation(i64),
    /// Thousandths a pod.
    Average(i64),
}

/// How far from its goal a ratio may be: below, above.
#[derive(Clone, Copy, Debug)]
pub struct Tolerance {
    /// Below 1.
    pub down: f64,
    /// Above 1.
    pub up: f64,
}

impl Tolerance {
    fn holds(self, ratio: f64) -> bool {
        ratio >= 1.0 - self.down && ratio <= 1.0 + self.up
    }
}

/// What a metric asks for, and what it read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked {
    /// The size.
    pub replicas: i64,
    /// Use in percent of the requests; none where the goal is an average.
    pub percent: Option<i64>,
    /// Thousandths a pod.
    pub average: i64,
}

/// The question: which resource, of which container, against what.
pub struct Question<'a> {
    /// `cpu` or `memory`.
    pub what: &'a str,
    /// Only this container of each pod; empty for all.
    pub container: &'a str,
    /// What it is compared with.
    pub goal: Goal,
    /// How far off it may be.
    pub tolerance: Tolerance,
    /// The present size.
    pub current: i64,
    /// When it is asked.
    pub now: DateTime<Utc>,
}

/// The pods by what may be concluded from them.
#[derive(Default)]
struct Groups<'a> {
    measured: BTreeMap<&'a str, i64>,
    unready: Vec<&'a str>,
    missing: Vec<&'a str>,
}

impl Question<'_> {
    /// The answer over the pods of a target and their samples by name; what keeps it from being answered.
    pub fn answer(&self, pods: &[&Value], samples: &BTreeMap<String, Sample>) -> Result<Asked, String> {
        if pods.is_empty() {
            return Err("no pods returned by selector while calculating replica count".to_owned());
        }
        let mut groups = self.group(pods, samples);
        if groups.measured.is_empty() {
            return Err("did not receive metrics for targeted pods (pods might be unready)".to_owned());
        }
        let requests = match self.goal {
            Goal::Utilisation(_) => self.requests(pods)?,
            Goal::Average(_) => BTreeMap::new(),
        };
        let ready = groups.measured.len() as f64;
        let (ratio, percent, average) = self.ratio(&groups.measured, &requests)?;
        let asked = |replicas: i64| Ok(Asked { replicas, percent, average });
        let unready_matter = !groups.unready.is_empty() && ratio > 1.0;
        if !unready_matter && groups.missing.is_empty() {
            let within = self.tolerance.holds(ratio);
            return asked(if within { self.current } else { (ratio * ready).ceil() as i64 });
        }
        for pod in std::mem::take(&mut groups.missing) {
            let assumed = if ratio < 1.0 { self.busy(requests.get(pod).copied().unwrap_or(0)) } else { 0 };
            if (ratio - 1.0).abs() > f64::EPSILON {
                groups.measured.insert(pod, assumed);
            }
        }
        if unready_matter {
            groups.measured.extend(std::mem::take(&mut groups.unready).into_iter().map(|pod| (pod, 0)));
        }
        let again = self.ratio(&groups.measured, &requests)?.0;
        let turned = (ratio < 1.0 && again > 1.0) || (ratio > 1.0 && again < 1.0);
        if self.tolerance.holds(again) || turned {
            return asked(self.current);
        }
        let size = (again * groups.measured.len() as f64).ceil() as i64;
        let turned = (again < 1.0 && size > self.current) || (again > 1.0 && size < self.current);
        asked(if turned { self.current } else { size })
    }

    /// What a pod without a measurement is taken to use, so that none is removed for want of one.
    fn busy(&self, request: i64) -> i64 {
        match self.goal {
            Goal::Utilisation(percent) => request * percent.max(100) / 100,
            Goal::Average(milli) => milli,
        }
    }

    fn group<'a>(&self, pods: &[&'a Value], samples: &BTreeMap<String, Sample>) -> Groups<'a> {
        let mut groups = Groups::default();
        for &pod in pods {
            let (name, phase) = (object::name(pod), object::text(pod, "/status/phase"));
            if object::is_deleting(pod) || phase == "Failed" {
                continue;
            }
            match samples.get(name) {
                _ if phase == "Pending" => groups.unready.push(name),
                None => groups.missing.push(name),
                Some(sample) if self.what == "cpu" && self.is_too_early(pod, *sample) => groups.unready.push(name),
                Some(sample) => _ = groups.measured.insert(name, sample.milli),
            }
        }
        groups
    }

    /// Whether a pod's processor time says nothing yet: it starts, or never was ready.
    fn is_too_early(&self, pod: &Value, sample: Sample) -> bool {
        let (Some(ready), Some(started)) = (object::condition(pod, "Ready"), object::time(pod, "/status/startTime")) else {
            return true;
        };
        let unready = object::text(ready, "/status") == "False";
        let since = object::time(ready, "/lastTransitionTime").unwrap_or(started);
        if started + CPU_INITIALISATION > self.now {
            return unready || sample.at < since + WINDOW;
        }
        unready && started + INITIAL_READINESS > since
    }

    /// What the pods request, in thousandths by name; the first container that requests nothing.
    fn requests<'a>(&self, pods: &[&'a Value]) -> Result<BTreeMap<&'a str, i64>, String> {
        let what = self.what;
        let mut requests = BTreeMap::new();
        for &pod in pods {
            let name = object::name(pod);
            if self.container.is_empty() && object::fields(pod, "/spec/resources/requests").next().is_some() {
                let request = object::at(pod, &format!("/spec/resources/requests/{what}"));
                if request.is_null() {
                    return Err(format!("missing pod-level request for {what} in Pod {name}"));
                }
                requests.insert(name, milli(request));
                continue;
            }
            let sidecars = object::containers(pod, "initContainers").iter();
            let sidecars = sidecars.filter(|container| object::text(container, "/restartPolicy") == "Always");
            let all = object::containers(pod, "containers").iter().chain(sidecars);
            let asked: Vec<&Value> =
                all.filter(|of| self.container.is_empty() || object::text(of, "/name") == self.container).collect();
            if asked.is_empty() {
                return Err(format!("container {} not found in Pod {name}", self.container));
            }
            let mut sum = 0;
            for container in asked {
                let request = object::at(container, &format!("/resources/requests/{what}"));
                if request.is_null() {
                    let of = object::text(container, "/name");
                    return Err(format!("missing request for {what} in container {of} of Pod {name}"));
                }
                sum += milli(request);
            }
            requests.insert(name, sum);
        }
        Ok(requests)
    }

    /// Use over goal, use in percent of the requests, and thousandths a pod.
    fn ratio(&self, measured: &BTreeMap<&str, i64>, requests: &BTreeMap<&str, i64>) -> Result<(f64, Option<i64>, i64), String> {
        let total: i64 = measured.values().sum();
        let average = total / measured.len().max(1) as i64;
        match self.goal {
            Goal::Average(goal) => Ok((average as f64 / goal.max(1) as f64, None, average)),
            Goal::Utilisation(goal) => {
                let requested: i64 = measured.keys().filter_map(|pod| requests.get(pod)).sum();
                if requested == 0 {
                    return Err("no metrics returned matched known pods".to_owned());
                }
                let percent = total * 100 / requested;
                Ok((percent as f64 / goal.max(1) as f64, Some(percent), average))
            }
        }
    }
}

/// A quantity in thousandths.
pub fn milli(amount: &Value) -> i64 {
    (quantity::parse(amount) * 1000.0).round() as i64
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn pod(name: &str, phase: &str, ready: &str, request: &str) -> Value {
        json!({"metadata": {"name": name}, "spec": {"containers": [{"name": "app", "resources": {"requests": {"cpu": request}}}]},
            "status": {"phase": phase, "startTime": "2026-11-22T19:00:00Z",
                "conditions": [{"type": "Ready", "status": ready, "lastTransitionTime": "2026-11-22T19:00:10Z"}]}})
    }

    fn ask(pods: &[Value], used: &[(&str, i64)], goal: Goal, current: i64) -> Result<Asked, String> {
        let now: DateTime<Utc> = "2026-11-22T20:00:00Z".parse().unwrap();
        let samples = used.iter().map(|(name, milli)| ((*name).to_owned(), Sample { milli: *milli, at: now })).collect();
        let tolerance = Tolerance { down: 0.1, up: 0.1 };
        let question = Question { what: "cpu", container: "", goal, tolerance, current, now };
        question.answer(&pods.iter().collect::<Vec<_>>(), &samples)
    }

    fn size(pods: &[Value], used: &[(&str, i64)], current: i64) -> i64 {
        ask(pods, used, Goal::Utilisation(50), current).unwrap().replicas
    }

    #[test]
    fn a_size_follows_the_ratio_beyond_a_tenth() {
        let pods = [pod("a", "Running", "True", "100m"), pod("b", "Running", "True", "100m")];
        assert_eq!(size(&pods, &[("a", 90), ("b", 90)], 2), 4);
        assert_eq!(size(&pods, &[("a", 55), ("b", 55)], 2), 2, "within the tolerance");
        assert_eq!(size(&pods, &[("a", 56), ("b", 56)], 2), 3);
        assert_eq!(size(&pods, &[("a", 20), ("b", 20)], 2), 1);
        let asked = ask(&pods, &[("a", 90), ("b", 30)], Goal::Utilisation(50), 2).unwrap();
        assert_eq!((asked.percent, asked.average), (Some(60), 60));
        let asked = ask(&pods, &[("a", 90), ("b", 30)], Goal::Average(20), 2).unwrap();
        assert_eq!((asked.replicas, asked.percent, asked.average), (6, None, 60));
    }

    #[test]
    fn pods_that_cannot_be_judged_never_push_a_size() {
        let all = [pod("a", "Running", "True", "100m"), pod("b", "Running", "True", "100m"), pod("c", "Running", "True", "100m")];
        assert_eq!(size(&all, &[("a", 10), ("b", 10)], 3), 3, "c is taken to use all it requests: 40 % of it, and no removal");
        assert_eq!(size(&all, &[("a", 100), ("b", 100)], 3), 4, "c is taken to be idle");
        let starting = [pod("a", "Running", "True", "100m"), pod("b", "Pending", "False", "100m")];
        assert_eq!(size(&starting, &[("a", 100)], 2), 2, "half of what a uses is what b will take");
        let gone = [pod("a", "Running", "True", "100m"), pod("b", "Failed", "False", "100m")];
        assert_eq!(size(&gone, &[("a", 100)], 2), 2);
    }

    #[test]
    fn what_keeps_a_size_from_being_known_is_said() {
        let why = |pods: &[Value], used: &[(&str, i64)]| ask(pods, used, Goal::Utilisation(50), 1).unwrap_err();
        assert_eq!(why(&[], &[]), "no pods returned by selector while calculating replica count");
        let unready = [pod("a", "Running", "False", "100m")];
        assert_eq!(why(&unready, &[("a", 5)]), "did not receive metrics for targeted pods (pods might be unready)");
        let mut bare = pod("a", "Running", "True", "100m");
        bare["spec"]["containers"][0]["resources"] = json!({});
        assert_eq!(why(&[bare], &[("a", 5)]), "missing request for cpu in container app of Pod a");
    }
}
