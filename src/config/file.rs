//! The settings file and the keymap: one TOML format, read with the line of every mistake.

use std::str::FromStr;

use serde::Deserialize;
use toml::Spanned;

use super::Problem;
use super::action::Action;
use super::chord::Chord;
use super::keymap::{Bind, BoundKey};
use super::place::Place;

/// A file as written. Everything is optional: what is absent leaves the source before it alone.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Wire {
    /// Theme name or `auto`.
    pub theme: Option<String>,
    /// Refuse writes.
    pub readonly: Option<bool>,
    /// Namespaces on keys.
    pub favourite_namespaces: Option<Vec<String>>,
    /// Contexts with care.
    pub protected_contexts: Option<Vec<String>>,
    /// Key bindings.
    pub bind: Vec<BindEntry>,
}

/// One `[[bind]]` as written, with the line of each part.
#[derive(Debug, Clone)]
pub struct BindEntry {
    keys: Vec<(usize, String)>,
    action: (usize, String),
    places: Vec<(usize, String)>,
    does: Option<String>,
    hint: Option<String>,
    group: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SpannedBind {
    keys: Vec<Spanned<String>>,
    action: Spanned<String>,
    #[serde(default, rename = "where")]
    places: Vec<Spanned<String>>,
    does: Option<String>,
    hint: Option<String>,
    group: Option<String>,
}

impl<'de> Deserialize<'de> for BindEntry {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let wire = SpannedBind::deserialize(deserializer)?;
        let plain = |spanned: Spanned<String>| (spanned.span().start, spanned.into_inner());
        Ok(Self {
            keys: wire.keys.into_iter().map(plain).collect(),
            action: plain(wire.action),
            places: wire.places.into_iter().map(plain).collect(),
            does: wire.does,
            hint: wire.hint,
            group: wire.group,
        })
    }
}

impl Wire {
    /// Puts the settings (not the bindings) of a later source over these.
    pub fn take_settings(&mut self, later: Self) {
        self.theme = later.theme.or_else(|| self.theme.take());
        self.readonly = later.readonly.or(self.readonly);
        self.favourite_namespaces = later.favourite_namespaces.or_else(|| self.favourite_namespaces.take());
        self.protected_contexts = later.protected_contexts.or_else(|| self.protected_contexts.take());
    }
}

/// Reads a file; a mistake in its form makes it empty and a problem. Positions in entries become line numbers.
pub fn read(name: &str, text: &str, problems: &mut Vec<Problem>) -> Wire {
    let ends: Vec<usize> = memchr::memchr_iter(b'\n', text.as_bytes()).collect();
    let line = |at: usize| ends.partition_point(|end| *end < at) + 1;
    match toml::from_str::<Wire>(text) {
        Ok(mut wire) => {
            for entry in &mut wire.bind {
                entry.action.0 = line(entry.action.0);
                entry.keys.iter_mut().chain(&mut entry.places).for_each(|(at, _)| *at = line(*at));
            }
            wire
        }
        Err(error) => {
            let what = error.message().to_owned();
            problems.push(Problem { source: name.to_owned(), line: error.span().map(|span| line(span.start)), what });
            Wire::default()
        }
    }
}

/// Parts of an entry, understood; `None` when one of them is not, which is a problem with its line.
fn understand(name: &str, entry: &BindEntry, problems: &mut Vec<Problem>) -> Option<(Vec<Chord>, Action, Vec<Place>)> {
    let mut found = Vec::new();
    let mut wrong = |line: usize, what: String| found.push(Problem { source: name.to_owned(), line: Some(line), what });
    let action = Action::from_name(&entry.action.1);
    if action.is_none() {
        wrong(entry.action.0, no_such("action", &entry.action.1, Action::ALL.iter().map(|a| a.name())));
    }
    let mut keys = Vec::new();
    for (line, text) in &entry.keys {
        match Chord::from_str(text) {
            Ok(chord) => keys.push(chord),
            Err(error) => wrong(*line, error.to_string()),
        }
    }
    let mut places = Vec::new();
    for (line, text) in &entry.places {
        match Place::from_name(text) {
            Some(place) => places.push(place),
            None => wrong(*line, no_such("place", text, Place::ALL.iter().map(|p| p.name()))),
        }
    }
    let good = found.is_empty();
    problems.append(&mut found);
    action.filter(|_| good).map(|action| (keys, action, places))
}

/// `` `undoo` is not an action; did you mean `undo`? Allowed: ... ``
fn no_such<'a>(what: &str, text: &str, known: impl Iterator<Item = &'a str> + Clone) -> String {
    let close = known.clone().find(|name| name.starts_with(text) || text.starts_with(name) || name.ends_with(text));
    let hint = close.map(|name| format!(", did you mean `{name}`?")).unwrap_or_default();
    format!("there is no {what} `{text}`{hint}; allowed: {}", known.collect::<Vec<_>>().join(", "))
}

fn numbered(chords: Vec<Chord>) -> Vec<BoundKey> {
    chords.into_iter().enumerate().map(|(nth, chord)| BoundKey { chord, nth }).collect()
}

/// The default table. A chord with two meanings in one place is a problem (and a failing test).
pub fn default_binds(name: &str, entries: Vec<BindEntry>, problems: &mut Vec<Problem>) -> Vec<Bind> {
    let mut binds: Vec<Bind> = Vec::new();
    for entry in entries {
        let Some((keys, action, places)) = understand(name, &entry, problems) else { continue };
        for (line, chord, place, other) in conflicts(&entry, &keys, &places, action, &binds) {
            problems.push(conflict(name, line, chord, place, other));
        }
        let does = entry.does.unwrap_or_else(|| action.name().to_owned());
        binds.push(Bind {
            keys: numbered(keys),
            action,
            places,
            does,
            hint: entry.hint,
            group: entry.group.unwrap_or_else(|| "other".to_owned()),
        });
    }
    binds
}

fn conflict(name: &str, line: usize, chord: Chord, place: Place, other: Action) -> Problem {
    let what = format!("`{chord}` already does `{}` in `{}`: give one of them another key", other.name(), place.name());
    Problem { source: name.to_owned(), line: Some(line), what }
}

/// Chords of an entry that mean something else in one of its places.
fn conflicts(
    entry: &BindEntry,
    keys: &[Chord],
    places: &[Place],
    action: Action,
    binds: &[Bind],
) -> Vec<(usize, Chord, Place, Action)> {
    let mut found = Vec::new();
    for ((line, _), chord) in entry.keys.iter().zip(keys) {
        for bind in binds.iter().filter(|bind| bind.action != action && bind.has(*chord)) {
            found.extend(
                bind.places.iter().find(|place| places.contains(place)).map(|place| (*line, *chord, *place, bind.action)),
            );
        }
    }
    found
}

/// Puts the user's entries over the default table: each replaces the keys of its action in its places, and takes its keys
/// from default entries there. Two user entries for one chord in one place are a problem, and so is leaving no way out.
pub fn rebind(name: &str, entries: &[BindEntry], binds: &mut Vec<Bind>, problems: &mut Vec<Problem>) {
    let before = binds.clone();
    let mut own: Vec<Bind> = Vec::new();
    for entry in entries {
        let Some((keys, action, mut places)) = understand(name, entry, problems) else { continue };
        let model = before.iter().find(|bind| bind.action == action);
        if places.is_empty() {
            places = before.iter().filter(|bind| bind.action == action).flat_map(|bind| bind.places.clone()).collect();
        }
        let taken = conflicts(entry, &keys, &places, action, &own);
        if !taken.is_empty() {
            problems.extend(taken.into_iter().map(|(line, chord, place, other)| conflict(name, line, chord, place, other)));
            continue;
        }
        own.push(Bind {
            keys: numbered(keys),
            action,
            places,
            does: entry.does.clone().or_else(|| model.map(|m| m.does.clone())).unwrap_or_else(|| action.name().to_owned()),
            hint: entry.hint.clone().or_else(|| model.and_then(|m| m.hint.clone())),
            group: entry.group.clone().or_else(|| model.map(|m| m.group.clone())).unwrap_or_else(|| "other".to_owned()),
        });
    }
    for bind in &own {
        make_room(binds, bind);
    }
    insert_in_order(binds, own);
    keep_ways_out(name, &before, binds, problems);
}

/// What must have a key, or there would be no way out.
const WAYS_OUT: &[(Place, Action)] = &[
    (Place::Everywhere, Action::Quit),
    (Place::Preview, Action::Cancel),
    (Place::Confirm, Action::Cancel),
    (Place::Prompt, Action::Cancel),
];

fn keep_ways_out(name: &str, before: &[Bind], binds: &mut Vec<Bind>, problems: &mut Vec<Problem>) {
    for (place, action) in WAYS_OUT {
        let here = |bind: &&Bind| bind.action == *action && bind.places.contains(place);
        let usable = |bind: &Bind| bind.keys.iter().any(|key| *place != Place::Prompt || !key.chord.is_text());
        if binds.iter().filter(here).any(usable) {
            continue;
        }
        let what = format!("there would be no way out of `{}`: `{}` keeps its keys there", place.name(), action.name());
        problems.push(Problem { source: name.to_owned(), line: None, what });
        let kept: Vec<Bind> = before.iter().filter(here).map(|bind| Bind { places: vec![*place], ..bind.clone() }).collect();
        for bind in &kept {
            make_room(binds, bind);
        }
        binds.extend(kept);
    }
}

/// Takes an action's places, and its new chords there, from the entries that had them.
fn make_room(binds: &mut Vec<Bind>, new: &Bind) {
    let mut changed = Vec::new();
    for bind in binds.drain(..) {
        let (shared, rest): (Vec<Place>, Vec<Place>) = bind.places.iter().partition(|place| new.places.contains(place));
        let keeps: Vec<BoundKey> = bind.keys.iter().copied().filter(|key| !new.has(key.chord)).collect();
        if shared.is_empty() || bind.action != new.action && keeps.len() == bind.keys.len() {
            changed.push(bind);
            continue;
        }
        if bind.action != new.action && !keeps.is_empty() {
            changed.push(Bind { keys: keeps, places: shared, ..bind.clone() });
        }
        if !rest.is_empty() {
            changed.push(Bind { places: rest, ..bind });
        }
    }
    *binds = changed;
}

/// User entries go to the head of their group, where the footer and the help show them.
fn insert_in_order(binds: &mut Vec<Bind>, own: Vec<Bind>) {
    for bind in own.into_iter().rev() {
        let at = binds.iter().position(|b| b.group == bind.group).unwrap_or(binds.len());
        binds.insert(at, bind);
    }
}
