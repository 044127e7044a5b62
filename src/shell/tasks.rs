//! Effects that need the cluster, as tasks. Each ends within [`LIMIT`] and answers with exactly one message.

use std::future::Future;
use std::time::Duration;

use super::session::{Report, Session};
use crate::actions;
use crate::app::{ContextInfo, Effect, Msg, ObjectText, ResourceKind};
use crate::cluster::discovery::Resource;
use crate::cluster::objects::SecretValues;
use crate::cluster::{Connection, Door, Error, connect};

/// Longest time for a task: its calls have shorter limits of their own.
const LIMIT: Duration = Duration::from_secs(60);

const NOT_CONNECTED: &str = "not connected to a cluster";

/// Starts the work an effect asks for. Effects that are not the cluster's business are ignored here.
pub fn start(session: &Session, effect: Effect) {
    if let Some(store) = session.bundle() {
        return super::bundle::start(session, std::sync::Arc::clone(store), effect);
    }
    match effect {
        Effect::FetchYaml { object, reveal } => {
            let secrets = if reveal { SecretValues::Revealed } else { SecretValues::Masked };
            let asked = object.clone();
            let which = ObjectText::Yaml { revealed: reveal };
            ask(
                session,
                move |c| async move { c.yaml(&asked, secrets).await },
                move |text| Msg::ObjectText { object, which, text },
            );
        }
        Effect::FetchDescription { object } => {
            let asked = object.clone();
            let now = session.now();
            let which = ObjectText::Description;
            ask(
                session,
                move |c| async move { c.describe(&asked, now).await },
                move |text| Msg::ObjectText { object, which, text },
            );
        }
        Effect::FetchForEdit { object } => {
            let asked = object.clone();
            let fetch = move |c: Connection| async move { c.yaml(&asked, SecretValues::Masked).await };
            ask(session, fetch, move |text| Msg::EditText { object, text });
        }
        Effect::FetchListing { plural, namespace } => {
            let asked = plural.clone();
            let list = move |c: Connection| async move { c.listing(&asked, namespace.as_deref()).await };
            ask(session, list, move |table| Msg::Listing { plural, table });
        }
        Effect::Discover => {
            let list = |c: Connection| async move { Ok(c.resources().await?.iter().map(resource_kind).collect::<Vec<_>>()) };
            ask(session, list, |kinds| match kinds {
                Ok(kinds) => Msg::Resources(kinds),
                Err(why) => Msg::Notice(format!("the server does not say what it serves: {why}")),
            });
        }
        Effect::ListContexts => list_contexts(session),
        Effect::Plan(intent) => plan(session, intent),
        Effect::Check(plan) => check(session, plan),
        Effect::Apply(plan) => apply(session, plan),
        _ => {}
    }
}

/// Runs `work` on the connection and reports its result as `answer` says.
fn ask<T, Work, Answer>(session: &Session, work: impl FnOnce(Connection) -> Work + Send + 'static, answer: Answer)
where
    T: Send,
    Work: Future<Output = Result<T, Error>> + Send,
    Answer: FnOnce(Result<T, String>) -> Msg + Send + 'static,
{
    let connection = session.connection().cloned();
    let reports = session.reports().clone();
    tokio::spawn(async move {
        let result = match connection {
            Some(connection) => within_limit(work(connection)).await,
            None => Err(NOT_CONNECTED.to_owned()),
        };
        let _ = reports.send(answer(result).into()).await;
    });
}

async fn within_limit<T>(work: impl Future<Output = Result<T, Error>>) -> Result<T, String> {
    match tokio::time::timeout(LIMIT, work).await {
        Ok(result) => result.map_err(|error| error.to_string()),
        Err(_) => Err(format!("no answer within {} s", LIMIT.as_secs())),
    }
}

fn resource_kind(resource: &Resource) -> ResourceKind {
    ResourceKind {
        plural: resource.plural.clone(),
        singular: resource.singular.clone(),
        short_names: resource.short_names.clone(),
        kind: resource.kind.clone(),
        group: resource.group.clone(),
        namespaced: resource.namespaced,
    }
}

pub(super) fn list_contexts(session: &Session) {
    let options = session.user().clone();
    let used = session.connection().map(|connection| connection.context.clone());
    let reports = session.reports().clone();
    tokio::spawn(async move {
        let found = tokio::task::spawn_blocking(move || connect::contexts(&options)).await;
        let msg = match found {
            Ok(Ok(contexts)) => Msg::Contexts(
                contexts
                    .into_iter()
                    .map(|c| ContextInfo {
                        current: used.as_ref().map_or(c.current, |used| *used == c.name),
                        name: c.name,
                        cluster: c.cluster,
                        namespace: c.namespace,
                    })
                    .collect(),
            ),
            Ok(Err(error)) => Msg::Notice(error.to_string()),
            Err(error) => Msg::Notice(error.to_string()),
        };
        let _ = reports.send(msg.into()).await;
    });
}

/// Fetches what the planner needs; the plan itself is made by the loop, which has the snapshot.
fn plan(session: &Session, intent: actions::Intent) {
    let reports = session.reports().clone();
    let Some(door) = session.door() else {
        let plan = Box::new(Err(actions::Refusal::new(NOT_CONNECTED)));
        tokio::spawn(async move { reports.send(Msg::Planned { intent, plan }.into()).await });
        return;
    };
    tokio::spawn(async move {
        let needs = actions::needs(&intent);
        let objects = door.fetch(&needs).await;
        let _ = reports.send(Report::Fetched { intent, objects }).await;
    });
}

fn check(session: &Session, plan: Box<actions::Plan>) {
    let intent = plan.intent.clone();
    at_the_door(session, move |door| async move {
        let check = match door {
            Some(door) => door.check(&plan).await,
            None => actions::Check { access: Err(NOT_CONNECTED.to_owned()), dry_run: Err(NOT_CONNECTED.to_owned()) },
        };
        Msg::Checked { intent, check }
    });
}

fn apply(session: &Session, plan: Box<actions::Plan>) {
    let intent = plan.intent.clone();
    let at = session.now();
    at_the_door(session, move |door| async move {
        let result = match door {
            Some(door) => within_limit(door.apply(&plan)).await,
            None => Err(NOT_CONNECTED.to_owned()),
        };
        Msg::Applied { intent, at, result }
    });
}

fn at_the_door<Work>(session: &Session, work: impl FnOnce(Option<Door>) -> Work + Send + 'static)
where
    Work: Future<Output = Msg> + Send,
{
    let door = session.door();
    let reports = session.reports().clone();
    tokio::spawn(async move {
        let msg = work(door).await;
        let _ = reports.send(msg.into()).await;
    });
}
