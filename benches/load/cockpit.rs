//! The program under test in a pseudo-terminal: its screen as it arrives, and what `/proc` says.

use std::io::{Read, Write};
use std::num::NonZero;
use std::sync::{Arc, Condvar, LazyLock, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use portable_pty::{CommandBuilder, PtySize, native_pty_system};

const ROWS: u16 = 40;
const COLUMNS: u16 = 120;
/// Longest wait for something to appear.
const PATIENCE: Duration = Duration::from_secs(120);

/// A screen that says when it changes.
type Screen = Arc<(Mutex<vt100::Parser>, Condvar)>;

/// A running cockpit; killed when dropped.
pub struct Cockpit {
    child: Box<dyn portable_pty::Child + Send + Sync>,
    keyboard: Box<dyn Write + Send>,
    screen: Screen,
    started: Instant,
    _terminal: Box<dyn portable_pty::MasterPty + Send>,
}

impl Drop for Cockpit {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Cockpit {
    pub fn open(kubeconfig: &str) -> Result<Self> {
        let size = PtySize { rows: ROWS, cols: COLUMNS, pixel_width: 0, pixel_height: 0 };
        let (rows, columns) = NonZero::new(ROWS).zip(NonZero::new(COLUMNS)).context("a size")?;
        let pty = native_pty_system().openpty(size)?;
        let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_k3am"));
        command.args(["--kubeconfig", kubeconfig, "-A"]);
        command.env("TERM", "xterm-256color");
        let screen: Screen = Arc::new((Mutex::new(vt100::Parser::new(rows, columns, 0)), Condvar::new()));
        let started = Instant::now();
        let child = pty.slave.spawn_command(command)?;
        drop(pty.slave);
        let mut reader = pty.master.try_clone_reader()?;
        let written = Arc::clone(&screen);
        std::thread::spawn(move || {
            let mut buffer = vec![0; 65_536];
            while let Ok(n @ 1..) = reader.read(&mut buffer) {
                let bytes = buffer.get(..n).unwrap_or_default();
                written.0.lock().unwrap_or_else(PoisonError::into_inner).process(bytes);
                written.1.notify_all();
            }
        });
        Ok(Self { child, keyboard: pty.master.take_writer()?, screen, started, _terminal: pty.master })
    }

    /// Seconds since the start until `seen` holds, or an error with the last screen.
    pub fn wait(&self, what: &str, seen: impl Fn(&str) -> bool) -> Result<f64> {
        let mut parser = self.screen.0.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let text = parser.screen().contents();
            if seen(&text) {
                return Ok(self.started.elapsed().as_secs_f64());
            }
            let (next, out) = self.screen.1.wait_timeout(parser, PATIENCE).unwrap_or_else(PoisonError::into_inner);
            if out.timed_out() || self.started.elapsed() > PATIENCE * 4 {
                bail!("never saw {what}; the screen was:\n{text}");
            }
            parser = next;
        }
    }

    /// Seconds from a key to the frame that shows what it does.
    pub fn press(&mut self, key: &[u8], seen: impl Fn(&str) -> bool) -> Result<f64> {
        // Not in step with the frames of the program.
        std::thread::sleep(Duration::from_millis(37));
        let pressed = Instant::now();
        self.keyboard.write_all(key)?;
        self.keyboard.flush()?;
        self.wait("what the key does", seen)?;
        Ok(pressed.elapsed().as_secs_f64())
    }

    pub fn cpu_seconds(&self) -> Result<f64> {
        cpu_seconds(self.process_id()?)
    }

    /// A field of `/proc/PID/status`, in MiB.
    pub fn resident_mib(&self, field: &str) -> Result<f64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process_id()?))?;
        let line = status.lines().find(|l| l.starts_with(field)).with_context(|| format!("{field} in /proc"))?;
        let kib: f64 = line.split_whitespace().nth(1).context("no number")?.parse()?;
        Ok(kib / 1024.0)
    }

    fn process_id(&self) -> Result<u32> {
        self.child.process_id().context("no process id")
    }
}

/// How many pods the header counts.
pub fn pods(screen: &str) -> usize {
    static COUNT: LazyLock<Option<regex::Regex>> = LazyLock::new(|| regex::Regex::new(r"pods ([0-9][0-9,]*)").ok());
    let found = COUNT.as_ref().and_then(|count| count.captures(screen)).and_then(|groups| groups.get(1));
    found.map_or(0, |number| number.as_str().replace(',', "").parse().unwrap_or(0))
}

/// CPU seconds (user and system) a process has used. The unit of `/proc/PID/stat` is 1/100 s on every Linux we run on.
pub fn cpu_seconds(pid: u32) -> Result<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let after = stat.rsplit_once(')').context("stat")?.1;
    let fields: Vec<&str> = after.split_whitespace().collect();
    let ticks: f64 = fields.iter().skip(11).take(2).filter_map(|f| f.parse::<f64>().ok()).sum();
    Ok(ticks / 100.0)
}
