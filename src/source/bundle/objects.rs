//! Kubernetes objects out of JSON and YAML files: Lists of any kind, single objects, several documents in a file.

use std::collections::BTreeSet;

use serde_json::Value;

use super::files::File;
use super::{Bundle, Skipped, times, usage};
use crate::kinds::{KindId, Pool, Row};
use crate::snapshot::{Key, Scope};
use crate::text::Time;

/// A text file that is no object: maybe a container's log.
#[derive(Debug)]
pub(super) struct TextFile {
    /// Path inside the bundle.
    pub path: String,
    /// Its content.
    pub text: String,
}

/// A `*List` file: which kind it lists and which namespaces its items are in.
struct ListFile {
    path: String,
    kind: KindId,
    namespaces: BTreeSet<String>,
}

/// Reads files into a [`Bundle`].
pub(super) struct Reader<'a> {
    bundle: &'a mut Bundle,
    pool: Pool,
    lists: Vec<ListFile>,
    newest_other: Option<Time>,
}

impl<'a> Reader<'a> {
    pub fn new(bundle: &'a mut Bundle, pool: Pool) -> Self {
        Self { bundle, pool, lists: Vec::new(), newest_other: None }
    }

    /// Takes a file's objects; gives back text that is none.
    pub fn file(&mut self, file: File) -> Option<TextFile> {
        let File { path, bytes } = file;
        let text = String::from_utf8(bytes).unwrap_or_else(|e| String::from_utf8_lossy(e.as_bytes()).into_owned());
        let start = text.trim_start_matches('\u{feff}').trim_start();
        if start.starts_with("# HELP ") && usage::take_exposition(self.bundle, start) {
            self.bundle.used += 1;
            return None;
        }
        let documents = if std::path::Path::new(&path).extension().is_some_and(|e| e == "log") || start.is_empty() {
            return Some(TextFile { path, text });
        } else if start.starts_with('{') || start.starts_with('[') {
            serde_json::Deserializer::from_str(start).into_iter().collect::<Result<Vec<Value>, _>>().map_err(|e| e.to_string())
        } else if looks_like_yaml(&text) {
            serde_saphyr::from_multiple::<Value>(&text).map_err(|e| e.to_string())
        } else {
            return Some(TextFile { path, text });
        };
        match documents {
            Ok(documents) => self.documents(&path, documents),
            Err(why) => self.broken(&path, format!("not readable: {}", why.lines().next().unwrap_or_default())),
        }
        None
    }

    fn unknown(&mut self, path: &str, why: &str) {
        self.bundle.skipped.push(Skipped { path: path.to_owned(), why: why.to_owned(), broken: false });
    }

    fn broken(&mut self, path: &str, why: String) {
        self.bundle.skipped.push(Skipped { path: path.to_owned(), why, broken: true });
    }

    fn documents(&mut self, path: &str, documents: Vec<Value>) {
        if documents.iter().any(|d| d.get("type").is_some() && d.get("object").is_some()) {
            return self.unknown(path, "a recorded watch: its objects are older than the lists");
        }
        let mut known = false;
        for document in documents {
            known |= self.document(path, document);
        }
        if known {
            self.bundle.used += 1;
        } else {
            self.unknown(path, "holds nothing k3am reads");
        }
    }

    /// True when the document was of any use.
    fn document(&mut self, path: &str, mut document: Value) -> bool {
        if let Some(version) = document.get("gitVersion").and_then(Value::as_str) {
            self.bundle.server_version = Some(version.to_owned());
            return true;
        }
        if usage::take(self.bundle, &document) {
            self.newest_other = self.newest_other.max(times::newest(&document));
            return true;
        }
        let kind = text(&document, "kind");
        if kind == "Status" {
            return self.status(&document);
        }
        if let Some(items) = document.get_mut("items").map(Value::take) {
            let Value::Array(items) = items else { return self.list(path, &document, Vec::new()) };
            return self.list(path, &document, items);
        }
        let Some(kind) = kind_of(&kind, &text(&document, "apiVersion")) else {
            return document.get("apiVersion").is_some() && !kind.is_empty();
        };
        self.bundle.single.insert(kind);
        self.object(path, kind, document);
        true
    }

    /// A saved refusal (`kubectl get --raw` writes the server's `Status`).
    fn status(&mut self, status: &Value) -> bool {
        let plural = status.pointer("/details/kind").and_then(Value::as_str).unwrap_or_default();
        let Some(kind) = KindId::ALL.iter().copied().find(|k| k.info().plural == plural) else { return false };
        self.bundle.denied.insert(kind, text(status, "message"));
        true
    }

    fn list(&mut self, path: &str, list: &Value, items: Vec<Value>) -> bool {
        let list_kind = text(list, "kind");
        let list_version = text(list, "apiVersion");
        let item_kind = list_kind.strip_suffix("List").unwrap_or_default();
        // An empty `List` does not say of what: kubectl's own words are gone, so the file's name has to do.
        let mut kinds: BTreeSet<KindId> = kind_of(item_kind, &list_version)
            .or_else(|| items.is_empty().then(|| kind_of_name(path)).flatten())
            .into_iter()
            .collect();
        let mut namespaces = BTreeSet::new();
        let mut other = !item_kind.is_empty() || items.is_empty();
        for item in items {
            let own = text(&item, "kind");
            let (kind, version) =
                if own.is_empty() { (item_kind.to_owned(), list_version.clone()) } else { (own, text(&item, "apiVersion")) };
            let Some(kind) = kind_of(&kind, &version) else {
                other = true;
                continue;
            };
            kinds.insert(kind);
            if let Some(namespace) = item.pointer("/metadata/namespace").and_then(Value::as_str) {
                namespaces.insert(namespace.to_owned());
            }
            self.object(path, kind, item);
        }
        other |= !kinds.is_empty();
        self.lists.extend(kinds.into_iter().map(|kind| ListFile { path: path.to_owned(), kind, namespaces: namespaces.clone() }));
        other
    }

    fn object(&mut self, path: &str, kind: KindId, value: Value) {
        let newest = times::newest(&value);
        let row = match Row::from_value(kind, value, &mut self.pool) {
            Ok(row) => row,
            Err(error) => return self.broken(path, format!("a {kind} in it is not as Kubernetes writes it: {error}")),
        };
        if row.meta().name.is_empty() {
            return self.broken(path, format!("a {kind} in it has no name"));
        }
        self.bundle.newest = self.bundle.newest.max(newest);
        let at = (kind, Key::of(row.meta()));
        match self.bundle.objects.get(&at) {
            Some(known) if version(known) >= version(&row) => {}
            _ => {
                self.bundle.objects.insert(at, row);
            }
        }
    }

    /// Decides what each list covered, once all of them are known.
    pub fn finish(self) {
        // In the layout of `cluster-info dump` the folder is the namespace; lists beside those of proven namespaces are too.
        let proven: BTreeSet<&str> =
            self.lists.iter().filter(|l| in_own_folder(l)).filter_map(|l| grandparent(&l.path)).collect();
        for list in &self.lists {
            let dumped = list.kind.info().namespaced
                && (in_own_folder(list)
                    || (list.namespaces.is_empty() && grandparent(&list.path).is_some_and(|g| proven.contains(g))));
            let scope = if dumped { Scope::Namespace(folder(&list.path).into()) } else { Scope::Cluster };
            self.bundle.listed.entry(list.kind).or_default().insert(scope);
        }
        self.bundle.newest = self.bundle.newest.or(self.newest_other);
    }
}

fn in_own_folder(list: &ListFile) -> bool {
    list.namespaces.len() == 1 && list.namespaces.contains(folder(&list.path)) && !folder(&list.path).is_empty()
}

fn folder(path: &str) -> &str {
    path.rsplit('/').nth(1).unwrap_or_default()
}

fn grandparent(path: &str) -> Option<&str> {
    let (parent, _) = path.rsplit_once('/')?;
    Some(parent.rsplit_once('/').map_or("", |(above, _)| above))
}

fn text(value: &Value, field: &str) -> String {
    value.get(field).and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// The watched kind of that name, if its API group fits (a custom `Service` of Knative is not ours).
fn kind_of(kind: &str, api_version: &str) -> Option<KindId> {
    let id = KindId::from_name(kind)?;
    let group = api_version.split_once('/').map_or("", |(group, _)| group);
    let fits = group == id.info().group || (id == KindId::Event && group == "events.k8s.io") || api_version.is_empty();
    fits.then_some(id)
}

/// The kind a file name tells of: `cronjobs.batch.json`, `cronjobs.yaml`, `CronJob.json`.
fn kind_of_name(path: &str) -> Option<KindId> {
    let name = path.rsplit('/').next()?;
    let stem = name.split('.').next()?.replace('-', "").to_lowercase();
    KindId::ALL.iter().copied().find(|k| k.info().plural == stem || k.name().to_lowercase() == stem)
}

/// Orders two copies of one object. resourceVersions of one server are comparable numbers (KEP-5504).
fn version(row: &Row) -> u128 {
    row.meta().resource_version.parse().unwrap_or_default()
}

fn looks_like_yaml(text: &str) -> bool {
    let has = |field: &str| text.lines().any(|line| line.starts_with(field));
    has("kind:") && (has("apiVersion:") || has("items:"))
}
