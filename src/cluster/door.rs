//! The one door for writes: checks a [`Plan`] with the server (access review, dry run), applies it once, keeps a journal.
//!
//! Invariants: nothing else in k3am writes to a cluster; nothing passes when read-only; a write is never tried twice (one
//! whose answer did not come is reported as possibly done).

use std::path::PathBuf;

use chrono::Utc;
use http::Method;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Value, json};

use super::discovery::Resource;
use super::http::{CALL_LIMIT, Call, JSON};
use super::objects::path_of;
use super::{Connection, Error};
use crate::actions::access::{Access, access_as};
use crate::actions::{Check, ObjectRequest, Objects, Plan, Write, WriteVerb};

mod journal;

/// What `managedFields` will say wrote it.
pub const FIELD_MANAGER: &str = "k3am";

/// The door to one cluster.
#[derive(Debug, Clone)]
pub struct Door {
    connection: Connection,
    read_only: Option<String>,
    journal: Option<PathBuf>,
}

/// Whether a write is real.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Run {
    Dry,
    Real,
}

impl Door {
    /// A door. `read_only` says why it is shut, as a sentence (`started with --readonly`), if it is.
    pub fn new(connection: Connection, read_only: Option<String>) -> Self {
        Self { connection, read_only, journal: journal::default_path() }
    }

    /// The same door with its journal elsewhere.
    #[must_use]
    pub fn with_journal(self, path: PathBuf) -> Self {
        Self { journal: Some(path), ..self }
    }

    /// Why nothing may be written here, if so.
    pub fn read_only(&self) -> Option<&str> {
        self.read_only.as_deref()
    }

    /// Fetches what a planner needs (`actions::needs`). What does not exist is left out.
    ///
    /// # Errors
    /// Not allowed, unreachable.
    pub async fn fetch(&self, requests: &[ObjectRequest]) -> Result<Objects, Error> {
        #[derive(Deserialize)]
        struct List {
            #[serde(default)]
            items: Vec<Value>,
        }
        let mut objects = Objects::default();
        for request in requests {
            match request {
                ObjectRequest::Object(object) => match self.connection.object(object).await {
                    Ok(found) => objects.insert(&object.kind, found),
                    Err(error) if error.is_not_found() => {}
                    Err(error) => return Err(error),
                },
                ObjectRequest::OwnedBy { kind, owner } => {
                    let path = Resource::from(*kind).path(&owner.namespace);
                    let list: List = self.connection.get_json(&path).await?;
                    for item in list.items.into_iter().filter(|item| is_owned_by(item, &owner.kind, &owner.name)) {
                        objects.insert(kind.name(), item);
                    }
                }
            }
        }
        Ok(objects)
    }

    /// Asks the server whether the plan would be allowed and accepted. Changes nothing.
    pub async fn check(&self, plan: &Plan) -> Check {
        if let Some(why) = &self.read_only {
            let refused = Error::ReadOnly(why.clone()).to_string();
            return Check { access: Err(refused.clone()), dry_run: Err(refused) };
        }
        let mut check = Check { access: Ok(()), dry_run: Ok(()) };
        for write in &plan.writes {
            let access = self.review(write).await;
            check.access = check.access.and(access);
            let dry_run = self.write(write, Run::Dry).await;
            check.dry_run = check.dry_run.and(dry_run.map_err(|error| error.to_string()));
        }
        check
    }

    /// Carries the plan out, write by write, each exactly once.
    ///
    /// # Errors
    /// Read-only, not allowed, refused by the server; or no answer, in which case it may have been done.
    pub async fn apply(&self, plan: &Plan) -> Result<(), Error> {
        if let Some(why) = &self.read_only {
            return Err(Error::ReadOnly(why.clone()));
        }
        let result = self.write_all(plan).await;
        tracing::info!(what = plan.title, ok = result.is_ok(), "applied");
        self.record(plan, &result);
        result
    }

    async fn write_all(&self, plan: &Plan) -> Result<(), Error> {
        for (done, write) in plan.writes.iter().enumerate() {
            self.write(write, Run::Real).await.map_err(|error| match error {
                Error::TimedOut { .. } | Error::Unreachable { .. } => Error::MaybeDone { why: error.to_string() },
                error if done > 0 => Error::PartlyDone { done, of: plan.writes.len(), why: error.to_string() },
                error => error,
            })?;
        }
        Ok(())
    }

    fn record(&self, plan: &Plan, result: &Result<(), Error>) {
        let Some(path) = &self.journal else { return };
        let outcome = result.as_ref().err().map_or_else(|| "applied".to_owned(), ToString::to_string);
        let line = journal::line(plan, &self.connection.context, &self.connection.host, Utc::now(), &outcome);
        if let Err(error) = journal::append(path, &line) {
            tracing::warn!(path = %path.display(), %error, "cannot write the journal");
        }
    }

    /// Access review of one write. Servers that do not review (404) leave it to the dry run.
    async fn review(&self, write: &Write) -> Result<(), String> {
        let resource = self.connection.resource_of_kind(&write.target.kind).await.map_err(|error| error.to_string())?;
        let access = access_as(write, &resource.group, &resource.plural);
        match self.ask(&access).await {
            Ok(status) if status.allowed => Ok(()),
            Ok(status) => Err(denial(&access, status.reason.as_deref().unwrap_or_default())),
            Err(error) if error.is_not_found() => Ok(()),
            Err(error) => Err(error.to_string()),
        }
    }

    async fn ask(&self, access: &Access) -> Result<ReviewStatus, Error> {
        #[derive(Deserialize)]
        struct Review {
            status: ReviewStatus,
        }
        let body = json!({
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": {
                "verb": access.verb,
                "group": &*access.group,
                "resource": &*access.resource,
                "subresource": access.subresource.unwrap_or_default(),
                "namespace": &*access.namespace,
                "name": &*access.name,
            }},
        });
        let call = Call {
            method: Method::POST,
            path: "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
            accept: JSON,
            body: Some((JSON, body.to_string().into_bytes())),
            limit: CALL_LIMIT,
        };
        Ok(self.connection.call_json::<Review>(call).await?.status)
    }

    async fn write(&self, write: &Write, run: Run) -> Result<(), Error> {
        let resource = self.connection.resource_of_kind(&write.target.kind).await?;
        let path = write_path(&resource, write, run);
        let (method, content_type, body) = match &write.verb {
            WriteVerb::MergePatch(patch) => (Method::PATCH, "application/merge-patch+json", patch.clone()),
            WriteVerb::StrategicPatch(patch) => (Method::PATCH, "application/strategic-merge-patch+json", patch.clone()),
            WriteVerb::JsonPatch(patch) => (Method::PATCH, "application/json-patch+json", patch.clone()),
            WriteVerb::Create(object) => (Method::POST, JSON, object.clone()),
            WriteVerb::Delete { grace_seconds, uid } => {
                (Method::DELETE, JSON, delete_options(*grace_seconds, uid.as_deref(), run))
            }
        };
        let body = Some((content_type, body.to_string().into_bytes()));
        let call = Call { method, path: &path, accept: JSON, body, limit: CALL_LIMIT };
        self.connection.call_json::<IgnoredAny>(call).await.map(|_| ())
    }
}

#[derive(Debug, Deserialize)]
struct ReviewStatus {
    allowed: bool,
    reason: Option<String>,
}

fn denial(access: &Access, reason: &str) -> String {
    let subresource = access.subresource.map_or_else(String::new, |s| format!("/{s}"));
    let reason = if reason.is_empty() { String::new() } else { format!(": {}", crate::text::clean(reason)) };
    let place = if access.namespace.is_empty() { String::new() } else { format!(" in namespace {}", access.namespace) };
    format!("you may not {} {}{subresource}{place}{reason}", access.verb, access.resource)
}

fn write_path(resource: &Resource, write: &Write, run: Run) -> String {
    let is_new = matches!(write.verb, WriteVerb::Create(_)) && write.subresource.is_none();
    let mut path = if is_new { resource.path(&write.target.namespace) } else { path_of(resource, &write.target) };
    if let Some(subresource) = write.subresource {
        path = format!("{path}/{subresource}");
    }
    let mut query = Vec::new();
    if run == Run::Dry {
        query.push("dryRun=All".to_owned());
    }
    if !matches!(write.verb, WriteVerb::Delete { .. }) {
        query.push(format!("fieldManager={FIELD_MANAGER}"));
    }
    if query.is_empty() { path } else { format!("{path}?{}", query.join("&")) }
}

fn delete_options(grace_seconds: Option<u32>, uid: Option<&str>, run: Run) -> Value {
    let mut options = serde_json::Map::new();
    let mut set = |field: &str, value: Value| options.insert(field.to_owned(), value);
    set("apiVersion", "v1".into());
    set("kind", "DeleteOptions".into());
    set("propagationPolicy", "Background".into());
    if let Some(seconds) = grace_seconds {
        set("gracePeriodSeconds", seconds.into());
    }
    if let Some(uid) = uid {
        set("preconditions", json!({"uid": uid}));
    }
    if run == Run::Dry {
        set("dryRun", json!(["All"]));
    }
    Value::Object(options)
}

/// True for an item of a list that names that owner.
pub fn is_owned_by(item: &Value, kind: &str, name: &str) -> bool {
    let owners = item.pointer("/metadata/ownerReferences").and_then(Value::as_array);
    owners.into_iter().flatten().any(|owner| owner["kind"] == kind && owner["name"] == name)
}
