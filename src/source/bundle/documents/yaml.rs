//! YAML documents as kubectl and `oc` write them (block style), split by their indentation: the items of `items:` are parsed one
//! by one, never the whole list. What is laid out differently is parsed whole, within the budget.

use std::io::{BufRead, Read};

use serde_json::Value;

use super::{Budget, Header, Sink};

/// Fields by which a file is known to be an object or a list.
const FIELDS: &[&str] = &["apiVersion:", "kind:", "items:", "- apiVersion:", "gitVersion:"];

/// True when the beginning of a file looks like Kubernetes objects in YAML.
pub fn looks_like(head: &str) -> bool {
    head.lines().any(|line| FIELDS.iter().any(|field| line.starts_with(field)))
}

/// Reads every document of `content` into `sink`. The error is a sentence about the first damage; the rest was taken.
pub fn read(mut content: &mut dyn BufRead, budget: &Budget, sink: &mut dyn Sink) -> Result<(), String> {
    let mut document = Document::default();
    let mut damage = None;
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = (&mut content).take(4 << 20).read_until(b'\n', &mut line).map_err(|error| error.to_string())?;
        let text = String::from_utf8_lossy(&line);
        let text = text.trim_end_matches(['\n', '\r']);
        if read == 0 || is_mark(text) {
            budget.renew();
            damage = damage.or(std::mem::take(&mut document).end(sink).err());
        }
        if read == 0 {
            return damage.map_or(Ok(()), Err);
        }
        if !is_mark(text) {
            damage = damage.or(document.line(text, budget, sink).err());
        }
    }
}

/// `---` begins a document, `...` ends one.
fn is_mark(line: &str) -> bool {
    line == "---" || line == "..." || line.starts_with("--- ")
}

/// Where in a document the lines are.
#[derive(Clone, Copy, PartialEq, Default)]
enum Part {
    /// Fields beside `items`.
    #[default]
    Fields,
    /// Items that begin with this many spaces and a dash.
    Items(usize),
}

#[derive(Default)]
struct Document {
    part: Part,
    is_list: bool,
    /// An item was damaged: the list is not complete.
    is_broken: bool,
    /// `items:` was the last field: how its items are indented is not known yet.
    awaits_items: bool,
    header: Header,
    fields: String,
    item: String,
}

impl Document {
    fn line(&mut self, line: &str, budget: &Budget, sink: &mut dyn Sink) -> Result<(), String> {
        let indent = line.len() - line.trim_start_matches(' ').len();
        let dash = line.get(indent..).is_some_and(|rest| rest == "-" || rest.starts_with("- "));
        let bare = self.fields.is_empty() && !self.is_list;
        if self.part == Part::Fields && dash && (self.awaits_items || bare) {
            (self.part, self.is_list, self.awaits_items) = (Part::Items(indent), true, false);
        }
        match self.part {
            Part::Items(at) if dash && indent == at => {
                let done = self.end_item(sink);
                budget.renew();
                push(&mut self.item, line);
                done
            }
            // A field of the list itself ends the items; comments and empty lines do not.
            Part::Items(at) if indent <= at && indent == 0 && is_field(line) => {
                let done = self.end_item(sink);
                self.part = Part::Fields;
                self.field(line);
                done
            }
            Part::Items(_) => {
                push(&mut self.item, line);
                Ok(())
            }
            Part::Fields => {
                self.field(line);
                Ok(())
            }
        }
    }

    fn field(&mut self, line: &str) {
        if line == "items:" || line == "items: []" || line == "items: null" {
            self.is_list = true;
            self.awaits_items = line == "items:";
            return;
        }
        if !line.trim().is_empty() && !line.starts_with('#') {
            self.awaits_items = false;
        }
        for field in ["kind", "apiVersion"] {
            if let Some(value) = line.strip_prefix(field).and_then(|rest| rest.strip_prefix(": ")) {
                self.header.take(field, &Value::from(value.trim().trim_matches(['"', '\''])));
            }
        }
        if !self.fields.is_empty() || !(line.trim().is_empty() || line.starts_with('#')) {
            push(&mut self.fields, line);
        }
    }

    fn end_item(&mut self, sink: &mut dyn Sink) -> Result<(), String> {
        let item = std::mem::take(&mut self.item);
        if item.trim().is_empty() {
            return Ok(());
        }
        let items = parse::<Vec<Value>>(&item).inspect_err(|_| self.is_broken = true)?;
        for value in items {
            sink.item(&self.header, value);
        }
        Ok(())
    }

    fn end(mut self, sink: &mut dyn Sink) -> Result<(), String> {
        let done = self.end_item(sink);
        if self.is_list {
            if !self.is_broken {
                sink.list(&self.header);
            }
            return done;
        }
        if self.fields.is_empty() {
            return Ok(());
        }
        let mut value: Value = parse(&self.fields)?;
        // A list in another layout (flow style, JSON inside YAML).
        if let Some(Value::Array(items)) = value.get_mut("items").map(Value::take) {
            let header = Header::of(&value);
            for item in items {
                sink.item(&header, item);
            }
            sink.list(&header);
        } else {
            sink.single(value);
        }
        Ok(())
    }
}

fn push(text: &mut String, line: &str) {
    text.push_str(line);
    text.push('\n');
}

fn is_field(line: &str) -> bool {
    line.starts_with(|c: char| c.is_ascii_alphabetic() || c == '"') && line.contains(':')
}

fn parse<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, String> {
    serde_saphyr::from_str(text).map_err(|error| error.to_string().lines().next().unwrap_or_default().to_owned())
}
