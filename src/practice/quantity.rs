//! Kubernetes quantities (`250m`, `128Mi`, `1.5`) to numbers.
//!
//! Invariant: anything unreadable is 0, as an absent request counts.

use serde_json::Value;

const SUFFIXES: &[(&str, f64)] = &[
    ("Ki", 1024.0),
    ("Mi", 1_048_576.0),
    ("Gi", 1_073_741_824.0),
    ("Ti", 1_099_511_627_776.0),
    ("n", 1e-9),
    ("u", 1e-6),
    ("m", 1e-3),
    ("k", 1e3),
    ("M", 1e6),
    ("G", 1e9),
    ("T", 1e12),
];

/// The number of base units (cores, bytes, pods).
pub fn parse(quantity: &Value) -> f64 {
    match quantity {
        Value::Number(number) => number.as_f64().unwrap_or(0.0),
        Value::String(text) => parse_text(text),
        _ => 0.0,
    }
}

fn parse_text(text: &str) -> f64 {
    for (suffix, factor) in SUFFIXES {
        if let Some(digits) = text.strip_suffix(suffix) {
            return digits.parse::<f64>().map_or(0.0, |number| number * factor);
        }
    }
    text.parse().unwrap_or(0.0)
}

/// Bytes as the largest binary unit that divides them, the way the API server prints sums of `Mi` quantities.
pub fn bytes(amount: f64) -> String {
    let whole = amount.round() as u64;
    for (suffix, unit) in [("Gi", 1_u64 << 30), ("Mi", 1 << 20), ("Ki", 1 << 10)] {
        if whole >= unit && whole.is_multiple_of(unit) {
            return format!("{}{suffix}", whole / unit);
        }
    }
    whole.to_string()
}

/// Cores, in millicores unless whole.
pub fn cores(amount: f64) -> String {
    let milli = (amount * 1000.0).round() as u64;
    if milli.is_multiple_of(1000) { (milli / 1000).to_string() } else { format!("{milli}m") }
}

/// Thousandths as Kubernetes writes sums and averages: in the largest decimal unit that divides them.
pub fn decimal(milli: i64) -> String {
    let (mut amount, mut units) = (milli, ["m", "", "k", "M", "G", "T"].iter());
    while amount != 0 && amount % 1000 == 0 && units.len() > 1 {
        amount /= 1000;
        units.next();
    }
    if amount == 0 { "0".to_owned() } else { format!("{amount}{}", units.next().copied().unwrap_or_default()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn quantities_read_as_kubernetes_reads_them() {
        for (written, expected) in [("250m", 0.25), ("128Mi", 134_217_728.0), ("2", 2.0), ("1.5", 1.5), ("1k", 1000.0)] {
            assert!((parse(&json!(written)) - expected).abs() < 1e-9, "{written}");
        }
        assert!(parse(&json!("nonsense")).abs() < 1e-9);
        assert_eq!(bytes(134_217_728.0), "128Mi");
        assert_eq!(cores(0.25), "250m");
        assert_eq!(cores(2.0), "2");
    }

    #[test]
    fn thousandths_are_written_in_the_largest_unit_that_divides_them() {
        for (milli, expected) in [(0, "0"), (250, "250m"), (2000, "2"), (9_400_320_000, "9400320"), (9_400_000_000, "9400k")] {
            assert_eq!(decimal(milli), expected);
        }
    }
}
