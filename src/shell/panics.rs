//! What happens when k3am itself breaks: the terminal first, then a report file, then a line that says where it is.

use std::backtrace::Backtrace;
use std::fmt::Write as _;
use std::io::Write as _;
use std::panic::PanicHookInfo;
use std::sync::{Mutex, PoisonError};
use std::thread::ThreadId;

use super::{files, terminal};

/// Exit status after a panic, as Rust's own.
pub const STATUS: u8 = 101;

/// Where reports of panics in background tasks are, until the loop has told the person.
static UNTOLD: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// Installs the hook. The calling thread is the one that owns the terminal: its panics end the program, those of background
/// tasks end only the task and are told in the status line.
pub fn install() {
    let owner = std::thread::current().id();
    std::panic::set_hook(Box::new(move |info| told(info, owner)));
}

/// Sentences about panics in the background since the last call.
pub fn take_untold() -> Vec<String> {
    std::mem::take(&mut *UNTOLD.lock().unwrap_or_else(PoisonError::into_inner))
}

fn told(info: &PanicHookInfo<'_>, owner: ThreadId) {
    let ends = std::thread::current().id() == owner;
    if ends {
        terminal::restore();
    }
    let where_to = match files::save("panics", &files::stamped("panic", "txt"), &report(info)) {
        Ok(path) => format!("a report is in {}", path.display()),
        Err(error) => format!("no report could be written: {error}"),
    };
    if ends {
        let _ = writeln!(std::io::stderr(), "k3am: this is a bug in k3am, and it had to stop; {where_to}\n{info}");
    } else {
        let sentence = format!("something in the background failed (a bug in k3am); {where_to}");
        UNTOLD.lock().unwrap_or_else(PoisonError::into_inner).push(sentence);
    }
}

fn report(info: &PanicHookInfo<'_>) -> String {
    let mut text = format!("k3am {} on {}\n\n{info}\n", env!("CARGO_PKG_VERSION"), std::env::consts::OS);
    let thread = std::thread::current();
    let _ = writeln!(text, "thread {}\n\n{}", thread.name().unwrap_or("?"), Backtrace::force_capture());
    text
}
