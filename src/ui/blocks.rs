//! Panes: bordered, titled, the focused one marked by more than colour.

use ratatui::layout::Rect;
use ratatui::symbols::border;
use ratatui::symbols::merge::MergeStrategy;
use ratatui::text::Line;
use ratatui::widgets::Block;

use super::paint::Paint;
use crate::config::Role;

/// Borders of `+`, `-`, `|`.
const ASCII_BORDER: border::Set<'static> = border::Set {
    top_left: "+",
    top_right: "+",
    bottom_left: "+",
    bottom_right: "+",
    vertical_left: "|",
    vertical_right: "|",
    horizontal_top: "-",
    horizontal_bottom: "-",
};

/// A pane's block: its name, then what it shows, cut to the width.
pub fn pane(paint: &Paint<'_>, title: &str, rest: &str, focused: bool, area: Rect) -> Block<'static> {
    let role = if focused { Role::BorderFocused } else { Role::Border };
    let mark = if focused { paint.glyphs.into } else { "" };
    let room = usize::from(area.width).saturating_sub(title.chars().count() + 6);
    let rest = crate::text::ellipsis(&crate::text::clean(rest), room);
    let spans = vec![
        paint.span(if focused { Role::BorderFocused } else { Role::Title }, format!(" {mark}{title} ")),
        paint.span(Role::Dim, if rest.is_empty() { String::new() } else { format!(" {rest} ") }),
    ];
    let block = Block::bordered().title(Line::from(spans)).border_style(paint.style(role));
    if paint.state.ascii { block.border_set(ASCII_BORDER) } else { block.merge_borders(MergeStrategy::Exact) }
}
