//! The last pass for terminals that show ASCII only: whatever a view drew, each cell gets an ASCII stand-in.

use ratatui::buffer::Buffer;

/// Stand-ins for what views draw themselves; anything else (names, logs) becomes `?`.
const STAND_INS: &[(&str, &str)] = &[
    ("…", "~"),
    ("→", ">"),
    ("·", "-"),
    ("▸", ">"),
    ("▌", ">"),
    ("▏", "_"),
    ("×", "x"),
    ("✖", "X"),
    ("▲", "!"),
    ("✔", "+"),
    ("↻", "~"),
    ("•", "-"),
    ("↑", "^"),
    ("↓", "v"),
    ("←", "<"),
    ("─", "-"),
    ("│", "|"),
    ("“", "\""),
    ("”", "\""),
    ("’", "'"),
];

/// Replaces what is not ASCII, cell by cell, so that no column moves.
pub fn translate(buffer: &mut Buffer) {
    for cell in buffer.content.iter_mut().filter(|cell| !cell.symbol().is_ascii()) {
        let symbol = cell.symbol().to_owned();
        let plain = STAND_INS.iter().find(|(from, _)| *from == symbol).map_or("?", |(_, to)| to);
        cell.set_symbol(plain);
    }
}
