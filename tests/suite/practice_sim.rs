//! The practice cluster's life: each failure reaches the shape of the capture, and its right fix heals it.
//!
//! `tests/fixtures/practice` holds excerpts of a real cluster; names, times, identifiers and images are made alike before
//! comparing ([`shape`]).

use k3am::practice::clock::Clock;
use k3am::practice::object;
use k3am::practice::resources::{
    DEPLOYMENTS, ENDPOINT_SLICES, EVENTS, JOBS, NAMESPACES, NODES, PODS, REPLICA_SETS, ResourceType, SECRETS, SERVICES,
};
use k3am::practice::runtime::Runtime;
use k3am::practice::scenario::Scenario;
use k3am::practice::simulation::{self, Handle};
use k3am::practice::store::{ChangeKind, Store, Writer};
use regex::Regex;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

const PROD: &str = "fastapi-prod";
const USER: Writer<'static> =
    Writer { manager: "kubectl", operation: k3am::practice::store::Operation::Update, subresource: None };

/// A running practice cluster without its HTTP half.
struct Cluster {
    store: Store,
    runtime: Runtime,
    handle: Handle,
}

impl Cluster {
    fn start(scenario: Option<&str>, speed: f64) -> Self {
        let clock = Clock::new(speed);
        let store = Store::new(clock.clone(), 7);
        let runtime = Runtime::new();
        let scenario = scenario.map(|name| Scenario::find(name).unwrap());
        let handle = simulation::start_with(store.clone(), runtime.clone(), clock, 7, scenario);
        Self { store, runtime, handle }
    }

    fn quiet(speed: f64) -> Self {
        let cluster = Self::start(None, speed);
        cluster.store.create(&NAMESPACES, json!({"metadata": {"name": PROD}}), USER).unwrap();
        cluster
    }

    fn create(&self, kind: &'static ResourceType, object: Value) -> Arc<Value> {
        self.store.create(kind, object, USER).unwrap()
    }

    fn edit(&self, kind: &'static ResourceType, name: &str, edit: impl FnOnce(&mut Value)) {
        self.store.modify(kind, PROD, name, USER, edit).unwrap();
    }

    fn set(&self, deployment: &str, pointer: &str, value: Value) {
        self.edit(&DEPLOYMENTS, deployment, |object| *object.pointer_mut(pointer).unwrap() = value);
    }

    fn pods(&self, prefix: &str) -> Vec<Arc<Value>> {
        let listed = self.store.list(&PODS, Some(PROD)).into_iter();
        listed.filter(|pod| object::name(pod).starts_with(prefix)).collect()
    }

    fn deployment(&self, name: &str) -> Arc<Value> {
        self.store.get(&DEPLOYMENTS, PROD, name).unwrap()
    }

    fn events(&self, about: &str) -> Vec<Arc<Value>> {
        let listed = self.store.list(&EVENTS, None).into_iter();
        listed.filter(|event| object::text(event, "/involvedObject/name").starts_with(about)).collect()
    }

    fn is_healthy(&self, name: &str) -> bool {
        let deployment = self.deployment(name);
        let wanted = deployment["spec"]["replicas"].as_i64();
        let status = &deployment["status"];
        ["replicas", "updatedReplicas", "availableReplicas"].iter().all(|field| status[*field].as_i64() == wanted)
            && reason(&deployment, "Progressing") == "NewReplicaSetAvailable"
            && status["observedGeneration"] == deployment["metadata"]["generation"]
    }

    async fn until<T>(&self, what: &str, mut look: impl FnMut(&Self) -> Option<T>) -> T {
        let begun = Instant::now();
        loop {
            if let Some(found) = look(self) {
                return found;
            }
            assert!(begun.elapsed() < Duration::from_secs(60), "never seen: {what}\n{}", self.describe());
            tokio::time::sleep(Duration::from_millis(15)).await;
        }
    }

    async fn until_true(&self, what: &str, mut look: impl FnMut(&Self) -> bool) {
        self.until(what, |cluster| look(cluster).then_some(())).await;
    }

    fn describe(&self) -> String {
        let mut out = String::new();
        for pod in self.store.list(&PODS, Some(PROD)) {
            let _ = writeln!(
                out,
                "{} {} {} {}",
                object::name(&pod),
                pod["status"]["phase"],
                pod["metadata"]["deletionTimestamp"],
                pod["status"]["containerStatuses"]
            );
        }
        for deployment in self.store.list(&DEPLOYMENTS, Some(PROD)) {
            let _ = writeln!(out, "{} {}", object::name(&deployment), deployment["status"]);
        }
        out
    }
}

fn reason(object: &Value, condition: &str) -> String {
    object::condition(object, condition).map_or(String::new(), |found| object::text(found, "/reason").to_owned())
}

fn waiting(pod: &Value) -> &str {
    object::text(pod, "/status/containerStatuses/0/state/waiting/reason")
}

fn fixture(name: &str) -> Vec<Value> {
    let path = format!("{}/tests/fixtures/practice/{name}.json", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// The status of a pod with everything that is only its own made alike.
fn shape(pod: &Value) -> Value {
    let mut status = pod["status"].clone();
    for field in ["startTime", "hostIP", "hostIPs", "podIP", "podIPs", "allocatedResources", "resources", "qosClass"] {
        object::remove(&mut status, &[field]);
    }
    for list in ["containerStatuses", "initContainerStatuses"] {
        for container in status.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten() {
            for field in ["resources", "allocatedResources", "volumeMounts", "imageID"] {
                object::remove(container, &[field]);
            }
        }
    }
    let container = object::text(&status, "/containerStatuses/0/name").to_owned();
    let image = object::text(&status, "/containerStatuses/0/image").to_owned();
    let mut text = status.to_string();
    for (own, alike) in [
        (object::name(pod).to_owned(), "POD"),
        (object::uid(pod).to_owned(), "UID"),
        (image.replace("docker.io/library/", ""), "IMAGE"),
    ] {
        text = text.replace(&own, alike);
    }
    text = text.replace("docker.io/library/IMAGE", "IMAGE");
    text = text.replace(&format!("\"{container}\""), "\"CONTAINER\"").replace(&format!("[{container}]"), "[CONTAINER]");
    text = text.replace(&format!("container={container} "), "container=CONTAINER ");
    for (pattern, alike) in
        [(r"\d{4}-\d\d-\d\dT[\d:.]+Z", "TIME"), (r"containerd://[0-9a-f]{64}", "ID"), (r"_[a-z-]+\(UID\)", "_NS(UID)")]
    {
        text = Regex::new(pattern).unwrap().replace_all(&text, alike).into_owned();
    }
    serde_json::from_str(&text).unwrap()
}

/// An event's text with everything that is only its own made alike.
fn said(event: &Value, object_name: &str, image: &str) -> String {
    let mut text = object::text(event, "/message").replace(object_name, "OBJECT").replace(image, "IMAGE");
    for (pattern, alike) in [
        (r#"sandbox "[0-9a-f]{64}""#, "sandbox ID"),
        (r"\d+\.\d+\.\d+\.\d+", "IP"),
        (r"[0-9a-f]{8}-[0-9a-f-]{27}", "UID"),
        (r"_[a-z-]+\(", "_NS("),
        (r"OBJECT-[a-z0-9]+(-[a-z0-9]{5})?", "OBJECT-HASH"),
        (r"\b[a-z-]+/OBJECT", "NS/OBJECT"),
        (r"container [a-z]+\b", "container C"),
        (r"to node\d", "to NODE"),
        (r"from \d+ to \d+", "from N to N"),
    ] {
        text = Regex::new(pattern).unwrap().replace_all(&text, alike).into_owned();
    }
    format!("{} {} {text}", object::text(event, "/type"), object::text(event, "/reason"))
}

/// The kinds of events a capture has about objects of that prefix.
fn captured_events(prefix: &str, image: &str) -> BTreeSet<String> {
    let about = |event: &&Value| object::text(event, "/object").starts_with(prefix);
    fixture("events").iter().filter(about).map(|event| said(event, object::text(event, "/object"), image)).collect()
}

fn own_events(cluster: &Cluster, pod: &Value, image: &str) -> BTreeSet<String> {
    cluster.events(object::name(pod)).iter().map(|event| said(event, object::name(pod), image)).collect()
}

/// A deployment of one container.
fn deployment(name: &str, replicas: u32, container: &Value) -> Value {
    json!({
        "metadata": {"name": name, "namespace": PROD, "labels": {"app": name}},
        "spec": {
            "replicas": replicas, "progressDeadlineSeconds": 60, "selector": {"matchLabels": {"app": name}},
            "template": {"metadata": {"labels": {"app": name}}, "spec": {"containers": [container]}},
        },
    })
}

fn orders(image: &str) -> Value {
    json!({
        "name": "app", "image": image, "ports": [{"containerPort": 8000}],
        "resources": {"requests": {"cpu": "20m", "memory": "64Mi"}, "limits": {"memory": "256Mi"}},
        "readinessProbe": {"httpGet": {"path": "/ready", "port": 8000}, "periodSeconds": 5},
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_pod_goes_through_the_states_of_a_real_one() {
    let cluster = Cluster::quiet(20.0);
    let mut changes = cluster.store.subscribe(&PODS);
    cluster.create(&DEPLOYMENTS, deployment("api", 1, &orders("registry.local/orders:v1")));
    cluster.until_true("a healthy deployment", |cluster| cluster.is_healthy("api")).await;
    let mut seen: Vec<String> = Vec::new();
    while let Ok(change) = changes.try_recv() {
        let pod = &change.object;
        let conditions: Vec<_> = object::items(pod, "/status/conditions")
            .iter()
            .map(|condition| format!("{}={}", object::text(condition, "/type"), object::text(condition, "/status")))
            .collect();
        let state = pod["status"]["containerStatuses"][0]["state"].as_object().and_then(|state| state.keys().next().cloned());
        seen.push(format!("{} {} {}", object::text(pod, "/status/phase"), conditions.join(","), state.unwrap_or_default()));
    }
    let expected = [
        "Pending  ",
        "Pending PodScheduled=True ",
        "Pending PodReadyToStartContainers=False,Initialized=True,Ready=False,ContainersReady=False,PodScheduled=True waiting",
        "Pending PodReadyToStartContainers=True,Initialized=True,Ready=False,ContainersReady=False,PodScheduled=True waiting",
        "Running PodReadyToStartContainers=True,Initialized=True,Ready=False,ContainersReady=False,PodScheduled=True running",
        "Running PodReadyToStartContainers=True,Initialized=True,Ready=True,ContainersReady=True,PodScheduled=True running",
    ];
    assert_eq!(seen, expected);
    let managers: Vec<_> = object::items(&cluster.pods("api")[0], "/metadata/managedFields")
        .iter()
        .map(|entry| format!("{} {}", object::text(entry, "/manager"), object::text(entry, "/subresource")))
        .collect();
    assert_eq!(managers, ["kube-controller-manager ", "kubelet status"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rollout_to_a_missing_tag_has_the_captured_shape_and_an_undo_heals_it() {
    let cluster = Cluster::quiet(40.0);
    cluster.create(&DEPLOYMENTS, deployment("api", 3, &orders("registry.local/orders:v1")));
    cluster.until_true("a healthy deployment", |cluster| cluster.is_healthy("api")).await;
    let first = cluster.deployment("api")["spec"]["template"].clone();
    cluster.set("api", "/spec/template/spec/containers/0/image", json!("registry.local/orders:v1.0.O"));
    let captured = fixture("image-typo");
    let find = |cluster: &Cluster, reason: &str| cluster.pods("api").into_iter().find(|pod| waiting(pod) == reason);
    let pulling = cluster.until("ErrImagePull", |cluster| find(cluster, "ErrImagePull")).await;
    assert_eq!(shape(&pulling), shape(&captured[4]));
    let backing = cluster.until("ImagePullBackOff", |cluster| find(cluster, "ImagePullBackOff")).await;
    assert_eq!(shape(&backing), shape(&captured[5]));
    cluster
        .until_true("the deadline", |cluster| reason(&cluster.deployment("api"), "Progressing") == "ProgressDeadlineExceeded")
        .await;
    let stuck = cluster.deployment("api");
    let real = &fixture("rollout")[5];
    for field in ["replicas", "updatedReplicas", "readyReplicas", "availableReplicas", "unavailableReplicas"] {
        assert_eq!(stuck["status"][field], real["status"][field], "{field}");
    }
    for kind in ["Available", "Progressing"] {
        for part in ["/status", "/reason"] {
            let (ours, theirs) = (object::condition(&stuck, kind).unwrap(), object::condition(real, kind).unwrap());
            assert_eq!(object::text(ours, part), object::text(theirs, part));
        }
    }
    let new_set = object::text(object::controller(&backing).unwrap(), "/name").to_owned();
    let message = object::text(object::condition(&stuck, "Progressing").unwrap(), "/message").to_owned();
    assert_eq!(message, format!("ReplicaSet \"{new_set}\" has timed out progressing."));
    let captured = captured_events("image-typo-7fbb854f9b-", "127.0.0.1:5001/team/app:v1.0.O");
    // A pod may back off before the event that says so is written.
    let own = |cluster: &Cluster| own_events(cluster, &backing, "registry.local/orders:v1.0.O");
    cluster.until_true("every event", |cluster| own(cluster).is_superset(&captured)).await;
    assert_eq!(own(&cluster), captured);

    cluster.set("api", "/spec/template", first);
    cluster.until_true("the undone deployment", |cluster| cluster.is_healthy("api") && cluster.pods("api").len() == 3).await;
    let sets = cluster.store.list(&REPLICA_SETS, Some(PROD));
    let mut revisions: Vec<_> = sets.iter().map(|set| object::annotation(set, "deployment.kubernetes.io/revision")).collect();
    revisions.sort_unstable();
    assert_eq!(revisions, ["2", "3"], "the old ReplicaSet is reused under a new number");
    assert_eq!(object::annotation(&cluster.deployment("api"), "deployment.kubernetes.io/revision"), "3");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn undoing_a_half_done_rollout_brings_every_pod_back() {
    let cluster = Cluster::quiet(20.0);
    cluster.create(&DEPLOYMENTS, deployment("api", 4, &orders("registry.local/orders:v1")));
    cluster.until_true("a healthy deployment", |cluster| cluster.is_healthy("api")).await;
    let first = cluster.deployment("api")["spec"]["template"].clone();
    cluster.set("api", "/spec/template/spec/containers/0/image", json!("registry.local/orders:v2"));
    cluster
        .until_true("half of the new pods", |cluster| cluster.deployment("api")["status"]["updatedReplicas"].as_i64() >= Some(2))
        .await;
    cluster.set("api", "/spec/template", first.clone());
    cluster
        .until_true("the old template everywhere", |cluster| {
            let pods = cluster.pods("api");
            cluster.is_healthy("api")
                && pods.len() == 4
                && pods.iter().all(|pod| pod["spec"]["containers"][0]["image"] == first["spec"]["containers"][0]["image"])
        })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_database_url_ends_in_the_captured_crash_loop_and_the_right_one_heals_it() {
    let cluster = Cluster::quiet(50.0);
    let mut container = orders("registry.local/orders:v1");
    container["env"] = json!([{"name": "DATABASE_URL", "value": "postgresql://postgres:pw@postgres.typo.svc:5432/postgres"}]);
    object::remove(&mut container, &["readinessProbe"]);
    let mut changes = cluster.store.subscribe(&PODS);
    cluster.create(&DEPLOYMENTS, deployment("api", 1, &container));
    let looping = |cluster: &Cluster| {
        let found = cluster.pods("api").into_iter().find(|pod| waiting(pod) == "CrashLoopBackOff");
        found.filter(|pod| object::text(pod, "/status/containerStatuses/0/state/waiting/message").starts_with("back-off 20s"))
    };
    let pod = cluster.until("the second back-off", looping).await;
    let captured = fixture("crash-loop");
    let captured_loop = captured
        .iter()
        .find(|state| object::text(state, "/status/containerStatuses/0/state/waiting/message").starts_with("back-off 20s"));
    assert_eq!(shape(&pod), shape(captured_loop.unwrap()));
    let restarts: BTreeSet<i64> = std::iter::from_fn(|| changes.try_recv().ok())
        .filter(|change| waiting(&change.object) == "CrashLoopBackOff")
        .filter_map(|change| object::int(&change.object, "/status/containerStatuses/0/restartCount"))
        .collect();
    assert_eq!(restarts, BTreeSet::from([1, 2]), "the first restart comes without a back-off");
    let uid = object::uid(&pod);
    let previous: Vec<String> = cluster.runtime.read(uid, "app", 1).unwrap().iter().map(|line| line.text.to_string()).collect();
    let error =
        "psycopg2.OperationalError: could not translate host name \"postgres.typo.svc\" to address: Name or service not known";
    assert!(previous.iter().any(|line| line == error), "{previous:#?}");
    assert_eq!(previous.last().unwrap(), "ERROR:    Application startup failed. Exiting.");

    cluster.edit(&DEPLOYMENTS, "api", |object| {
        object["spec"]["template"]["spec"]["containers"][0]["env"] = json!([]);
    });
    cluster.until_true("a healthy deployment", |cluster| cluster.is_healthy("api") && cluster.pods("api").len() == 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_answers_as_postgres_does() {
    let cluster = Cluster::quiet(40.0);
    cluster.create(&SECRETS, json!({"metadata": {"name": "db", "namespace": PROD}, "data": {"password": "c2VjcmV0"}}));
    let postgres = json!({"name": "postgres", "image": "postgres:15", "ports": [{"containerPort": 5432}], "env": [
        {"name": "POSTGRES_USER", "value": "app"},
        {"name": "POSTGRES_PASSWORD", "valueFrom": {"secretKeyRef": {"name": "db", "key": "password"}}}]});
    cluster.create(&DEPLOYMENTS, deployment("postgres", 1, &postgres));
    let service = json!({"metadata": {"name": "postgres", "namespace": PROD}, "spec": {"selector": {"app": "postgres"}, "ports": [{"port": 5432}]}});
    cluster.create(&SERVICES, service);
    cluster.until_true("a database", |cluster| cluster.is_healthy("postgres")).await;
    let address = object::text(&cluster.store.get(&SERVICES, PROD, "postgres").unwrap(), "/spec/clusterIP").to_owned();
    let cases = [
        (
            "wrong-password",
            "postgresql://app:guess@postgres:5432/app",
            format!(
                "connection to server at \"postgres\" ({address}), port 5432 failed: FATAL:  password authentication failed for user \"app\""
            ),
        ),
        (
            "wrong-port",
            "postgresql://app:secret@postgres.fastapi-prod.svc:5433/app",
            format!("connection to server at \"postgres.fastapi-prod.svc\" ({address}), port 5433 failed: Connection refused"),
        ),
        ("right", "postgresql://app:secret@postgres:5432/app", String::new()),
    ];
    for (name, url, _) in &cases {
        let mut container = orders("registry.local/orders:v1");
        container["env"] = json!([{"name": "DATABASE_URL", "value": url}]);
        cluster.create(&DEPLOYMENTS, deployment(name, 1, &container));
    }
    for (name, _, error) in &cases {
        if error.is_empty() {
            cluster.until_true("a connected service", |cluster| cluster.is_healthy(name)).await;
            continue;
        }
        let log = cluster
            .until("a crash", |cluster| {
                let pod = cluster.pods(name).into_iter().next()?;
                cluster.runtime.read(object::uid(&pod), "app", 1).filter(|lines| lines.len() > 20)
            })
            .await;
        assert!(log.iter().any(|line| line.text.contains(error.as_str())), "{name}: {error}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn too_small_a_limit_ends_in_captured_oom_kills_and_a_larger_one_heals() {
    let cluster = Cluster::quiet(40.0);
    let container = json!({"name": "app", "image": "ghcr.io/acme/thumbnails:1.1.0", "env": [{"name": "WORKING_SET", "value": "176Mi"}],
        "resources": {"requests": {"memory": "64Mi"}, "limits": {"memory": "128Mi"}}});
    cluster.create(&DEPLOYMENTS, deployment("thumbnails", 1, &container));
    let looping = |cluster: &Cluster| cluster.pods("thumbnails").into_iter().find(|pod| waiting(pod) == "CrashLoopBackOff");
    let pod = cluster.until("an OOM loop", looping).await;
    let captured = fixture("oom");
    let real = captured.iter().find(|state| waiting(state) == "CrashLoopBackOff").unwrap();
    assert_eq!(shape(&pod), shape(real));
    assert_eq!(object::text(&pod, "/status/containerStatuses/0/lastState/terminated/reason"), "OOMKilled");
    let used = cluster
        .until("a measured use", |cluster| {
            let pod = cluster.pods("thumbnails").into_iter().next()?;
            cluster.runtime.usage(object::uid(&pod)).into_iter().next()
        })
        .await;
    assert!(used.memory_bytes > 20e6 && used.memory_bytes <= 128.0 * 1_048_576.0, "{used:?}");
    cluster.set("thumbnails", "/spec/template/spec/containers/0/resources/limits/memory", json!("256Mi"));
    cluster
        .until_true("a healthy deployment", |cluster| cluster.is_healthy("thumbnails") && cluster.pods("thumbnails").len() == 1)
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deployment_beyond_its_subnet_waits_for_addresses_and_scaling_down_heals() {
    let cluster = Cluster::start(Some("night-shift"), 50.0);
    let waits = |pod: &Value| waiting(pod) == "ContainerCreating" && object::text(pod, "/status/podIP").is_empty();
    let combined = |cluster: &Cluster| {
        let events = cluster.events("notifications-");
        events.into_iter().find(|event| {
            object::text(event, "/message").starts_with("(combined from similar events): Failed to create pod sandbox")
        })
    };
    let event = cluster.until("a combined event", combined).await;
    let pod = cluster.store.get(&PODS, PROD, object::text(&event, "/involvedObject/name")).unwrap();
    assert_eq!(shape(&pod), shape(&fixture("ip-exhausted")[0]));
    // The captured pod got its address in the end; what came before is compared.
    let (mut own, mut real) = (own_events(&cluster, &pod, "no image"), captured_events("ip-hungry-5b9b6f575d-kq9bl", "no image"));
    for texts in [&mut own, &mut real] {
        texts.retain(|text| text.contains("SandBox") || text.contains("Scheduled"));
        assert_eq!(texts.len(), 3);
    }
    assert_eq!(own, real);
    assert_eq!(cluster.pods("notifications").iter().filter(|pod| waits(pod)).count(), 5);
    cluster.set("notifications", "/spec/replicas", json!(10));
    cluster
        .until_true("ten running pods", |cluster| {
            cluster.is_healthy("notifications") && cluster.pods("notifications").len() == 10
        })
        .await;
    assert!(!cluster.pods("notifications").iter().any(|pod| waits(pod)), "the pods without an address go first");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_finalizer_holds_a_stopped_pod_until_it_is_removed() {
    let cluster = Cluster::quiet(40.0);
    let pod = json!({"metadata": {"name": "finalizer-stuck", "namespace": PROD, "finalizers": ["example.com/cleanup"]},
        "spec": {"containers": [{"name": "c", "image": "busybox:1.36", "command": ["sh", "-c", "sleep 10000"]}]}});
    cluster.create(&PODS, pod);
    cluster
        .until_true("a running pod", |cluster| cluster.pods("finalizer").iter().any(|pod| pod["status"]["phase"] == "Running"))
        .await;
    cluster.store.delete(&PODS, PROD, "finalizer-stuck", Some(5)).unwrap();
    let held =
        |cluster: &Cluster| cluster.pods("finalizer").into_iter().find(|pod| pod["metadata"]["deletionGracePeriodSeconds"] == 0);
    let pod = cluster.until("a held pod", held).await;
    let real = &fixture("finalizer")[0];
    assert_eq!(shape(&pod), shape(real));
    assert_eq!(pod["metadata"]["generation"], real["metadata"]["generation"]);
    assert_eq!(own_events(&cluster, &pod, "busybox:1.36"), captured_events("finalizer-stuck", "busybox:1.36"));
    cluster.edit(&PODS, "finalizer-stuck", |pod| pod["metadata"]["finalizers"] = json!([]));
    assert!(cluster.pods("finalizer").is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_node_keeps_its_deleted_pods_until_they_are_forced_away() {
    let cluster = Cluster::quiet(50.0);
    cluster.create(&DEPLOYMENTS, deployment("api", 3, &orders("registry.local/orders:v1")));
    cluster.until_true("a healthy deployment", |cluster| cluster.is_healthy("api")).await;
    let victim = cluster.pods("api").into_iter().next().unwrap();
    let node = object::text(&victim, "/spec/nodeName").to_owned();
    cluster.handle.fail_node(&node);
    let unknown = |cluster: &Cluster| {
        let node = cluster.store.get(&NODES, "", &node)?;
        (object::items(&node, "/spec/taints").len() == 2).then_some(node)
    };
    let dead = cluster.until("an unreachable node", unknown).await;
    let ready = object::condition(&dead, "Ready").unwrap();
    assert_eq!(
        (object::text(ready, "/status"), object::text(ready, "/reason"), object::text(ready, "/message")),
        ("Unknown", "NodeStatusUnknown", "Kubelet stopped posting node status.")
    );
    cluster
        .until_true("a pod marked not ready", |cluster| {
            cluster.store.get(&PODS, PROD, object::name(&victim)).is_some_and(|pod| !object::condition_is_true(&pod, "Ready"))
        })
        .await;
    cluster
        .until_true("eviction by the taint", |cluster| {
            let pod = cluster.store.get(&PODS, PROD, object::name(&victim)).unwrap();
            reason(&pod, "DisruptionTarget") == "DeletionByTaintManager" && object::is_deleting(&pod)
        })
        .await;
    cluster.until_true("a replacement elsewhere", |cluster| cluster.is_healthy("api")).await;
    tokio::time::sleep(Duration::from_millis(1200)).await;
    let stuck = cluster.store.get(&PODS, PROD, object::name(&victim)).expect("the pod of a dead node stays Terminating");
    assert_eq!(stuck["status"]["phase"], "Running");
    cluster.store.delete(&PODS, PROD, object::name(&victim), Some(0)).unwrap();
    assert!(cluster.store.get(&PODS, PROD, object::name(&victim)).is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_node_declared_out_of_service_loses_its_terminating_pods() {
    let cluster = Cluster::quiet(50.0);
    cluster.create(&DEPLOYMENTS, deployment("api", 2, &orders("registry.local/orders:v1")));
    cluster.until_true("a healthy deployment", |cluster| cluster.is_healthy("api")).await;
    let victim = cluster.pods("api").into_iter().next().unwrap();
    let node = object::text(&victim, "/spec/nodeName").to_owned();
    cluster.handle.fail_node(&node);
    cluster.until_true("a stuck pod", |cluster| cluster.pods("api").iter().any(|pod| object::is_deleting(pod))).await;
    cluster
        .store
        .modify(&NODES, "", &node, Writer::update("kubectl"), |node| {
            let mut taints = object::items(node, "/spec/taints").to_vec();
            taints.push(json!({"key": "node.kubernetes.io/out-of-service", "value": "nodeshutdown", "effect": "NoExecute"}));
            object::put(node, &["spec", "taints"], json!(taints));
        })
        .unwrap();
    cluster.until_true("only healthy pods", |cluster| !cluster.pods("api").iter().any(|pod| object::is_deleting(pod))).await;
    assert!(cluster.store.get(&PODS, PROD, object::name(&victim)).is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn endpoint_slices_follow_readiness_and_size() {
    let cluster = Cluster::quiet(40.0);
    cluster.create(&DEPLOYMENTS, deployment("api", 2, &orders("registry.local/orders:v1")));
    let service = json!({"metadata": {"name": "api", "namespace": PROD}, "spec": {"selector": {"app": "api"}, "ports": [{"port": 80, "targetPort": 8000}]}});
    cluster.create(&SERVICES, service);
    let ready = |cluster: &Cluster| {
        let slices = cluster.store.list(&ENDPOINT_SLICES, Some(PROD));
        let endpoints = slices.first().map(|slice| object::items(slice, "/endpoints").to_vec()).unwrap_or_default();
        (endpoints.len(), endpoints.iter().filter(|endpoint| endpoint["conditions"]["ready"] == true).count())
    };
    cluster.until_true("an endpoint that is not ready yet", |cluster| matches!(ready(cluster), (1.., 0))).await;
    cluster.until_true("two ready endpoints", |cluster| ready(cluster) == (2, 2)).await;
    cluster.set("api", "/spec/replicas", json!(4));
    cluster.until_true("four ready endpoints", |cluster| ready(cluster) == (4, 4)).await;
    cluster.set("api", "/spec/replicas", json!(1));
    cluster.until_true("one ready endpoint", |cluster| ready(cluster) == (1, 1) && cluster.pods("api").len() == 1).await;
    let pod = cluster.pods("api").remove(0);
    let served = |cluster: &Cluster| {
        cluster.runtime.read(object::uid(&pod), "app", 0).filter(|lines| lines.iter().any(|line| line.text.contains("orders")))
    };
    cluster.until("traffic in the log", served).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_relabelled_pod_is_let_go_and_replaced() {
    let cluster = Cluster::quiet(40.0);
    cluster.create(&DEPLOYMENTS, deployment("api", 2, &orders("registry.local/orders:v1")));
    cluster.create(
        &SERVICES,
        json!({"metadata": {"name": "api", "namespace": PROD}, "spec": {"selector": {"app": "api"}, "ports": [{"port": 8000}]}}),
    );
    cluster.until_true("a healthy deployment", |cluster| cluster.is_healthy("api")).await;
    let isolated = object::name(&cluster.pods("api")[0]).to_owned();
    cluster.edit(&PODS, &isolated, |pod| pod["metadata"]["labels"] = json!({"app": "isolated"}));
    cluster.until_true("a replacement", |cluster| cluster.pods("api").len() == 3 && cluster.is_healthy("api")).await;
    let pod = cluster.store.get(&PODS, PROD, &isolated).unwrap();
    assert_eq!(object::controller_uid(&pod), "");
    cluster
        .until_true("two endpoints without it", |cluster| {
            let slices = cluster.store.list(&ENDPOINT_SLICES, Some(PROD));
            let names: Vec<_> = object::items(&slices[0], "/endpoints")
                .iter()
                .map(|endpoint| object::text(endpoint, "/targetRef/name"))
                .collect();
            names.len() == 2 && !names.contains(&isolated.as_str())
        })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_returns_finishes_what_was_asked_of_it() {
    let cluster = Cluster::quiet(50.0);
    cluster.create(&DEPLOYMENTS, deployment("api", 3, &orders("registry.local/orders:v1")));
    cluster.until_true("a healthy deployment", |cluster| cluster.is_healthy("api")).await;
    let pod = cluster.pods("api").remove(0);
    let (name, node) = (object::name(&pod), object::text(&pod, "/spec/nodeName"));
    cluster.handle.fail_node(node);
    cluster
        .until_true("a pod marked not ready", |cluster| {
            !object::condition_is_true(&cluster.store.get(&PODS, PROD, name).unwrap(), "Ready")
        })
        .await;
    cluster.handle.revive_node(node);
    cluster
        .until_true("a ready pod", |cluster| object::condition_is_true(&cluster.store.get(&PODS, PROD, name).unwrap(), "Ready"))
        .await;
    cluster
        .until_true("no taints", |cluster| {
            object::items(&cluster.store.get(&NODES, "", node).unwrap(), "/spec/taints").is_empty()
        })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_paused_rollout_waits_and_a_recreate_has_no_overlap() {
    let cluster = Cluster::quiet(40.0);
    cluster.create(&DEPLOYMENTS, deployment("api", 2, &orders("registry.local/orders:v1")));
    let mut recreate = deployment("db", 1, &orders("registry.local/orders:v1"));
    recreate["spec"]["strategy"] = json!({"type": "Recreate"});
    cluster.create(&DEPLOYMENTS, recreate);
    cluster.until_true("healthy deployments", |cluster| cluster.is_healthy("api") && cluster.is_healthy("db")).await;
    cluster.edit(&DEPLOYMENTS, "api", |object| object["spec"]["paused"] = json!(true));
    cluster.set("api", "/spec/template/spec/containers/0/image", json!("registry.local/orders:v2"));
    cluster.until_true("paused", |cluster| reason(&cluster.deployment("api"), "Progressing") == "DeploymentPaused").await;
    assert_eq!(cluster.pods("api").len(), 2);
    let mut changes = cluster.store.subscribe(&PODS);
    cluster.set("db", "/spec/template/spec/containers/0/image", json!("registry.local/orders:v2"));
    cluster.until_true("the new database", |cluster| cluster.is_healthy("db")).await;
    let mut old_phase = String::new();
    let mut at_creation = None;
    while let Ok(change) = changes.try_recv() {
        if change.kind == ChangeKind::Added && object::name(&change.object).starts_with("db") {
            at_creation = Some(old_phase.clone());
        } else if at_creation.is_none() && object::name(&change.object).starts_with("db") {
            object::text(&change.object, "/status/phase").clone_into(&mut old_phase);
        }
    }
    assert_eq!(at_creation.as_deref(), Some("Succeeded"), "the old pod has ended before the new one is made");
    cluster.edit(&DEPLOYMENTS, "api", |object| drop(object::remove(object, &["spec", "paused"])));
    let updated = |pod: &Arc<Value>| pod["spec"]["containers"][0]["image"] == "registry.local/orders:v2";
    cluster
        .until_true("the resumed rollout", |cluster| cluster.is_healthy("api") && cluster.pods("api").iter().all(updated))
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failing_job_ends_like_the_captured_one_and_a_good_one_completes() {
    let cluster = Cluster::quiet(40.0);
    let job = |name: &str, script: &str| {
        json!({"metadata": {"name": name, "namespace": PROD}, "spec": {"backoffLimit": 1, "template": {"spec": {"restartPolicy": "Never",
            "containers": [{"name": "migrate", "image": "busybox:1.36", "command": ["sh", "-c", script]}]}}}})
    };
    cluster.create(&JOBS, job("migrate", "echo failing; exit 1"));
    cluster.create(&JOBS, job("seed", "echo seeding; sleep 5"));
    let get = |cluster: &Cluster, name: &str| cluster.store.get(&JOBS, PROD, name).unwrap();
    cluster.until_true("a failed job", |cluster| object::condition_is_true(&get(cluster, "migrate"), "Failed")).await;
    let real = &fixture("job")[0];
    let failed = get(&cluster, "migrate");
    assert_eq!(failed["status"]["failed"], real["status"]["failed"]);
    let said = |job: &Value| -> Vec<String> {
        let conditions = object::items(job, "/status/conditions").iter();
        conditions.map(|one| format!("{} {} {}", one["type"], one["reason"], one["message"])).collect()
    };
    assert_eq!(said(&failed), said(real));
    let pod = cluster.pods("migrate").remove(0);
    assert_eq!(shape(&pod), shape(&fixture("job-pod")[0]));
    cluster.until_true("a completed job", |cluster| object::condition_is_true(&get(cluster, "seed"), "Complete")).await;
    assert_eq!(get(&cluster, "seed")["status"]["succeeded"], 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deleting_a_deployment_takes_its_sets_and_pods_with_it() {
    let cluster = Cluster::quiet(50.0);
    cluster.create(&DEPLOYMENTS, deployment("api", 3, &orders("registry.local/orders:v1")));
    cluster.until_true("a healthy deployment", |cluster| cluster.is_healthy("api")).await;
    cluster.store.delete(&DEPLOYMENTS, PROD, "api", None).unwrap();
    cluster
        .until_true("nothing left", |cluster| {
            cluster.pods("api").is_empty() && cluster.store.list(&REPLICA_SETS, Some(PROD)).is_empty()
        })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn missing_settings_and_too_large_requests_wait_in_the_captured_words() {
    let cluster = Cluster::quiet(40.0);
    cluster.create(&SECRETS, json!({"metadata": {"name": "app-secrets", "namespace": PROD}, "data": {"OTHER": "eA=="}}));
    let mut no_map = orders("registry.local/orders:v1");
    no_map["envFrom"] = json!([{"configMapRef": {"name": "app-config"}}]);
    let mut no_key = orders("registry.local/orders:v1");
    no_key["env"] =
        json!([{"name": "DATABASE_URL", "valueFrom": {"secretKeyRef": {"name": "app-secrets", "key": "DATABASE_URL"}}}]);
    let mut large = orders("registry.local/orders:v1");
    large["resources"]["requests"]["cpu"] = json!("16");
    for (name, container) in [("config-missing", no_map), ("secret-key-missing", no_key), ("pending-cpu", large)] {
        cluster.create(&DEPLOYMENTS, deployment(name, 1, &container));
    }
    for name in ["config-missing", "secret-key-missing"] {
        let find = |cluster: &Cluster| cluster.pods(name).into_iter().find(|pod| waiting(pod) == "CreateContainerConfigError");
        let pod = cluster.until(name, find).await;
        assert_eq!(shape(&pod), shape(&fixture(name)[0]));
    }
    let pending = cluster
        .until("an unschedulable pod", |cluster| {
            cluster.pods("pending-cpu").into_iter().find(|pod| reason(pod, "PodScheduled") == "Unschedulable")
        })
        .await;
    let real = fixture("pending-cpu")[0]["status"]["conditions"].to_string();
    let (ours, theirs) = (pending["status"]["conditions"][0]["message"].as_str().unwrap(), real);
    assert!(theirs.contains(&ours.replace("0/3", "0/1").replace("3 Insuff", "1 Insuff").replace("3 Preem", "1 Preem")), "{ours}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failing_liveness_probe_kills_and_says_so() {
    let cluster = Cluster::quiet(40.0);
    let mut container = orders("registry.local/orders:v1");
    container["livenessProbe"] = json!({"httpGet": {"path": "/health", "port": 9000}, "periodSeconds": 3, "failureThreshold": 2});
    cluster.create(&DEPLOYMENTS, deployment("api", 1, &container));
    let restarted = |cluster: &Cluster| {
        cluster.pods("api").into_iter().find(|pod| object::int(pod, "/status/containerStatuses/0/restartCount") >= Some(1))
    };
    let pod = cluster.until("a restart", restarted).await;
    let said: Vec<String> =
        cluster.events(object::name(&pod)).iter().map(|event| object::text(event, "/message").to_owned()).collect();
    let refused = format!(
        "Liveness probe failed: Get \"http://{0}:9000/health\": dial tcp {0}:9000: connect: connection refused",
        object::text(&pod, "/status/podIP")
    );
    assert!(said.contains(&refused), "{said:#?}");
    assert!(said.iter().any(|message| message == "Container app failed liveness probe, will be restarted"), "{said:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deleted_namespace_empties_itself() {
    let cluster = Cluster::quiet(50.0);
    cluster.create(&DEPLOYMENTS, deployment("api", 2, &orders("registry.local/orders:v1")));
    cluster.until_true("a healthy deployment", |cluster| cluster.is_healthy("api")).await;
    cluster.store.delete(&NAMESPACES, "", PROD, None).unwrap();
    cluster.until_true("no namespace", |cluster| cluster.store.get(&NAMESPACES, "", PROD).is_none()).await;
    assert!(cluster.pods("").is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_night_shift_begins_with_a_past_and_breaks_in_five_ways() {
    let cluster = Cluster::start(Some("night-shift"), 40.0);
    let api = cluster.deployment("fastapi-deployment");
    assert_eq!(object::annotation(&api, "deployment.kubernetes.io/revision"), "3");
    let managers: BTreeSet<_> =
        object::items(&api, "/metadata/managedFields").iter().map(|entry| object::text(entry, "/manager")).collect();
    assert!(managers.contains("argocd-controller"), "{managers:?}");
    let age = cluster.store.clock().now() - object::time(&api, "/metadata/creationTimestamp").unwrap();
    assert_eq!(age.num_days(), 33);
    for deployment in cluster.store.list(&DEPLOYMENTS, Some(PROD)) {
        assert!(cluster.is_healthy(object::name(&deployment)), "{} begins healthy", object::name(&deployment));
    }
    let begins = |prefix: &str, reason: &str| {
        let (prefix, reason) = (prefix.to_owned(), reason.to_owned());
        move |cluster: &Cluster| cluster.pods(&prefix).iter().any(|pod| waiting(pod) == reason)
    };
    cluster.until_true("a", begins("fastapi-deployment", "ImagePullBackOff")).await;
    cluster.until_true("b", begins("orders-api", "CrashLoopBackOff")).await;
    cluster.until_true("c", begins("thumbnails", "CrashLoopBackOff")).await;
    cluster
        .until_true("d", |cluster| {
            cluster.events("notifications").iter().any(|event| event["reason"] == "FailedCreatePodSandBox")
        })
        .await;
    cluster
        .until_true("e", |cluster| {
            let held = cluster.pods("invoice-export").iter().any(|pod| pod["status"]["phase"] == "Failed");
            let dead = cluster.pods("reports").iter().any(|pod| object::is_deleting(pod) && pod["spec"]["nodeName"] == "node3");
            held && dead
        })
        .await;
    let serving = cluster.pods("fastapi-deployment").iter().filter(|pod| object::condition_is_true(pod, "Ready")).count();
    assert_eq!(serving, 3, "the old pods go on serving");
    for name in ["web", "redis", "postgres"] {
        assert!(cluster.is_healthy(name), "{name} is a healthy neighbour");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_right_fixes_end_the_night_shift() {
    let cluster = Cluster::start(Some("night-shift"), 40.0);
    let before = cluster.deployment("fastapi-deployment")["spec"]["template"].clone();
    let database = cluster.deployment("orders-api")["spec"]["template"]["spec"]["containers"][0]["env"].clone();
    cluster
        .until_true("everything broken", |cluster| {
            let waits = |prefix: &str, reason: &str| cluster.pods(prefix).iter().any(|pod| waiting(pod) == reason);
            waits("fastapi-deployment", "ImagePullBackOff")
                && waits("orders-api", "CrashLoopBackOff")
                && waits("thumbnails", "CrashLoopBackOff")
                && cluster.pods("notifications").len() == 18
                && cluster.pods("invoice-export").iter().any(|pod| pod["status"]["phase"] == "Failed")
                && cluster.pods("reports").iter().any(|pod| object::is_deleting(pod))
        })
        .await;
    cluster.set("fastapi-deployment", "/spec/template", before);
    cluster.set("orders-api", "/spec/template/spec/containers/0/env", database);
    cluster.set("thumbnails", "/spec/template/spec/containers/0/resources/limits/memory", json!("256Mi"));
    cluster.set("notifications", "/spec/replicas", json!(12));
    cluster.edit(&PODS, "invoice-export", |pod| pod["metadata"]["finalizers"] = json!([]));
    let stuck = cluster.pods("reports").into_iter().find(|pod| object::is_deleting(pod)).unwrap();
    cluster.store.delete(&PODS, PROD, object::name(&stuck), Some(0)).unwrap();
    cluster
        .until_true("a quiet night", |cluster| {
            let deployments = cluster.store.list(&DEPLOYMENTS, Some(PROD));
            let well = |pod: &Arc<Value>| object::condition_is_true(pod, "Ready") && !object::is_deleting(pod);
            deployments.iter().all(|deployment| cluster.is_healthy(object::name(deployment))) && cluster.pods("").iter().all(well)
        })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_hundred_pods_start_in_a_debug_build() {
    let cluster = Cluster::quiet(20.0);
    for index in 0..10 {
        let small = json!({"name": "app", "image": "registry.local/orders:v1", "ports": [{"containerPort": 8000}]});
        cluster.create(&DEPLOYMENTS, deployment(&format!("api-{index}"), 30, &small));
    }
    cluster.until_true("300 running pods", |cluster| (0..10).all(|index| cluster.is_healthy(&format!("api-{index}")))).await;
}
