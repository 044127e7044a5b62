//! Responses: JSON bodies, `Status` errors, objects in the format the client accepts.

use axum::body::Body;
use axum::response::Response;
use bytes::{BufMut, Bytes, BytesMut};
use chrono::{DateTime, Utc};
use http::{HeaderName, HeaderValue, StatusCode, header};
use serde_json::{Value, json};

use super::json::{at, remove, set};
use super::request::Format;
use super::resources::ResourceType;
use super::status::Status;
use super::table::{self, Include};
use super::views;

/// What shapes an object on its way out.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// The accepted format.
    pub format: Format,
    /// For tables: what of the object travels beside the cells.
    pub include: Include,
    /// For tables: what ages are measured from.
    pub now: DateTime<Utc>,
    /// The type the client asked for, in whose form objects leave.
    pub served: &'static ResourceType,
}

/// A response with a body that is already JSON.
pub fn json_bytes(code: u16, body: impl Into<Body>) -> Response {
    with_type(code, "application/json", body)
}

/// A response with that content type.
pub fn with_type(code: u16, content_type: &'static str, body: impl Into<Body>) -> Response {
    let mut response = Response::new(body.into());
    *response.status_mut() = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache, private"));
    response
}

/// A response with a JSON value.
pub fn json_value(code: u16, value: &Value) -> Response {
    json_bytes(code, value.to_string())
}

/// A `Status` error; 429 carries `Retry-After`.
pub fn error(status: &Status) -> Response {
    let mut response = json_value(status.code, &status.to_value());
    if let Some(seconds) = at(&status.details, "retryAfterSeconds").and_then(Value::as_u64) {
        response.headers_mut().insert(HeaderName::from_static("retry-after"), HeaderValue::from(seconds));
    }
    response
}

/// One object, shaped.
pub fn object(code: u16, resource: &ResourceType, object: &Value, shape: Shape) -> Response {
    if shape.format == Format::Table {
        return json_value(code, &table::of_objects(resource, &[object], shape, true));
    }
    let form = shape.served.stored_as.is_some().then(|| views::to_served(shape.served, object));
    let object = form.as_ref().unwrap_or(object);
    match shape.format {
        Format::Metadata => json_value(code, &metadata_only(object)),
        Format::Object | Format::Discovery | Format::Table => json_value(code, object),
    }
}

/// The object as `PartialObjectMetadata`.
pub fn metadata_only(object: &Value) -> Value {
    json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": object.get("metadata")})
}

/// `{"kind":...,"apiVersion":...,"metadata":{...},"items":[` and the items as they are stored, without the kind each of them
/// would repeat: a typed list of the real server leaves it out too.
pub fn list_bytes(resource: &ResourceType, metadata: &Value, items: &[Bytes]) -> Vec<Bytes> {
    const CHUNK: usize = 128 * 1024;
    let prefix = format!("{{\"apiVersion\":\"{}\",\"kind\":\"{}\",", resource.api_version(), resource.kind);
    let mut chunks = Vec::new();
    let mut buffer = BytesMut::with_capacity(items.iter().map(|item| item.len() + 1).sum::<usize>().min(CHUNK) + 512);
    let head = format!(
        "{{\"kind\":\"{}List\",\"apiVersion\":\"{}\",\"metadata\":{metadata},\"items\":[",
        resource.kind,
        resource.api_version()
    );
    buffer.put_slice(head.as_bytes());
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            buffer.put_u8(b',');
        }
        if let Some(rest) = item.strip_prefix(prefix.as_bytes()) {
            buffer.put_u8(b'{');
            buffer.put_slice(rest);
        } else {
            buffer.put_slice(item);
        }
        if buffer.len() > CHUNK {
            chunks.push(buffer.split().freeze());
            buffer.reserve(CHUNK);
        }
    }
    buffer.put_slice(b"]}\n");
    chunks.push(buffer.freeze());
    chunks
}

/// The `Status` of a delete that is done.
pub fn deleted(resource: &ResourceType, object: &Value) -> Value {
    let mut details = json!({"name": at(object, "metadata.name"), "kind": resource.plural, "uid": at(object, "metadata.uid")});
    if !resource.group.is_empty() {
        set(&mut details, "group", resource.group);
    }
    json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details})
}

/// A list of partial metadata: each item without its kind.
pub fn metadata_item(object: &Value) -> Value {
    let mut item = metadata_only(object);
    remove(&mut item, "kind");
    remove(&mut item, "apiVersion");
    item
}
