//! Signals as a stream of reasons to leave.

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::event_loop::End;

/// Signals that end the program.
pub struct Signals {
    terminate: Signal,
    hang_up: Signal,
    interrupt: Signal,
}

impl Signals {
    /// Starts listening; the default of these signals (to die with the screen as it is) is off from now on.
    ///
    /// # Errors
    /// As the operating system says.
    pub fn listen() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            hang_up: signal(SignalKind::hangup())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// The next signal.
    pub async fn next(&mut self) -> End {
        tokio::select! {
            _ = self.terminate.recv() => End::Terminated,
            _ = self.hang_up.recv() => End::HungUp,
            _ = self.interrupt.recv() => End::Interrupted,
        }
    }
}
