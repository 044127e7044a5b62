//! Effects on a bundle: the same questions a cluster answers, answered from files. Nothing can be applied.

use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::mpsc;

use super::session::{Report, Session};
use super::tasks;
use crate::actions::{self, Check, ObjectRequest, Objects};
use crate::app::{Effect, Msg, ObjectText, ResourceKind};
use crate::cluster::Error;
use crate::cluster::door::is_owned_by;
use crate::cluster::objects::{SecretValues, description_of, yaml_of};
use crate::kinds::ObjectRef;
use crate::snapshot::{Delta, LogBatch, LogKey, LogSpec};
use crate::source::bundle::Store;
use crate::text::Text;

/// Why a plan goes no further.
const NOTHING_APPLIED: &str = "bundle: nothing can be applied";
/// Facts told at once.
const BATCH: usize = 500;

/// Reads a bundle.
pub async fn open(path: PathBuf, attempt: u64, reports: mpsc::Sender<Report>) {
    let read = tokio::task::spawn_blocking(move || Store::open(path)).await;
    let result = match read {
        Ok(result) => result.map(Box::new).map_err(|error| error.to_string()),
        Err(error) => Err(error.to_string()),
    };
    let _ = reports.send(Report::Opened { attempt, result }).await;
}

/// Tells everything the bundle holds, once.
pub async fn tell(store: Arc<Store>, namespaces: Vec<String>, tx: mpsc::Sender<Vec<Delta>>, reports: mpsc::Sender<Report>) {
    let source = if store.has_usage() { Ok("bundle".to_owned()) } else { Err("the bundle holds no usage".to_owned()) };
    let _ = reports.send(Msg::MetricsSource(source).into()).await;
    if let Some(skipped) = store.skipped() {
        let _ = reports.send(Msg::Notice(skipped).into()).await;
    }
    let mut deltas = store.deltas(&namespaces).into_iter();
    loop {
        let batch: Vec<Delta> = deltas.by_ref().take(BATCH).collect();
        if batch.is_empty() || tx.send(batch).await.is_err() {
            return;
        }
    }
}

/// A log out of the bundle's files, and those of other containers of the pod. There is nothing to follow.
pub async fn log(store: Arc<Store>, stream: u64, (spec, also): (LogSpec, Vec<Text>), reports: mpsc::Sender<Report>) {
    let tail = spec.tail.and_then(|lines| usize::try_from(lines).ok());
    let mut left = also.len();
    for container in std::iter::once(spec.container).chain(also) {
        let key = LogKey {
            namespace: spec.namespace.clone(),
            pod: spec.pod.clone(),
            container: container.clone(),
            previous: spec.previous,
        };
        let store = Arc::clone(&store);
        let read = tokio::task::spawn_blocking(move || store.log(&key, tail)).await;
        let (lines, ended) = match read {
            Ok(Ok(lines)) => (lines, "the end of the log in the bundle".to_owned()),
            Ok(Err(why)) => (Vec::new(), why),
            Err(error) => (Vec::new(), error.to_string()),
        };
        let batch = LogBatch { container, lines, dropped: 0, ended: (left == 0).then_some(ended) };
        left = left.saturating_sub(1);
        if reports.send(Msg::Log { stream, batch }.into()).await.is_err() {
            return;
        }
    }
}

/// Starts the work an effect asks for.
pub fn start(session: &Session, store: Arc<Store>, effect: Effect) {
    let now = session.now();
    let reports = session.reports().clone();
    let answer = move |work: Box<dyn FnOnce(&Store) -> Report + Send>| {
        tokio::task::spawn_blocking(move || {
            // Nobody listens any more once the program ends.
            let _ = reports.blocking_send(work(&store));
        });
    };
    match effect {
        Effect::FetchYaml { object, reveal } => answer(Box::new(move |store| {
            let secrets = if reveal { SecretValues::Revealed } else { SecretValues::Masked };
            let yaml = |value| yaml_of(value, secrets).ok_or_else(|| "it cannot be written as YAML".to_owned());
            let text = find(store, &object).and_then(yaml);
            Msg::ObjectText { object, which: ObjectText::Yaml { revealed: reveal }, text }.into()
        })),
        Effect::FetchDescription { object } => answer(Box::new(move |store| {
            let describe = |value| description_of(&object, value, store.events(&object), now);
            let text = find(store, &object).map(describe);
            Msg::ObjectText { object, which: ObjectText::Description, text }.into()
        })),
        Effect::FetchListing { plural, namespace } => answer(Box::new(move |store| {
            let kind = plural_to_kind(store, &plural);
            let rows = store.listing(&kind, namespace.as_deref()).into_iter().map(|(ns, name)| vec![ns, name]).collect();
            Msg::Listing { plural, table: Ok((vec!["NAMESPACE".to_owned(), "NAME".to_owned()], rows)) }.into()
        })),
        Effect::Discover => answer(Box::new(|store| Msg::Resources(resources(store)).into())),
        Effect::ListContexts => tasks::list_contexts(session),
        Effect::Plan(intent) => answer(Box::new(move |store| {
            let objects = Ok::<_, Error>(fetch(store, &actions::needs(&intent)));
            Report::Fetched { intent, objects }
        })),
        Effect::Check(plan) => answer(Box::new(move |_| {
            let refused = || Err(NOTHING_APPLIED.to_owned());
            Msg::Checked { intent: plan.intent.clone(), check: Check { access: refused(), dry_run: refused() } }.into()
        })),
        Effect::Apply(plan) => answer(Box::new(move |_| {
            Msg::Applied { intent: plan.intent.clone(), at: now, result: Err(NOTHING_APPLIED.to_owned()) }.into()
        })),
        _ => {}
    }
}

fn find(store: &Store, object: &ObjectRef) -> Result<serde_json::Value, String> {
    store.object(object).ok_or_else(|| format!("the bundle does not hold {object}"))
}

/// What a planner needs, as the door would have fetched it.
fn fetch(store: &Store, requests: &[ObjectRequest]) -> Objects {
    let mut objects = Objects::default();
    for request in requests {
        match request {
            ObjectRequest::Object(object) => {
                if let Some(found) = store.object(object) {
                    objects.insert(&object.kind, found);
                }
            }
            ObjectRequest::OwnedBy { kind, owner } => {
                let owned = |item: &serde_json::Value| is_owned_by(item, &owner.kind, &owner.name);
                for found in store.objects(*kind, &owner.namespace, owned) {
                    objects.insert(kind.name(), found);
                }
            }
        }
    }
    objects
}

/// Kinds without rows, as the prompt offers them. A bundle does not say how they are called in the plural.
fn resources(store: &Store) -> Vec<ResourceKind> {
    let kinds = store.other_kinds().into_iter();
    kinds
        .map(|(kind, namespaced)| ResourceKind {
            plural: plural(&kind),
            singular: kind.to_lowercase(),
            short_names: Vec::new(),
            kind,
            group: String::new(),
            namespaced,
        })
        .collect()
}

/// The API's own rule of thumb (`meta.UnsafeGuessKindToResource`).
fn plural(kind: &str) -> String {
    let kind = kind.to_lowercase();
    match kind.strip_suffix('y') {
        Some(stem) => format!("{stem}ies"),
        None if kind.ends_with('s') => format!("{kind}es"),
        None => format!("{kind}s"),
    }
}

fn plural_to_kind(store: &Store, called: &str) -> String {
    let found = store.other_kinds().into_iter().map(|(kind, _)| kind).find(|kind| plural(kind) == called);
    found.unwrap_or_else(|| called.to_owned())
}
