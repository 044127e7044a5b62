//! Keys, pastes and sizes from the terminal.

use std::io::IsTerminal;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

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
    pause: Pause,
}

/// Keeps the keys unread while another program has the terminal.
#[derive(Debug, Clone, Default)]
pub struct Pause(Arc<Gate>);

#[derive(Debug, Default)]
struct Gate {
    wanted: AtomicBool,
    held: AtomicBool,
}

/// How long the thread looks for keys before it looks whether it shall pause.
const LOOK: Duration = Duration::from_millis(250);
/// How often a paused thread looks whether it may go on.
const REST: Duration = Duration::from_millis(20);

impl Pause {
    /// Returns when keys are no longer read, or after a second: a thread that hangs at a lost terminal never says so.
    pub fn hold(&self) {
        self.0.wanted.store(true, Ordering::SeqCst);
        let until = Instant::now() + Duration::from_secs(1);
        while !self.0.held.load(Ordering::SeqCst) && Instant::now() < until {
            std::thread::sleep(REST);
        }
    }

    /// Keys are read again.
    pub fn release(&self) {
        self.0.wanted.store(false, Ordering::SeqCst);
    }

    /// For the thread: waits here while another program has the terminal.
    fn wait(&self) {
        while self.0.wanted.load(Ordering::SeqCst) {
            self.0.held.store(true, Ordering::SeqCst);
            std::thread::sleep(REST);
        }
        self.0.held.store(false, Ordering::SeqCst);
    }
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
        let pause = Pause::default();
        let gate = pause.clone();
        std::thread::Builder::new().name("k3am-keys".to_owned()).spawn(move || {
            loop {
                gate.wait();
                if matches!(event::poll(LOOK), Ok(false)) {
                    continue;
                }
                // A terminal that cannot be read is gone.
                let (input, ends) = event::read().map_or((Input::Lost, true), |event| (of_event(event), false));
                if tx.blocking_send(input).is_err() || ends {
                    return;
                }
            }
        })?;
        Ok(Self { events, pause })
    }

    /// What keeps the keys unread.
    pub fn pause(&self) -> Pause {
        self.pause.clone()
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
