//! Taking the terminal and giving it back. Invariant: [`restore`] may be called any number of times, from anywhere.

use std::io::{Stdout, stdout};
use std::mem::ManuallyDrop;
use std::sync::atomic::{AtomicBool, Ordering};

use crossterm::clipboard::CopyToClipboard;
use crossterm::cursor::Show;
use crossterm::event::{DisableBracketedPaste, EnableBracketedPaste};
use crossterm::execute;
use crossterm::terminal::{EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode};
use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;

/// True while the screen is ours.
static OURS: AtomicBool = AtomicBool::new(false);

/// The terminal, ours until dropped.
pub struct Screen {
    /// What frames are drawn on. Never dropped: its `Drop` shows the cursor, as [`restore`] does, and panics when it cannot
    /// say that it failed, as on a terminal that is gone.
    pub terminal: ManuallyDrop<Terminal<CrosstermBackend<Stdout>>>,
}

impl Screen {
    /// Takes the terminal: raw mode, alternate screen, bracketed paste.
    ///
    /// # Errors
    /// The terminal refuses; it is restored first.
    pub fn open() -> std::io::Result<Self> {
        take().inspect_err(|_| restore())?;
        let terminal = Terminal::new(CrosstermBackend::new(stdout())).inspect_err(|_| restore())?;
        Ok(Self { terminal: ManuallyDrop::new(terminal) })
    }

    /// Gives the terminal back, runs `meanwhile`, takes it again.
    ///
    /// # Errors
    /// The terminal refuses.
    pub fn away<T>(&mut self, meanwhile: impl FnOnce() -> T) -> std::io::Result<T> {
        restore();
        let result = meanwhile();
        take()?;
        self.clear()?;
        Ok(result)
    }

    /// Empties the screen, so that the next frame is drawn whole. Not with `Terminal::clear`: that asks the terminal where the
    /// cursor is, but the thread that reads the keys gets the answer, and from a terminal that hung up crossterm waits for ever.
    ///
    /// # Errors
    /// The terminal is gone.
    pub fn clear(&mut self) -> std::io::Result<()> {
        let area = self.terminal.size()?.into();
        self.terminal.resize(area)
    }

    /// Puts text on the clipboard through the terminal (OSC 52): works over SSH, says nothing when the terminal ignores it.
    ///
    /// # Errors
    /// The terminal is gone.
    pub fn copy(&mut self, text: &str) -> std::io::Result<()> {
        let out = self.terminal.backend_mut();
        execute!(out, CopyToClipboard::to_clipboard_from(text))?;
        std::io::Write::flush(out)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        restore();
    }
}

fn take() -> std::io::Result<()> {
    OURS.store(true, Ordering::SeqCst);
    enable_raw_mode()?;
    execute!(stdout(), EnterAlternateScreen, EnableBracketedPaste)
}

/// Gives the terminal back if it is ours. Errors are ignored: a terminal that is gone needs nothing.
pub fn restore() {
    if OURS.swap(false, Ordering::SeqCst) {
        let _ = execute!(stdout(), DisableBracketedPaste, LeaveAlternateScreen, Show);
        let _ = disable_raw_mode();
    }
}
