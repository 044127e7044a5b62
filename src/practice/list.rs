//! Lists: selectors, pages, formats.
//!
//! A list is built by concatenating the stored bytes of its items; nothing is decoded unless a selector or a format needs it.

use std::sync::Arc;

use axum::response::Response;
use bytes::Bytes;
use serde_json::{Value, json};

use super::json::{at, integer, set, text};
use super::query::Query;
use super::reply::{self, Shape};
use super::request::{Format, Target};
use super::selectors::Selector;
use super::status::{Cause, Status};
use super::store::{After, Store, Stored};
use super::{base64, table, views};
use crate::protobuf;

/// Where the next page of a list begins.
struct Continue {
    version: u64,
    after: After,
}

/// Serves a list.
pub fn list(store: &Store, target: &Target, query: &Query, shape: Shape) -> Result<Response, Status> {
    let resource = target.resource;
    let selector = Selector::parse(target.served, query)?.named(&target.name);
    check_options(query)?;
    let token = query.get("continue").map(decode_token).transpose()?;
    if let Some(token) = &token
        && token.version < store.oldest(resource)
    {
        return Err(Status::expired(
            "The provided continue parameter is too old to display a consistent list result. You can start a new list without \
             the continue parameter, or use the continue token in this response to retrieve the remainder of the results. \
             Continuing with the provided token results in an inconsistent list - objects that were created, modified, or \
             deleted between the time the first chunk was returned and now may show up in the list.",
        ));
    }
    let limit = query.number("limit").filter(|limit| *limit > 0).map_or(usize::MAX, |limit| limit as usize);
    // Without a selector only the page is touched: a list of 100,000 has 200 of them.
    let most = if selector.is_everything() { limit } else { usize::MAX };
    let (stored, behind, now) = store.page(resource, namespace_of(target), token.as_ref().map(|token| &token.after), most);
    let version = token.as_ref().map_or(now, |token| token.version);
    check_version(query, version)?;
    let mut matching = matching(target, &selector, stored);
    let mut metadata = json!({"resourceVersion": version.to_string()});
    if matching.len() > limit || behind > 0 {
        let remaining = matching.len().saturating_sub(limit) + behind;
        matching.truncate(limit);
        let key = matching.last().map(|stored| stored.key.clone()).unwrap_or_default();
        let after = After { key, remaining: Some(remaining) };
        set(&mut metadata, "continue", encode_token(&Continue { version, after }));
        if selector.is_everything() {
            set(&mut metadata, "remainingItemCount", remaining);
        }
    }
    Ok(respond(target, &metadata, &matching, shape))
}

/// The namespace of a target, none for a list across all.
pub fn namespace_of(target: &Target) -> Option<&str> {
    (!target.namespace.is_empty()).then_some(target.namespace.as_str())
}

fn matching(target: &Target, selector: &Selector, stored: Vec<Arc<Stored>>) -> Vec<Arc<Stored>> {
    if selector.is_everything() {
        return stored;
    }
    stored.into_iter().filter(|stored| selector.matches(target.resource, &stored.object())).collect()
}

fn respond(target: &Target, metadata: &Value, stored: &[Arc<Stored>], shape: Shape) -> Response {
    let resource = target.resource;
    match shape.format {
        Format::Table => {
            let objects: Vec<Arc<Value>> = stored.iter().map(|stored| stored.object()).collect();
            let borrowed: Vec<&Value> = objects.iter().map(AsRef::as_ref).collect();
            let mut table = table::of_objects(resource, &borrowed, shape, true);
            set(&mut table, "metadata", metadata.clone());
            reply::json_value(200, &table)
        }
        Format::Metadata | Format::Object if let Some(message) = shape.message => {
            let messages = stored.iter().map(|stored| shape.message_of(message, Arc::clone(stored))).collect();
            reply::chunked(protobuf::MEDIA_TYPE, reply::list_messages(shape, metadata, messages))
        }
        Format::Metadata => {
            let items: Vec<Value> = stored.iter().map(|stored| reply::metadata_item(&stored.object())).collect();
            let list = json!({"kind": "PartialObjectMetadataList", "apiVersion": "meta.k8s.io/v1", "metadata": metadata,
                "items": items});
            reply::json_value(200, &list)
        }
        Format::Object | Format::Discovery => {
            let served = shape.served;
            let form = |stored: &Arc<Stored>| match served.stored_as {
                None => stored.bytes(),
                Some(_) => Bytes::from(views::to_served(served, &stored.object()).to_string()),
            };
            let bytes: Vec<Bytes> = stored.iter().map(form).collect();
            reply::chunked("application/json", reply::list_bytes(served, metadata, &bytes).into_iter())
        }
    }
}

/// A list "at least as new as" a version the server has not reached yet cannot be served.
fn check_version(query: &Query, version: u64) -> Result<(), Status> {
    let Some(asked) = query.get("resourceVersion") else { return Ok(()) };
    let Ok(asked) = asked.parse::<u64>() else {
        return Err(Status::bad_request(format!("Invalid resource version: {asked}")));
    };
    if asked > version {
        let mut status = Status::too_many_requests(format!("Too large resource version: {asked}, current: {version}"), 1);
        status.code = 504;
        status.reason = "Timeout";
        return Err(status);
    }
    // Lists of the past are not kept: an older version than the present is gone, as after a compaction.
    if query.get("resourceVersionMatch") == Some("Exact") && asked < version {
        return Err(Status::expired("The resourceVersion for the provided list is too old."));
    }
    Ok(())
}

/// 422 for parameters that exclude each other (`ValidateListOptions` of `apimachinery`).
fn check_options(query: &Query) -> Result<(), Status> {
    const FIELD: &str = "resourceVersionMatch";
    let Some(matching) = query.get(FIELD) else { return Ok(()) };
    let version = query.get("resourceVersion");
    let mut causes = Vec::new();
    if version.is_none() {
        causes.push(Cause::forbidden(FIELD, "resourceVersionMatch is forbidden unless resourceVersion is provided"));
    }
    if query.get("continue").is_some() {
        causes.push(Cause::forbidden(FIELD, "resourceVersionMatch is forbidden when continue is provided"));
    }
    if !matches!(matching, "Exact" | "NotOlderThan") {
        causes.push(Cause::unsupported(FIELD, matching, &["Exact", "NotOlderThan", ""]));
    }
    if matching == "Exact" && version == Some("0") {
        causes.push(Cause::forbidden(FIELD, "resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\""));
    }
    if causes.is_empty() { Ok(()) } else { Err(Status::invalid_options("ListOptions", &causes)) }
}

fn encode_token(token: &Continue) -> String {
    let plain = json!({"v": "meta.k8s.io/v1", "rv": token.version, "ns": token.after.key.0, "start": token.after.key.1,
        "remaining": token.after.remaining});
    base64::encode(plain.to_string().as_bytes())
}

fn decode_token(token: &str) -> Result<Continue, Status> {
    let plain: Option<Value> = base64::decode(token).and_then(|bytes| serde_json::from_slice(&bytes).ok());
    let decoded = plain.and_then(|plain| {
        let key = (text(&plain, "ns").to_owned(), at(&plain, "start")?.as_str()?.to_owned());
        let after = After { key, remaining: integer(&plain, "remaining").and_then(|remaining| remaining.try_into().ok()) };
        Some(Continue { version: u64::try_from(integer(&plain, "rv")?).ok()?, after })
    });
    decoded.ok_or_else(|| Status::bad_request("continue key is not valid: invalid character"))
}
