//! Documents of a JSON or YAML stream, the items of lists one by one: a list of any size costs as much memory as its largest item.

use std::cell::Cell;
use std::io::{self, BufRead, Read};
use std::rc::Rc;

use serde_json::Value;

mod json;
mod yaml;

pub(super) use json::read as json;
pub(super) use yaml::{looks_like as looks_like_yaml, read as yaml};

/// No object of a cluster is this large (etcd refuses 1.5 MiB).
const LARGEST: usize = 32 << 20;

/// What a list says of itself, as far as it was read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Header {
    /// `PodList`, `List`; empty for a bare array.
    pub kind: String,
    /// `v1`.
    pub api_version: String,
}

impl Header {
    fn of(value: &Value) -> Self {
        Self { kind: text(value, "kind").to_owned(), api_version: text(value, "apiVersion").to_owned() }
    }

    fn take(&mut self, field: &str, value: &Value) {
        match (field, value) {
            ("kind", Value::String(kind)) => self.kind.clone_from(kind),
            ("apiVersion", Value::String(version)) => self.api_version.clone_from(version),
            _ => {}
        }
    }
}

/// A string field; empty when there is none.
pub(super) fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value.get(field).and_then(Value::as_str).unwrap_or_default()
}

/// Takes what a stream holds.
pub(super) trait Sink {
    /// An item of a list; `header` is what came before it.
    fn item(&mut self, header: &Header, value: Value);
    /// The list whose items came is complete.
    fn list(&mut self, header: &Header);
    /// A document that is no list.
    fn single(&mut self, value: Value);
}

/// How much more the object being read may take.
#[derive(Debug, Clone)]
pub(super) struct Budget(Rc<Cell<usize>>);

impl Budget {
    /// A budget for one object.
    pub fn new() -> Self {
        Self(Rc::new(Cell::new(LARGEST)))
    }

    /// The next object begins.
    pub fn renew(&self) {
        self.0.set(LARGEST);
    }

    fn spend(&self, bytes: usize) -> io::Result<()> {
        match self.0.get().checked_sub(bytes) {
            Some(left) => {
                self.0.set(left);
                Ok(())
            }
            None => Err(io::Error::other("an object in it is larger than 32 MiB")),
        }
    }
}

/// First words of a log's section in the output of `kubectl cluster-info dump`.
pub(super) const LOG_STARTS: &str = "==== START logs for container ";
/// Last words of such a section.
pub(super) const LOG_ENDS: &str = "==== END logs for container ";

/// A file without the sections of `kubectl cluster-info dump` that hold logs.
pub(super) struct WithoutLogs<R> {
    inner: R,
    budget: Budget,
    piece: Vec<u8>,
    at: usize,
    line_starts: bool,
    in_log: bool,
    /// Sections left out so far.
    pub logs: Rc<Cell<usize>>,
}

impl<R: BufRead> WithoutLogs<R> {
    pub fn new(inner: R, budget: Budget) -> Self {
        Self { inner, budget, piece: Vec::new(), at: 0, line_starts: true, in_log: false, logs: Rc::default() }
    }

    /// The next piece of a line that is to be seen; empty at the end.
    fn next_piece(&mut self) -> io::Result<()> {
        loop {
            self.piece.clear();
            self.at = 0;
            self.inner.by_ref().take(64 << 10).read_until(b'\n', &mut self.piece)?;
            let starts = std::mem::replace(&mut self.line_starts, self.piece.ends_with(b"\n"));
            if starts && self.piece.starts_with(LOG_STARTS.as_bytes()) {
                self.in_log = true;
                self.logs.set(self.logs.get() + 1);
            }
            if !self.in_log || self.piece.is_empty() {
                return Ok(());
            }
            if starts && self.piece.starts_with(LOG_ENDS.as_bytes()) {
                self.in_log = false;
            }
        }
    }
}

impl<R: BufRead> Read for WithoutLogs<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.at >= self.piece.len() {
            self.next_piece()?;
        }
        let rest = self.piece.get(self.at..).unwrap_or_default();
        let count = rest.len().min(buffer.len());
        if let (Some(to), Some(from)) = (buffer.get_mut(..count), rest.get(..count)) {
            to.copy_from_slice(from);
        }
        self.at += count;
        self.budget.spend(count)?;
        Ok(count)
    }
}
