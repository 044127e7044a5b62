//! Kubernetes objects out of JSON and YAML files: Lists of any kind, bare arrays, single objects, several documents in a file.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Read};

use serde_json::Value;

use super::documents::{self, Budget, Header, LOG_STARTS, Sink, WithoutLogs, text};
use super::encoding::Utf8;
use super::files::Visitor;
use super::names::{kind_of, kind_of_path};
use super::scopes::{self, List};
use super::{Bundle, Copy, Skipped, refusals, times, usage};
use crate::kinds::{KindId, ObjectRef, Pool, Row};
use crate::snapshot::Key;
use crate::text::Time;

/// How much of a file is looked at to know what it is.
const HEAD: usize = 32 << 10;
/// Items without a kind that wait for the end of their list, where its kind may stand.
const WAITING: usize = 5000;

/// The first pass over a bundle: everything but logs.
pub(super) struct Reader<'a> {
    bundle: &'a mut Bundle,
    pool: Pool,
    lists: Vec<List>,
    newest_other: Option<Time>,
    /// Files that may hold logs, for the second pass.
    pub texts: BTreeSet<String>,
}

impl<'a> Reader<'a> {
    pub fn new(bundle: &'a mut Bundle) -> Self {
        Self { bundle, pool: Pool::default(), lists: Vec::new(), newest_other: None, texts: BTreeSet::new() }
    }

    fn skip(&mut self, path: &str, why: &str, broken: bool) {
        self.bundle.skipped.push(Skipped { path: path.to_owned(), why: why.to_owned(), broken });
    }

    /// Reads the documents of a file, then says what became of it.
    fn documents(&mut self, path: &str, is_json: bool, content: &mut dyn BufRead) {
        let budget = Budget::new();
        let without_logs = WithoutLogs::new(content, budget.clone());
        let logs = std::rc::Rc::clone(&without_logs.logs);
        let mut content = BufReader::with_capacity(HEAD, without_logs);
        let lists = self.lists.len();
        let mut file = File { reader: self, path, known: 0, broken: None, waiting: Vec::new(), namespaces: BTreeMap::new() };
        let done = if is_json {
            documents::json(&mut content, &budget, &mut file)
        } else {
            documents::yaml(&mut content, &budget, &mut file)
        };
        let (known, mut broken) = (file.known, file.broken.take());
        if let Err(why) = done {
            broken = broken.or(Some(format!("not readable: {why}")));
            // A list in it may have ended early: what it did not name may exist.
            self.lists.truncate(lists);
        }
        if logs.get() > 0 {
            self.texts.insert(path.to_owned());
        }
        match broken {
            Some(why) if known > 0 => self.skip(path, &format!("{why}; what came before was read ({known} objects)"), true),
            Some(why) if is_json || is_data(path) => self.skip(path, &why, true),
            _ if known > 0 => self.bundle.used += 1,
            // Lines of JSON may be a log.
            _ if !is_data(path) => {
                self.texts.insert(path.to_owned());
            }
            _ => self.skip(path, "holds nothing k3am reads", false),
        }
    }

    fn object(&mut self, path: &str, kind: KindId, mut value: Value) -> Result<Option<String>, String> {
        let newest = times::newest(&value);
        let size = times::fields(&value);
        // As in the live watches: there are many of these, and nobody asks who wrote them.
        if matches!(kind, KindId::Pod | KindId::Event)
            && let Some(metadata) = value.get_mut("metadata").and_then(Value::as_object_mut)
        {
            metadata.remove("managedFields");
        }
        let row = Row::from_value(kind, value, &self.pool)
            .map_err(|error| format!("a {kind} in it is not as Kubernetes writes it: {error}"))?;
        if row.meta().name.is_empty() {
            return Err(format!("a {kind} in it has no name"));
        }
        self.bundle.newest = self.bundle.newest.max(newest);
        let key = Key::of(row.meta());
        let namespace = (!key.namespace.is_empty()).then(|| key.namespace.to_string());
        let file = self.bundle.files.number(path);
        let copy = Copy { row, size, file };
        match self.bundle.objects.get(&(kind, key.clone())) {
            Some(known) if known.worth() >= copy.worth() => {}
            _ => {
                self.bundle.objects.insert((kind, key), copy);
            }
        }
        Ok(namespace)
    }

    /// Decides what each list covered, once all of them are known.
    pub fn finish(self) -> BTreeSet<String> {
        for (kind, scopes) in scopes::of_lists(&self.lists) {
            self.bundle.listed.entry(kind).or_default().extend(scopes);
        }
        self.bundle.newest = self.bundle.newest.or(self.newest_other);
        self.texts
    }
}

impl Visitor for Reader<'_> {
    fn file(&mut self, path: &str, content: &mut dyn Read) {
        let mut plain = Utf8::new(content);
        let mut content = BufReader::with_capacity(HEAD, &mut plain);
        let head = match content.fill_buf() {
            Ok(head) => String::from_utf8_lossy(head).into_owned(),
            Err(error) => return self.skip(path, &format!("not readable: {error}"), true),
        };
        let start = head.trim_start();
        if start.is_empty() {
            self.skip(path, "empty", false);
        } else if head.contains('\0') {
            self.skip(path, "not text", false);
        } else if is_log(path) || start.starts_with(LOG_STARTS) {
            self.texts.insert(path.to_owned());
        } else if start.starts_with(['{', '[']) {
            self.documents(path, true, &mut content);
        } else if start.starts_with("# HELP ") || start.starts_with("# TYPE ") {
            if usage::take_exposition(self.bundle, &mut content) {
                self.bundle.used += 1;
            } else {
                self.skip(path, "metrics of something else", false);
            }
        } else if documents::looks_like_yaml(&head) {
            self.documents(path, false, &mut content);
        } else if refusals::take_text(self.bundle, &head) {
            self.bundle.used += 1;
        } else if let Some(at) = times::of_file(path, &head) {
            self.bundle.taken = self.bundle.taken.max(Some(at));
            self.bundle.used += 1;
        } else {
            self.texts.insert(path.to_owned());
        }
    }

    fn unreadable(&mut self, path: &str, why: String) {
        self.skip(path, &why, true);
    }
}

fn is_log(path: &str) -> bool {
    std::path::Path::new(path).extension().is_some_and(|end| end.eq_ignore_ascii_case("log"))
}

/// True for names that promise objects.
fn is_data(path: &str) -> bool {
    let end = std::path::Path::new(path).extension().map(|end| end.to_string_lossy().to_lowercase());
    matches!(end.as_deref(), Some("json" | "jsonl" | "yaml" | "yml"))
}

/// One file's documents on their way into the bundle.
struct File<'r, 'a> {
    reader: &'r mut Reader<'a>,
    path: &'r str,
    /// Documents and items that were of use.
    known: usize,
    broken: Option<String>,
    /// Items whose kind nobody has told yet.
    waiting: Vec<Value>,
    /// Namespaces of the list being read, by kind.
    namespaces: BTreeMap<KindId, BTreeSet<String>>,
}

impl File<'_, '_> {
    /// Keeps an object that has a row; remembers where others are.
    fn keep(&mut self, kind: &str, api_version: &str, value: Value) -> Option<KindId> {
        let Some(id) = kind_of(kind, api_version) else {
            self.remember(kind, &value);
            return None;
        };
        match self.reader.object(self.path, id, value) {
            Ok(namespace) => {
                self.known += 1;
                self.namespaces.entry(id).or_default().extend(namespace);
                Some(id)
            }
            Err(why) => {
                self.broken.get_or_insert(why);
                None
            }
        }
    }

    /// An object of a kind without rows: it can be shown, if it has a name.
    fn remember(&mut self, kind: &str, value: &Value) {
        let field = |name: &str| value.pointer(name).and_then(Value::as_str).unwrap_or_default();
        let name = field("/metadata/name");
        if !kind.is_empty() && !name.is_empty() && self.reader.bundle.others.len() < Bundle::MOST_OTHERS {
            let file = self.reader.bundle.files.number(self.path);
            self.reader.bundle.others.insert(ObjectRef::new(kind, field("/metadata/namespace"), name), file);
        }
        self.known += usize::from(!kind.is_empty());
    }

    /// What is no object: a server's version, usage, a refusal, a time.
    fn aside(&mut self, document: &Value) -> bool {
        let bundle = &mut *self.reader.bundle;
        // `/version`, `kubectl version -o json`, the cluster version of a support bundle.
        let version = ["/gitVersion", "/serverVersion/gitVersion", "/info/gitVersion"]
            .iter()
            .find_map(|at| document.pointer(at).and_then(Value::as_str));
        if let Some(version) = version {
            bundle.server_version = Some(version.to_owned());
            return true;
        }
        if usage::take(bundle, document) {
            self.reader.newest_other = self.reader.newest_other.max(times::newest(document));
            return true;
        }
        if let Some(at) = document.get("observedAt").and_then(Value::as_str).and_then(times::parse) {
            bundle.taken = bundle.taken.max(Some(at));
            return true;
        }
        refusals::take(bundle, document)
    }
}

impl Sink for File<'_, '_> {
    fn item(&mut self, header: &Header, mut value: Value) {
        if let Value::String(_) = value {
            self.known += usize::from(refusals::take(self.reader.bundle, &value));
            return;
        }
        let own = (text(&value, "kind").to_owned(), text(&value, "apiVersion").to_owned());
        // Lists pasted into a list, as `jq -s` and scripts leave them. `Header` carries the inner list's words.
        if own.0.ends_with("List")
            && let Some(Value::Array(items)) = value.get_mut("items").map(Value::take)
        {
            let inner = Header { kind: own.0, api_version: own.1 };
            return items.into_iter().for_each(|item| self.item(&inner, item));
        }
        let (kind, version) = match (own.0.is_empty(), header.kind.strip_suffix("List")) {
            (false, _) => own,
            (true, Some(kind)) if !kind.is_empty() => (kind.to_owned(), header.api_version.clone()),
            _ => match kind_of_path(self.path).filter(|_| value.get("metadata").is_some()) {
                Some(kind) => (kind.name().to_owned(), String::new()),
                None if self.waiting.len() < WAITING => return self.waiting.push(value),
                None => return,
            },
        };
        if !usage::take_item(self.reader.bundle, &kind, &value) {
            self.keep(&kind, &version, value);
        }
    }

    fn list(&mut self, header: &Header) {
        let item_kind = header.kind.strip_suffix("List").unwrap_or_default();
        for value in std::mem::take(&mut self.waiting) {
            if !item_kind.is_empty() && !usage::take_item(self.reader.bundle, item_kind, &value) {
                self.keep(item_kind, &header.api_version, value);
            }
        }
        let mut found = std::mem::take(&mut self.namespaces);
        // An empty `List` does not say of what: kubectl's own words are gone, so the file's name has to do.
        let told = kind_of(item_kind, &header.api_version)
            .or_else(|| (found.is_empty() && item_kind.is_empty()).then(|| kind_of_path(self.path)).flatten());
        if let Some(kind) = told {
            found.entry(kind).or_default();
        }
        self.known += usize::from(!header.kind.is_empty() || !found.is_empty());
        let path = self.path;
        self.reader.lists.extend(found.into_iter().map(|(kind, namespaces)| List { path: path.to_owned(), kind, namespaces }));
    }

    fn single(&mut self, value: Value) {
        if value.get("type").is_some() && value.get("object").is_some() {
            // A recorded watch: its objects are older than the lists.
            return;
        }
        if self.aside(&value) {
            self.known += 1;
            return;
        }
        let (kind, version) = (text(&value, "kind").to_owned(), text(&value, "apiVersion").to_owned());
        if version.is_empty() {
            return;
        }
        let namespace = value.pointer("/metadata/namespace").and_then(Value::as_str).unwrap_or_default().to_owned();
        if let Some(id) = self.keep(&kind, &version, value) {
            self.namespaces.clear();
            match scopes::of_single(self.path, id, &namespace) {
                Some(scope) => {
                    self.reader.bundle.listed.entry(id).or_default().insert(scope);
                }
                None => {
                    self.reader.bundle.single.insert(id);
                }
            }
        }
    }
}
