//! The incidents as shown: the engine's, plus those that are being fixed or have recovered, until dismissed.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use chrono::TimeDelta;

use super::filter::Filter;

use crate::actions::Intent;
use crate::diagnosis::{Incident, IncidentId};
use crate::kinds::{ObjectRef, Row};
use crate::snapshot::Snapshot;
use crate::text::Time;

/// Recovered incidents kept at most.
const KEEP_RECOVERED: usize = 20;
/// How long after a fix the diagnosis from before it stays to be read.
const UNDER_WAY: TimeDelta = TimeDelta::seconds(60);
/// A fix is followed for this long; what is broken after that is simply broken.
const FOLLOWED: TimeDelta = TimeDelta::minutes(10);

/// How an incident stands.
#[derive(Debug, Clone, PartialEq)]
pub enum Standing {
    /// Broken.
    Open,
    /// A fix was applied; pods are coming back.
    Recovering {
        /// When the fix was applied, or the cause went away.
        since: Time,
        /// `undoing`, `scaling`, ... or `recovering` when nobody here did anything.
        doing: &'static str,
        /// Ready and wanted pods.
        ready: (i32, i32),
    },
    /// Fine again.
    Recovered {
        /// When.
        at: Time,
        /// How long it took since the fix, or since the incident began.
        after: TimeDelta,
    },
}

/// A line of the list.
#[derive(Debug, Clone, PartialEq)]
pub struct Shown {
    /// The incident, as last seen.
    pub incident: Arc<Incident>,
    /// How it stands.
    pub standing: Standing,
}

#[derive(Debug, Clone)]
struct Applied {
    at: Time,
    doing: &'static str,
}

/// The list, its selection, and what was done about which incident.
#[derive(Debug, Default)]
pub struct Incidents {
    /// Lines that are shown, top to bottom.
    pub rows: Vec<Shown>,
    /// Every line, those that the filter hides too.
    pub all: Vec<Shown>,
    /// What hides lines.
    pub filter: Option<Filter>,
    /// The selected incident; survives re-ranking.
    pub selected: Option<IncidentId>,
    /// A person has moved the selection: from then on it stays with its incident, before that it is the worst one.
    pub touched: bool,
    applied: BTreeMap<IncidentId, Applied>,
}

impl Incidents {
    /// Takes over what the engine says now. Incidents it no longer has are recovering or recovered.
    pub fn refresh(&mut self, engine: &[Arc<Incident>], snapshot: &Snapshot, now: Time) {
        let before = std::mem::take(&mut self.all);
        let was: HashMap<&IncidentId, &Shown, Hasher> = before.iter().rev().map(|row| (&row.incident.id, row)).collect();
        let broken = Broken::of(engine);
        let old_index = self.selected_index();
        // What is still broken for another (better known) reason has not recovered.
        let gone: Vec<Shown> = before.iter().filter(|row| !broken.concerns(&row.incident)).cloned().collect();
        self.all = engine.iter().map(|i| self.open(i, was.get(&i.id).copied(), snapshot, now)).collect();
        self.applied.retain(|_, applied| now - applied.at < FOLLOWED);
        let mut recovered: Vec<Shown> = gone.into_iter().map(|row| self.after_the_cause(row, snapshot, now)).collect();
        recovered.sort_by_key(|row| std::cmp::Reverse(matches!(row.standing, Standing::Recovering { .. })));
        recovered.truncate(KEEP_RECOVERED);
        let at = recovered.iter().take_while(|row| matches!(row.standing, Standing::Recovering { .. })).count();
        let quiet = recovered.split_off(at);
        self.all.splice(0..0, recovered);
        self.all.extend(quiet);
        self.show(old_index);
    }

    /// Takes another filter: incidents it does not fit stay, unseen.
    pub fn set_filter(&mut self, text: &str) {
        self.filter = Filter::parse(text);
        self.touched |= self.filter.is_some();
        self.show(Some(0));
    }

    fn show(&mut self, old_index: Option<usize>) {
        let fits = |row: &&Shown| self.filter.as_ref().is_none_or(|filter| fits(filter, &row.incident));
        self.rows = self.all.iter().filter(fits).cloned().collect();
        self.keep_selection(old_index);
    }

    /// The line of an incident the engine has. One that was open stays as old as it was: each crash is not a new beginning.
    fn open(&self, incident: &Arc<Incident>, was: Option<&Shown>, snapshot: &Snapshot, now: Time) -> Shown {
        let mut shown = Shown { standing: self.standing_of_open(incident, snapshot), incident: Arc::clone(incident) };
        if let Some(since) =
            was.filter(|row| !matches!(row.standing, Standing::Recovered { .. })).and_then(|row| row.incident.since)
        {
            let earliest = shown.incident.since.map_or(since, |now| now.min(since));
            if shown.incident.since != Some(earliest) {
                Arc::make_mut(&mut shown.incident).since = Some(earliest);
            }
        }
        // While a fix works its way in, the facts between two revisions prove little: what was diagnosed stays to be read.
        let under_way = self.applied.get(&incident.id).is_some_and(|applied| now - applied.at < UNDER_WAY);
        if let Some(was) = was.filter(|_| under_way) {
            shown.incident = Arc::clone(&was.incident);
        }
        shown
    }

    fn standing_of_open(&self, incident: &Incident, snapshot: &Snapshot) -> Standing {
        match self.applied.get(&incident.id) {
            Some(applied) => {
                Standing::Recovering { since: applied.at, doing: applied.doing, ready: readiness(snapshot, &incident.workloads) }
            }
            None => Standing::Open,
        }
    }

    /// The cause is gone: recovering until every pod is ready, then recovered. Something that was deleted is recovered at once.
    fn after_the_cause(&self, row: Shown, snapshot: &Snapshot, now: Time) -> Shown {
        let ready = readiness(snapshot, &row.incident.workloads);
        let applied = self.applied.get(&row.incident.id);
        let standing = match row.standing {
            done @ Standing::Recovered { .. } => done,
            Standing::Open | Standing::Recovering { .. } if ready.0 >= ready.1 => {
                let since = applied.map(|a| a.at).or(row.incident.since).unwrap_or(now);
                Standing::Recovered { at: now, after: now - since }
            }
            Standing::Open => Standing::Recovering { since: now, doing: "recovering", ready },
            Standing::Recovering { since, doing, .. } => Standing::Recovering { since, doing, ready },
        };
        Shown { incident: row.incident, standing }
    }

    /// Remembers that a fix for the selected incident was applied.
    pub fn applied(&mut self, id: IncidentId, intent: &Intent, at: Time) {
        let doing = match intent {
            Intent::Undo { .. } => "undoing",
            Intent::Scale { .. } => "scaling",
            Intent::Restart { .. } => "restarting",
            Intent::Delete { .. } => "deleting",
            Intent::ShortenGrace { .. } => "stopping",
            Intent::RemoveFinalizer { .. } => "finalizer removed",
            Intent::Edit { .. } | Intent::SetField { .. } => "edited",
            Intent::Cordon { cordon: true, .. } => "cordoned",
            Intent::Cordon { cordon: false, .. } => "uncordoned",
            Intent::Taint { present: true, .. } => "tainted",
            Intent::Taint { present: false, .. } => "taint removed",
            Intent::Drain { .. } => "draining",
            Intent::Trigger { .. } => "triggered",
            Intent::Suspend { .. } => "suspended",
            Intent::Several(_) => "under way",
            Intent::SetMemoryLimit { .. } | Intent::SetImage { .. } => "rolling out",
        };
        self.applied.insert(id, Applied { at, doing });
    }

    /// Removes the selected line if it has recovered; true when it did.
    pub fn dismiss(&mut self) -> bool {
        let Some(index) = self.selected_index() else { return false };
        if !self.rows.get(index).is_some_and(|row| matches!(row.standing, Standing::Recovered { .. })) {
            return false;
        }
        let row = self.rows.remove(index);
        self.all.retain(|other| other.incident.id != row.incident.id);
        self.applied.remove(&row.incident.id);
        self.keep_selection(Some(index));
        true
    }

    /// The selected line.
    pub fn selected(&self) -> Option<&Shown> {
        self.rows.get(self.selected_index()?)
    }

    /// Index of the selected line.
    pub fn selected_index(&self) -> Option<usize> {
        let id = self.selected.as_ref()?;
        self.rows.iter().position(|row| row.incident.id == *id)
    }

    /// Selects the line at `index`, or the last.
    pub fn select(&mut self, index: usize) {
        let index = index.min(self.rows.len().saturating_sub(1));
        self.selected = self.rows.get(index).map(|row| row.incident.id.clone());
    }

    fn keep_selection(&mut self, old_index: Option<usize>) {
        if !self.touched {
            self.select(0);
        } else if self.selected_index().is_none() {
            self.select(old_index.unwrap_or(0));
        }
    }
}

/// Text filters look at what the lines say: names, cause, severity, what changed. `-l` asks `namespace`, `cause`, `severity`.
fn fits(filter: &Filter, incident: &Incident) -> bool {
    let namespace = incident.workloads.iter().chain(&incident.objects).map(|object| &*object.namespace).next();
    let label = |key: &str| match key {
        "namespace" => namespace,
        "cause" => Some(incident.cause.0),
        "severity" => Some(incident.severity.word()),
        _ => None,
    };
    let names: Vec<String> = incident.workloads.iter().chain(&incident.objects).map(ToString::to_string).collect();
    let text = [&*names.join(" "), incident.cause.0, incident.severity.word(), namespace.unwrap_or_default(), &incident.title];
    filter.keeps(&text.join("  ")) && filter.keeps_labels(label)
}

type Hasher = foldhash::fast::RandomState;

/// What is broken now, to be asked about: for each incident, with every diagnosis.
struct Broken<'a> {
    ids: HashSet<&'a IncidentId, Hasher>,
    incidents: &'a [Arc<Incident>],
    named: std::cell::OnceCell<Named<'a>>,
}

/// The workloads and objects that are broken.
struct Named<'a> {
    workloads: HashSet<&'a ObjectRef, Hasher>,
    objects: HashSet<&'a ObjectRef, Hasher>,
}

impl<'a> Broken<'a> {
    fn of(incidents: &'a [Arc<Incident>]) -> Self {
        Self { ids: incidents.iter().map(|i| &i.id).collect(), incidents, named: std::cell::OnceCell::new() }
    }

    /// Only asked for when an incident is gone.
    fn named(&self) -> &Named<'a> {
        self.named.get_or_init(|| Named {
            workloads: self.incidents.iter().flat_map(|i| &i.workloads).collect(),
            objects: self.incidents.iter().flat_map(|i| &i.objects).collect(),
        })
    }

    /// True when the same incident is still open, or one of another cause that names one of its workloads or objects.
    fn concerns(&self, gone: &Incident) -> bool {
        self.ids.contains(&gone.id)
            || gone.workloads.iter().any(|w| self.named().workloads.contains(w))
            || gone.objects.iter().any(|o| self.named().objects.contains(o))
    }
}

/// Ready and wanted pods over workloads; (0, 0) for what has no pods or is gone.
pub fn readiness(snapshot: &Snapshot, workloads: &[ObjectRef]) -> (i32, i32) {
    workloads.iter().filter_map(|w| snapshot.find(w)).fold((0, 0), |(ready, wanted_so_far), row| {
        let (r, w) = match row {
            Row::Deployment(d) => {
                let wanted = d.spec.replicas.unwrap_or(1);
                // A status from before the last change says nothing about it.
                if d.status.observed_generation < d.meta.generation {
                    return (ready, wanted_so_far + wanted);
                }
                // While a rollout is under way every old pod may be ready: only updated ones count towards done.
                (d.status.ready_replicas.min(d.status.updated_replicas).min(wanted), wanted)
            }
            Row::StatefulSet(s) => (s.status.ready_replicas, s.spec.replicas.unwrap_or(1)),
            Row::DaemonSet(d) => (d.status.number_ready, d.status.desired_number_scheduled),
            _ => (0, 0),
        };
        (ready + r, wanted_so_far + w)
    })
}
