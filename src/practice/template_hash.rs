//! `pod-template-hash`: a stable short name for a pod template.
//!
//! Invariant: equal templates hash equally whatever the order of their keys; the label itself is not part of the hash.

use super::object;
use serde_json::Value;

/// The alphabet of Kubernetes' `SafeEncodeString`: no vowels, so that no hash spells a word.
const ALPHABET: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";

/// The label that ties pods and `ReplicaSets` to a template.
pub const LABEL: &str = "pod-template-hash";

/// A template without its hash label, for comparing a Deployment's with a `ReplicaSet`'s.
pub fn bare(template: &Value) -> Value {
    let mut bare = template.clone();
    object::remove(&mut bare, &["metadata", "labels", LABEL]);
    object::remove(&mut bare, &["metadata", "creationTimestamp"]);
    bare
}

/// The hash of a template (its label is ignored).
pub fn of(template: &Value) -> String {
    let mut hash = Fnv(0x811c_9dc5);
    hash.value(&bare(template));
    hash.0
        .to_string()
        .bytes()
        .filter_map(|digit| ALPHABET.get(usize::from(digit) % ALPHABET.len()))
        .map(|byte| char::from(*byte))
        .collect()
}

struct Fnv(u32);

impl Fnv {
    fn bytes(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u32::from(*byte)).wrapping_mul(0x0100_0193);
        }
    }

    fn value(&mut self, value: &Value) {
        match value {
            Value::Object(map) => {
                let mut keys: Vec<_> = map.iter().collect();
                keys.sort_by_key(|(key, _)| *key);
                for (key, value) in keys {
                    self.bytes(key.as_bytes());
                    self.bytes(b":");
                    self.value(value);
                    self.bytes(b",");
                }
            }
            Value::Array(list) => {
                self.bytes(b"[");
                for value in list {
                    self.value(value);
                }
                self.bytes(b"]");
            }
            other => self.bytes(other.to_string().as_bytes()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_hash_ignores_its_own_label_and_sees_the_image() {
        let plain = json!({"metadata": {"labels": {"app": "a"}}, "spec": {"containers": [{"image": "x:1"}]}});
        let labelled = json!({"spec": {"containers": [{"image": "x:1"}]}, "metadata": {"labels": {"app": "a", LABEL: "zzz"}}});
        let other = json!({"metadata": {"labels": {"app": "a"}}, "spec": {"containers": [{"image": "x:2"}]}});
        assert_eq!(of(&plain), of(&labelled));
        assert_ne!(of(&plain), of(&other));
        assert!(of(&plain).len() >= 8, "{}", of(&plain));
    }
}
