//! The request handler: fault, identity, path, permission, then the verb.
//!
//! Nothing here knows a kind; a new verb or subresource is one arm of [`resource`] and a file of its own.

use std::sync::{Arc, Mutex, PoisonError};

use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::response::Response;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, header};

use super::access::{self, Access, Identity};
use super::clock::Clock;
use super::faults::{Answer, Faults};
use super::query::Query;
use super::reply::{self, Shape};
use super::request::{self, Format, Target};
use super::resources::{ENDPOINTS, ResourceType};
use super::runtime::Runtime;
use super::scrape::{Labels, Requests};
use super::status::Status;
use super::store::Store;
use super::table::Include;
use super::{
    aggregation, discovery, eviction, health, list, logs, metrics, patches, rbac, reviews, scale, streams, watch, writes,
};

/// The most bytes a request body may have, as etcd would refuse more.
const MAX_BODY: usize = 3 * 1024 * 1024;

/// Everything the server serves from.
pub struct Api {
    /// The objects.
    pub store: Store,
    /// Logs and use.
    pub runtime: Runtime,
    /// The time.
    pub clock: Clock,
    /// Faults on demand.
    pub faults: Faults,
    /// Tokens and roles.
    pub access: Access,
    /// What it answered.
    pub requests: Requests,
}

/// One request to a resource, taken apart.
pub struct Call<'a> {
    /// The objects.
    pub store: &'a Store,
    /// Whose request it is.
    pub identity: &'a Identity,
    /// What it is about.
    pub target: &'a Target,
    /// Its parameters.
    pub query: &'a Query,
    /// Its headers.
    pub headers: &'a HeaderMap,
    /// How the answer is to look.
    pub shape: Shape,
    /// What the client is to be warned of.
    pub warnings: Mutex<Vec<String>>,
}

impl Call<'_> {
    /// Adds `Warning` headers to the answer.
    pub fn warn(&self, sentences: Vec<String>) {
        self.warnings.lock().unwrap_or_else(PoisonError::into_inner).extend(sentences);
    }

    fn put_warnings(&self, response: &mut Response) {
        for sentence in self.warnings.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            if let Ok(value) = HeaderValue::from_str(&format!("299 - {sentence:?}")) {
                response.headers_mut().append(header::WARNING, value);
            }
        }
    }
}

/// Serves one request.
pub async fn handle(State(api): State<Arc<Api>>, request: Request) -> Response {
    let labels = Labels::of(&api.store, &request);
    // A request that is under way when watches are dropped was let in by the old rules: its watch ends as well.
    let (begun, is_watch) = (api.faults.watch_generation(), is_watch(&request));
    tokio::time::sleep(api.faults.current_delay()).await;
    api.faults.until_it_answers().await;
    let mut response = if let Some(answer) = api.faults.take_answer() {
        fault(answer)
    } else {
        let prefers_protobuf = request::prefers_protobuf(request.headers());
        serve(&api, request).await.unwrap_or_else(|status| reply::error_in(&status, prefers_protobuf))
    };
    if is_watch && response.status().is_success() && begun.has_changed().unwrap_or_default() {
        *response.body_mut() = Body::empty();
    }
    api.requests.count(labels, response.status());
    let mut response = api.faults.gate(response);
    // The cluster's clock, not this machine's: clients may judge ages by it.
    let date = api.clock.now().format("%a, %d %b %Y %H:%M:%S GMT").to_string();
    response.headers_mut().extend(http::HeaderValue::try_from(date).ok().map(|date| (http::header::DATE, date)));
    response
}

fn is_watch(request: &Request) -> bool {
    request.uri().query().is_some_and(|query| Query::parse(query).is_true("watch"))
}

fn fault(answer: Answer) -> Response {
    match answer {
        Answer::TooManyRequests(seconds) => {
            reply::error(&Status::too_many_requests("too many requests, please try again later", seconds))
        }
        Answer::Code(401) => reply::error(&Status::unauthorized()),
        Answer::Code(code) => {
            let mut status = Status::internal("practice fault");
            status.code = code;
            if code == 503 {
                status.reason = "ServiceUnavailable";
                "the server is currently unable to handle the request".clone_into(&mut status.message);
            }
            reply::error(&status)
        }
        Answer::Garbage => reply::json_bytes(200, "<html>\u{0}not an API server</html>"),
        Answer::Truncated => reply::json_bytes(200, "{\"kind\":\"PodList\",\"apiVersion\":\"v1\",\"metadata\":{\"resou"),
    }
}

async fn serve(api: &Api, request: Request) -> Result<Response, Status> {
    let (parts, body) = request.into_parts();
    let (path_token, path) = access::split_path_token(parts.uri.path());
    let known = api.access.identify(&parts.headers, path_token, api.clock.now())?;
    let identity = access::act_as(&api.store, known, &parts.headers)?;
    let query = Query::parse(parts.uri.query().unwrap_or_default());
    let Some(target) = Target::parse(&api.store, path) else {
        rbac::authorise_path(&api.store, &identity, &parts.method.as_str().to_lowercase(), path)?;
        return fixed_path(api, path, &query, &parts.headers);
    };
    let verb = target.verb(&parts.method, &query)?;
    check_served(&target, verb)?;
    rbac::authorise(&api.store, &identity, verb, &target, &query)?;
    if api.faults.refuses(verb, target.served.plural) {
        return Err(rbac::refusal(&identity, verb, &target, &[]));
    }
    if streams::is_stream(&target) {
        return streams::serve(api, &target, &query, parts).await;
    }
    let body = to_bytes(body, MAX_BODY).await.map_err(|error| {
        let mut status = Status::bad_request(format!("Request entity too large: {error}"));
        (status.code, status.reason) = (413, "RequestEntityTooLarge");
        status
    })?;
    let (format, message) = request::format_of(&parts.headers, target.served.message())?;
    let shape = Shape {
        format,
        message,
        include: Include::parse(query.get("includeObject")),
        now: api.clock.now(),
        served: target.served,
    };
    let (store, headers) = (&api.store, &parts.headers);
    let call = Call { store, identity: &identity, target: &target, query: &query, headers, shape, warnings: Mutex::default() };
    writes::check_dry_run(&call, verb)?;
    if !target.subresource.is_empty() && !writes::is_part(&target.subresource) {
        admit(&call, verb, &body)?;
        return subresource(api, &call, &parts.method, &body);
    }
    let mut response = resource(api, verb, &call, &body)?;
    call.put_warnings(&mut response);
    Ok(response)
}

/// Paths outside the resources: health, version, discovery, the published schema.
fn fixed_path(api: &Api, path: &str, query: &Query, headers: &HeaderMap) -> Result<Response, Status> {
    let store = &api.store;
    if let Some(answer) = health::serve(api, path, query) {
        return Ok(answer);
    }
    match path.trim_end_matches('/') {
        "/version" => Ok(reply::json_value(200, &discovery::version())),
        "/openapi/v2" if accepts_protobuf(headers) => {
            // The name asked for has an @ that Go cannot parse in an answer (kube-openapi pkg/handler).
            let content_type = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";
            Ok(reply::with_type(200, content_type, discovery::OPENAPI_V2_PROTOBUF))
        }
        other if other.starts_with("/openapi/") => discovery::openapi(&store.served_types(), other)
            .map(|document| reply::json_value(200, &document))
            .ok_or_else(Status::unknown_path),
        other => {
            let aggregated = matches!(request::format_of(headers, None), Ok((Format::Discovery, _)));
            let host = headers.get(http::header::HOST).and_then(|host| host.to_str().ok()).unwrap_or("127.0.0.1");
            let document = discovery::document(&store.served_types(), other, aggregated, host);
            let Some(document) = document.or_else(|| aggregation::group(store, other)) else {
                aggregation::check_path(store, other)?;
                return Err(Status::unknown_path());
            };
            if aggregated && matches!(other, "/api" | "/apis") {
                let content_type = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
                return Ok(reply::with_type(200, content_type, document.to_string()));
            }
            Ok(reply::json_value(200, &document))
        }
    }
}

/// Asks webhooks and policies about a deletion or a write below an object; what becomes of the object itself is asked about in
/// `writes`, where it is known.
fn admit(call: &Call<'_>, verb: &str, body: &Bytes) -> Result<(), Status> {
    let target = call.target;
    let operation = match verb {
        "delete" => "DELETE",
        "create" if !target.subresource.is_empty() => "CREATE",
        _ => return Ok(()),
    };
    let hooks = writes::hooks_of(call, operation);
    if hooks.is_empty() {
        return Ok(());
    }
    let live = call.store.get(target.resource, &target.namespace, &target.name).map(|live| (*live).clone()).unwrap_or_default();
    let (old, new) = match operation {
        "DELETE" => (live, serde_json::Value::Null),
        _ => (serde_json::Value::Null, writes::decode(body, call.headers).unwrap_or_default()),
    };
    call.warn(hooks.check(&old, &new)?);
    Ok(())
}

fn accepts_protobuf(headers: &HeaderMap) -> bool {
    headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok()).is_some_and(|accept| accept.contains("proto-openapi"))
}

/// 405 for a verb the resource lacks, 404 for a subresource it lacks.
fn check_served(target: &Target, verb: &str) -> Result<(), Status> {
    if target.subresource.is_empty() {
        let listed = target.served.verbs.contains(&verb);
        return if listed { Ok(()) } else { Err(Status::method_not_allowed()) };
    }
    match target.served.subresource(&target.subresource) {
        None => Err(Status::unknown_path()),
        Some(subresource) if subresource.verbs.contains(&verb) => Ok(()),
        Some(_) => Err(Status::method_not_allowed()),
    }
}

fn resource(api: &Api, verb: &str, call: &Call<'_>, body: &Bytes) -> Result<Response, Status> {
    let target = call.target;
    if target.resource == &ENDPOINTS {
        call.warn(vec!["v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice".to_owned()]);
    }
    admit(call, verb, body)?;
    match (target.resource.group, verb) {
        ("metrics.k8s.io", _) => metrics::serve(api, call),
        ("authorization.k8s.io" | "authentication.k8s.io", "create") => {
            Ok(reviews::answer(api, call.identity, call, writes::body_or_empty(call, body)?))
        }
        (_, "list") => list::list(call.store, target, call.query, call.shape),
        (_, "watch") => watch::watch(call.store, &api.faults, target.clone(), call.query, call.shape),
        (_, "get") => get(call, target.resource),
        (_, "create") if target.name.is_empty() => writes::create(call, writes::body(call, body)?),
        (_, "update") => writes::update(call, writes::body(call, body)?),
        (_, "patch") => patches::patch(call, body),
        (_, "delete") => writes::delete(call, &writes::body_or_empty(call, body)?),
        (_, "deletecollection") => writes::delete_collection(call, &writes::body_or_empty(call, body)?),
        _ => Err(Status::method_not_allowed()),
    }
}

fn get(call: &Call<'_>, resource: &'static ResourceType) -> Result<Response, Status> {
    let target = call.target;
    let stored = call.store.stored(resource, &target.namespace, &target.name);
    let stored = stored.ok_or_else(|| Status::not_found(resource, &target.name))?;
    match call.shape.format {
        Format::Object
            if let Some(message) = call.shape.message
                && call.target.served.stored_as.is_none() =>
        {
            Ok(reply::message(200, resource.api_version(), resource.kind, stored.message(message)))
        }
        Format::Object | Format::Discovery if call.target.served.stored_as.is_none() => {
            Ok(reply::json_bytes(200, stored.bytes()))
        }
        _ => Ok(reply::object(200, resource, &stored.object(), call.shape)),
    }
}

fn subresource(api: &Api, call: &Call<'_>, method: &Method, body: &Bytes) -> Result<Response, Status> {
    match (call.target.resource.plural, call.target.subresource.as_str()) {
        (_, "scale") => scale::serve(call, method, body),
        ("pods", "log") => logs::serve(api, call),
        ("pods", "binding") => writes::bind(call, &writes::body(call, body)?),
        ("pods", "eviction") => eviction::evict(call, &writes::body_or_empty(call, body)?),
        ("serviceaccounts", "token") => reviews::token(api, call, writes::body_or_empty(call, body)?),
        ("nodes", "proxy") => metrics::node_proxy(api, call),
        ("namespaces", "finalize") => writes::update(call, writes::body(call, body)?),
        _ => Err(Status::unknown_path()),
    }
}
