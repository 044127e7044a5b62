//! A frame as SVG: a grid of cells, nothing from outside. Lines and blocks are drawn, not written, so that they meet.

use std::fmt::Write;

use ratatui::buffer::{Buffer, Cell};
use ratatui::style::{Color, Modifier};

/// Size of a cell; the width is the advance of a monospace font of [`FONT`] pixels.
const WIDTH: f64 = 8.43;
const HEIGHT: f64 = 18.0;
const FONT: f64 = 14.0;
/// Where the text's line stands in a cell.
const BASE: f64 = 13.5;
/// Around the frame.
const MARGIN: f64 = 10.0;
/// The terminal's own colours.
const FOREGROUND: &str = "#d0d4d8";
const BACKGROUND: &str = "#12161b";

/// The sixteen colours of a terminal, as xterm has them.
const ANSI: [&str; 16] = [
    "#000000", "#cd3131", "#0dbc79", "#e5e510", "#2472c8", "#bc3fbc", "#11a8cd", "#e5e5e5", "#666666", "#f14c4c", "#23d18b",
    "#f5f543", "#3b8eea", "#d670d6", "#29b8db", "#ffffff",
];

/// How a run of cells looks.
#[derive(Debug, Clone, PartialEq)]
struct Look {
    fg: String,
    bg: String,
    modifiers: Modifier,
}

impl Look {
    fn of(cell: &Cell) -> Self {
        let (fg, bg) = (color(cell.fg, FOREGROUND), color(cell.bg, BACKGROUND));
        let (fg, bg) = if cell.modifier.contains(Modifier::REVERSED) { (bg, fg) } else { (fg, bg) };
        Self { fg, bg, modifiers: cell.modifier }
    }
}

/// The frame as an SVG file. `title` is its accessible name.
pub fn render(buffer: &Buffer, title: &str) -> String {
    let (columns, rows) = (buffer.area.width, buffer.area.height);
    let (width, height) = (f64::from(columns) * WIDTH + 2.0 * MARGIN, f64::from(rows) * HEIGHT + 2.0 * MARGIN);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width:.0}\" height=\"{height:.0}\" \
         viewBox=\"0 0 {width:.1} {height:.1}\" role=\"img\">\n<title>{}</title>\n\
         <rect width=\"100%\" height=\"100%\" rx=\"6\" fill=\"{BACKGROUND}\"/>\n\
         <g font-family=\"ui-monospace,'DejaVu Sans Mono','Cascadia Mono',Menlo,Consolas,monospace\" font-size=\"{FONT}\" \
         xml:space=\"preserve\">\n",
        escaped(title)
    );
    for row in 0..rows {
        let y = MARGIN + f64::from(row) * HEIGHT;
        for run in runs(buffer, row) {
            run.draw(&mut svg, y);
        }
    }
    svg.push_str("</g>\n</svg>\n");
    svg
}

/// Cells of one look beside each other.
struct Run {
    start: u16,
    cells: u16,
    look: Look,
    text: Vec<(u16, String)>,
}

fn runs(buffer: &Buffer, row: u16) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    let mut column = 0;
    while column < buffer.area.width {
        let Some(cell) = buffer.cell((column, row)) else { break };
        let wide = (unicode_width::UnicodeWidthStr::width(cell.symbol()) as u16).max(1);
        let look = Look::of(cell);
        let symbol = (column, cell.symbol().to_owned());
        match runs.last_mut() {
            Some(run) if run.look == look => {
                run.cells += wide;
                run.text.push(symbol);
            }
            _ => runs.push(Run { start: column, cells: wide, look, text: vec![symbol] }),
        }
        column += wide;
    }
    runs
}

fn x_of(column: u16) -> f64 {
    MARGIN + f64::from(column) * WIDTH
}

impl Run {
    fn draw(&self, svg: &mut String, y: f64) {
        if self.look.bg != BACKGROUND {
            let (x, width) = (x_of(self.start), f64::from(self.cells) * WIDTH);
            let _ = writeln!(
                svg,
                "<rect x=\"{x:.2}\" y=\"{y:.1}\" width=\"{width:.2}\" height=\"{HEIGHT}\" fill=\"{}\"/>",
                self.look.bg
            );
        }
        let mut word: Option<(u16, String)> = None;
        for (column, symbol) in &self.text {
            let shape = shape(symbol, x_of(*column), y, &self.look.fg);
            let continues = shape.is_none() && symbol != " ";
            if let (Some((_, text)), true) = (&mut word, continues || (symbol == " " && shape.is_none())) {
                text.push_str(symbol);
                continue;
            }
            if let Some((start, text)) = word.take() {
                self.write(svg, start, &text, y);
            }
            if let Some(shape) = shape {
                svg.push_str(&shape);
            } else if continues {
                word = Some((*column, symbol.clone()));
            }
        }
        if let Some((start, text)) = word {
            self.write(svg, start, &text, y);
        }
    }

    fn write(&self, svg: &mut String, start: u16, text: &str, y: f64) {
        let text = text.trim_end();
        let modifiers = self.look.modifiers;
        let mut style = String::new();
        for (modifier, attribute) in [
            (Modifier::BOLD, " font-weight=\"bold\""),
            (Modifier::ITALIC, " font-style=\"italic\""),
            (Modifier::DIM, " opacity=\"0.65\""),
            (Modifier::UNDERLINED, " text-decoration=\"underline\""),
            (Modifier::CROSSED_OUT, " text-decoration=\"line-through\""),
        ] {
            if modifiers.contains(modifier) {
                style.push_str(attribute);
            }
        }
        let length = unicode_width::UnicodeWidthStr::width(text) as f64 * WIDTH;
        let _ = writeln!(
            svg,
            "<text x=\"{:.2}\" y=\"{:.1}\" textLength=\"{length:.2}\" fill=\"{}\"{style}>{}</text>",
            x_of(start),
            y + BASE,
            self.look.fg,
            escaped(text)
        );
    }
}

/// Which sides of the cell's middle a line of that character reaches: up, right, down, left.
fn sides(symbol: &str) -> Option<[bool; 4]> {
    let bits = match symbol {
        "─" => 0b0101,
        "│" => 0b1010,
        "┌" => 0b0110,
        "┐" => 0b0011,
        "└" => 0b1100,
        "┘" => 0b1001,
        "├" => 0b1110,
        "┤" => 0b1011,
        "┬" => 0b0111,
        "┴" => 0b1101,
        "┼" => 0b1111,
        _ => return None,
    };
    Some([bits & 8 != 0, bits & 4 != 0, bits & 2 != 0, bits & 1 != 0])
}

/// A character that is drawn: box lines, eighths of a block, the bar of a selection.
fn shape(symbol: &str, x: f64, y: f64, color: &str) -> Option<String> {
    if let Some(sides) = sides(symbol) {
        let (cx, cy) = (x + WIDTH / 2.0, y + HEIGHT / 2.0);
        let ends = [(cx, y), (x + WIDTH, cy), (cx, y + HEIGHT), (x, cy)];
        let mut path = String::new();
        for ((ex, ey), _) in ends.iter().zip(sides).filter(|(_, reaches)| *reaches) {
            let _ = write!(path, "M{cx:.2} {cy:.1}L{ex:.2} {ey:.1}");
        }
        return Some(format!("<path d=\"{path}\" stroke=\"{color}\" stroke-width=\"1\"/>\n"));
    }
    let rect = |x: f64, y: f64, width: f64, height: f64| {
        format!("<rect x=\"{x:.2}\" y=\"{y:.2}\" width=\"{width:.2}\" height=\"{height:.2}\" fill=\"{color}\"/>\n")
    };
    let eighths = ["▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"].iter().position(|block| *block == symbol);
    match (symbol, eighths) {
        (_, Some(at)) => {
            let height = HEIGHT * (at + 1) as f64 / 8.0;
            Some(rect(x, y + HEIGHT - height, WIDTH, height))
        }
        ("▌", None) => Some(rect(x, y, WIDTH / 2.0, HEIGHT)),
        ("▏", None) => Some(rect(x, y, WIDTH / 8.0, HEIGHT)),
        _ => None,
    }
}

fn color(color: Color, own: &str) -> String {
    let ansi = |at: usize| ANSI.get(at).map_or_else(|| own.to_owned(), |hex| (*hex).to_owned());
    match color {
        Color::Rgb(r, g, b) => format!("#{r:02x}{g:02x}{b:02x}"),
        Color::Indexed(at @ 0..=15) => ansi(at.into()),
        Color::Indexed(at @ 16..=231) => {
            let level = |n: u8| if n == 0 { 0 } else { 55 + 40 * n };
            let at = at - 16;
            format!("#{:02x}{:02x}{:02x}", level(at / 36), level(at / 6 % 6), level(at % 6))
        }
        Color::Indexed(at) => {
            let grey = 8 + 10 * (at - 232);
            format!("#{grey:02x}{grey:02x}{grey:02x}")
        }
        Color::Reset => own.to_owned(),
        Color::Black => ansi(0),
        Color::Red => ansi(1),
        Color::Green => ansi(2),
        Color::Yellow => ansi(3),
        Color::Blue => ansi(4),
        Color::Magenta => ansi(5),
        Color::Cyan => ansi(6),
        Color::Gray => ansi(7),
        Color::DarkGray => ansi(8),
        Color::LightRed => ansi(9),
        Color::LightGreen => ansi(10),
        Color::LightYellow => ansi(11),
        Color::LightBlue => ansi(12),
        Color::LightMagenta => ansi(13),
        Color::LightCyan => ansi(14),
        Color::White => ansi(15),
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
