//! The arithmetic of a rollout: sizes, surge and unavailability.
//!
//! Percentages of surge round up, of unavailability down; both zero would never move, so one pod may then be unavailable.

use super::super::super::object;
use serde_json::Value;

/// `spec.replicas`, 1 when absent.
pub fn size(object: &Value) -> i64 {
    object::int(object, "/spec/replicas").unwrap_or(1)
}

/// A number of a `ReplicaSet`'s status.
pub fn reported(set: &Value, field: &str) -> i64 {
    object::at(set, "/status").get(field).and_then(Value::as_i64).unwrap_or(0)
}

/// Pods a rollout may have beyond the wanted number.
pub fn surge(deployment: &Value) -> i64 {
    if rolling(deployment) { resolved(deployment).0 } else { 0 }
}

/// Pods that may be missing from the wanted number during a rollout.
pub fn unavailable(deployment: &Value) -> i64 {
    if !rolling(deployment) || size(deployment) == 0 {
        return 0;
    }
    resolved(deployment).1.min(size(deployment))
}

fn rolling(deployment: &Value) -> bool {
    object::text(deployment, "/spec/strategy/type") != "Recreate"
}

fn resolved(deployment: &Value) -> (i64, i64) {
    let total = size(deployment);
    let surge = share(object::at(deployment, "/spec/strategy/rollingUpdate/maxSurge"), total, true);
    let unavailable = share(object::at(deployment, "/spec/strategy/rollingUpdate/maxUnavailable"), total, false);
    if surge == 0 && unavailable == 0 { (0, 1) } else { (surge, unavailable) }
}

fn share(value: &Value, total: i64, up: bool) -> i64 {
    if let Some(number) = value.as_i64() {
        return number;
    }
    let percent = value.as_str().unwrap_or("25%").trim_end_matches('%').parse::<i64>().unwrap_or(25);
    let scaled = percent * total;
    if up { (scaled + 99) / 100 } else { scaled / 100 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn deployment(replicas: i64, surge: &Value, unavailable: &Value) -> Value {
        json!({"spec": {"replicas": replicas, "strategy": {"type": "RollingUpdate",
            "rollingUpdate": {"maxSurge": surge, "maxUnavailable": unavailable}}}})
    }

    #[test]
    fn percentages_round_as_the_real_controller_rounds() {
        let third = deployment(3, &json!("25%"), &json!("25%"));
        assert_eq!((surge(&third), unavailable(&third)), (1, 0));
        let ten = deployment(10, &json!("25%"), &json!("25%"));
        assert_eq!((surge(&ten), unavailable(&ten)), (3, 2));
        let stuck = deployment(3, &json!(0), &json!("0%"));
        assert_eq!((surge(&stuck), unavailable(&stuck)), (0, 1));
    }
}
