//! Keys, pastes and sizes from the terminal.

use std::io::IsTerminal;

use crossterm::event::{self, Event};
use tokio::sync::mpsc;

use crate::app::Msg;

/// What the terminal said.
#[derive(Debug)]
pub enum Input {
    /// For the cockpit.
    Msg(Msg),
    /// Nothing of interest.
    Nothing,
    /// There is no terminal any more.
    Lost,
}

/// The terminal's events, read by a thread of its own: at the end of input (a terminal that hung up) crossterm 0.29 reads for
/// ever, wherever it is polled, and the loop has to notice and leave.
pub struct Keys {
    events: mpsc::Receiver<Input>,
}

/// Events in flight: what a person types ahead.
const TYPED_AHEAD: usize = 256;

impl Keys {
    /// Starts reading, until the program ends.
    ///
    /// # Errors
    /// No thread can be started.
    pub fn read() -> std::io::Result<Self> {
        let (tx, events) = mpsc::channel(TYPED_AHEAD);
        std::thread::Builder::new().name("k3am-keys".to_owned()).spawn(move || {
            loop {
                // A terminal that cannot be read is gone.
                let (input, ends) = event::read().map_or((Input::Lost, true), |event| (of_event(event), false));
                if tx.blocking_send(input).is_err() || ends {
                    return;
                }
            }
        })?;
        Ok(Self { events })
    }

    /// The next event.
    pub async fn next(&mut self) -> Input {
        self.events.recv().await.unwrap_or(Input::Lost)
    }
}

fn of_event(event: Event) -> Input {
    match event {
        Event::Key(key) if key.is_press() || key.is_repeat() => Input::Msg(Msg::Key(key)),
        Event::Paste(text) => Input::Msg(Msg::Paste(text)),
        Event::Resize(columns, rows) => Input::Msg(Msg::Resize(columns, rows)),
        _ => Input::Nothing,
    }
}

/// True while standard input still is a terminal. After a hang-up the kernel says no: the way to notice without SIGHUP.
pub fn terminal_is_there() -> bool {
    std::io::stdin().is_terminal()
}
