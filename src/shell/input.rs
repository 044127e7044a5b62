//! Keys, pastes and sizes from the terminal.

use std::io::IsTerminal;

use crossterm::event::{Event, EventStream};
use futures::StreamExt;

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

/// The terminal's events. Dropped before anything else may read keys.
pub struct Keys {
    events: EventStream,
}

impl Keys {
    /// Starts reading.
    pub fn read() -> Self {
        Self { events: EventStream::new() }
    }

    /// The next event.
    pub async fn next(&mut self) -> Input {
        match self.events.next().await {
            Some(Ok(event)) => of_event(event),
            // The reader would fail again and again: a terminal that cannot be read is gone.
            Some(Err(_)) | None => Input::Lost,
        }
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
