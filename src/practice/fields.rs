//! Sets of field paths: the `fieldsV1` of managedFields.
//!
//! The JSON form is the real one: `f:name` for a field, `k:{...}` for an item of an associative list, `v:...` for an item of a
//! set, `.` for "this node itself" where it also has children.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::schema;

/// A set of paths into an object.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FieldSet {
    member: bool,
    children: BTreeMap<String, Self>,
}

impl FieldSet {
    /// The set `fieldsV1` describes.
    pub fn from_json(value: &Value) -> Self {
        let Some(map) = value.as_object() else { return Self::default() };
        let children: BTreeMap<_, _> =
            map.iter().filter(|(key, _)| *key != ".").map(|(key, child)| (key.clone(), Self::from_json(child))).collect();
        Self { member: map.is_empty() || map.contains_key("."), children }
    }

    /// The `fieldsV1` of this set.
    pub fn to_json(&self) -> Value {
        let mut map = Map::new();
        if self.member && !self.children.is_empty() {
            map.insert(".".to_owned(), json!({}));
        }
        map.extend(self.children.iter().map(|(key, child)| (key.clone(), child.to_json())));
        Value::Object(map)
    }

    /// Whether no path is in the set.
    pub fn is_empty(&self) -> bool {
        !self.member && self.children.values().all(Self::is_empty)
    }

    /// The paths in which `new` differs from `old`: added or with another value. Lists and maps that are new count themselves.
    pub fn changed(old: Option<&Value>, new: &Value) -> Self {
        changed("", old, new)
    }

    /// Every path of `config`, as server-side apply owns them.
    pub fn of(config: &Value) -> Self {
        let mut set = changed("", Some(&skeleton()), config);
        set.drop_containers();
        set
    }

    /// Server-side apply owns leaves and list items, not the maps and lists they are in.
    fn drop_containers(&mut self) {
        self.member = false;
        for (key, child) in &mut self.children {
            if !child.children.is_empty() {
                let item = key.starts_with("k:");
                child.drop_containers();
                child.member = item;
            }
        }
    }

    /// Adds the paths of `other`.
    pub fn union(&mut self, other: &Self) {
        self.member |= other.member;
        for (key, child) in &other.children {
            self.children.entry(key.clone()).or_default().union(child);
        }
    }

    /// Takes the paths of `other` away.
    pub fn subtract(&mut self, other: &Self) {
        self.member &= !other.member;
        for (key, theirs) in &other.children {
            if let Some(ours) = self.children.get_mut(key) {
                ours.subtract(theirs);
            }
        }
        self.children.retain(|_, child| !child.is_empty());
    }

    /// The paths in both sets.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        let children = self.children.iter().filter_map(|(key, ours)| {
            let both = ours.intersection(other.children.get(key)?);
            (!both.is_empty()).then(|| (key.clone(), both))
        });
        Self { member: self.member && other.member, children: children.collect() }
    }

    /// Drops the paths that do not exist in `value`.
    pub fn retain_existing(&mut self, value: &Value) {
        self.children.retain(|key, child| {
            let Some(below) = descend(value, key) else { return false };
            child.retain_existing(below);
            !child.is_empty()
        });
    }

    /// The leaves as paths for people: `.spec.template.spec.containers[name="app"].image`.
    pub fn leaves(&self) -> Vec<String> {
        let mut found = Vec::new();
        self.collect_leaves("", &mut found);
        found
    }

    /// Removes every path of this set from `value`.
    pub fn remove_from(&self, value: &mut Value) {
        for (key, child) in &self.children {
            if child.children.is_empty() || (child.member && child.covers(descend(value, key))) {
                remove_element(value, key);
            } else if let Some(below) = descend_mut(value, key) {
                child.remove_from(below);
            }
        }
    }

    /// Whether everything below `value` is in the set, so that removing the paths leaves nothing.
    fn covers(&self, value: Option<&Value>) -> bool {
        match value {
            Some(Value::Object(map)) if !map.is_empty() => map.iter().all(|(name, below)| {
                self.children
                    .get(&format!("f:{name}"))
                    .is_some_and(|child| child.children.is_empty() || child.covers(Some(below)))
            }),
            Some(Value::Array(items)) => items.len() <= self.children.len(),
            _ => true,
        }
    }

    fn collect_leaves(&self, prefix: &str, found: &mut Vec<String>) {
        if self.children.is_empty() && self.member && !prefix.is_empty() {
            found.push(prefix.to_owned());
        }
        for (key, child) in &self.children {
            child.collect_leaves(&format!("{prefix}{}", segment(key)), found);
        }
    }
}

/// What a new object is compared with: the structs that exist in Go even when nothing was set.
fn skeleton() -> Value {
    let template = json!({"metadata": {}, "spec": {"containers": []}});
    json!({
        "metadata": {},
        "spec": {"containers": [], "template": template, "strategy": {}, "updateStrategy": {},
                 "jobTemplate": {"metadata": {}, "spec": {"template": template}}},
        "status": {"loadBalancer": {}},
    })
}

/// The paths a create owns.
pub fn created(object: &Value) -> FieldSet {
    changed("", Some(&skeleton()), object)
}

fn changed(field: &str, old: Option<&Value>, new: &Value) -> FieldSet {
    match new {
        Value::Object(map) if !map.is_empty() && !schema::is_atomic_map(field) => {
            let children = map.iter().filter_map(|(key, value)| {
                let child = changed(key, old.and_then(|old| old.get(key)), value);
                (!child.is_empty()).then(|| (format!("f:{key}"), child))
            });
            FieldSet { member: !old.is_some_and(Value::is_object), children: children.collect() }
        }
        Value::Object(map) if map.is_empty() => leaf(!old.is_some_and(Value::is_object)),
        Value::Array(items) if schema::is_set(field) => changed_set(old, items),
        Value::Array(items) => match schema::list_map_keys(field, items) {
            Some(keys) if !items.is_empty() => changed_items(keys, old, items),
            _ => leaf(old != Some(new)),
        },
        _ => leaf(old != Some(new)),
    }
}

fn leaf(member: bool) -> FieldSet {
    FieldSet { member, children: BTreeMap::new() }
}

fn changed_set(old: Option<&Value>, items: &[Value]) -> FieldSet {
    let before = old.and_then(Value::as_array);
    let new_ones = items.iter().filter(|item| !before.is_some_and(|before| before.contains(item)));
    FieldSet { member: before.is_none(), children: new_ones.map(|item| (format!("v:{item}"), leaf(true))).collect() }
}

fn changed_items(keys: &[&str], old: Option<&Value>, items: &[Value]) -> FieldSet {
    let before = old.and_then(Value::as_array);
    let children = items.iter().filter_map(|item| {
        let key = schema::item_key(keys, item);
        let old_item = before.and_then(|before| before.iter().find(|old| schema::item_key(keys, old) == key));
        // An owner reference is written as a whole.
        let child = if keys == ["uid"] { leaf(old_item != Some(item)) } else { changed("", old_item, item) };
        (!child.is_empty()).then(|| (format!("k:{key}"), child))
    });
    FieldSet { member: before.is_none(), children: children.collect() }
}

fn descend<'a>(value: &'a Value, key: &str) -> Option<&'a Value> {
    match key.split_once(':')? {
        ("f", name) => value.get(name),
        (kind, text) => {
            let position = position(value, kind, text)?;
            value.get(position)
        }
    }
}

fn descend_mut<'a>(value: &'a mut Value, key: &str) -> Option<&'a mut Value> {
    match key.split_once(':')? {
        ("f", name) => value.get_mut(name),
        (kind, text) => {
            let position = position(value, kind, text)?;
            value.get_mut(position)
        }
    }
}

/// Where in a list the item of a `k:` or `v:` element is.
fn position(list: &Value, kind: &str, text: &str) -> Option<usize> {
    let wanted: Value = serde_json::from_str(text).ok()?;
    list.as_array()?.iter().position(|item| match (kind, wanted.as_object()) {
        ("k", Some(keys)) => {
            let names: Vec<&str> = keys.keys().map(String::as_str).collect();
            schema::item_key(&names, item) == wanted
        }
        _ => *item == wanted,
    })
}

fn remove_element(value: &mut Value, key: &str) {
    match key.split_once(':') {
        Some(("f", name)) => {
            if let Some(map) = value.as_object_mut() {
                map.remove(name);
            }
        }
        Some((kind, text)) => {
            if let Some(position) = position(value, kind, text)
                && let Some(items) = value.as_array_mut()
            {
                items.remove(position);
            }
        }
        None => {}
    }
}

fn segment(key: &str) -> String {
    match key.split_once(':') {
        Some(("f", name)) => format!(".{name}"),
        Some(("k", text)) => match serde_json::from_str::<Map<String, Value>>(text) {
            Ok(keys) => {
                let pairs: Vec<String> = keys.iter().map(|(name, value)| format!("{name}={value}")).collect();
                format!("[{}]", pairs.join(","))
            }
            Err(_) => format!("[{text}]"),
        },
        Some((_, text)) => format!("[={text}]"),
        None => String::new(),
    }
}
