//! Requests over the connection: time limits, `Status` errors, bodies as bytes or streams.
//!
//! Not `Client::request`: it copies each body twice and logs whole bodies when they cannot be decoded.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use chrono::Utc;
use futures::stream::{BoxStream, StreamExt, TryStreamExt};
use http::{Method, Request, Response, header};
use kube::client::Body;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::{Connection, Error};
use crate::protobuf;
use crate::text::Text;

/// How long a one-shot call may take.
pub(super) const CALL_LIMIT: Duration = Duration::from_secs(15);
/// Largest answer of a one-shot call: an object is at most 1.5 MiB in etcd, discovery of a large cluster a few.
const LARGEST_ANSWER: usize = 64 << 20;
/// How much of an error's body is read.
const LARGEST_ERROR: usize = 64 << 10;

/// `Accept` for plain JSON.
pub(super) const JSON: &str = "application/json";
/// `Accept` for a list of which only the metadata is wanted; a server that cannot answers with the objects.
pub(super) const METADATA_LIST: &str = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1, application/json";

/// A body as it arrives.
pub(super) type BodyStream = BoxStream<'static, Result<Bytes, Error>>;

/// A request to make.
#[derive(Debug, Clone)]
pub(super) struct Call<'a> {
    pub(super) method: Method,
    pub(super) path: &'a str,
    pub(super) accept: &'a str,
    pub(super) body: Option<(&'a str, Vec<u8>)>,
    pub(super) limit: Duration,
}

impl<'a> Call<'a> {
    pub(super) fn get(path: &'a str) -> Self {
        Self { method: Method::GET, path, accept: JSON, body: None, limit: CALL_LIMIT }
    }

    fn request(self) -> Result<Request<Body>, http::Error> {
        let builder = Request::builder().method(self.method).uri(self.path).header(header::ACCEPT, self.accept);
        match self.body {
            Some((content_type, body)) => builder.header(header::CONTENT_TYPE, content_type).body(Body::from(body)),
            None => builder.body(Body::from(Vec::new())),
        }
    }
}

impl Connection {
    /// The response, once it is known to be a success.
    async fn send(&self, request: Request<Body>) -> Result<Response<Body>, Error> {
        let asked = Utc::now();
        // Never headers or bodies: they hold tokens and secrets. The query of a list says nothing but its page.
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        let client = self.login.client().await?;
        let sent = tokio::time::Instant::now();
        let response = client.send(request).await.map_err(|error| self.doubted(Error::from_client(&self.host, &error)))?;
        self.heart.heard();
        if let Some(date) = response.headers().get(header::DATE).and_then(|date| date.to_str().ok()) {
            self.heart.set_clock(date, asked, Utc::now());
        }
        let code = response.status().as_u16();
        let ms = (Utc::now() - asked).num_milliseconds();
        tracing::debug!(%method, path, code, ms, "asked");
        if code == 401 {
            self.login.rejected(sent);
        } else {
            self.login.accepted(sent);
        }
        if response.status().is_success() {
            return Ok(response);
        }
        if code == 401 {
            return Err(self.login.why_rejected());
        }
        let retry_after = response.headers().get(header::RETRY_AFTER).and_then(|v| v.to_str().ok()?.parse().ok());
        let body = self.read(response, LARGEST_ERROR).await.unwrap_or_default();
        Err(Error::from_response(&self.host, code, retry_after, &body))
    }

    /// The error; when it looks as if nobody were there, that is looked into.
    fn doubted(&self, error: Error) -> Error {
        if matches!(error, Error::Unreachable { .. }) {
            self.heart.doubt();
        }
        error
    }

    async fn read(&self, response: Response<Body>, largest: usize) -> Result<Vec<u8>, Error> {
        let mut body = self.stream_of(response);
        let mut out = Vec::new();
        while let Some(chunk) = body.try_next().await? {
            if out.len() + chunk.len() > largest {
                return Err(Error::Garbage { host: self.host.clone(), what: format!("more than {largest} bytes") });
            }
            out.extend_from_slice(&chunk);
        }
        Ok(out)
    }

    fn stream_of(&self, response: Response<Body>) -> BodyStream {
        use http_body_util::BodyExt;
        let (host, heart) = (self.host.clone(), Arc::clone(&self.heart));
        let chunks = response.into_body().into_data_stream().map_err(move |error| Error::unreachable(&host, &error));
        chunks.inspect(move |chunk| if chunk.is_ok() { heart.heard() } else { heart.doubt() }).boxed()
    }

    /// Makes a call and reads the whole answer, within the call's limit.
    pub(super) async fn call(&self, call: Call<'_>) -> Result<Vec<u8>, Error> {
        let after = call.limit;
        let request = call.request().map_err(|error| self.garbage(&error.to_string()))?;
        let work = async { self.read(self.send(request).await?, LARGEST_ANSWER).await };
        tokio::time::timeout(after, work).await.unwrap_or_else(|_| Err(Error::TimedOut { host: self.host.clone(), after }))
    }

    /// Makes a call and hands out the body as it arrives; the limit is for the response's head only.
    pub(super) async fn open(&self, call: Call<'_>, identity: bool) -> Result<BodyStream, Error> {
        Ok(self.open_either(call, identity).await?.0)
    }

    /// As [`Self::open`]; true when the server chose to answer in protobuf.
    pub(super) async fn open_either(&self, call: Call<'_>, identity: bool) -> Result<(BodyStream, bool), Error> {
        let after = call.limit;
        let mut request = call.request().map_err(|error| self.garbage(&error.to_string()))?;
        if identity {
            // Servers from 1.37 on compress watches one gzip member an event; our stack decodes only the first member.
            request.headers_mut().insert(header::ACCEPT_ENCODING, http::HeaderValue::from_static("identity"));
        }
        let response = tokio::time::timeout(after, self.send(request)).await;
        let response = response.unwrap_or_else(|_| Err(Error::TimedOut { host: self.host.clone(), after }))?;
        let content_type = response.headers().get(header::CONTENT_TYPE);
        let is_protobuf = content_type.is_some_and(|value| value.as_bytes().starts_with(protobuf::MEDIA_TYPE.as_bytes()));
        Ok((self.stream_of(response), is_protobuf))
    }

    /// GET as JSON of type `T`.
    pub(super) async fn get_json<T: DeserializeOwned>(&self, path: &str) -> Result<T, Error> {
        self.call_json(Call::get(path)).await
    }

    /// The names of the objects a list holds.
    pub(super) async fn names(&self, path: &str) -> Result<Vec<Text>, Error> {
        self.names_in(Call::get(path)).await
    }

    /// As [`Self::names`], without the objects.
    pub(super) async fn metadata_names(&self, path: &str) -> Result<Vec<Text>, Error> {
        self.names_in(Call { accept: METADATA_LIST, ..Call::get(path) }).await
    }

    async fn names_in(&self, call: Call<'_>) -> Result<Vec<Text>, Error> {
        #[derive(Deserialize)]
        struct List {
            items: Vec<Item>,
        }
        #[derive(Deserialize)]
        struct Item {
            metadata: Name,
        }
        #[derive(Deserialize)]
        struct Name {
            name: Text,
        }
        let list: List = self.call_json(call).await?;
        Ok(list.items.into_iter().map(|item| item.metadata.name).collect())
    }

    /// A call whose answer is JSON of type `T`.
    pub(super) async fn call_json<T: DeserializeOwned>(&self, call: Call<'_>) -> Result<T, Error> {
        let body = self.call(call).await?;
        serde_json::from_slice(&body).map_err(|error| self.not_json(&error))
    }

    /// The answer is not the JSON it should be. Says where, never what: the body may hold secrets.
    pub(super) fn not_json(&self, error: &serde_json::Error) -> Error {
        self.garbage(&format!("not the expected JSON at line {} column {}", error.line(), error.column()))
    }

    pub(super) fn garbage(&self, what: &str) -> Error {
        Error::Garbage { host: self.host.clone(), what: what.to_owned() }
    }
}

/// A path segment or query value, percent-encoded.
pub(super) fn encode(text: &str) -> String {
    use std::fmt::Write;
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~' | b':') {
            out.push(byte as char);
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

/// `/api/v1/namespaces/NS/pods`, `/apis/apps/v1/deployments`, ...: where the objects of a resource are.
pub(super) fn collection(group: &str, version: &str, plural: &str, namespace: Option<&str>) -> String {
    let root = if group.is_empty() { format!("/api/{version}") } else { format!("/apis/{group}/{version}") };
    match namespace {
        Some(namespace) => format!("{root}/namespaces/{}/{plural}", encode(namespace)),
        None => format!("{root}/{plural}"),
    }
}
