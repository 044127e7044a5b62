//! How rules build findings: a [`Draft`] filled step by step, and constructors of evidence.
//!
//! Invariant: a finished finding has evidence; rules quote what they read instead of retelling it.

use std::collections::BTreeMap;

use crate::diagnosis::cause::{CauseId, Severity};
use crate::diagnosis::finding::{Confidence, Evidence, EvidenceSource, Finding, Root};
use crate::diagnosis::rule::Facts;
use crate::kinds::events::Event;
use crate::kinds::pods::Pod;
use crate::kinds::{Condition, Meta, ObjectRef};
use crate::snapshot::evidence::LogLine;
use crate::text::Time;

/// A finding under construction.
#[derive(Debug)]
#[must_use]
pub struct Draft(Finding);

impl Draft {
    /// A finding of `cause` on the object of that kind and metadata; grouped by its workload until told otherwise.
    pub fn new(facts: &Facts<'_>, cause: &'static str, kind: &str, meta: &Meta) -> Self {
        let workload = facts.snapshot.top_owner(kind, meta);
        Self(Finding {
            cause: CauseId(cause),
            subject: ObjectRef::new(kind, &meta.namespace, &meta.name),
            root: Root::Workload(family_of(facts, &workload)),
            workload,
            container: None,
            confidence: Confidence::Certain,
            severity: None,
            summary: String::new(),
            facts: BTreeMap::new(),
            evidence: Vec::new(),
            ruled_out: Vec::new(),
            since: None,
            derived: false,
        })
    }

    /// A finding about a pod.
    pub fn pod(facts: &Facts<'_>, cause: &'static str, pod: &Pod) -> Self {
        Self::new(facts, cause, "Pod", &pod.meta)
    }

    /// Names the container.
    pub fn container(mut self, name: &str) -> Self {
        self.0.container = Some(name.into());
        self.fact("container", name)
    }

    /// How sure (certain unless said).
    pub fn sure(mut self, confidence: Confidence) -> Self {
        self.0.confidence = confidence;
        self
    }

    /// Another severity than the cause's own.
    pub fn severity(mut self, severity: Severity) -> Self {
        self.0.severity = Some(severity);
        self
    }

    /// What to group by.
    pub fn root(mut self, root: Root) -> Self {
        self.0.root = root;
        self
    }

    /// True when the draft knows that no node is large enough for what it asks.
    pub fn says_too_big(&self) -> bool {
        self.0.facts.contains_key("tooBig")
    }

    /// Groups by an object.
    pub fn rooted_in(self, kind: &str, namespace: &str, name: &str) -> Self {
        self.root(Root::Object(ObjectRef::new(kind, namespace, name)))
    }

    /// Groups by something outside the API.
    pub fn rooted_outside(self, what: &'static str, name: &str) -> Self {
        self.root(Root::Outside { what, name: name.into() })
    }

    /// The sentence.
    pub fn says(mut self, summary: impl Into<String>) -> Self {
        self.0.summary = summary.into();
        self
    }

    /// A fact for fixes and titles.
    pub fn fact(mut self, key: &'static str, value: &str) -> Self {
        self.0.facts.insert(key, value.into());
        self
    }

    /// A fact that may be unknown.
    pub fn maybe(self, key: &'static str, value: Option<&str>) -> Self {
        match value {
            Some(value) if !value.is_empty() => self.fact(key, value),
            _ => self,
        }
    }

    /// A quote; the strongest first.
    pub fn because(mut self, evidence: Evidence) -> Self {
        if !self.0.evidence.contains(&evidence) {
            self.0.evidence.push(evidence);
        }
        self
    }

    /// Several quotes.
    pub fn because_all(self, evidence: impl IntoIterator<Item = Evidence>) -> Self {
        evidence.into_iter().fold(self, Self::because)
    }

    /// What was excluded, and why.
    pub fn not(mut self, excluded: impl Into<String>) -> Self {
        self.0.ruled_out.push(excluded.into());
        self
    }

    /// Since when.
    pub fn since(mut self, since: Option<Time>) -> Self {
        self.0.since = since;
        self
    }

    /// Marks a symptom.
    pub fn derived(mut self) -> Self {
        self.0.derived = true;
        self
    }

    /// The finding.
    pub fn done(self) -> Finding {
        self.0
    }
}

/// The runs of one CronJob are one matter: their findings share it as root.
fn family_of(facts: &Facts<'_>, workload: &ObjectRef) -> ObjectRef {
    if &*workload.kind != "Job" {
        return workload.clone();
    }
    let job = facts.snapshot.jobs.named(&workload.namespace, &workload.name);
    let owner = job.and_then(|job| job.meta.controller()).filter(|owner| &*owner.kind == "CronJob");
    owner.map_or_else(|| workload.clone(), |owner| ObjectRef::new("CronJob", &workload.namespace, &owner.name))
}

/// A pod's reference.
pub fn pod_ref(pod: &Pod) -> ObjectRef {
    ObjectRef::new("Pod", &pod.meta.namespace, &pod.meta.name)
}

/// A quote from a pod's status.
pub fn pod_status(pod: &Pod, field: impl Into<String>, text: impl Into<String>, at: Option<Time>) -> Evidence {
    quote(pod_ref(pod), EvidenceSource::Status, field, text, at)
}

/// A quote from a pod's spec or metadata.
pub fn pod_spec(pod: &Pod, field: impl Into<String>, text: impl Into<String>) -> Evidence {
    quote(pod_ref(pod), EvidenceSource::Spec, field, text, None)
}

/// Any quote.
pub fn quote(
    object: ObjectRef,
    from: EvidenceSource,
    field: impl Into<String>,
    text: impl Into<String>,
    at: Option<Time>,
) -> Evidence {
    Evidence { object, from, field: field.into(), text: text.into(), at }
}

/// A quote of an event: `FailedMount ×12` and its text.
pub fn event(event: &Event) -> Evidence {
    let field = match event.times() {
        1 => event.reason.to_string(),
        n => format!("{} ×{n}", event.reason),
    };
    quote(event.object(), EvidenceSource::Event, field, event.text(), event.last_seen())
}

/// A quote of a condition of any object: `status.conditions[Ready]` with status, reason and message.
pub fn condition(object: ObjectRef, condition: &Condition) -> Evidence {
    let mut text = condition.status.to_string();
    for part in [condition.reason(), condition.message()] {
        if !part.is_empty() {
            text.push_str(" · ");
            text.push_str(part);
        }
    }
    quote(object, EvidenceSource::Status, format!("status.conditions[{}]", condition.kind), text, condition.last_transition_time)
}

/// A quote of a log line.
pub fn log_line(pod: ObjectRef, container: &str, previous: bool, line: &LogLine) -> Evidence {
    let run = if previous { "previous" } else { "current" };
    quote(pod, EvidenceSource::Log, format!("container {container}, {run}"), &*line.text, line.at)
}
