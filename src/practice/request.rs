//! What a request is about: the real server's `RequestInfo`, and the format the client accepts.

use http::{HeaderMap, Method, header};

use super::query::{Query, percent_decode};
use super::resources::ResourceType;
use super::status::Status;
use super::store::Store;
use crate::protobuf::{self, Message};

const METADATA_MESSAGE: &str = "meta.v1.PartialObjectMetadata";

/// A path below `/api` or `/apis` that names a resource.
#[derive(Clone, Debug)]
pub struct Target {
    /// The type as it is stored.
    pub resource: &'static ResourceType,
    /// The type the path names: another one where it is a form of the stored type (`views`).
    pub served: &'static ResourceType,
    /// The namespace in the path; empty for none.
    pub namespace: String,
    /// The object in the path; empty for a collection.
    pub name: String,
    /// The subresource in the path; empty for none.
    pub subresource: String,
    /// What follows the subresource (node proxy paths), without its leading slash.
    pub rest: String,
}

/// How the client wants objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// As they are.
    Object,
    /// As rows for people.
    Table,
    /// Only their metadata.
    Metadata,
    /// Aggregated discovery.
    Discovery,
}

impl Target {
    /// The resource a path names, of those the store knows; none for a path outside the resources.
    pub fn parse(store: &Store, path: &str) -> Option<Self> {
        let mut parts = path.trim_start_matches('/').split('/').filter(|part| !part.is_empty()).map(percent_decode);
        let (group, version) = match parts.next()?.as_str() {
            "api" => (String::new(), parts.next()?),
            "apis" => (parts.next()?, parts.next()?),
            _ => return None,
        };
        let mut parts: Vec<String> = parts.collect();
        if parts.first().is_some_and(|part| part == "watch") {
            parts.remove(0);
        }
        let mut namespace = String::new();
        if parts.first().is_some_and(|part| part == "namespaces") && parts.len() > 2 && !is_namespace_subresource(&parts) {
            namespace = parts.drain(..2).nth(1)?;
        }
        let mut parts = parts.into_iter();
        let served = store.find_type(&group, &version, &parts.next()?)?;
        let name = parts.next().unwrap_or_default();
        let subresource = parts.next().unwrap_or_default();
        let rest: Vec<String> = parts.collect();
        Some(Self { resource: served.storage(), served, namespace, name, subresource, rest: rest.join("/") })
    }

    /// The RBAC verb of a method on this target.
    pub fn verb(&self, method: &Method, query: &Query) -> Result<&'static str, Status> {
        let watching = query.is_true("watch");
        let collection = self.name.is_empty();
        Ok(match (method.as_str(), collection) {
            ("GET" | "HEAD", _) if watching && self.subresource.is_empty() => "watch",
            ("GET" | "HEAD", true) => "list",
            ("GET" | "HEAD", false) => "get",
            ("POST", _) => "create",
            ("PUT", false) => "update",
            ("PATCH", false) => "patch",
            ("DELETE", true) => "deletecollection",
            ("DELETE", false) => "delete",
            _ => return Err(Status::method_not_allowed()),
        })
    }
}

fn is_namespace_subresource(parts: &[String]) -> bool {
    parts.len() == 3 && parts.get(2).is_some_and(|part| part == "status" || part == "finalize")
}

/// The format to answer in: the first acceptable one the server speaks. `message` is what the kind's objects are in protobuf; with
/// it comes the message to answer in, none for JSON.
pub fn format_of(headers: &HeaderMap, message: Option<&'static Message>) -> Result<(Format, Option<&'static Message>), Status> {
    let joined = accepted(headers);
    if joined.trim().is_empty() {
        return Ok((Format::Object, None));
    }
    let found = joined.split(',').find_map(|range| match format_of_range(range)? {
        (Format::Object, true) => message.map(|message| (Format::Object, Some(message))),
        (Format::Metadata, true) => Some((Format::Metadata, protobuf::schema().message(METADATA_MESSAGE))),
        (_, true) => None,
        (format, false) => Some((format, None)),
    });
    found.ok_or_else(Status::not_acceptable)
}

/// Whether errors go out in protobuf: the client prefers it.
pub fn prefers_protobuf(headers: &HeaderMap) -> bool {
    accepted(headers).trim_start().starts_with(protobuf::MEDIA_TYPE)
}

fn accepted(headers: &HeaderMap) -> String {
    let accepts: Vec<&str> = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok()).collect();
    accepts.join(",")
}

/// A media range as a format, and whether it is in protobuf.
fn format_of_range(range: &str) -> Option<(Format, bool)> {
    let mut parts = range.split(';').map(str::trim);
    let media = parts.next()?;
    let form = parts.find_map(|parameter| parameter.strip_prefix("as="));
    let is_protobuf = media == protobuf::MEDIA_TYPE;
    if !is_protobuf && !matches!((media, form), ("application/json", _) | (_, None)) {
        return None;
    }
    let format = match (media, form) {
        (_, Some("Table")) => Format::Table,
        (_, Some("PartialObjectMetadata" | "PartialObjectMetadataList")) => Format::Metadata,
        ("application/json", Some("APIGroupDiscoveryList")) => {
            let is_known = range.contains("v=v2;") || (range.contains("v=v2") && !range.contains("v2beta1"));
            return is_known.then_some((Format::Discovery, false));
        }
        (
            "application/json" | "*/*" | "application/*" | "text/plain" | "text/*" | "application/yaml" | protobuf::MEDIA_TYPE,
            None,
        ) => Format::Object,
        _ => return None,
    };
    Some((format, is_protobuf))
}
