//! The glyphs, and their ASCII stand-ins.

/// Marks that stand beside words; colour only repeats them.
#[derive(Debug)]
pub struct Glyphs {
    /// Users are affected.
    pub critical: &'static str,
    /// At risk.
    pub warning: &'static str,
    /// Worth knowing.
    pub info: &'static str,
    /// Fine again.
    pub ok: &'static str,
    /// Under way.
    pub working: &'static str,
    /// The selected line.
    pub cursor: &'static str,
    /// A marked line.
    pub marked: &'static str,
    /// A marked line with the cursor on it.
    pub marked_cursor: &'static str,
    /// Between parts of a line.
    pub dot: &'static str,
    /// From old to new.
    pub arrow: &'static str,
    /// From context to namespace.
    pub into: &'static str,
    /// Times.
    pub times: &'static str,
    /// Eight heights of a sparkline, lowest first.
    pub sparks: [&'static str; 8],
}

/// For terminals that show Unicode.
pub static UNICODE: Glyphs = Glyphs {
    critical: "✖",
    warning: "▲",
    info: "•",
    ok: "✔",
    working: "↻",
    cursor: "▌",
    marked: "●",
    marked_cursor: "◆",
    dot: "·",
    arrow: "→",
    into: "▸",
    times: "×",
    sparks: ["▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"],
};

/// For terminals that do not.
pub static ASCII: Glyphs = Glyphs {
    critical: "X",
    warning: "!",
    info: "-",
    ok: "+",
    working: "~",
    cursor: ">",
    marked: "*",
    marked_cursor: "#",
    dot: "-",
    arrow: "->",
    into: ">",
    times: "x",
    sparks: ["_", ".", ".", "-", "-", "=", "=", "#"],
};
