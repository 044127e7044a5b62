//! From the size the metrics ask for to the size that is set (`horizontal.go`): stabilisation, scaling policies, the limits.
//!
//! Pure: the past is [`History`], time is passed in. Without `spec.behavior` sizes go up at once, at most to the double or to four,
//! and down to the highest size asked for within five minutes.

use chrono::{DateTime, Duration, Utc};
use serde_json::Value;

use super::Condition;
use crate::practice::object;

/// `--horizontal-pod-autoscaler-downscale-stabilization`.
const DOWNSCALE_STABILISATION: i64 = 300;

/// What an autoscaler asked for, and what it changed.
#[derive(Default)]
pub struct History {
    asked: Vec<(DateTime<Utc>, i64)>,
    changes: Vec<(DateTime<Utc>, i64)>,
}

/// Sizes to choose between.
#[derive(Clone, Copy)]
pub struct Sizes {
    /// The present size.
    pub current: i64,
    /// What the metrics ask for.
    pub asked: i64,
    /// `minReplicas`.
    pub least: i64,
    /// `maxReplicas`.
    pub most: i64,
}

/// The size, and the conditions `AbleToScale` and `ScalingLimited` that say how it came about.
pub struct Chosen {
    /// The size to set.
    pub size: i64,
    /// The conditions.
    pub conditions: [Condition<'static>; 2],
}

const READY: (&str, &str) = ("ReadyForNewScale", "recommended size matches current size");
const HELD_UP: (&str, &str) =
    ("ScaleDownStabilized", "recent recommendations were higher than current one, applying the highest recent recommendation");
const HELD_DOWN: (&str, &str) =
    ("ScaleUpStabilized", "recent recommendations were lower than current one, applying the lowest recent recommendation");
const FAST_UP: (&str, &str) = ("ScaleUpLimit", "the desired replica count is increasing faster than the maximum scale rate");
const FAST_DOWN: (&str, &str) = ("ScaleDownLimit", "the desired replica count is decreasing faster than the maximum scale rate");
const MANY: (&str, &str) = ("TooManyReplicas", "the desired replica count is more than the maximum replica count");
const FEW: (&str, &str) = ("TooFewReplicas", "the desired replica count is less than the minimum replica count");
const FITS: (&str, &str) = ("DesiredWithinRange", "the desired count is within the acceptable range");

impl History {
    /// The size the target had when the autoscaler first saw it counts as asked for.
    pub fn first_seen(&mut self, now: DateTime<Utc>, current: i64) {
        if self.asked.is_empty() {
            self.asked.push((now, current));
        }
    }

    /// A size was set.
    pub fn changed(&mut self, now: DateTime<Utc>, by: i64) {
        self.changes.push((now, by));
    }

    /// Chooses a size; `behavior` is `spec.behavior`.
    pub fn choose(&mut self, now: DateTime<Utc>, sizes: Sizes, behavior: &Value) -> Chosen {
        let windows = [window(behavior, "scaleUp", 0), window(behavior, "scaleDown", DOWNSCALE_STABILISATION)];
        let (held, why) = self.stabilised(now, sizes, windows, behavior);
        let longest = windows.into_iter().max().unwrap_or(0);
        self.asked.retain(|(at, _)| now - *at <= Duration::seconds(longest));
        self.asked.push((now, sizes.asked));
        self.changes.retain(|(at, _)| now - *at <= Duration::seconds(1800));
        let (reason, message) = if held == sizes.asked { READY } else { why };
        let held = Sizes { asked: held, ..sizes };
        let (size, limit) = if behavior.is_object() { self.by_policies(now, held, behavior) } else { plainly(held) };
        let limited = if size == held.asked { "False" } else { "True" };
        Chosen { size, conditions: [("AbleToScale", "True", reason, message), ("ScalingLimited", limited, limit.0, limit.1)] }
    }

    /// The size that recent ones allow.
    fn stabilised(
        &self,
        now: DateTime<Utc>,
        sizes: Sizes,
        [up, down]: [i64; 2],
        behavior: &Value,
    ) -> (i64, (&'static str, &'static str)) {
        let within = |seconds: i64| {
            let recent = move |(at, _): &&(DateTime<Utc>, i64)| now - *at < Duration::seconds(seconds);
            self.asked.iter().filter(recent).map(|(_, size)| *size)
        };
        let highest = within(down).fold(sizes.asked, i64::max);
        if !behavior.is_object() {
            return (highest, HELD_UP);
        }
        let lowest = within(up).fold(sizes.asked, i64::min);
        let why = if sizes.asked >= sizes.current { HELD_DOWN } else { HELD_UP };
        (sizes.current.max(lowest).min(highest), why)
    }

    /// Within the limits and the scaling policies.
    fn by_policies(&self, now: DateTime<Utc>, sizes: Sizes, behavior: &Value) -> (i64, (&'static str, &'static str)) {
        if sizes.asked > sizes.current {
            let fastest = self.furthest(now, sizes.current, behavior, true).max(sizes.current);
            let (most, why) = if sizes.most > fastest { (fastest, FAST_UP) } else { (sizes.most, MANY) };
            return if sizes.asked > most { (most, why) } else { (sizes.asked, FITS) };
        }
        if sizes.asked < sizes.current {
            let fastest = self.furthest(now, sizes.current, behavior, false).min(sizes.current);
            let (least, why) = if sizes.least < fastest { (fastest, FAST_DOWN) } else { (sizes.least, FEW) };
            return if sizes.asked < least { (least, why) } else { (sizes.asked, FITS) };
        }
        (sizes.asked, FITS)
    }

    /// The size the policies of a direction allow at most, or at least.
    fn furthest(&self, now: DateTime<Utc>, current: i64, behavior: &Value, up: bool) -> i64 {
        let rules = object::at(behavior, if up { "/scaleUp" } else { "/scaleDown" });
        let select = object::text(rules, "/selectPolicy");
        if select == "Disabled" {
            return current;
        }
        let reach = object::items(rules, "/policies").iter().map(|policy| {
            let (value, period) =
                (object::int(policy, "/value").unwrap_or(0), object::int(policy, "/periodSeconds").unwrap_or(15));
            let recent = |(at, _): &&(DateTime<Utc>, i64)| now - *at < Duration::seconds(period);
            let began = current - self.changes.iter().filter(recent).map(|(_, by)| *by).sum::<i64>();
            let percent = object::text(policy, "/type") == "Percent";
            match (percent, up) {
                (false, true) => began + value,
                (false, false) => began - value,
                (true, true) => (began as f64 * (1.0 + value as f64 / 100.0)).ceil() as i64,
                (true, false) => (began as f64 * (1.0 - value as f64 / 100.0)) as i64,
            }
        });
        // `Max` is the greatest change: of those downwards the smallest size.
        let reach = if (select == "Min") == up { reach.min() } else { reach.max() };
        reach.unwrap_or(current)
    }
}

/// The stabilisation window of a direction.
fn window(behavior: &Value, direction: &str, default: i64) -> i64 {
    object::int(behavior, &format!("/{direction}/stabilizationWindowSeconds")).unwrap_or(default)
}

/// Within the limits, and at most the double or four.
fn plainly(sizes: Sizes) -> (i64, (&'static str, &'static str)) {
    let fastest = (2 * sizes.current).max(4);
    let (most, why) = if sizes.most > fastest { (fastest, FAST_UP) } else { (sizes.most, MANY) };
    if sizes.asked < sizes.least {
        return (sizes.least, FEW);
    }
    if sizes.asked > most { (most, why) } else { (sizes.asked, FITS) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::<Utc>::UNIX_EPOCH + Duration::seconds(seconds)
    }

    fn sizes(current: i64, asked: i64) -> Sizes {
        Sizes { current, asked, least: 2, most: 50 }
    }

    fn reasons(chosen: &Chosen) -> [&'static str; 2] {
        chosen.conditions.map(|condition| condition.2)
    }

    #[test]
    fn without_a_behaviour_a_size_at_most_doubles_or_becomes_four() {
        let mut history = History::default();
        let chosen = history.choose(at(0), sizes(5, 30), &Value::Null);
        assert_eq!((chosen.size, reasons(&chosen)), (10, ["ReadyForNewScale", "ScaleUpLimit"]));
        assert_eq!(history.choose(at(0), sizes(1, 30), &Value::Null).size, 4);
        let chosen = history.choose(at(0), sizes(30, 90), &Value::Null);
        assert_eq!((chosen.size, reasons(&chosen)), (50, ["ReadyForNewScale", "TooManyReplicas"]));
    }

    #[test]
    fn a_smaller_size_waits_until_no_greater_one_was_asked_for_in_five_minutes() {
        let mut history = History::default();
        history.first_seen(at(0), 8);
        let chosen = history.choose(at(15), sizes(8, 3), &Value::Null);
        assert_eq!((chosen.size, reasons(&chosen)), (8, ["ScaleDownStabilized", "DesiredWithinRange"]));
        let chosen = history.choose(at(316), sizes(8, 1), &Value::Null);
        assert_eq!((chosen.size, reasons(&chosen)), (2, ["ReadyForNewScale", "TooFewReplicas"]));
    }

    #[test]
    fn policies_bound_the_change_within_their_period() {
        let behavior = json!({
            "scaleUp": {"stabilizationWindowSeconds": 0, "selectPolicy": "Max",
                "policies": [{"type": "Pods", "value": 4, "periodSeconds": 15}, {"type": "Percent", "value": 100, "periodSeconds": 15}]},
            "scaleDown": {"stabilizationWindowSeconds": 0, "selectPolicy": "Min",
                "policies": [{"type": "Pods", "value": 1, "periodSeconds": 60}, {"type": "Percent", "value": 50, "periodSeconds": 60}]},
        });
        let mut history = History::default();
        let chosen = history.choose(at(0), sizes(3, 20), &behavior);
        assert_eq!((chosen.size, reasons(&chosen)), (7, ["ReadyForNewScale", "ScaleUpLimit"]));
        history.changed(at(0), 4);
        assert_eq!(history.choose(at(5), sizes(7, 20), &behavior).size, 7, "the four of this period are spent");
        assert_eq!(history.choose(at(20), sizes(7, 20), &behavior).size, 14);
        let chosen = history.choose(at(100), sizes(10, 3), &behavior);
        assert_eq!((chosen.size, reasons(&chosen)), (9, ["ReadyForNewScale", "ScaleDownLimit"]));
        let off = json!({"scaleDown": {"selectPolicy": "Disabled", "stabilizationWindowSeconds": 0}, "scaleUp": {}});
        assert_eq!(history.choose(at(500), sizes(10, 3), &off).size, 10);
    }

    #[test]
    fn a_window_upwards_takes_the_lowest_size_asked_for() {
        let behavior = json!({"scaleUp": {"stabilizationWindowSeconds": 60, "policies": [{"type": "Percent", "value": 900, "periodSeconds": 15}]},
            "scaleDown": {}});
        let mut history = History::default();
        history.first_seen(at(0), 3);
        let chosen = history.choose(at(15), sizes(3, 9), &behavior);
        assert_eq!((chosen.size, reasons(&chosen)), (3, ["ScaleUpStabilized", "DesiredWithinRange"]));
        assert_eq!(history.choose(at(61), sizes(3, 9), &behavior).size, 9);
    }
}
