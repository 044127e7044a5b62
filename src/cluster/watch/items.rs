//! Cuts the body of a list into its items while it arrives, so that decoding overlaps with the transfer and no more than one
//! item is ever held as text.
//!
//! Not a JSON parser: it follows strings and nesting just far enough to find where the values at the first level and the
//! elements of `items` end; serde decodes each of them. Works with any order of fields.

use serde::Deserialize;

use crate::protobuf::ListHead;

/// `metadata` of a list.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct ListMeta {
    /// Where a watch resumes.
    pub(crate) resource_version: String,
    /// Token of the next page.
    #[serde(rename = "continue")]
    pub(crate) more: Option<String>,
}

impl From<ListHead> for ListMeta {
    fn from(head: ListHead) -> Self {
        Self { resource_version: head.resource_version, more: Some(head.more).filter(|more| !more.is_empty()) }
    }
}

/// The body is not a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NotAList(pub(crate) &'static str);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    /// Before the outer `{`.
    Start,
    /// Between fields of the outer object.
    Fields,
    /// In a field's name.
    Name,
    /// Between a name and its value.
    Colon,
    /// In the value of a field that is not `items`.
    Value,
    /// Between elements of `items`.
    Items,
    /// In an element of `items`.
    Item,
    /// After the outer `}`.
    End,
}

/// The state between chunks. See the module docs.
#[derive(Debug)]
pub(crate) struct Splitter {
    at: At,
    depth: u32,
    in_string: bool,
    escaped: bool,
    name: Vec<u8>,
    held: Vec<u8>,
    meta: Option<ListMeta>,
    /// Hand items out without `metadata.managedFields`.
    cuts: bool,
    cut: Cut,
}

/// Where in an item the value to leave out stands. Places count from the start of the item.
#[derive(Debug, Default)]
struct Cut {
    /// Start of the last string two levels deep.
    string: usize,
    /// That string was the field's name.
    named: bool,
    from: Option<usize>,
    to: Option<usize>,
}

/// Two levels deep in an object: in its `metadata`, `spec`, `status`.
const SECTION: u32 = 2;
/// Nearly half of a pod, written by the server for its own use.
const MANAGED_FIELDS: &[u8] = b"managedFields";

impl Splitter {
    pub(crate) fn new() -> Self {
        Self {
            at: At::Start,
            depth: 0,
            in_string: false,
            escaped: false,
            name: Vec::new(),
            held: Vec::new(),
            meta: None,
            cuts: false,
            cut: Cut::default(),
        }
    }

    /// As [`Splitter::new`]; items are handed out with `metadata.managedFields` as `null`, for who does not read them.
    pub(crate) fn without_managed_fields() -> Self {
        Self { cuts: true, ..Self::new() }
    }

    /// Takes the next chunk and hands each item it completes to `item`.
    pub(crate) fn feed(&mut self, chunk: &[u8], item: &mut impl FnMut(&[u8])) -> Result<(), NotAList> {
        let mut i = 0;
        while let Some(&byte) = chunk.get(i) {
            i = match self.at {
                At::Start => self.start(byte, i)?,
                At::Fields => self.fields(byte, i)?,
                At::Name => self.name(byte, i),
                At::Colon => self.colon(byte, i)?,
                At::Items => self.items(byte, i)?,
                At::Value | At::Item => self.value(chunk, i, item)?,
                At::End if byte.is_ascii_whitespace() => i + 1,
                At::End => return Err(NotAList("text after the list")),
            };
        }
        Ok(())
    }

    /// The list's metadata as soon as it has passed: servers write it before the items.
    pub(crate) fn meta(&self) -> Option<&ListMeta> {
        self.meta.as_ref()
    }

    /// The list's metadata, once the body is complete.
    pub(crate) fn finish(self) -> Result<ListMeta, NotAList> {
        if self.at != At::End {
            return Err(NotAList("the list ends in the middle"));
        }
        Ok(self.meta.unwrap_or_default())
    }

    fn start(&mut self, byte: u8, i: usize) -> Result<usize, NotAList> {
        match byte {
            b'{' => self.at = At::Fields,
            b if b.is_ascii_whitespace() => {}
            _ => return Err(NotAList("not a JSON object")),
        }
        Ok(i + 1)
    }

    fn fields(&mut self, byte: u8, i: usize) -> Result<usize, NotAList> {
        match byte {
            b'"' => {
                self.name.clear();
                self.at = At::Name;
            }
            b'}' => self.at = At::End,
            b',' => {}
            b if b.is_ascii_whitespace() => {}
            _ => return Err(NotAList("a field without a name")),
        }
        Ok(i + 1)
    }

    fn name(&mut self, byte: u8, i: usize) -> usize {
        if byte == b'"' {
            self.at = At::Colon;
        } else {
            self.name.push(byte);
        }
        i + 1
    }

    fn colon(&mut self, byte: u8, i: usize) -> Result<usize, NotAList> {
        match byte {
            b':' => Ok(i + 1),
            b if b.is_ascii_whitespace() => Ok(i + 1),
            b'[' if self.name == b"items" => {
                self.at = At::Items;
                Ok(i + 1)
            }
            b'{' | b'[' | b'"' | b'-' | b'0'..=b'9' | b't' | b'f' | b'n' => {
                self.begin_value(At::Value);
                Ok(i)
            }
            _ => Err(NotAList("a field without a value")),
        }
    }

    fn items(&mut self, byte: u8, i: usize) -> Result<usize, NotAList> {
        match byte {
            b'{' => {
                self.begin_value(At::Item);
                return Ok(i);
            }
            b']' => self.at = At::Fields,
            b',' => {}
            b if b.is_ascii_whitespace() => {}
            _ => return Err(NotAList("an item that is not an object")),
        }
        Ok(i + 1)
    }

    fn begin_value(&mut self, at: At) {
        self.at = at;
        self.depth = 0;
        self.in_string = false;
        self.escaped = false;
        self.held.clear();
        self.cut = Cut::default();
    }

    /// Scans a value from `from`; returns where to go on. The end of a number or word is the separator after it.
    fn value(&mut self, chunk: &[u8], from: usize, item: &mut impl FnMut(&[u8])) -> Result<usize, NotAList> {
        let rest = chunk.get(from..).unwrap_or_default();
        let Some(length) = self.end_of_value(rest) else {
            self.held.extend_from_slice(rest);
            return Ok(chunk.len());
        };
        let tail = rest.get(..length).unwrap_or_default();
        let whole = if let (At::Item, Some(from), Some(to)) = (self.at, self.cut.from, self.cut.to) {
            self.leave_out(tail, from, to);
            &*self.held
        } else if self.held.is_empty() {
            tail
        } else {
            self.held.extend_from_slice(tail);
            &*self.held
        };
        if self.at == At::Item {
            item(whole);
            self.at = At::Items;
        } else {
            if self.name == b"metadata" {
                self.meta = Some(serde_json::from_slice(whole).map_err(|_| NotAList("its metadata is not a list's"))?);
            }
            self.at = At::Fields;
        }
        self.held.clear();
        Ok(from + length)
    }

    /// Completes the item with `tail` and puts `null` in the place of the value that was marked.
    fn leave_out(&mut self, tail: &[u8], from: usize, to: usize) {
        if self.held.is_empty() {
            // Copies half of it instead of all of it.
            self.held.extend_from_slice(tail.get(..from).unwrap_or_default());
            self.held.extend_from_slice(b"null");
            self.held.extend_from_slice(tail.get(to..).unwrap_or_default());
        } else {
            self.held.extend_from_slice(tail);
            self.held.splice(from..to, *b"null");
        }
    }

    /// How many bytes of `rest` still belong to the value, if its end is in sight. Strings, three quarters of an object, are
    /// skipped by vector instructions.
    fn end_of_value(&mut self, rest: &[u8]) -> Option<usize> {
        let before = self.held.len();
        let mut i = 0;
        loop {
            if self.in_string {
                i = self.end_of_string(rest, i)?;
                if self.depth == 0 {
                    return Some(i);
                }
                if self.depth == SECTION && self.cuts {
                    // A name that lies across two chunks is not recognised, and its value decoded as any other.
                    let start = self.cut.string.checked_sub(before);
                    self.cut.named = start.and_then(|start| rest.get(start..i - 1)) == Some(MANAGED_FIELDS);
                }
            }
            match *rest.get(i)? {
                b'"' => {
                    self.in_string = true;
                    if self.depth == SECTION {
                        self.cut.string = before + i + 1;
                    }
                }
                b'{' => self.depth += 1,
                b'[' => {
                    if self.depth == SECTION && self.cut.named {
                        self.cut.from = Some(before + i);
                    }
                    self.depth += 1;
                }
                b'}' | b']' | b',' if self.depth == 0 => return Some(i),
                b',' if self.depth == SECTION => self.cut.named = false,
                b'}' | b']' => {
                    self.depth -= 1;
                    if self.depth == 0 {
                        return Some(i + 1);
                    }
                    if self.depth == SECTION && self.cut.from.is_some() && self.cut.to.is_none() {
                        self.cut.to = Some(before + i + 1);
                    }
                }
                _ => {}
            }
            i += 1;
        }
    }

    /// The place after the closing quote of the string that `i` lies in.
    fn end_of_string(&mut self, rest: &[u8], mut i: usize) -> Option<usize> {
        if self.escaped && i < rest.len() {
            self.escaped = false;
            i += 1;
        }
        loop {
            i += memchr::memchr2(b'"', b'\\', rest.get(i..)?)?;
            if rest.get(i) == Some(&b'"') {
                self.in_string = false;
                return Some(i + 1);
            }
            i += 2;
            if i > rest.len() {
                self.escaped = true;
                return None;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(body: &str, chunk: usize) -> Result<(Vec<String>, ListMeta), NotAList> {
        let mut splitter = Splitter::new();
        let mut items = Vec::new();
        for part in body.as_bytes().chunks(chunk) {
            splitter.feed(part, &mut |item: &[u8]| items.push(String::from_utf8_lossy(item).into_owned()))?;
        }
        Ok((items, splitter.finish()?))
    }

    #[test]
    fn items_are_found_at_any_chunk_size_and_field_order() {
        let first = r#"{"a":"]}\\\"{","n":[1,{"x":null}]}"#;
        let bodies = [
            format!(r#"{{"kind":"L","metadata":{{"resourceVersion":"7","continue":"t\"o"}},"items":[{first}, {{}}]}}"#),
            format!(
                "{{ \"items\" : [ {first} ,\n{{}} ],\"n\":12,\"metadata\":{{\"continue\":\"t\\\"o\",\"resourceVersion\":\"7\"}}}}\n"
            ),
        ];
        for body in bodies {
            for chunk in 1..body.len() {
                let (items, meta) = split(&body, chunk).unwrap();
                assert_eq!(items, [first, "{}"], "chunks of {chunk}");
                assert_eq!((&*meta.resource_version, meta.more.as_deref()), ("7", Some("t\"o")));
            }
        }
    }

    #[test]
    fn managed_fields_are_left_out_and_nothing_else_is() {
        let item = r#"{"spec":{"a":"managedFields","b":["managedFields"]},"metadata":{"x":[1],"managedFields":[{"f:y":{"k":["]"]}}],"name":"n","labels":{"managedFields":"[]"}},"status":{"z":[{}]}}"#;
        let whole: serde_json::Value = serde_json::from_str(item).unwrap();
        let mut cut = whole.clone();
        cut["metadata"]["managedFields"] = serde_json::Value::Null;
        let body = format!(r#"{{"items":[{item},{item},{{}}]}}"#);
        for chunk in 1..=body.len() {
            let mut splitter = Splitter::without_managed_fields();
            let mut items: Vec<serde_json::Value> = Vec::new();
            for part in body.as_bytes().chunks(chunk) {
                splitter.feed(part, &mut |item: &[u8]| items.push(serde_json::from_slice(item).unwrap())).unwrap();
            }
            let [first, second, _] = &*items else { unreachable!("three items") };
            for item in [first, second] {
                assert!(*item == cut || *item == whole, "chunks of {chunk}: {item}");
            }
            assert!(chunk < body.len() || (*first == cut && *second == cut), "in one piece every name is recognised");
        }
    }

    #[test]
    fn null_items_are_an_empty_list() {
        let (items, meta) = split(r#"{"metadata":{"resourceVersion":"9"},"items":null}"#, 5).unwrap();
        assert!(items.is_empty());
        assert_eq!(meta.resource_version, "9");
    }

    #[test]
    fn garbage_and_cut_off_bodies_are_told_apart_from_lists() {
        assert!(split("<html>", 3).is_err());
        assert!(split(r#"{"items":[{"a":1}"#, 4).is_err());
        assert!(split("{}x", 4).is_err());
        assert!(split("", 4).is_err());
    }
}
