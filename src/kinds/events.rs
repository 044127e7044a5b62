//! Events, of both the core and the `events.k8s.io` style.

use serde::Deserialize;

use super::{Meta, ObjectRef, kind, nullable};
use crate::text::{Text, Time};

/// An Event.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Event {
    /// `metadata`.
    #[serde(rename = "metadata")]
    pub meta: Meta,
    /// What it is about.
    #[serde(alias = "regarding")]
    pub involved_object: InvolvedObject,
    /// `FailedScheduling`, `BackOff`, ...
    #[serde(deserialize_with = "super::shared::word")]
    pub reason: Text,
    /// Text; see [`Event::text`].
    #[serde(alias = "note", deserialize_with = "nullable")]
    pub message: Text,
    /// `Normal` or `Warning`.
    #[serde(rename = "type")]
    #[serde(deserialize_with = "super::shared::word")]
    pub kind: Text,
    /// Times seen (core style).
    #[serde(alias = "deprecatedCount")]
    pub count: Option<i32>,
    /// First time (core style).
    #[serde(alias = "deprecatedFirstTimestamp")]
    #[serde(deserialize_with = "super::shared::time")]
    pub first_timestamp: Option<Time>,
    /// Last time (core style); null in the new style.
    #[serde(alias = "deprecatedLastTimestamp")]
    #[serde(deserialize_with = "super::shared::time")]
    pub last_timestamp: Option<Time>,
    /// Time of the first occurrence (new style).
    #[serde(deserialize_with = "super::shared::time")]
    pub event_time: Option<Time>,
    /// Repetitions (new style).
    pub series: Option<Series>,
    /// Who says so (core style).
    #[serde(alias = "deprecatedSource", deserialize_with = "nullable")]
    pub source: Source,
    /// Who says so (new style).
    #[serde(alias = "reportingController")]
    #[serde(deserialize_with = "super::shared::word")]
    pub reporting_component: Text,
}

/// `involvedObject`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct InvolvedObject {
    /// `Pod`.
    #[serde(deserialize_with = "super::shared::word")]
    pub kind: Text,
    /// Empty for cluster-scoped objects.
    #[serde(deserialize_with = "super::shared::word")]
    pub namespace: Text,
    /// Name; not unique among kinds.
    #[serde(deserialize_with = "nullable")]
    pub name: Text,
    /// Which incarnation of that name.
    #[serde(deserialize_with = "nullable")]
    pub uid: Text,
    /// `spec.containers{NAME}`.
    pub field_path: Option<Text>,
}

/// Repetitions of a new-style event.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Series {
    /// Times seen.
    pub count: Option<i32>,
    /// Last time.
    #[serde(deserialize_with = "super::shared::time")]
    pub last_observed_time: Option<Time>,
}

/// `source` of a core-style event.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Source {
    /// `kubelet`, `default-scheduler`, ...
    #[serde(deserialize_with = "super::shared::optional_word")]
    pub component: Option<Text>,
    /// Node name.
    #[serde(deserialize_with = "super::shared::optional_word")]
    pub host: Option<Text>,
}

impl Event {
    /// The newest time it speaks of, over both styles and null timestamps (`failures.md`, A1).
    pub fn last_seen(&self) -> Option<Time> {
        self.series
            .as_ref()
            .and_then(|s| s.last_observed_time)
            .or(self.last_timestamp)
            .or(self.event_time)
            .or(self.first_timestamp)
            .or(self.meta.creation_timestamp)
    }

    /// The first time it speaks of.
    pub fn first_seen(&self) -> Option<Time> {
        self.first_timestamp.or(self.event_time).or(self.meta.creation_timestamp).or(self.last_timestamp)
    }

    /// How often it happened.
    pub fn times(&self) -> i32 {
        self.series.as_ref().and_then(|s| s.count).or(self.count).unwrap_or(1).max(1)
    }

    /// The message without the `(combined from similar events): ` prefix of client-go's aggregator.
    pub fn text(&self) -> &str {
        self.message.strip_prefix("(combined from similar events): ").unwrap_or(&self.message)
    }

    /// The container named by `fieldPath` (`spec.containers{app}`), of any of the three lists.
    pub fn container(&self) -> Option<&str> {
        let path = self.involved_object.field_path.as_deref()?;
        path.split_once('{').and_then(|(_, rest)| rest.strip_suffix('}'))
    }

    /// True for type `Warning`.
    pub fn is_warning(&self) -> bool {
        &*self.kind == "Warning"
    }

    /// The component that reported it, of either style.
    pub fn component(&self) -> &str {
        self.source.component.as_deref().filter(|c| !c.is_empty()).unwrap_or(&self.reporting_component)
    }

    /// The object it is about.
    pub fn object(&self) -> ObjectRef {
        let o = &self.involved_object;
        ObjectRef { kind: o.kind.clone(), namespace: o.namespace.clone(), name: o.name.clone() }
    }
}

kind!(Event, "" / "v1", "Event", "events", namespaced: true, metadata_only: false, keeps_writers: false, |this, pool| {
    pool.text(&mut this.involved_object.kind);
    pool.text(&mut this.involved_object.namespace);
    pool.text(&mut this.involved_object.name);
    pool.text(&mut this.involved_object.uid);
    pool.optional(&mut this.involved_object.field_path);
    pool.text(&mut this.reason);
    pool.text(&mut this.message);
    pool.text(&mut this.kind);
    pool.optional(&mut this.source.component);
    pool.optional(&mut this.source.host);
    pool.text(&mut this.reporting_component);
});
