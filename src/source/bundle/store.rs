//! What is asked of a bundle after it was read: an object in full, a whole log. Read again from its file, nothing is kept.

use std::collections::{BTreeSet, VecDeque};
use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;

use serde_json::Value;

use super::documents::{self, Budget, Header, Sink, WithoutLogs, text};
use super::encoding::Utf8;
use super::files::{self, Visitor};
use super::{Bundle, logs, names};
use crate::kinds::events::Event;
use crate::kinds::{KindId, ObjectRef, Row};
use crate::snapshot::{Delta, Key, LogKey, LogLine};
use crate::text::Time;

/// Lines of a log that are shown.
const LINES: usize = 20_000;

/// A bundle and where it is.
#[derive(Debug)]
pub struct Store {
    path: PathBuf,
    bundle: Bundle,
}

impl Store {
    /// Reads a bundle.
    ///
    /// # Errors
    /// As [`super::read`].
    pub fn open(path: PathBuf) -> Result<Self, super::BundleError> {
        let bundle = super::read(&path)?;
        Ok(Self { path, bundle })
    }

    /// What it is called.
    pub fn name(&self) -> &str {
        &self.bundle.name
    }

    /// When to judge its ages at.
    pub fn time(&self) -> Time {
        self.bundle.newest.unwrap_or_default()
    }

    /// True when it holds usage of containers.
    pub fn has_usage(&self) -> bool {
        !self.bundle.usage.is_empty()
    }

    /// What of it could not be used, in a sentence.
    pub fn skipped(&self) -> Option<String> {
        let (broken, unknown) = self.bundle.skipped.iter().partition::<Vec<_>, _>(|skipped| skipped.broken);
        let first = broken.first().map(|skipped| format!(", first {} ({})", skipped.path, skipped.why));
        match (broken.len(), unknown.len()) {
            (0, 0) => None,
            (0, unknown) => Some(format!("{unknown} files hold nothing k3am reads")),
            (damaged, _) => Some(format!("{damaged} files are damaged{}", first.unwrap_or_default())),
        }
    }

    /// The bundle as deltas, of these namespaces only (none is all).
    pub fn deltas(&self, namespaces: &[String]) -> Vec<Delta> {
        let wanted = |namespace: &str| {
            namespaces.is_empty() || namespace.is_empty() || namespaces.iter().any(|wanted| wanted == namespace)
        };
        let mut deltas = self.bundle.deltas();
        deltas.retain(|delta| match delta {
            Delta::Upsert { row, .. } => wanted(&row.meta().namespace),
            _ => true,
        });
        deltas
    }

    /// Kinds without rows that it holds objects of.
    pub fn other_kinds(&self) -> BTreeSet<(String, bool)> {
        self.bundle.others.keys().map(|object| (object.kind.to_string(), !object.namespace.is_empty())).collect()
    }

    /// Objects of a kind without rows: namespace and name.
    pub fn listing(&self, kind: &str, namespace: Option<&str>) -> Vec<(String, String)> {
        let of_kind = self.bundle.others.keys().filter(|object| object.kind.eq_ignore_ascii_case(kind));
        let there = of_kind.filter(|object| namespace.is_none_or(|namespace| namespace == &*object.namespace));
        there.map(|object| (object.namespace.to_string(), object.name.to_string())).collect()
    }

    /// The events about an object, oldest first.
    pub fn events(&self, about: &ObjectRef) -> Vec<Event> {
        let events = self.bundle.objects.values().filter_map(|copy| match &copy.row {
            Row::Event(event) if is_about(event, about) => Some(Event::clone(event)),
            _ => None,
        });
        let mut events: Vec<Event> = events.collect();
        events.sort_by_key(Event::last_seen);
        events
    }

    /// An object as the bundle has it. The caller must mask it before showing.
    pub fn object(&self, object: &ObjectRef) -> Option<Value> {
        let file = self.file_of(object)?;
        let wanted = |kind: &str, value: &Value| {
            kind == &*object.kind
                && value.pointer("/metadata/name").and_then(Value::as_str) == Some(&*object.name)
                && value.pointer("/metadata/namespace").and_then(Value::as_str).unwrap_or_default() == &*object.namespace
        };
        let version = |value: &Value| {
            value.pointer("/metadata/resourceVersion").and_then(Value::as_str).and_then(|v| v.parse::<u128>().ok())
        };
        self.find(&BTreeSet::from([file]), &wanted).into_iter().max_by_key(version)
    }

    /// The objects of a kind in a namespace that `keep` wants.
    pub fn objects(&self, kind: KindId, namespace: &str, keep: impl Fn(&Value) -> bool) -> Vec<Value> {
        let first = (kind, Key::new(namespace, ""));
        let there = self.bundle.objects.range(first..).take_while(|((k, key), _)| *k == kind && &*key.namespace == namespace);
        let files: BTreeSet<&str> = there.filter_map(|(_, copy)| self.file(copy.file)).collect();
        self.find(&files, &|found, value| {
            let place = value.pointer("/metadata/namespace").and_then(Value::as_str);
            found == kind.name() && place == Some(namespace) && keep(value)
        })
    }

    /// The last lines of a container's log, `most` of them.
    ///
    /// # Errors
    /// Why there are none, as a sentence: the kubelet's words, or that the bundle has no such log.
    pub fn log(&self, key: &LogKey, most: Option<usize>) -> Result<Vec<LogLine>, String> {
        if let Some(words) = self.bundle.logs.get(key).and_then(|excerpt| excerpt.unavailable.clone()) {
            return Err(words);
        }
        let file = self.bundle.log_files.get(key).and_then(|file| self.file(*file));
        let file = file.ok_or_else(|| {
            let run = if key.previous { "the run before of " } else { "" };
            format!("the bundle holds no log of {run}{} in {}", key.container, key.pod)
        })?;
        let most = most.unwrap_or(LINES).min(LINES);
        let mut reader = LogFile { path: file, key, most, lines: VecDeque::new(), failed: None };
        files::visit(&self.path, &mut reader).map_err(|error| error.to_string())?;
        match reader.failed {
            Some(why) if reader.lines.is_empty() => Err(why),
            _ => Ok(reader.lines.into()),
        }
    }

    fn file(&self, number: u32) -> Option<&str> {
        self.bundle.files.0.get(number as usize).map(String::as_str)
    }

    fn file_of(&self, object: &ObjectRef) -> Option<&str> {
        let row = KindId::from_name(&object.kind)
            .and_then(|kind| self.bundle.objects.get(&(kind, Key::new(&object.namespace, &object.name))));
        let number = row.map(|copy| copy.file).or_else(|| self.bundle.others.get(object).copied())?;
        self.file(number)
    }

    fn find(&self, wanted: &BTreeSet<&str>, matches: &dyn Fn(&str, &Value) -> bool) -> Vec<Value> {
        let mut finder = Finder { wanted, path: String::new(), matches, waiting: Vec::new(), found: Vec::new() };
        // What could be read once and cannot be read now is not there any more.
        let _ = files::visit(&self.path, &mut finder);
        finder.found
    }
}

fn is_about(event: &Event, object: &ObjectRef) -> bool {
    let about = &event.involved_object;
    (&about.kind, &about.namespace, &about.name) == (&object.kind, &object.namespace, &object.name)
}

/// Finds objects in the files that hold them.
struct Finder<'a> {
    wanted: &'a BTreeSet<&'a str>,
    path: String,
    matches: &'a dyn Fn(&str, &Value) -> bool,
    waiting: Vec<Value>,
    found: Vec<Value>,
}

impl Finder<'_> {
    fn look(&mut self, kind: &str, api_version: &str, mut value: Value) {
        if !(self.matches)(kind, &value) {
            return;
        }
        if let Value::Object(map) = &mut value {
            map.entry("kind").or_insert_with(|| kind.into());
            if !api_version.is_empty() {
                map.entry("apiVersion").or_insert_with(|| api_version.into());
            }
        }
        self.found.push(value);
    }
}

impl Visitor for Finder<'_> {
    fn wants(&self, path: &str) -> bool {
        self.wanted.contains(path)
    }

    fn file(&mut self, path: &str, content: &mut dyn Read) {
        path.clone_into(&mut self.path);
        let mut plain = Utf8::new(content);
        let budget = Budget::new();
        let mut content = BufReader::new(WithoutLogs::new(BufReader::new(&mut plain), budget.clone()));
        let is_json = content
            .fill_buf()
            .is_ok_and(|head| head.trim_ascii_start().starts_with(b"{") || head.trim_ascii_start().starts_with(b"["));
        let _ = if is_json { documents::json(&mut content, &budget, self) } else { documents::yaml(&mut content, &budget, self) };
    }

    fn unreadable(&mut self, _: &str, _: String) {}
}

impl Sink for Finder<'_> {
    fn item(&mut self, header: &Header, value: Value) {
        let kind = match (text(&value, "kind"), header.kind.strip_suffix("List")) {
            ("", Some(kind)) if !kind.is_empty() => kind.to_owned(),
            ("", _) => match names::kind_of_path(&self.path) {
                Some(kind) => kind.name().to_owned(),
                None => return self.waiting.push(value),
            },
            (kind, _) => kind.to_owned(),
        };
        self.look(&kind, &header.api_version, value);
    }

    fn list(&mut self, header: &Header) {
        let kind = header.kind.strip_suffix("List").unwrap_or_default().to_owned();
        for value in std::mem::take(&mut self.waiting) {
            self.look(&kind, &header.api_version, value);
        }
    }

    fn single(&mut self, value: Value) {
        let kind = text(&value, "kind").to_owned();
        self.look(&kind, "", value);
    }
}

/// Reads one log.
struct LogFile<'a> {
    path: &'a str,
    key: &'a LogKey,
    most: usize,
    lines: VecDeque<LogLine>,
    failed: Option<String>,
}

impl Visitor for LogFile<'_> {
    fn wants(&self, path: &str) -> bool {
        path == self.path
    }

    fn file(&mut self, _: &str, content: &mut dyn Read) {
        let mut mine = true;
        let done = logs::sections(content, &mut |part| match part {
            logs::Part::Starts(key) => {
                mine = (&key.namespace, &key.pod, &key.container) == (&self.key.namespace, &self.key.pod, &self.key.container);
                if mine {
                    self.lines.clear();
                }
            }
            logs::Part::Line(line) if mine => {
                self.lines.push_back(logs::line(line));
                if self.lines.len() > self.most {
                    self.lines.pop_front();
                }
            }
            logs::Part::Line(_) => {}
        });
        self.failed = done.err().map(|error| error.to_string());
    }

    fn unreadable(&mut self, path: &str, why: String) {
        if path == self.path {
            self.failed = Some(why);
        }
    }
}
