//! The practice API server seen by raw HTTP and by kube-rs: what a real server does, asserted.

use chrono::SubsecRound;
use std::time::{Duration, Instant};

use futures::{AsyncBufReadExt, StreamExt, TryStreamExt};
use http::{Method, Request};
use k3am::practice::access::Role;
use k3am::practice::faults::Answer;
use k3am::practice::{Options, PracticeCluster};
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kube::api::{Api, LogParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::runtime::watcher;
use kube::{Client, Config, client::Body};
use serde_json::{Value, json};

pub fn cluster() -> PracticeCluster {
    PracticeCluster::start(&Options { speed: 20.0, ..Options::default() }).unwrap()
}

async fn client_of(kubeconfig: &str) -> Client {
    let kubeconfig = Kubeconfig::from_yaml(kubeconfig).unwrap();
    let mut config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.unwrap();
    config.default_retry = false;
    Client::try_from(config).unwrap()
}

async fn client(cluster: &PracticeCluster) -> Client {
    client_of(&cluster.kubeconfig()).await
}

/// One raw request: the code, the `Retry-After` header and the body.
async fn raw(client: &Client, method: Method, path: &str, kind: &str, body: &str) -> (u16, Option<String>, Vec<u8>) {
    let request = Request::builder().method(method).uri(path);
    let request = if kind.starts_with("accept:") {
        request.header("accept", kind.trim_start_matches("accept:"))
    } else {
        request.header("content-type", kind)
    };
    let response = client.send(request.body(Body::from(body.as_bytes().to_vec())).unwrap()).await.unwrap();
    let code = response.status().as_u16();
    let retry = response.headers().get("retry-after").map(|value| value.to_str().unwrap().to_owned());
    (code, retry, response.into_body().collect_bytes().await.unwrap().to_vec())
}

async fn call(client: &Client, method: Method, path: &str, kind: &str, body: &Value) -> (u16, Value) {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let (code, _, bytes) = raw(client, method, path, kind, &body).await;
    (code, serde_json::from_slice(&bytes).unwrap_or_else(|_| json!(String::from_utf8_lossy(&bytes))))
}

async fn get(client: &Client, path: &str) -> (u16, Value) {
    call(client, Method::GET, path, "application/json", &Value::Null).await
}

async fn post(client: &Client, path: &str, body: Value) -> (u16, Value) {
    call(client, Method::POST, path, "application/json", &body).await
}

const MAPS: &str = "/api/v1/namespaces/default/configmaps";
const DEPLOYMENTS: &str = "/apis/apps/v1/namespaces/default/deployments";

fn config_map(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"a": "1"}})
}

fn deployment(name: &str) -> Value {
    json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name, "labels": {"app": name}},
        "spec": {"replicas": 0, "selector": {"matchLabels": {"app": name}}, "template": {
            "metadata": {"labels": {"app": name}},
            "spec": {"containers": [{"name": "app", "image": "registry.local/app:v1",
                "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]}]}}}})
}

/// The lines of a watch, as values, until the stream ends or `count` have come.
async fn watch(client: &Client, path: &str, count: usize) -> Vec<Value> {
    let request = Request::builder().uri(path).body(Vec::new()).unwrap();
    let lines = client.request_stream(request).await.unwrap().lines();
    lines.take(count).map_ok(|line| serde_json::from_str(&line).unwrap()).try_collect().await.unwrap()
}

fn kinds(events: &[Value]) -> Vec<String> {
    let name = |event: &Value| event["object"]["metadata"]["name"].as_str().unwrap_or("-").to_owned();
    events.iter().map(|event| format!("{} {}", event["type"].as_str().unwrap(), name(event))).collect()
}

#[tokio::test]
async fn discovery_names_resources_as_the_captured_server_does() {
    let cluster = cluster();
    let client = client(&cluster).await;
    let fixtures = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/practice/");
    let mut compared = 0;
    for (path, fixture) in [("/api", "api-aggregated.json"), ("/apis", "apis-aggregated.json")] {
        let accept = "accept:application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
        let (code, ours) = call(&client, Method::GET, path, accept, &Value::Null).await;
        assert_eq!((code, &ours["kind"]), (200, &json!("APIGroupDiscoveryList")));
        let real: Value = serde_json::from_slice(&std::fs::read(format!("{fixtures}{fixture}")).unwrap()).unwrap();
        for group in ours["items"].as_array().unwrap() {
            let same = |of: &&Value| of["metadata"]["name"] == group["metadata"]["name"];
            let Some(real_group) = real["items"].as_array().unwrap().iter().find(same) else { continue };
            for resource in group["versions"][0]["resources"].as_array().unwrap() {
                let version = &real_group["versions"][0]["resources"];
                let same = |of: &&Value| of["resource"] == resource["resource"];
                let real = version.as_array().unwrap().iter().find(same).unwrap();
                for field in ["responseKind", "scope", "singularResource", "verbs", "shortNames", "categories"] {
                    assert_eq!(resource[field], real[field], "{field} of {}", resource["resource"]);
                }
                compared += 1;
            }
        }
    }
    assert!(compared >= 30, "{compared}");
    let (_, plain) = get(&client, "/apis/apps/v1").await;
    assert!(plain["resources"].as_array().unwrap().iter().any(|resource| resource["name"] == "deployments/scale"));
    assert_eq!(get(&client, "/version").await.1["gitVersion"], "v1.36.2");
    assert_eq!(get(&client, "/readyz").await, (200, json!("ok")));
}

#[tokio::test]
async fn defaults_and_managed_fields_are_the_captured_ones() {
    let cluster = cluster();
    let client = client(&cluster).await;
    let captured: Value = serde_json::from_str(include_str!("../fixtures/practice/deployment-captured.json")).unwrap();
    let body = json!({"apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "ip-hungry", "labels": {"app": "ip-hungry"}},
        "spec": {"replicas": 22, "selector": {"matchLabels": {"app": "ip-hungry"}}, "strategy": {}, "template": {
            "metadata": {"labels": {"app": "ip-hungry"}, "creationTimestamp": null},
            "spec": {"containers": [{"name": "busybox", "image": "busybox:1.36", "command": ["sleep", "100000"],
                "resources": {}}]}}}, "status": {}});
    let (code, made) = post(&client, &format!("{DEPLOYMENTS}?fieldManager=kubectl-create&dryRun=All"), body).await;
    assert_eq!(code, 201, "{made}");
    assert_eq!(made["spec"], captured["spec"]);
    assert_eq!(made["metadata"]["managedFields"][0]["fieldsV1"], captured["metadata"]["managedFields"][0]["fieldsV1"]);

    let captured: Value = serde_json::from_str(include_str!("../fixtures/practice/pod-captured.json")).unwrap();
    let metadata = json!({"generateName": captured["metadata"]["generateName"], "labels": captured["metadata"]["labels"],
        "ownerReferences": captured["metadata"]["ownerReferences"]});
    let body = json!({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {
        "terminationGracePeriodSeconds": 5, "containers": [{"name": "app", "image": "registry.local/orders:v1",
            "envFrom": [{"configMapRef": {"name": "app-config"}}],
            "resources": {"requests": {"cpu": "5m", "memory": "16Mi"}}}]}});
    let path = "/api/v1/namespaces/default/pods?fieldManager=kube-controller-manager&dryRun=All";
    let (code, made) = post(&client, path, body).await;
    assert_eq!(code, 201, "{made}");
    assert_eq!(made["metadata"]["managedFields"][0]["fieldsV1"], captured["metadata"]["managedFields"][0]["fieldsV1"]);
    assert_eq!(made["spec"]["tolerations"], captured["spec"]["tolerations"]);
    assert_eq!(made["spec"]["priority"], captured["spec"]["priority"]);
    assert_eq!(made["status"]["qosClass"], captured["status"]["qosClass"]);
    assert!(made["metadata"]["name"].as_str().unwrap().starts_with("config-missing-6d5585cf8b-"));

    let captured: Value = serde_json::from_str(include_str!("../fixtures/practice/service-captured.json")).unwrap();
    let metadata = json!({"name": "postgres", "annotations": captured["metadata"]["annotations"]});
    let body = json!({"apiVersion": "v1", "kind": "Service", "metadata": metadata,
        "spec": {"ports": [{"port": 5432}], "selector": {"app": "postgres"}}});
    let path = "/api/v1/namespaces/default/services?fieldManager=kubectl-client-side-apply";
    let (code, made) = post(&client, path, body).await;
    assert_eq!(code, 201, "{made}");
    assert_eq!(made["metadata"]["managedFields"][0]["fieldsV1"], captured["metadata"]["managedFields"][0]["fieldsV1"]);
    assert_eq!(made["spec"]["ports"], captured["spec"]["ports"]);
    assert!(made["spec"]["clusterIP"].as_str().unwrap().starts_with("10.96."));
}

#[tokio::test]
async fn lists_come_in_pages_and_old_tokens_expire() {
    let cluster = PracticeCluster::start(&Options { pods: 130, ..Options::default() }).unwrap();
    let client = client(&cluster).await;
    let (_, whole) = get(&client, "/api/v1/pods?labelSelector=app").await;
    let (_, first) = get(&client, "/api/v1/pods?limit=50&labelSelector=pod-template-hash").await;
    let token = first["metadata"]["continue"].as_str().unwrap().to_owned();
    let mut names: Vec<Value> = first["items"].as_array().unwrap().iter().map(|pod| pod["metadata"]["uid"].clone()).collect();
    let mut next = token.clone();
    while !next.is_empty() {
        let (code, page) = get(&client, &format!("/api/v1/pods?limit=50&labelSelector=pod-template-hash&continue={next}")).await;
        assert_eq!(code, 200);
        assert_eq!(page["metadata"]["resourceVersion"], first["metadata"]["resourceVersion"]);
        names.extend(page["items"].as_array().unwrap().iter().map(|pod| pod["metadata"]["uid"].clone()));
        next = page["metadata"]["continue"].as_str().unwrap_or_default().to_owned();
    }
    assert_eq!(names.len(), whole["items"].as_array().unwrap().len());
    assert!(names.len() >= 130);
    cluster.expire_versions();
    let (code, gone) = get(&client, &format!("/api/v1/pods?limit=50&continue={token}")).await;
    assert_eq!((code, &gone["reason"]), (410, &json!("Expired")));
    let (_, one) = get(&client, "/api/v1/pods?limit=1").await;
    assert!(one["metadata"]["remainingItemCount"].as_u64().unwrap() >= 129);
}

#[tokio::test]
async fn refusals_have_the_reasons_and_words_of_the_real_server() {
    let cluster = cluster();
    let client = client(&cluster).await;
    let (code, status) = get(&client, &format!("{MAPS}/nope")).await;
    assert_eq!((code, &status["message"]), (404, &json!("configmaps \"nope\" not found")));
    post(&client, MAPS, config_map("one")).await;
    let (code, status) = post(&client, MAPS, config_map("one")).await;
    assert_eq!((code, &status["message"]), (409, &json!("configmaps \"one\" already exists")));
    let (code, status) = post(&client, MAPS, config_map("No_Good")).await;
    assert_eq!((code, &status["reason"]), (422, &json!("Invalid")));
    assert!(status["message"].as_str().unwrap().contains("a lowercase RFC 1123 subdomain must consist of"));
    let (code, status) = post(&client, "/api/v1/namespaces/none/configmaps", config_map("x")).await;
    assert_eq!((code, &status["message"]), (404, &json!("namespaces \"none\" not found")));
    let mut wrong = deployment("web");
    wrong["spec"]["selector"]["matchLabels"] = json!({"app": "other"});
    wrong["spec"]["template"]["spec"]["containers"][0]["image"] = json!("");
    let (code, status) = post(&client, DEPLOYMENTS, wrong).await;
    let fields: Vec<&Value> = status["details"]["causes"].as_array().unwrap().iter().map(|cause| &cause["field"]).collect();
    assert_eq!(code, 422);
    assert_eq!(fields, ["spec.template.metadata.labels", "spec.template.spec.containers[0].image"]);
    assert!(
        status["message"].as_str().unwrap().starts_with("Deployment.apps \"web\" is invalid: [spec.template.metadata.labels")
    );
    post(&client, DEPLOYMENTS, deployment("web")).await;
    let patch = json!({"spec": {"selector": {"matchLabels": {"app": "x"}}, "template": {"metadata": {"labels": {"app": "x"}}}}});
    let merge = "application/merge-patch+json";
    let (code, status) = call(&client, Method::PATCH, &format!("{DEPLOYMENTS}/web"), merge, &patch).await;
    assert_eq!(code, 422);
    assert!(status["message"].as_str().unwrap().contains("field is immutable"), "{status}");
    let (code, _) = call(&client, Method::PATCH, &format!("{MAPS}/one"), "text/plain", &json!({})).await;
    assert_eq!(code, 415);
    assert_eq!(call(&client, Method::PUT, MAPS, "application/json", &json!({})).await.0, 405);
    assert_eq!(get(&client, "/api/v1/nothings").await.0, 404);
    assert_eq!(post(&client, MAPS, json!({"kind": "Pod", "apiVersion": "v1"})).await.0, 400);
    let (code, status) = get(&client, "/api/v1/pods?fieldSelector=spec.color%3Dred").await;
    assert_eq!((code, &status["message"]), (400, &json!("field label not supported: spec.color")));
}

#[tokio::test]
async fn a_stale_update_conflicts_and_dry_run_changes_nothing() {
    let cluster = cluster();
    let client = client(&cluster).await;
    let (_, made) = post(&client, MAPS, config_map("one")).await;
    let mut newer = made.clone();
    newer["data"]["a"] = json!("2");
    let path = format!("{MAPS}/one");
    let (code, tried) = call(&client, Method::PUT, &format!("{path}?dryRun=All"), "application/json", &newer).await;
    assert_eq!((code, &tried["data"]["a"]), (200, &json!("2")));
    assert_eq!(get(&client, &path).await.1, made);
    let (code, updated) = call(&client, Method::PUT, &path, "application/json", &newer).await;
    assert_eq!(code, 200);
    assert_ne!(updated["metadata"]["resourceVersion"], made["metadata"]["resourceVersion"]);
    let (_, same) = call(&client, Method::PUT, &path, "application/json", &updated).await;
    assert_eq!(same["metadata"]["resourceVersion"], updated["metadata"]["resourceVersion"], "no change, no version");
    let (code, status) = call(&client, Method::PUT, &path, "application/json", &newer).await;
    assert_eq!((code, &status["reason"]), (409, &json!("Conflict")));
    assert!(status["message"].as_str().unwrap().contains("the object has been modified; please apply your changes"));
    let (code, _) = call(&client, Method::DELETE, &format!("{path}?dryRun=All"), "application/json", &Value::Null).await;
    assert_eq!((code, get(&client, &path).await.0), (200, 200));
}

#[tokio::test]
async fn every_kind_of_patch_does_what_it_should() {
    let cluster = cluster();
    let client = client(&cluster).await;
    post(&client, DEPLOYMENTS, deployment("web")).await;
    let path = format!("{DEPLOYMENTS}/web");
    let env = |object: &Value| object["spec"]["template"]["spec"]["containers"][0]["env"].clone();
    let container = |change: Value| json!({"spec": {"template": {"spec": {"containers": [change]}}}});
    let patch = container(json!({"name": "app", "env": [{"name": "B", "value": "3"}, {"name": "A", "$patch": "delete"},
        {"name": "C", "value": "4"}]}));
    let strategic = "application/strategic-merge-patch+json";
    let (code, patched) = call(&client, Method::PATCH, &path, strategic, &patch).await;
    assert_eq!(code, 200, "{patched}");
    assert_eq!(env(&patched), json!([{"name": "B", "value": "3"}, {"name": "C", "value": "4"}]));
    assert_eq!(patched["metadata"]["generation"], 2);
    let patch = container(json!({"name": "only", "image": "x:1"}));
    let (_, patched) = call(&client, Method::PATCH, &path, "application/merge-patch+json", &patch).await;
    let containers = patched["spec"]["template"]["spec"]["containers"].as_array().unwrap();
    assert_eq!((containers.len(), &containers[0]["name"]), (1, &json!("only")));
    let operations = json!([{"op": "test", "path": "/spec/replicas", "value": 0}, {"op": "replace", "path": "/metadata/labels/app", "value": "y"}]);
    let (code, patched) = call(&client, Method::PATCH, &path, "application/json-patch+json", &operations).await;
    assert_eq!((code, &patched["metadata"]["labels"]["app"]), (200, &json!("y")));
    assert_eq!(patched["metadata"]["generation"], 3, "labels are no desired state");
    let failing = json!([{"op": "test", "path": "/spec/replicas", "value": 7}]);
    assert_eq!(call(&client, Method::PATCH, &path, "application/json-patch+json", &failing).await.0, 422);
    let scale = json!({"spec": {"replicas": 3}});
    let (code, scaled) = call(&client, Method::PATCH, &format!("{path}/scale"), "application/merge-patch+json", &scale).await;
    assert_eq!((code, &scaled["kind"], &scaled["spec"]["replicas"]), (200, &json!("Scale"), &json!(3)));
    assert_eq!(get(&client, &path).await.1["spec"]["replicas"], 3);
}

#[tokio::test]
async fn apply_owns_its_fields_and_reports_conflicts() {
    let cluster = cluster();
    let client = client(&cluster).await;
    let apply = "application/apply-patch+yaml";
    let path = |manager: &str| format!("{MAPS}/settings?fieldManager={manager}");
    let config = |data: Value| json!({"apiVersion": "v1", "kind": "ConfigMap", "data": data});
    let first = config(json!({"a": "1", "b": "1"}));
    let (code, _) = call(&client, Method::PATCH, &path("argo"), apply, &first).await;
    assert_eq!(code, 201);
    let (_, made) = call(&client, Method::PATCH, &path("argo"), apply, &config(json!({"a": "1"}))).await;
    assert_eq!(made["data"], json!({"a": "1"}), "what is applied no more goes");
    assert_eq!(made["metadata"]["managedFields"][0]["operation"], "Apply");
    assert_eq!(made["metadata"]["managedFields"][0]["fieldsV1"], json!({"f:data": {"f:a": {}}}));
    let (code, status) = call(&client, Method::PATCH, &path("flux"), apply, &config(json!({"a": "2"}))).await;
    assert_eq!(code, 409);
    assert_eq!(status["message"], "Apply failed with 1 conflict: conflict with \"argo\": .data.a");
    let forced = format!("{}&force=true", path("flux"));
    let (code, taken) = call(&client, Method::PATCH, &forced, apply, &config(json!({"a": "2"}))).await;
    assert_eq!((code, &taken["data"]["a"]), (200, &json!("2")));
    let managers: Vec<&Value> =
        taken["metadata"]["managedFields"].as_array().unwrap().iter().map(|entry| &entry["manager"]).collect();
    assert_eq!(managers, ["flux"]);
    assert_eq!(call(&client, Method::PATCH, &format!("{MAPS}/settings"), apply, &config(json!({}))).await.0, 422);
}

#[tokio::test]
async fn deletion_waits_for_finalizers_and_respects_preconditions() {
    let cluster = cluster();
    let client = client(&cluster).await;
    let mut held = config_map("held");
    held["metadata"]["finalizers"] = json!(["example.com/hold"]);
    let (_, made) = post(&client, MAPS, held).await;
    let path = format!("{MAPS}/held");
    let other = json!({"preconditions": {"uid": "11111111-2222-4333-8444-555555555555"}});
    assert_eq!(call(&client, Method::DELETE, &path, "application/json", &other).await.0, 409);
    let right = json!({"preconditions": {"uid": made["metadata"]["uid"]}});
    let (code, waiting) = call(&client, Method::DELETE, &path, "application/json", &right).await;
    assert_eq!(code, 200);
    assert!(waiting["metadata"]["deletionTimestamp"].is_string(), "{waiting}");
    let free = json!({"metadata": {"finalizers": null}});
    call(&client, Method::PATCH, &path, "application/merge-patch+json", &free).await;
    assert_eq!(get(&client, &path).await.0, 404);
    post(&client, MAPS, config_map("plain")).await;
    let (_, gone) = call(&client, Method::DELETE, &format!("{MAPS}/plain"), "application/json", &Value::Null).await;
    assert_eq!((&gone["kind"], &gone["status"]), (&json!("Status"), &json!("Success")));
    for name in ["x", "y"] {
        let mut map = config_map(name);
        map["metadata"]["labels"] = json!({"sweep": name});
        post(&client, MAPS, map).await;
    }
    call(&client, Method::DELETE, &format!("{MAPS}?labelSelector=sweep+in+(x,z)"), "application/json", &Value::Null).await;
    assert_eq!((get(&client, &format!("{MAPS}/x")).await.0, get(&client, &format!("{MAPS}/y")).await.0), (404, 200));
}

#[tokio::test]
async fn a_watch_resumes_filters_and_says_when_history_is_gone() {
    let cluster = cluster();
    let client = client(&cluster).await;
    let (_, first) = post(&client, MAPS, config_map("one")).await;
    let version = first["metadata"]["resourceVersion"].as_str().unwrap().to_owned();
    let patch = |labels: Value| json!({"metadata": {"labels": labels}});
    for labels in [json!({"watched": "yes"}), json!({"watched": "no"})] {
        call(&client, Method::PATCH, &format!("{MAPS}/one"), "application/merge-patch+json", &patch(labels)).await;
    }
    post(&client, MAPS, config_map("two")).await;
    let resumed = watch(&client, &format!("{MAPS}?watch=true&resourceVersion={version}"), 3).await;
    assert_eq!(kinds(&resumed), ["MODIFIED one", "MODIFIED one", "ADDED two"]);
    let selected = format!("{MAPS}?watch=true&resourceVersion={version}&labelSelector=watched%3Dyes");
    assert_eq!(kinds(&watch(&client, &selected, 2).await), ["ADDED one", "DELETED one"]);
    let named = format!("{MAPS}?watch=true&resourceVersion={version}&fieldSelector=metadata.name%3Dtwo");
    assert_eq!(kinds(&watch(&client, &named, 1).await), ["ADDED two"]);
    let streamed = watch(
        &client,
        &format!(
            "{MAPS}?watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan\
        &allowWatchBookmarks=true&fieldSelector=metadata.name!%3Dkube-root-ca.crt"
        ),
        3,
    )
    .await;
    assert_eq!(kinds(&streamed), ["ADDED one", "ADDED two", "BOOKMARK -"]);
    assert_eq!(streamed[2]["object"]["metadata"]["annotations"]["k8s.io/initial-events-end"], "true");
    let ended =
        watch(&client, &format!("{MAPS}?watch=true&resourceVersion={version}&timeoutSeconds=1&allowWatchBookmarks=1"), 99).await;
    assert_eq!(ended.last().unwrap()["type"], "BOOKMARK", "the last word before a timeout");
    cluster.expire_versions();
    let gone = watch(&client, &format!("{MAPS}?watch=true&resourceVersion={version}"), 9).await;
    assert_eq!((&gone[0]["type"], &gone[0]["object"]["code"]), (&json!("ERROR"), &json!(410)));
}

#[tokio::test]
async fn kube_rs_follows_through_dropped_watches_restarts_and_expired_versions() {
    let cluster = cluster();
    let maps: Api<ConfigMap> = Api::namespaced(client(&cluster).await, "default");
    let raw_client = client(&cluster).await;
    let mut events = watcher(maps, watcher::Config::default()).boxed();
    let mut expect = async |name: &str| {
        let deadline = Instant::now() + Duration::from_secs(60);
        while Instant::now() < deadline {
            let next = tokio::time::timeout(Duration::from_secs(60), events.next()).await.unwrap().unwrap();
            if let Ok(watcher::Event::Apply(map) | watcher::Event::InitApply(map)) = &next
                && map.metadata.name.as_deref() == Some(name)
            {
                return;
            }
            if next.is_err() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
        panic!("never saw {name}");
    };
    post(&raw_client, MAPS, config_map("first")).await;
    expect("first").await;
    cluster.faults().drop_watches();
    post(&raw_client, MAPS, config_map("after-drop")).await;
    expect("after-drop").await;
    cluster.stop_serving();
    tokio::time::sleep(Duration::from_millis(100)).await;
    cluster.resume_serving().unwrap();
    post(&client(&cluster).await, MAPS, config_map("after-restart")).await;
    expect("after-restart").await;
    cluster.faults().drop_watches();
    cluster.expire_versions();
    post(&client(&cluster).await, MAPS, config_map("after-expiry")).await;
    expect("after-expiry").await;
}

#[tokio::test]
async fn a_watch_that_is_being_opened_is_dropped_with_the_others() {
    let cluster = cluster();
    let client = client(&cluster).await;
    let (_, list) = get(&client, MAPS).await;
    let version = list["metadata"]["resourceVersion"].as_str().unwrap();
    cluster.faults().delay(Duration::from_secs(3), None);
    let path = format!("{MAPS}?watch=true&resourceVersion={version}&timeoutSeconds=3000");
    for _ in 0..10 {
        // The one drop comes while the request waits; on a machine that stands still it may come before, and is tried again.
        let dropping = async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            cluster.faults().drop_watches();
        };
        let watching = tokio::time::timeout(Duration::from_secs(6), watch(&client, &path, 9));
        if let (Ok(watched), ()) = tokio::join!(watching, dropping) {
            assert!(watched.is_empty(), "{watched:?}");
            return;
        }
    }
    panic!("it was opened and left open");
}

#[tokio::test]
async fn faults_answer_instead_of_the_server_and_objects_survive_a_restart() {
    let cluster = cluster();
    let client_before = client(&cluster).await;
    post(&client_before, MAPS, config_map("kept")).await;
    cluster.faults().answer(Answer::TooManyRequests(7), 1);
    let (code, retry, _) = raw(&client_before, Method::GET, MAPS, "application/json", "").await;
    assert_eq!((code, retry.as_deref()), (429, Some("7")));
    cluster.faults().answer(Answer::Code(500), 1);
    assert_eq!(get(&client_before, MAPS).await.0, 500);
    cluster.faults().answer(Answer::Garbage, usize::MAX);
    let (code, body) = get(&client_before, MAPS).await;
    assert!(code == 200 && body.is_string(), "not JSON: {body}");
    cluster.faults().clear();
    cluster.faults().delay(Duration::from_millis(150), None);
    let start = Instant::now();
    assert_eq!(get(&client_before, MAPS).await.0, 200);
    assert!(start.elapsed() >= Duration::from_millis(150));
    cluster.faults().clear();
    cluster.stop_serving();
    let request = Request::builder().uri(MAPS).body(Body::empty()).unwrap();
    assert!(client_before.send(request).await.is_err(), "nobody listens");
    cluster.resume_serving().unwrap();
    assert_eq!(get(&client(&cluster).await, &format!("{MAPS}/kept")).await.0, 200);
}

#[tokio::test]
async fn roles_restrict_and_say_so_in_the_authorisers_words() {
    let cluster = cluster();
    let reader = client_of(&cluster.kubeconfig_for("ann", Role::NamespaceReader("default".to_owned()))).await;
    let nobody = client_of(&cluster.kubeconfig_for("bob", Role::Nothing)).await;
    assert_eq!(get(&reader, "/api/v1/namespaces/default/pods").await.0, 200);
    let (code, status) = get(&reader, "/api/v1/pods").await;
    let sentence = "pods is forbidden: User \"ann\" cannot list resource \"pods\" in API group \"\" at the cluster scope";
    assert_eq!((code, &status["message"]), (403, &json!(sentence)));
    let (_, status) = get(&reader, "/apis/apps/v1/namespaces/default/deployments/web").await;
    let sentence = "deployments.apps \"web\" is forbidden: User \"ann\" cannot get resource \"deployments\" in API group \
                    \"apps\" in the namespace \"default\"";
    assert_eq!(status["message"], sentence);
    assert_eq!(get(&nobody, "/api/v1/namespaces/default/pods").await.0, 403);
    assert_eq!(get(&nobody, "/api").await.0, 200, "everybody may discover");
    let review = |verb: &str, resource: &str| json!({"spec": {"resourceAttributes": {"namespace": "default", "verb": verb, "resource": resource}}});
    let path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
    assert_eq!(post(&reader, path, review("list", "pods")).await.1["status"]["allowed"], true);
    assert_eq!(post(&reader, path, review("delete", "pods")).await.1["status"]["allowed"], false);
    let rules = post(&reader, "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews", json!({"spec": {"namespace": "default"}}));
    assert!(rules.await.1["status"]["resourceRules"].as_array().unwrap().iter().any(|rule| rule["resources"][0] == "pods"));
    let whoami = post(&reader, "/apis/authentication.k8s.io/v1/selfsubjectreviews", json!({})).await.1;
    assert_eq!(whoami["status"]["userInfo"]["username"], "ann");
    let roles = "/apis/rbac.authorization.k8s.io/v1/namespaces/default/roles/practice:ann";
    assert_eq!(get(&client(&cluster).await, roles).await.1["rules"][0]["resources"], json!(["pods", "pods/log", "events"]));
    cluster.revoke("ann");
    assert_eq!(get(&reader, "/api/v1/namespaces/default/pods").await.0, 401);
}

#[tokio::test]
async fn bindings_made_and_taken_back_change_what_a_user_may() {
    let cluster = cluster();
    let admin = client(&cluster).await;
    let user = client_of(&cluster.kubeconfig_for("eve", Role::Nothing)).await;
    let bindings = "/apis/rbac.authorization.k8s.io/v1/namespaces/default/rolebindings";
    let pods = "/api/v1/namespaces/default/pods";
    assert_eq!(get(&user, pods).await.0, 403);
    let binding = json!({"metadata": {"name": "eve"}, "subjects": [{"kind": "User", "name": "eve"}],
        "roleRef": {"kind": "ClusterRole", "name": "view"}});
    assert_eq!(post(&admin, bindings, binding).await.0, 201);
    assert_eq!((get(&user, pods).await.0, get(&user, "/api/v1/pods").await.0), (200, 403));
    assert_eq!(get(&user, "/api/v1/namespaces/default/secrets").await.0, 403, "viewers read no secrets");
    let review =
        json!({"spec": {"user": "eve", "resourceAttributes": {"namespace": "default", "verb": "get", "resource": "pods"}}});
    let (_, answer) = post(&admin, "/apis/authorization.k8s.io/v1/subjectaccessreviews", review).await;
    let reason = "RBAC: allowed by RoleBinding \"eve/default\" of ClusterRole \"view\" to User \"eve\"";
    assert_eq!(answer["status"], json!({"allowed": true, "reason": reason}));
    call(&admin, Method::DELETE, &format!("{bindings}/eve"), "application/json", &Value::Null).await;
    assert_eq!(get(&user, pods).await.0, 403);
    let missing = json!({"metadata": {"name": "eve"}, "subjects": [{"kind": "User", "name": "eve"}],
        "roleRef": {"kind": "Role", "name": "gone"}});
    post(&admin, bindings, missing).await;
    let (_, status) = get(&user, pods).await;
    let end = "in the namespace \"default\": RBAC: role.rbac.authorization.k8s.io \"gone\" not found";
    assert!(status["message"].as_str().unwrap().ends_with(end), "{status}");
    for (name, role, namespaces, pods, nodes) in [
        ("a", Role::Admin, 200, 200, 200),
        ("b", Role::Reader, 200, 200, 200),
        ("c", Role::PodsOnly, 403, 200, 403),
        ("d", Role::NoNamespaceList, 403, 200, 200),
        ("e", Role::Nothing, 403, 403, 403),
    ] {
        let user = client_of(&cluster.kubeconfig_for(name, role)).await;
        let codes =
            [get(&user, "/api/v1/namespaces").await.0, get(&user, "/api/v1/pods").await.0, get(&user, "/api/v1/nodes").await.0];
        assert_eq!(codes, [namespaces, pods, nodes], "{name}");
    }
    let accounts = "/api/v1/namespaces/default/serviceaccounts";
    post(&admin, accounts, json!({"metadata": {"name": "robot"}})).await;
    let (code, token) = post(&admin, &format!("{accounts}/robot/token"), json!({"spec": {"expirationSeconds": 600}})).await;
    assert_eq!(code, 201, "{token}");
    let path = format!("/as/{}/apis/authentication.k8s.io/v1/selfsubjectreviews", token["status"]["token"].as_str().unwrap());
    let (_, whoami) = post(&admin, &path, json!({})).await;
    assert_eq!(whoami["status"]["userInfo"]["username"], "system:serviceaccount:default:robot");
    // 600 simulated seconds are 30 of this clock; a token nobody issued is refused at once.
    assert_eq!(get(&admin, "/as/nobody/api/v1/pods").await.0, 401);
}

#[tokio::test]
async fn tables_and_metadata_come_where_they_are_asked_for() {
    let cluster = cluster();
    let client = client(&cluster).await;
    post(&client, DEPLOYMENTS, deployment("web")).await;
    let table = "accept:application/json;as=Table;v=v1;g=meta.k8s.io,application/json";
    let (_, rows) = call(&client, Method::GET, DEPLOYMENTS, table, &Value::Null).await;
    let names: Vec<&Value> = rows["columnDefinitions"].as_array().unwrap().iter().map(|column| &column["name"]).collect();
    assert_eq!(names, ["Name", "Ready", "Up-to-date", "Available", "Age", "Containers", "Images", "Selector"]);
    let cells = rows["rows"][0]["cells"].as_array().unwrap();
    assert_eq!((&cells[0], &cells[1], &cells[7]), (&json!("web"), &json!("0/0"), &json!("app=web")));
    let secret = json!({"metadata": {"name": "s"}, "stringData": {"password": "hunter2"}});
    post(&client, "/api/v1/namespaces/default/secrets", secret).await;
    let (_, stored) = get(&client, "/api/v1/namespaces/default/secrets/s").await;
    assert_eq!(stored["data"]["password"], "aHVudGVyMg==");
    let metadata = "accept:application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";
    let (_, list) = call(&client, Method::GET, "/api/v1/secrets", metadata, &Value::Null).await;
    assert_eq!(list["kind"], "PartialObjectMetadataList");
    assert!(!list.to_string().contains("aHVudGVyMg"), "no data in metadata");
    assert!(list["items"].as_array().unwrap().iter().any(|item| item["metadata"]["name"] == "s"));
}

#[tokio::test]
async fn logs_are_cut_stamped_and_refused_as_a_kubelet_does() {
    let cluster = cluster();
    let client = client(&cluster).await;
    let pods: Api<Pod> = Api::namespaced(client.clone(), "default");
    let body = json!({"metadata": {"name": "web"}, "spec": {"containers": [{"name": "nginx", "image": "nginx:1.27"}]}});
    let path = "/api/v1/namespaces/default/pods";
    post(&client, path, body).await;
    let deadline = Instant::now() + Duration::from_secs(60);
    let mut whole = String::new();
    while whole.lines().count() < 4 && Instant::now() < deadline {
        tokio::time::sleep(Duration::from_millis(50)).await;
        whole = pods.logs("web", &LogParams::default()).await.unwrap_or_default();
    }
    let tail = pods.logs("web", &LogParams { tail_lines: Some(2), timestamps: true, ..LogParams::default() }).await.unwrap();
    assert_eq!(tail.lines().count(), 2);
    let stamp = tail.split(' ').next().unwrap();
    // `sinceTime` travels as a `metav1.Time`, in whole seconds: lines from the start of that second are right.
    let time = chrono::DateTime::parse_from_rfc3339(stamp).unwrap().trunc_subsecs(0);
    let since = LogParams { since_time: Some(stamp.parse().unwrap()), ..LogParams::default() };
    let recent = pods.logs("web", &LogParams { timestamps: true, ..since }).await.unwrap();
    assert!(recent.lines().all(|line| chrono::DateTime::parse_from_rfc3339(line.split(' ').next().unwrap()).unwrap() >= time));
    assert_eq!(pods.logs("web", &LogParams { limit_bytes: Some(9), ..LogParams::default() }).await.unwrap().len(), 9);
    let refusal = async |params: LogParams| pods.logs("web", &params).await.unwrap_err().to_string();
    let previous = refusal(LogParams { previous: true, ..LogParams::default() }).await;
    assert!(previous.contains("previous terminated container \"nginx\" in pod \"web\" not found"), "{previous}");
    let wrong = refusal(LogParams { container: Some("nope".into()), ..LogParams::default() }).await;
    assert!(wrong.contains("container nope is not valid for pod web"), "{wrong}");

    let follow = pods.log_stream("web", &LogParams { follow: true, tail_lines: Some(0), ..LogParams::default() }).await.unwrap();
    let mut lines = follow.lines();
    let uid = pods.get("web").await.unwrap().metadata.uid.unwrap();
    cluster.runtime().append_log(&uid, "nginx", 0, cluster.clock().now(), "said while followed");
    let next = tokio::time::timeout(Duration::from_secs(60), lines.next()).await.expect("a line comes while following");
    assert_eq!(next.unwrap().unwrap(), "said while followed");
    let now = json!({"gracePeriodSeconds": 0});
    call(&client, Method::DELETE, &format!("{path}/web"), "application/json", &now).await;
    let end = async { while lines.next().await.is_some_and(|line| line.is_ok()) {} };
    tokio::time::timeout(Duration::from_secs(60), end).await.expect("the log ends with its pod");
}

#[tokio::test]
async fn load_is_quick_realistic_and_whole() {
    let start = Instant::now();
    let cluster = PracticeCluster::start(&Options { pods: 2_000, ..Options::default() }).unwrap();
    let filled = start.elapsed();
    let client = client(&cluster).await;
    let (code, _, body) = raw(&client, Method::GET, "/api/v1/pods?labelSelector=", "application/json", "").await;
    let list: Value = serde_json::from_slice(&body).unwrap();
    let pods: Vec<&Value> = list["items"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|pod| pod["metadata"]["namespace"].as_str().unwrap().starts_with("load-"))
        .collect();
    assert_eq!((code, pods.len()), (200, 2_000));
    assert!(pods[0].to_string().len() > 4_000, "{}", pods[0].to_string().len());
    assert!(pods.iter().all(|pod| pod["metadata"]["managedFields"].is_array() && pod["spec"]["nodeName"].is_string()));
    let mut uids: Vec<&str> = pods.iter().map(|pod| pod["metadata"]["uid"].as_str().unwrap()).collect();
    uids.sort_unstable();
    uids.dedup();
    assert_eq!(uids.len(), 2_000);
    let (_, nodes) = get(&client, "/api/v1/nodes").await;
    assert!(nodes["items"].as_array().unwrap().len() >= 40);
    assert!(filled < Duration::from_secs(60), "{filled:?}");
}

#[tokio::test]
async fn parameters_that_make_no_sense_are_refused_in_the_servers_words() {
    let cluster = cluster();
    let client = client(&cluster).await;
    for (parameters, code, words) in [
        ("resourceVersionMatch=Exact", 422, "resourceVersionMatch is forbidden unless resourceVersion is provided"),
        (
            "resourceVersion=0&resourceVersionMatch=Exact",
            422,
            "resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\"",
        ),
        ("resourceVersion=1&resourceVersionMatch=Nearly", 422, "Unsupported value: \"Nearly\""),
        ("resourceVersion=1&resourceVersionMatch=Exact", 410, "The resourceVersion for the provided list is too old."),
        ("resourceVersion=0&resourceVersionMatch=NotOlderThan", 200, ""),
        ("resourceVersion=99999999", 504, "Too large resource version: 99999999"),
        ("resourceVersion=x", 400, "Invalid resource version"),
        ("continue=x", 400, "continue key is not valid"),
        ("fieldSelector=data.a=b", 400, "field label not supported: data.a"),
        ("labelSelector=a%20in%20b", 400, "unable to parse requirement: found 'b', expected: '('"),
        ("labelSelector=a%20in%20(b,c),!d,e!=f", 200, ""),
    ] {
        let (got, status) = get(&client, &format!("{MAPS}?{parameters}")).await;
        assert_eq!(got, code, "{parameters}: {status}");
        assert!(code == 200 || status["message"].as_str().unwrap().contains(words), "{parameters}: {status}");
    }
    let (code, status) = post(&client, &format!("{MAPS}?dryRun=Some"), config_map("tried")).await;
    let words = "CreateOptions.meta.k8s.io \"\" is invalid: dryRun: Unsupported value: \"Some\": supported values: \"All\"";
    assert_eq!((code, &status["message"]), (422, &json!(words)));
    assert_eq!(get(&client, &format!("{MAPS}/tried")).await.0, 404);
}
