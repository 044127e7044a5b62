//! Usage from the kubelets, through the node proxy, where there is no metrics-server: memory as it is, CPU as the rate between
//! two measurements of the same node.
//!
//! A kubelet answers for one node only, and the API server carries every answer: of a large cluster not all are asked, but
//! first those whose pods a person looks at or that an incident is about, and how many are left out is said.

use std::collections::{HashMap, HashSet};

use chrono::Utc;
use futures::stream::{self, StreamExt};

use super::super::http::{Call, encode};
use super::super::watch::Lines;
use super::super::{Connection, Error};
use super::exposition::{self, Sample};
use super::{SILENCE, Samples, chunk};
use crate::snapshot::UsageKey;
use crate::text::Text;

/// Kubelets asked at once, and at most.
const AT_ONCE: usize = 4;
const MOST: usize = 50;
/// Nodes whose names are known at most.
const MOST_NAMES: usize = 1_000;
/// Polls between two looks at which nodes there are.
const LOOK_AGAIN: u32 = 20;
/// Polls for which a kubelet that did not answer is left alone.
const LEFT_ALONE: u32 = 4;

#[derive(Debug, Default)]
pub(super) struct Kubelets {
    /// CPU seconds and their time (ms) at the last poll.
    counters: HashMap<UsageKey, (f64, i64)>,
    names: Vec<Text>,
    polls: u32,
    /// Kubelets that did not answer, and the poll when they are asked again.
    silent: HashMap<Text, u32>,
    /// How many answered last.
    answered: usize,
}

impl Kubelets {
    /// Reads those of the `preferred` nodes first.
    pub(super) async fn read(&mut self, connection: &Connection, preferred: &[Text]) -> Result<Samples, Error> {
        let is_new = |name: &Text| !self.names.contains(name);
        if self.names.is_empty() || self.polls.is_multiple_of(LOOK_AGAIN) || preferred.iter().any(is_new) {
            self.names = connection.metadata_names(&format!("/api/v1/nodes?limit={MOST_NAMES}")).await?;
        }
        self.polls += 1;
        let nodes = self.choose(preferred);
        let answers: Vec<(Text, Result<Vec<Sample>, Error>)> = stream::iter(nodes)
            .map(|node| async move { (node.clone(), ask(connection, &node).await) })
            .buffer_unordered(AT_ONCE)
            .collect()
            .await;
        let (mut read, mut failure) = (Vec::new(), None);
        self.answered = 0;
        for (node, answer) in answers {
            match answer {
                Ok(samples) => {
                    self.answered += 1;
                    self.silent.remove(&node);
                    read.extend(samples);
                }
                Err(error) => {
                    self.silent.insert(node, self.polls + LEFT_ALONE);
                    failure = Some(error);
                }
            }
        }
        match failure {
            Some(error) if self.answered == 0 => {
                self.silent.clear();
                Err(error)
            }
            _ => Ok(self.rates(read, &connection.namespaces)),
        }
    }

    /// What to call this source: how many nodes it is of, when not of all.
    pub(super) fn name(&self) -> String {
        if self.answered >= self.names.len() {
            return "kubelet".to_owned();
        }
        let more = if self.names.len() >= MOST_NAMES { "+" } else { "" };
        let first = if self.leaves_some_out() { ", those of what is shown first" } else { "" };
        format!("kubelet, {} of {}{more} nodes{first}", self.answered, self.names.len())
    }

    /// True when there are more nodes than are asked.
    pub(super) fn leaves_some_out(&self) -> bool {
        self.names.len() > MOST
    }

    /// The nodes to ask: preferred ones, then the others, always the same ones, since a rate needs two measurements.
    fn choose(&self, preferred: &[Text]) -> Vec<Text> {
        let known: HashSet<&Text> = self.names.iter().collect();
        let mut seen = HashSet::new();
        let wanted = preferred.iter().filter(|name| known.contains(name)).chain(&self.names);
        let asked = |name: &&Text| self.silent.get(*name).is_none_or(|until| self.polls >= *until);
        wanted.filter(|name| seen.insert(Text::clone(name))).filter(asked).take(MOST).cloned().collect()
    }

    fn rates(&mut self, read: Vec<Sample>, wanted: &[String]) -> Samples {
        let mut memory: HashMap<UsageKey, f64> = HashMap::new();
        let mut counters = HashMap::new();
        let now = Utc::now().timestamp_millis();
        for sample in read {
            match sample {
                Sample::ActiveFile(..) => {}
                Sample::Memory(key, bytes) => {
                    memory.insert(key, bytes);
                }
                Sample::Cpu(key, seconds, at) => {
                    counters.insert(key, (seconds, at.unwrap_or(now)));
                }
            }
        }
        let mut samples = Vec::new();
        for (key, (seconds, at)) in &mut counters {
            let Some((before, then)) = self.counters.get(key).copied() else { continue };
            // The kubelet measures every ten seconds or so: the same measurement again says nothing new.
            if *at <= then || *seconds < before {
                if *seconds >= before {
                    (*seconds, *at) = (before, then);
                }
                continue;
            }
            let cores = (*seconds - before) / ((*at - then) as f64 / 1000.0);
            let seen = wanted.is_empty() || wanted.iter().any(|name| **name == *key.namespace);
            if let Some(bytes) = memory.get(key).filter(|_| seen) {
                samples.push((key.clone(), cores, *bytes));
            }
        }
        self.counters = counters;
        samples
    }
}

async fn ask(connection: &Connection, node: &str) -> Result<Vec<Sample>, Error> {
    let path = format!("/api/v1/nodes/{}/proxy/metrics/resource", encode(node));
    let mut body = connection.open(Call { accept: "*/*", limit: SILENCE, ..Call::get(&path) }, false).await?;
    let (mut lines, mut samples) = (Lines::default(), Vec::new());
    while let Some(chunk) = chunk(connection, body.next()).await? {
        let fed = lines.feed(&chunk, &mut |line: &[u8]| {
            samples.extend(std::str::from_utf8(line).ok().and_then(exposition::parse));
        });
        fed.map_err(|_| connection.garbage("a line without end"))?;
    }
    Ok(samples)
}
