//! Columns: a title, how wide, and a function from a row to what it shows and what it sorts by.

use std::cmp::Ordering;

use crate::kinds::{KindId, Row};
use crate::snapshot::{Key, Snapshot};
use crate::text::{Text, Time, age, clean};

/// What one cell shows.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Cell {
    /// The text, cleaned.
    pub text: String,
    /// What it sorts by where that is a number; else the text sorts.
    pub number: Option<f64>,
}

impl Cell {
    /// A text that sorts as text.
    pub fn text(text: impl AsRef<str>) -> Self {
        Self { text: clean(text.as_ref()), number: None }
    }

    /// A text that sorts by a number.
    pub fn sorted(text: impl AsRef<str>, number: f64) -> Self {
        Self { text: clean(text.as_ref()), number: Some(number) }
    }

    /// A count.
    pub fn count(count: impl Into<i64>) -> Self {
        let count = count.into();
        #[expect(clippy::cast_precision_loss, reason = "counts of objects stay far below 2^52")]
        Self::sorted(count.to_string(), count as f64)
    }

    /// `have/want`, the least complete first.
    pub fn ratio(have: i32, want: i32) -> Self {
        let share = if want == 0 { 1.0 } else { f64::from(have) / f64::from(want) };
        Self::sorted(format!("{have}/{want}"), share)
    }

    /// How long ago; the youngest first. `-` when unknown.
    pub fn ago(then: Option<Time>, now: Time) -> Self {
        match then {
            #[expect(clippy::cast_precision_loss, reason = "seconds since a Kubernetes object was made")]
            Some(then) => Self::sorted(age(then, now), (now - then).num_seconds() as f64),
            None => Self::sorted("-", f64::MAX),
        }
    }

    /// An optional text, `-` when absent.
    pub fn or_dash(text: Option<&Text>) -> Self {
        Self::text(text.map_or("-", |text| &**text))
    }

    /// The order of two cells of one column.
    pub fn order(&self, other: &Self) -> Ordering {
        match (self.number, other.number) {
            (Some(a), Some(b)) => a.total_cmp(&b),
            _ => self.text.cmp(&other.text),
        }
    }
}

/// What a cell is computed from.
pub type CellOf = fn(&Snapshot, &Row, Time) -> Cell;

/// One column.
#[derive(Debug, Clone, Copy)]
pub struct Column {
    /// `READY`.
    pub title: &'static str,
    /// Columns it takes at least, so that scrolling does not make the table jump.
    pub width: usize,
    /// Shown only in the wide table.
    pub wide: bool,
    /// Numbers stand right.
    pub right: bool,
    /// May be cut with `…` when the screen is narrow.
    pub flexible: bool,
    /// What it shows.
    pub cell: CellOf,
}

impl Column {
    /// A column that is never cut.
    pub const fn new(title: &'static str, width: usize, cell: CellOf) -> Self {
        Self { title, width, wide: false, right: false, flexible: false, cell }
    }

    /// Only in the wide table.
    #[must_use]
    pub const fn wide(self) -> Self {
        Self { wide: true, ..self }
    }

    /// A number.
    #[must_use]
    pub const fn right(self) -> Self {
        Self { right: true, ..self }
    }

    /// May be cut.
    #[must_use]
    pub const fn flexible(self) -> Self {
        Self { flexible: true, ..self }
    }
}

/// How a row fares, for its style and for "faults only".
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Health {
    /// As it should be.
    Healthy,
    /// Over, or switched off on purpose.
    Done,
    /// Under way, or worth a look.
    Warning,
    /// Broken.
    Broken,
}

impl Health {
    /// True for what "faults only" shows.
    pub fn is_fault(self) -> bool {
        matches!(self, Self::Warning | Self::Broken)
    }
}

/// The table of one kind.
#[derive(Debug)]
pub struct TableSpec {
    /// `pods`: its title, and what is typed after `:`.
    pub name: &'static str,
    /// Other names for it: short names and the singular.
    pub aliases: &'static [&'static str],
    /// Which rows.
    pub kind: KindId,
    /// Its columns, from left to right.
    pub columns: &'static [Column],
    /// The column it is sorted by at first, and whether downwards.
    pub sort: (&'static str, bool),
    /// How a row fares.
    pub health: fn(&Snapshot, &Row) -> Health,
}

impl TableSpec {
    /// Its columns as shown: the wide ones, and the namespace where there may be several.
    pub fn columns(&'static self, wide: bool, namespaces: bool) -> impl Iterator<Item = &'static Column> {
        self.columns.iter().filter(move |c| (wide || !c.wide) && (namespaces || c.title != NAMESPACE.title))
    }

    /// The column of that title.
    pub fn column(&'static self, title: &str) -> Option<&'static Column> {
        self.columns.iter().find(|column| column.title == title)
    }
}

/// A cell of one kind of row: `cell!(Pod, |snapshot, pod, now| Cell::text(..))`.
macro_rules! cell {
    ($variant:ident, |$snapshot:ident, $row:ident, $now:ident| $body:expr) => {
        |$snapshot, row, $now| match row {
            $crate::kinds::Row::$variant($row) => $body,
            _ => $crate::app::table::column::Cell::default(),
        }
    };
}
pub(super) use cell;

/// A health function of one kind of row.
macro_rules! health {
    ($variant:ident, |$row:ident| $body:expr) => {
        |_, row| match row {
            $crate::kinds::Row::$variant($row) => $body,
            _ => $crate::app::table::column::Health::Healthy,
        }
    };
}
pub(super) use health;

/// `metadata.namespace`.
pub const NAMESPACE: Column = Column::new("NAMESPACE", 9, |_, row, _| Cell::text(&row.meta().namespace));
/// `metadata.name`.
pub const NAME: Column = Column::new("NAME", 12, |_, row, _| Cell::text(&row.meta().name)).flexible();
/// Since `metadata.creationTimestamp`.
pub const AGE: Column = Column::new("AGE", 6, |_, row, now| Cell::ago(row.meta().creation_timestamp, now)).right();

/// The key of a row.
pub fn key(row: &Row) -> Key {
    Key::of(row.meta())
}

/// Healthy when all are there, broken when none is.
pub fn of_counts(have: i32, want: i32) -> Health {
    match (have, want) {
        (_, 0) => Health::Done,
        (have, want) if have >= want => Health::Healthy,
        (0, _) => Health::Broken,
        _ => Health::Warning,
    }
}
