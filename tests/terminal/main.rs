//! The real program on a pseudo-terminal: what a person's terminal would show, and how it is left behind.
//!
//! A binary of its own, one test at a time: a process that another test starts in the same moment would inherit the
//! terminal's descriptors, and a terminal that somebody still holds open does not hang up.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use std::io::{Read, Write};
use std::num::NonZeroU16;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use portable_pty::{Child, CommandBuilder, ExitStatus, MasterPty, PtySize, native_pty_system};

/// Held by the one run that goes on.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// A running k3am and the screen it drew.
struct Run {
    master: Option<Box<dyn MasterPty + Send>>,
    keyboard: Option<Box<dyn Write + Send>>,
    child: Box<dyn Child + Send + Sync>,
    screen: Arc<Mutex<Screen>>,
    home: tempfile::TempDir,
    listening: Arc<AtomicBool>,
    listener: Option<JoinHandle<()>>,
    _alone: MutexGuard<'static, ()>,
}

/// What the terminal emulator knows.
struct Screen {
    parser: vt100::Parser,
    raw: Vec<u8>,
}

impl Run {
    fn start(args: &[&str], variables: &[(&str, &str)], size: (u16, u16)) -> Self {
        Self::start_under(None, args, variables, size)
    }

    /// Starts it, under another program if asked for.
    fn start_under(wrapper: Option<&[&str]>, args: &[&str], variables: &[(&str, &str)], (columns, rows): (u16, u16)) -> Self {
        // A test that failed while it held the lock has ended all the same.
        let alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        let home = tempfile::tempdir().unwrap();
        let size = PtySize { rows, cols: columns, pixel_width: 0, pixel_height: 0 };
        let pair = native_pty_system().openpty(size).unwrap();
        let program = env!("CARGO_BIN_EXE_k3am");
        let mut words = wrapper.unwrap_or_default().iter().copied().chain([program]);
        let mut command = CommandBuilder::new(words.next().unwrap());
        command.args(words);
        command.env_clear();
        command.args(args);
        command.env("HOME", home.path());
        command.env("PATH", std::env::var("PATH").unwrap_or_default());
        command.env("TERM", "xterm-256color");
        for (name, value) in variables {
            command.env(name, value);
        }
        let child = pair.slave.spawn_command(command).unwrap();
        drop(pair.slave);
        let screen = Arc::new(Mutex::new(Screen { parser: vt100::Parser::new(cells(rows), cells(columns), 0), raw: Vec::new() }));
        let mut output = pair.master.try_clone_reader().unwrap();
        let seen = Arc::clone(&screen);
        let listening = Arc::new(AtomicBool::new(true));
        let listens = Arc::clone(&listening);
        let listener = std::thread::spawn(move || {
            let mut buffer = [0; 8192];
            while let Ok(read @ 1..) = output.read(&mut buffer) {
                if !listens.load(Ordering::SeqCst) {
                    return;
                }
                let mut screen = seen.lock().unwrap();
                screen.parser.process(&buffer[..read]);
                screen.raw.extend_from_slice(&buffer[..read]);
            }
        });
        let keyboard = pair.master.take_writer().unwrap();
        Self {
            master: Some(pair.master),
            keyboard: Some(keyboard),
            child,
            screen,
            home,
            listening,
            listener: Some(listener),
            _alone: alone,
        }
    }

    fn text(&self) -> String {
        self.screen.lock().unwrap().parser.screen().contents()
    }

    fn press(&mut self, keys: &str) {
        let keyboard = self.keyboard.as_mut().unwrap();
        keyboard.write_all(keys.as_bytes()).unwrap();
        keyboard.flush().unwrap();
    }

    fn resize(&self, columns: u16, rows: u16) {
        let size = PtySize { rows, cols: columns, pixel_width: 0, pixel_height: 0 };
        self.screen.lock().unwrap().parser.screen_mut().set_size(cells(rows), cells(columns));
        self.master.as_ref().unwrap().resize(size).unwrap();
    }

    fn signal(&self, name: &str) {
        let pid = self.child.process_id().unwrap().to_string();
        assert!(std::process::Command::new("kill").args([name, &pid]).status().unwrap().success());
    }

    /// Waits until the screen shows what is wanted.
    fn wait_for(&self, what: &str, limit: Duration, wanted: impl Fn(&str) -> bool) {
        let end = Instant::now() + limit;
        while !wanted(&self.text()) {
            assert!(Instant::now() < end, "never saw {what} within {limit:?}; the screen:\n{}", self.text());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Walks down the incidents until the one of that workload is selected.
    fn select(&mut self, workload: &str) {
        let selected = format!("Why  {workload}");
        let why = |text: &str| text.lines().find_map(|line| line.split("Why  ").nth(1).map(str::to_owned));
        let end = Instant::now() + Duration::from_secs(90);
        while Instant::now() < end {
            let before = self.text();
            if before.contains(&selected) {
                return;
            }
            self.press("j");
            let pressed = Instant::now();
            while why(&self.text()) == why(&before) && pressed.elapsed() < Duration::from_secs(3) {
                std::thread::sleep(Duration::from_millis(50));
            }
            if why(&self.text()) == why(&before) {
                // The last one, or the incidents were ordered anew meanwhile: once more from the top.
                self.press("g");
            }
        }
        panic!("{workload} could not be selected; the screen:\n{}", self.text());
    }

    fn open(&self) {
        self.wait_for("the cockpit", Duration::from_secs(60), |text| text.contains("k3am"));
    }

    /// Closes every descriptor of the terminal's far side: the connection drops.
    fn hang_up(&mut self) {
        self.listening.store(false, Ordering::SeqCst);
        // A redraw wakes the listener, which then closes its own.
        self.resize(100, 30);
        self.press("\x0c");
        self.listener.take().unwrap().join().unwrap();
        self.keyboard = None;
        self.master = None;
    }

    fn ended(&mut self) -> ExitStatus {
        let end = Instant::now() + Duration::from_secs(60);
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                // What it wrote last may still be on its way to the emulator.
                while self.listener.as_ref().is_some_and(|listener| !listener.is_finished()) && Instant::now() < end {
                    std::thread::sleep(Duration::from_millis(20));
                }
                return status;
            }
            assert!(Instant::now() < end, "it did not end; the screen:\n{}", self.text());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn assert_restored(&self) {
        let screen = self.screen.lock().unwrap();
        assert!(contains(&screen.raw, b"\x1b[?1049h"), "it never took the alternate screen");
        let emulated = screen.parser.screen();
        assert!(!emulated.alternate_screen(), "the alternate screen was not left");
        assert!(!emulated.hide_cursor(), "the cursor is still hidden");
        assert!(!emulated.bracketed_paste(), "bracketed paste is still on");
        drop(screen);
        if let Some(master) = &self.master {
            assert_cooked(&**master);
        }
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn cells(count: u16) -> NonZeroU16 {
    NonZeroU16::new(count).unwrap()
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle)
}

/// Raw mode is off: the terminal echoes and edits lines again.
#[cfg(unix)]
fn assert_cooked(master: &dyn MasterPty) {
    let Some(path) = master.tty_name() else { return };
    let said = std::process::Command::new("stty").arg("-F").arg(path).arg("-a").output().unwrap();
    let words = String::from_utf8_lossy(&said.stdout).into_owned();
    assert!(said.status.success(), "stty: {}", String::from_utf8_lossy(&said.stderr));
    for flag in ["icanon", "echo", "isig"] {
        assert!(words.split([' ', '\n', ';']).any(|word| word == flag), "{flag} is still off: {words}");
    }
}

/// Without a kubeconfig the cockpit opens at once and needs no cluster: enough for how it starts and ends.
fn without_a_cluster(variables: &[(&str, &str)]) -> Run {
    let run = Run::start(&[], variables, (80, 24));
    run.open();
    run
}

#[test]
fn without_a_kubeconfig_it_offers_the_practice_cluster_with_one_key() {
    let mut run = without_a_cluster(&[]);
    run.wait_for("the offer", Duration::from_secs(60), |text| text.to_lowercase().contains("practice"));
    run.press("p");
    run.wait_for("an incident of the practice cluster", Duration::from_secs(90), |text| text.contains("thumbnails"));
}

#[test]
fn ctrl_c_leaves_and_gives_the_terminal_back() {
    let mut run = without_a_cluster(&[]);
    run.resize(120, 40);
    std::thread::sleep(Duration::from_millis(200));
    run.press("\x03");
    assert!(run.ended().success());
    run.assert_restored();
}

#[test]
fn sigterm_and_sighup_give_the_terminal_back() {
    for (signal, status) in [("-TERM", 143), ("-HUP", 129), ("-INT", 130)] {
        let mut run = without_a_cluster(&[]);
        run.signal(signal);
        assert_eq!(run.ended().exit_code(), status, "{signal}");
        run.assert_restored();
    }
}

#[test]
fn a_dumb_terminal_gets_a_sentence_and_no_control_sequence() {
    let mut run = Run::start(&[], &[("TERM", "dumb")], (80, 24));
    assert_eq!(run.ended().exit_code(), 2);
    assert!(run.text().contains("TERM=dumb") && run.text().contains("k3am diagnose"), "{}", run.text());
    assert!(!run.screen.lock().unwrap().raw.contains(&0x1b));
}

#[test]
fn without_a_cluster_q_leaves_at_once() {
    let mut run = without_a_cluster(&[]);
    run.press("q");
    assert!(run.ended().success());
    run.assert_restored();
}

/// A kubeconfig whose current context is that of a server that is not there, besides that of `cluster`.
fn two_contexts(cluster: &k3am::practice::PracticeCluster, current: &str) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    let own = cluster.kubeconfig_for("ann", k3am::practice::access::Role::Reader);
    let token = own.lines().find_map(|line| line.trim().strip_prefix("token: ")).unwrap();
    let text = format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: {current}\nusers: [{{name: u, user: {{token: {token}}}}}]\n\
         clusters: [{{name: gone, cluster: {{server: 'http://127.0.0.1:1'}}}}, {{name: here, cluster: {{server: 'http://{}'}}}}]\n\
         contexts: [{{name: gone, context: {{cluster: gone, user: u}}}}, {{name: here, context: {{cluster: here, user: u}}}}]\n",
        cluster.address()
    );
    std::fs::write(file.path(), text).unwrap();
    file
}

fn with_kubeconfig(file: &tempfile::NamedTempFile) -> Run {
    let run = Run::start(&["--kubeconfig", &file.path().to_string_lossy()], &[], (80, 24));
    run.open();
    run
}

#[test]
fn a_server_that_is_down_at_the_start_is_tried_until_it_is_there() {
    let patience = Duration::from_secs(60);
    let cluster = k3am::practice::PracticeCluster::start(&k3am::practice::Options { pods: 3, ..Default::default() }).unwrap();
    let file = two_contexts(&cluster, "here");
    cluster.stop_serving();
    let run = with_kubeconfig(&file);
    run.wait_for("the reason", patience, |text| text.contains("connection refused") && text.contains("Trying again"));
    cluster.resume_serving().unwrap();
    run.wait_for("the pods", patience, |text| text.contains("here \u{25b8}") && text.contains("pods 3"));
}

#[test]
fn another_context_is_reached_when_the_first_one_cannot_be_and_a_switch_that_fails_changes_nothing() {
    let patience = Duration::from_secs(60);
    let cluster = k3am::practice::PracticeCluster::start(&k3am::practice::Options { pods: 3, ..Default::default() }).unwrap();
    let file = two_contexts(&cluster, "gone");
    let mut run = with_kubeconfig(&file);
    run.wait_for("the reason", patience, |text| text.contains("connection refused"));
    run.press(":ctx here\r");
    run.wait_for("the pods", patience, |text| text.contains("here \u{25b8}") && text.contains("pods 3"));
    run.press(":ctx gone\r");
    run.wait_for("the refusal", patience, |text| text.contains("the switch failed: cannot reach 127.0.0.1:1"));
    assert!(run.text().contains("here \u{25b8}") && run.text().contains("pods 3"), "{}", run.text());
}

#[test]
fn ctrl_z_gives_the_terminal_back_until_fg() {
    let shell = ["bash", "--norc", "-ic", "\"$0\"; echo IT-IS-STOPPED; read -r _; fg; echo ENDED-WITH-$?"];
    let mut run = Run::start_under(Some(&shell), &[], &[], (80, 24));
    run.open();
    run.press("\x1a");
    run.wait_for("the shell", Duration::from_secs(60), |text| text.contains("IT-IS-STOPPED"));
    assert_cooked(&**run.master.as_ref().unwrap());
    assert!(!run.screen.lock().unwrap().parser.screen().alternate_screen());
    run.press("\n");
    run.open();
    run.press("q");
    run.wait_for("its end", Duration::from_secs(60), |text| text.contains("ENDED-WITH-0"));
}

#[test]
fn a_panic_gives_the_terminal_back_and_leaves_a_report() {
    let mut run = without_a_cluster(&[("K3AM_TEST_PANIC", "1")]);
    run.press("\x1b[24~");
    assert_eq!(run.ended().exit_code(), 101);
    run.assert_restored();
    let text = run.text().replace('\n', "");
    assert!(text.contains("a report is in"), "{text}");
    let reports = run.home.path().join(".local/state/k3am/panics");
    let report = std::fs::read_dir(reports).unwrap().next().unwrap().unwrap().path();
    assert!(std::fs::read_to_string(report).unwrap().contains("asked to panic"));
}

/// The emulator of these tests answers no questions, as a terminal that is gone or far away does not.
#[test]
fn ctrl_l_draws_anew_at_once_and_asks_the_terminal_nothing() {
    let mut run = without_a_cluster(&[]);
    run.screen.lock().unwrap().raw.clear();
    run.press("\x0c");
    // That it does not wait for an answer shows in that it asks for none.
    let end = Instant::now() + Duration::from_secs(60);
    let drawn = |run: &Run| contains(&run.screen.lock().unwrap().raw, b"practice cluster");
    while !drawn(&run) && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(10));
    }
    assert!(drawn(&run), "Ctrl-L did not draw the screen anew");
    assert!(!contains(&run.screen.lock().unwrap().raw, b"\x1b[6n"), "it asked where the cursor is");
}

#[test]
fn a_lost_terminal_ends_it_with_and_without_sighup() {
    // In a session of its own the program has no controlling terminal, so nobody sends it SIGHUP.
    // The shell above it has to live through the hang-up to report how it ended.
    let alone = ["sh", "-c", "trap '' HUP; setsid --wait \"$0\"; exit $?"];
    for wrapper in [None, Some(alone.as_slice())] {
        let mut run = Run::start_under(wrapper, &[], &[], (80, 24));
        run.open();
        run.hang_up();
        assert_eq!(run.ended().exit_code(), 129, "{wrapper:?}");
    }
}

/// The main story: from the page to the cause and the fix, on the practice cluster.
#[test]
fn a_bad_rollout_is_found_undone_with_one_key_and_seen_to_recover() {
    let patience = Duration::from_secs(90);
    let mut run = Run::start(&["demo", "--speed", "10"], &[], (120, 40));
    run.wait_for("the bad rollout", patience, |text| text.contains("fastapi-deployment") && text.contains("image not found"));
    run.select("fastapi-deployment");
    run.wait_for("the cause", patience, |text| text.contains("has no tag 2.42 of ghcr.io/acme/fastapi"));
    run.wait_for("what changed", patience, |text| text.contains("+ image: ghcr.io/acme/fastapi:2.42"));

    run.press("u");
    run.wait_for("the preview", patience, |text| {
        text.contains("Undo rollout")
            && text.contains("kubectl rollout undo deployment/fastapi-deployment")
            && text.contains("server dry run: accepted")
            && text.contains("[ Enter")
    });
    run.press("\r");
    run.wait_for("the recovery", patience, |text| {
        (text.contains("recovered after") || text.contains("recovered at once")) && text.contains("was: image not found")
    });

    run.press("q");
    run.wait_for("the question", patience, |text| text.contains("quit k3am?"));
    run.press("q");
    assert!(run.ended().success());
    run.assert_restored();
}
