//! Request bodies in protobuf, which kubectl's typed clients send.

use serde_json::Value;

use super::json;
use crate::protobuf::{Message, open_envelope, read, schema};

/// Decodes a body that begins with Kubernetes' protobuf magic; none for anything else, or for a kind without a message.
pub fn decode(body: &[u8]) -> Option<Value> {
    let (api_version, kind, raw) = open_envelope(body).ok()?;
    let mut object: Value = read(message(&api_version, &kind)?, raw).ok()?;
    json::set(&mut object, "kind", kind);
    json::set(&mut object, "apiVersion", api_version);
    Some(object)
}

/// Options are of `meta.v1` in every group.
fn message(api_version: &str, kind: &str) -> Option<&'static Message> {
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    schema().of_kind(group, version, kind).or_else(|| schema().message(&format!("meta.v1.{kind}")))
}
