//! CPU and memory of containers, polled: from the metrics API (metrics-server), else from the kubelets through the node
//! proxy, else the reason why there are none.

use std::borrow::Cow;
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use futures::stream::StreamExt;
use serde::Deserialize;
use tokio::sync::{mpsc, watch};
use tokio::time::{sleep, timeout};

use super::http::{Call, encode};
use super::watch::{Deltas, Lines, Splitter};
use super::{Connection, Error};
use crate::snapshot::{Delta, UsageKey};
use crate::text::{self, Text};

pub mod exposition;
mod kubelets;

use kubelets::Kubelets;

/// How often usage is read. metrics-server itself measures every 15 s.
const EVERY: Duration = Duration::from_secs(15);
/// Of more containers than this every second measurement is read, of four times as many every fourth: reading and keeping them is
/// most of what an idle minute costs then.
const MANY: usize = 5_000;
/// How soon after an answer without samples: CPU from kubelets needs two, and a fresh metrics-server has none yet.
const SOON: Duration = Duration::from_secs(5);
/// The first lists go first: they say what is broken, and keep both ends busy.
const AFTER_LISTS: Duration = Duration::from_millis(500);
/// Longest silence in an answer.
const SILENCE: Duration = Duration::from_secs(10);
/// After so many polls without a metrics API it is looked for again.
const LOOK_AGAIN: u32 = 20;

/// What is measured of containers: two numbers each.
pub type Samples = Vec<(UsageKey, f64, f64)>;

/// Which nodes matter most just now, best first: where only some kubelets can be asked, these are.
pub type Preferred = watch::Receiver<Vec<Text>>;

/// Polls until nobody listens to `tx`. `told` hears where usage comes from (`metrics-server`, `kubelet`, which of the kubelets),
/// or why there is none, whenever that changes.
pub async fn poll(
    connection: Connection,
    tx: Deltas,
    told: mpsc::UnboundedSender<Result<String, String>>,
    mut preferred: Preferred,
) {
    let kubelets = Kubelets::default();
    let mut poller = Poller { connection, kubelets, without_api: 0, scope: None, names: Names::default() };
    let mut last = None;
    sleep(AFTER_LISTS).await;
    while !tx.is_closed() {
        let mut pause = EVERY;
        let first = preferred.borrow_and_update().clone();
        let status = match poller.read(&first).await {
            Ok((source, samples)) => {
                pause = pause_after(samples.len());
                poller.names.forget_unused();
                if !samples.is_empty() && tx.send(vec![Delta::Usage { samples, at: poller.connection.now() }]).await.is_err() {
                    return;
                }
                Ok(source)
            }
            Err(why) => Err(why),
        };
        if last.as_ref() != Some(&status) {
            let _ = told.send(status.clone());
            last = Some(status);
        }
        // Other nodes came into view: two measurements of theirs are needed, so the first is taken soon.
        let others = async {
            if preferred.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
            sleep(SOON).await;
        };
        tokio::select! {
            () = sleep(pause) => {}
            () = others, if poller.kubelets.leaves_some_out() => {}
        }
    }
}

/// How long to wait after so many samples.
fn pause_after(samples: usize) -> Duration {
    match samples {
        0 => SOON,
        many if many > 4 * MANY => 4 * EVERY,
        many if many > MANY => 2 * EVERY,
        _ => EVERY,
    }
}

/// How often the kernel held the containers of a pod back at their CPU limit, from the cAdvisor metrics of its kubelet: periods
/// and throttled periods since their start. The answer names every container of the node; only the pod's lines are kept.
///
/// # Errors
/// The kubelet cannot be reached through the API server, or `nodes/proxy` is forbidden.
pub async fn throttling(connection: &Connection, node: &str, namespace: &str, pod: &str) -> Result<Samples, Error> {
    let path = format!("/api/v1/nodes/{}/proxy/metrics/cadvisor", encode(node));
    let mut body = connection.open(Call { accept: "*/*", limit: SILENCE, ..Call::get(&path) }, false).await?;
    let (mut lines, mut counters) = (Lines::default(), exposition::Throttling::default());
    loop {
        let chunk =
            timeout(SILENCE, body.next()).await.map_err(|_| Error::TimedOut { host: connection.host.clone(), after: SILENCE })?;
        let Some(chunk) = chunk.transpose()? else { break };
        let fed = lines.feed(&chunk, &mut |line: &[u8]| {
            if let Ok(line) = std::str::from_utf8(line) {
                counters.line(line, |key| &*key.namespace == namespace && &*key.pod == pod);
            }
        });
        fed.map_err(|_| connection.garbage("a line without end"))?;
    }
    Ok(counters.samples())
}

struct Poller {
    connection: Connection,
    kubelets: Kubelets,
    /// Polls since the metrics API was last found missing.
    without_api: u32,
    /// After a cluster-wide 403: the namespace to ask for.
    scope: Option<String>,
    names: Names,
}

impl Poller {
    async fn read(&mut self, preferred: &[Text]) -> Result<(String, Samples), String> {
        if self.without_api > 0 && self.without_api < LOOK_AGAIN {
            self.without_api += 1;
            if let Ok(samples) = self.kubelets.read(&self.connection, preferred).await {
                return Ok((self.kubelets.name(), samples));
            }
        }
        let api = match self.metrics_api().await {
            Ok(samples) => {
                self.without_api = 0;
                return Ok(("metrics-server".to_owned(), samples));
            }
            Err(error) if error.is_not_found() => "no metrics-server".to_owned(),
            Err(error) => format!("metrics-server: {error}"),
        };
        self.without_api = 1;
        match self.kubelets.read(&self.connection, preferred).await {
            Ok(samples) => Ok((self.kubelets.name(), samples)),
            Err(error) => Err(format!("{api}; kubelets: {error}")),
        }
    }

    async fn metrics_api(&mut self) -> Result<Samples, Error> {
        let wanted: Vec<String> = match &self.scope {
            Some(only) => vec![only.clone()],
            None => self.connection.namespaces.clone(),
        };
        if wanted.is_empty() {
            match self.pod_metrics("/apis/metrics.k8s.io/v1beta1/pods").await {
                Err(error) if error.is_forbidden() => self.scope = Some(self.connection.default_namespace.clone()),
                other => return other,
            }
            return Box::pin(self.metrics_api()).await;
        }
        let mut all = Vec::new();
        for namespace in wanted {
            let path = format!("/apis/metrics.k8s.io/v1beta1/namespaces/{}/pods", encode(&namespace));
            all.extend(self.pod_metrics(&path).await?);
        }
        Ok(all)
    }

    async fn pod_metrics(&mut self, path: &str) -> Result<Samples, Error> {
        let mut body = self.connection.open(Call::get(path), false).await?;
        let (mut splitter, mut samples) = (Splitter::new(), Vec::new());
        while let Some(chunk) = chunk(&self.connection, body.next()).await? {
            let fed = splitter.feed(&chunk, &mut |item: &[u8]| {
                if let Ok(pod) = serde_json::from_slice::<PodMetrics<'_>>(item) {
                    pod.samples(&mut self.names, &mut samples);
                }
            });
            fed.map_err(|not| self.connection.garbage(not.0))?;
        }
        splitter.finish().map_err(|not| self.connection.garbage(not.0))?;
        Ok(samples)
    }
}

/// The next piece of a body, unless it is silent for too long.
async fn chunk<T>(connection: &Connection, next: impl Future<Output = Option<Result<T, Error>>>) -> Result<Option<T>, Error> {
    match timeout(SILENCE, next).await {
        Ok(next) => next.transpose(),
        Err(_) => Err(Error::TimedOut { host: connection.host.clone(), after: SILENCE }),
    }
}

/// Part of `metrics.k8s.io/v1beta1` `PodMetrics`, borrowed from the text: it comes for every pod, every fifteen seconds.
#[derive(Debug, Deserialize)]
struct PodMetrics<'a> {
    #[serde(borrow)]
    metadata: PodName<'a>,
    #[serde(default, borrow)]
    containers: Vec<ContainerMetrics<'a>>,
}

#[derive(Debug, Deserialize)]
struct PodName<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
    #[serde(borrow)]
    namespace: Cow<'a, str>,
}

#[derive(Debug, Deserialize)]
struct ContainerMetrics<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
    #[serde(borrow)]
    usage: Amounts<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Amounts<'a> {
    #[serde(borrow)]
    cpu: Option<Cow<'a, str>>,
    #[serde(borrow)]
    memory: Option<Cow<'a, str>>,
}

/// Names that came before, shared: those of containers and namespaces repeat within an answer, those of pods between answers.
#[derive(Debug, Default)]
struct Names(HashSet<Text>);

impl Names {
    fn share(&mut self, name: &str) -> Text {
        if let Some(known) = self.0.get(name) {
            return Text::clone(known);
        }
        let name = Text::from(name);
        self.0.insert(Text::clone(&name));
        name
    }

    /// Drops what nobody else holds.
    fn forget_unused(&mut self) {
        self.0.retain(|name| Arc::strong_count(name) > 1);
    }
}

impl PodMetrics<'_> {
    fn samples(&self, names: &mut Names, samples: &mut Samples) {
        let (pod, namespace) = (names.share(&self.metadata.name), names.share(&self.metadata.namespace));
        let of = |amount: &Option<Cow<'_, str>>| amount.as_deref().and_then(text::quantity);
        for container in &self.containers {
            if let (Some(cpu), Some(memory)) = (of(&container.usage.cpu), of(&container.usage.memory)) {
                let key = UsageKey { namespace: namespace.clone(), pod: pod.clone(), container: names.share(&container.name) };
                samples.push((key, cpu, memory));
            }
        }
    }
}
