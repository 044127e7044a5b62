//! Responses: JSON bodies, `Status` errors, objects in the format the client accepts.

use std::ops::Deref;
use std::sync::Arc;

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
use super::store::Stored;
use super::table::{self, Include};
use super::views;
use crate::protobuf::{self, Message};

/// What shapes an object on its way out.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// The accepted format.
    pub format: Format,
    /// The message to answer in; none for JSON.
    pub message: Option<&'static Message>,
    /// For tables: what of the object travels beside the cells.
    pub include: Include,
    /// For tables: what ages are measured from.
    pub now: DateTime<Utc>,
    /// The type the client asked for, in whose form objects leave.
    pub served: &'static ResourceType,
}

impl Shape {
    /// `apiVersion` and `kind` of one object on its way out.
    pub fn kind(&self) -> (String, &'static str) {
        match self.format {
            Format::Metadata => ("meta.k8s.io/v1".to_owned(), "PartialObjectMetadata"),
            _ => (self.served.api_version(), self.served.kind),
        }
    }

    /// A stored object as the message it leaves in.
    pub fn message_of<S: Deref<Target = Stored>>(&self, message: &'static Message, stored: S) -> Outgoing<S> {
        match (self.format, self.served.stored_as) {
            (Format::Object, None) => Outgoing::Stored(stored, message),
            (_, None) => Outgoing::Made(protobuf::write(message, &stored.object())),
            (_, Some(_)) => Outgoing::Made(protobuf::write(message, &views::to_served(self.served, &stored.object()))),
        }
    }
}

/// A message on its way out: that of the store, which is not copied, or one of its own.
pub enum Outgoing<S> {
    /// As it is stored.
    Stored(S, &'static Message),
    /// In another form.
    Made(Vec<u8>),
}

impl<S: Deref<Target = Stored>> AsRef<[u8]> for Outgoing<S> {
    fn as_ref(&self) -> &[u8] {
        match self {
            Self::Stored(stored, message) => stored.message(message),
            Self::Made(bytes) => bytes,
        }
    }
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

/// A response with an object's message.
pub fn message(code: u16, api_version: impl AsRef<str>, kind: &str, message: &[u8]) -> Response {
    with_type(code, protobuf::MEDIA_TYPE, protobuf::envelope(api_version.as_ref(), kind, message))
}

/// A `Status` as a body in protobuf.
pub fn status_message(status: &Status) -> Option<Vec<u8>> {
    let message = protobuf::schema().message("meta.v1.Status")?;
    Some(protobuf::envelope("v1", "Status", &protobuf::write(message, &status.to_value())))
}

/// A `Status` error as JSON.
pub fn error(status: &Status) -> Response {
    error_in(status, false)
}

/// A `Status` error, in protobuf or as JSON; 429 carries `Retry-After`.
pub fn error_in(status: &Status, in_protobuf: bool) -> Response {
    let mut response = match in_protobuf.then(|| status_message(status)).flatten() {
        Some(body) => with_type(status.code, protobuf::MEDIA_TYPE, body),
        None => json_value(status.code, &status.to_value()),
    };
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
    if let Some(of_object) = shape.message {
        let (api_version, kind) = shape.kind();
        return message(code, api_version, kind, &protobuf::write(of_object, object));
    }
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

/// A list of messages in protobuf.
pub fn list_messages(
    shape: Shape,
    metadata: &Value,
    items: Vec<Outgoing<Arc<Stored>>>,
) -> impl Iterator<Item = Bytes> + Send + use<> {
    const CHUNK: usize = 64 * 1024;
    let text = |name: &str| super::json::text(metadata, name).to_owned();
    let (api_version, kind) = shape.kind();
    let meta = protobuf::ListHead {
        resource_version: text("resourceVersion"),
        more: text("continue"),
        remaining: at(metadata, "remainingItemCount").and_then(Value::as_i64),
    };
    let (begun, tail) = protobuf::list_envelope(&api_version, &format!("{kind}List"), &meta.write(), &items);
    let (mut begun, mut items) = (Some(begun), items.into_iter());
    let mut is_over = false;
    std::iter::from_fn(move || {
        if is_over {
            return None;
        }
        let mut chunk = begun.take().unwrap_or_default();
        chunk.reserve(CHUNK + CHUNK / 4);
        while chunk.len() <= CHUNK && !is_over {
            if let Some(item) = items.next() {
                protobuf::list_item(&mut chunk, item.as_ref());
            } else {
                chunk.extend_from_slice(&tail);
                is_over = true;
            }
        }
        Some(Bytes::from(chunk))
    })
}

/// A response of several chunks, each made when it is its turn; of one as a whole, with its length.
pub fn chunked(content_type: &'static str, mut chunks: impl Iterator<Item = Bytes> + Send + 'static) -> Response {
    match (chunks.next(), chunks.next()) {
        (Some(only), None) => with_type(200, content_type, only),
        (first, second) => {
            let chunks = first.into_iter().chain(second).chain(chunks).map(Ok::<_, std::convert::Infallible>);
            with_type(200, content_type, Body::from_stream(futures::stream::iter(chunks)))
        }
    }
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
