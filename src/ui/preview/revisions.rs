//! The revisions one may go back to, as a table: columns as wide as what they hold, the image giving way first.

use ratatui::text::Line;
use unicode_width::UnicodeWidthStr;

use crate::app::preview::Preview;
use crate::changes::revisions::Revision;
use crate::config::Role;
use crate::text::{age, clean, ellipsis};
use crate::ui::paint::Paint;
use crate::ui::words::short_name;

/// Rows at most; the list scrolls with the choice.
const ROWS: usize = 6;
/// What who wrote it keeps at least, and takes at most.
const BY: (usize, usize) = (10, 26);
/// What the image keeps at least: a tag, and some of the name.
const IMAGE: usize = 16;
/// Spaces after a column where there is room for them.
const GAP: usize = 2;

/// One revision in words.
struct Cells {
    number: String,
    when: String,
    by: String,
    image: String,
    pods: String,
}

impl Cells {
    fn of(paint: &Paint<'_>, revision: &Revision) -> Self {
        Self {
            number: format!("{}{}", revision.number, if revision.is_current { " now" } else { "" }),
            when: revision.at.map(|at| age(at, paint.state.now)).unwrap_or_default(),
            by: clean(revision.by.as_deref().unwrap_or("-")),
            image: clean(revision.images.first().map_or("-", |image| image)),
            pods: match (revision.wanted, revision.ready) {
                (0, 0) => revision.proof.as_deref().unwrap_or("-").to_owned(),
                (wanted, ready) => format!("{ready} of {wanted} ready"),
            },
        }
    }

    fn line(&self, cursor: &str, columns: &Columns) -> String {
        let Columns { number, when, by, image, gap } = *columns;
        let gap = " ".repeat(gap);
        // Images differ at their end, in the tag.
        let (who, what) = (ellipsis(&self.by, by), short_name(&self.image, image));
        format!("{cursor} {:<number$}{gap}{:<when$}{gap}{who:<by$}{gap}{what:<image$}{gap}{}", self.number, self.when, self.pods)
    }
}

/// Widths; the pods take what they need at the end.
struct Columns {
    number: usize,
    when: usize,
    by: usize,
    image: usize,
    gap: usize,
}

impl Columns {
    fn fit(head: &Cells, rows: &[Cells], width: usize) -> Self {
        let widest = |of: fn(&Cells) -> &str| rows.iter().chain([head]).map(|cells| of(cells).width()).max().unwrap_or(0);
        let (number, when) = (widest(|cells| &cells.number), widest(|cells| &cells.when));
        let (by, image, pods) = (widest(|cells| &cells.by), widest(|cells| &cells.image), widest(|cells| &cells.pods));
        let natural = number + when + by.min(BY.1) + image + pods + 2;
        let gap = if natural + 4 * GAP <= width { GAP } else { 1 };
        let room = width.saturating_sub(number + when + pods + 2 + 4 * gap);
        let by = by.min(BY.1).min(room.saturating_sub(image).max(BY.0));
        Self { number, when, by, image: image.min(room.saturating_sub(by).max(IMAGE)), gap }
    }
}

/// Adds the table, if what is previewed is an undo.
pub fn push(paint: &Paint<'_>, preview: &Preview, width: usize, lines: &mut Vec<Line<'static>>) {
    if preview.revisions.is_empty() {
        return;
    }
    let head = ["revision", "age", "by", "image", "pods"].map(str::to_owned);
    let [number, when, by, image, pods] = head;
    let head = Cells { number, when, by, image, pods };
    let rows: Vec<Cells> = preview.revisions.iter().map(|revision| Cells::of(paint, revision)).collect();
    let columns = Columns::fit(&head, &rows, width);
    lines.push(Line::from(paint.span(Role::Column, ellipsis(&head.line(" ", &columns), width))));
    let first = preview.chosen.saturating_sub(ROWS / 2);
    for (at, row) in rows.iter().enumerate().skip(first).take(ROWS) {
        let chosen = at == preview.chosen;
        let (cursor, role) = if chosen { (paint.glyphs.cursor, Role::Selection) } else { (" ", Role::Text) };
        lines.push(Line::from(paint.span(role, ellipsis(&row.line(cursor, &columns), width))));
    }
    lines.push(Line::default());
}
