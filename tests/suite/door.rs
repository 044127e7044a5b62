//! The door for writes, and what is fetched on demand, against the practice cluster.

use k3am::actions::{Intent, Plan, Write, WriteVerb, needs, plan};
use k3am::cluster::objects::SecretValues;
use k3am::cluster::{Door, Error};
use k3am::kinds::ObjectRef;
use k3am::practice::access::Role;
use k3am::snapshot::Snapshot;
use serde_json::{Value, json};

use crate::live::{Practice, practice, raw};

const DEPLOYMENT: &str = "/apis/apps/v1/namespaces/default/deployments/web";

async fn with_deployment() -> Practice {
    let practice = practice(0);
    let deployment = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": {"replicas": 1,
        "selector": {"matchLabels": {"app": "web"}}, "template": {"metadata": {"labels": {"app": "web"}},
        "spec": {"containers": [{"name": "app", "image": "nginx:1.27"}]}}}});
    let path = "/apis/apps/v1/namespaces/default/deployments";
    assert_eq!(raw(&practice.cluster.kubeconfig(), "POST", path, Some(deployment)).await.0, 201);
    practice
}

async fn replicas(practice: &Practice) -> i64 {
    raw(&practice.cluster.kubeconfig(), "GET", DEPLOYMENT, None).await.1["spec"]["replicas"].as_i64().unwrap()
}

async fn scale_plan(door: &Door, replicas: i32) -> Plan {
    let intent = Intent::Scale { workload: ObjectRef::new("Deployment", "default", "web"), replicas };
    let objects = door.fetch(&needs(&intent)).await.unwrap();
    plan(&intent, &objects, &Snapshot::default(), chrono::Utc::now()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_is_checked_without_effect_then_applied_once_and_journaled() {
    let practice = with_deployment().await;
    let journal = practice.dir.path().join("state/journal.jsonl");
    let door = Door::new(practice.admin().await, None).with_journal(journal.clone());
    let plan = scale_plan(&door, 3).await;
    let check = door.check(&plan).await;
    assert_eq!((check.access, check.dry_run), (Ok(()), Ok(())));
    assert_eq!(replicas(&practice).await, 1, "a dry run changes nothing");
    assert!(!journal.exists());
    door.apply(&plan).await.unwrap();
    assert_eq!(replicas(&practice).await, 3);
    let lines = std::fs::read_to_string(&journal).unwrap();
    let entry: Value = serde_json::from_str(lines.trim()).unwrap();
    assert_eq!((entry["result"].as_str(), entry["writes"][0]["name"].as_str()), (Some("applied"), Some("web")));
    assert!(lines.lines().count() == 1 && entry["kubectl"].as_str().unwrap().contains("scale"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_only_door_refuses_everything_before_the_server_hears_of_it() {
    let practice = with_deployment().await;
    let open = Door::new(practice.admin().await, None);
    let plan = scale_plan(&open, 5).await;
    let shut = Door::new(practice.admin().await, Some("started with --readonly".to_owned()));
    let check = shut.check(&plan).await;
    assert_eq!(check.access, Err("read-only: started with --readonly".to_owned()));
    assert!(check.dry_run.is_err());
    assert!(matches!(shut.apply(&plan).await, Err(Error::ReadOnly(_))));
    assert_eq!(replicas(&practice).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_is_told_by_the_access_review_that_it_may_not() {
    let practice = with_deployment().await;
    let plan = scale_plan(&Door::new(practice.admin().await, None), 2).await;
    let reader = Door::new(practice.user("looker", Role::Reader).await, None).with_journal(practice.dir.path().join("j"));
    let check = reader.check(&plan).await;
    let access = check.access.unwrap_err();
    assert!(access.starts_with("you may not patch deployments"), "{access}");
    assert!(check.dry_run.unwrap_err().contains("forbidden"));
    assert!(reader.apply(&plan).await.unwrap_err().is_forbidden());
    assert_eq!(replicas(&practice).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn deleting_an_incarnation_that_is_gone_is_refused_by_the_server() {
    let practice = with_deployment().await;
    let door = Door::new(practice.admin().await, None).with_journal(practice.dir.path().join("j"));
    let mut plan = scale_plan(&door, 2).await;
    let verb = |uid: &str| WriteVerb::Delete { grace_seconds: None, uid: Some(uid.to_owned()) };
    plan.writes =
        vec![Write { target: ObjectRef::new("Deployment", "default", "web"), subresource: None, verb: verb("another") }];
    assert!(matches!(door.apply(&plan).await, Err(Error::Status { code: 409, .. })));
    let uid =
        raw(&practice.cluster.kubeconfig(), "GET", DEPLOYMENT, None).await.1["metadata"]["uid"].as_str().unwrap().to_owned();
    plan.writes[0].verb = verb(&uid);
    assert!(door.check(&plan).await.dry_run.is_ok());
    assert_eq!(raw(&practice.cluster.kubeconfig(), "GET", DEPLOYMENT, None).await.0, 200, "the dry run deleted nothing");
    door.apply(&plan).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_without_an_answer_says_that_it_may_have_been_done() {
    let practice = with_deployment().await;
    let door = Door::new(practice.admin().await, None).with_journal(practice.dir.path().join("j"));
    let plan = scale_plan(&door, 2).await;
    practice.cluster.stop_serving();
    let error = door.apply(&plan).await.unwrap_err();
    assert!(matches!(error, Error::MaybeDone { .. }) && error.to_string().contains("look before trying again"), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_of_any_kind_read_as_yaml_description_and_table() {
    let practice = with_deployment().await;
    let connection = practice.admin().await;
    let web = ObjectRef::new("Deployment", "default", "web");
    let yaml = connection.yaml(&web, SecretValues::Masked).await.unwrap();
    assert!(yaml.starts_with("apiVersion: apps/v1\nkind: Deployment\n") && !yaml.contains("managedFields"), "{yaml}");
    let text = connection.describe(&web, chrono::Utc::now()).await.unwrap();
    assert!(text.contains("Name:       web") && text.contains("image: nginx:1.27") && text.contains("Events:"), "{text}");
    assert!(connection.resources().await.unwrap().iter().any(|r| r.plural == "deployments" && r.is_called("deploy")));
    let (columns, rows) = connection.listing("deploy", None).await.unwrap();
    assert_eq!(&columns[..2], ["NAMESPACE", "NAME"]);
    assert!(rows.iter().any(|row| row[..2] == ["default", "web"]), "{rows:?}");
    let missing = connection.listing("unicorns", None).await.unwrap_err();
    assert_eq!(missing.to_string(), "the server has no unicorns");
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_read_masked_unless_asked() {
    let practice = practice(0);
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "db"}, "stringData": {"password": "hunter2"}});
    raw(&practice.cluster.kubeconfig(), "POST", "/api/v1/namespaces/default/secrets", Some(secret)).await;
    let connection = practice.admin().await;
    let db = ObjectRef::new("Secret", "default", "db");
    let masked = connection.yaml(&db, SecretValues::Masked).await.unwrap();
    assert!(
        masked.contains("password: '***'") || masked.contains("password: \"***\"") || masked.contains("password: ***"),
        "{masked}"
    );
    assert!(!masked.contains("aHVudGVyMg"));
    assert!(!connection.describe(&db, chrono::Utc::now()).await.unwrap().contains("aHVudGVyMg"));
    assert!(!masked.contains("hunter2"));
    let revealed = connection.yaml(&db, SecretValues::Revealed).await.unwrap();
    assert!(revealed.contains("password: hunter2"), "{revealed}");
}
