//! The loop: signals and input first, then a due frame, then messages; so a flood of facts starves neither keys nor drawing.

use std::sync::Arc;
use std::time::Duration;

use crossterm::event::KeyCode;
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

use super::input::{Input, Keys, Pause, terminal_is_there};
use super::session::{Report, Session, Target};
use super::signals::Signals;
use super::terminal::Screen;
use super::{container_shell, editor, files, logging, panics, tasks};
use crate::actions;
use crate::app::{self, Effect, Msg, State};
use crate::cluster::{ConnectOptions, Connection};
use crate::config::{Config, Problem};
use crate::kinds::KindId;
use crate::kinds::ObjectRef;
use crate::snapshot::Delta;
use crate::ui;

/// Least time between frames: 60 a second.
const FRAME: Duration = Duration::from_millis(16);
/// As [`FRAME`] while lists are under way: nobody reads a number that grows 60 times a second.
const FRAME_LISTS: Duration = Duration::from_millis(40);
/// Ages are on the screen.
const TICK: Duration = Duration::from_secs(1);
/// Reports of background work in flight.
const REPORTS: usize = 256;
/// Most facts folded in between two looks at the keyboard.
const BATCH: usize = 2_000;

/// How long facts wait for each other before the rules run.
const JUDGE: Duration = Duration::from_millis(100);
/// As [`JUDGE`] while lists are under way: most rules wait for them anyway.
const JUDGE_LISTS: Duration = Duration::from_secs(1);
/// Facts wait at most so long, ...
const JUDGE_AT_LAST: Duration = Duration::from_secs(2);
/// ... and so many times as long as the rules took when they last ran.
const JUDGING_SHARE: u32 = 4;

/// Why the program ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The person left.
    Quit,
    /// SIGTERM.
    Terminated,
    /// SIGHUP.
    HungUp,
    /// SIGINT from outside (Ctrl-C is a key).
    Interrupted,
    /// The terminal went away without a signal.
    TerminalLost,
}

impl End {
    /// Exit status: 128 and the signal's number, as a shell reports it.
    pub fn status(self) -> u8 {
        match self {
            Self::Quit => 0,
            Self::HungUp | Self::TerminalLost => 129,
            Self::Interrupted => 130,
            Self::Terminated => 143,
        }
    }

    /// What to say on standard error, if anything.
    pub fn words(self) -> Option<String> {
        (self == Self::Terminated).then(|| "ended by SIGTERM".to_owned())
    }
}

/// What the loop is started with.
pub struct Setup {
    /// Settings.
    pub config: Arc<Config>,
    /// What was wrong in their sources.
    pub problems: Vec<Problem>,
    /// What to connect to.
    pub target: Target,
    /// What the command line says about the kubeconfig.
    pub user: ConnectOptions,
    /// Draw with ASCII only.
    pub ascii: bool,
}

/// Runs until the person leaves or a signal comes.
///
/// # Errors
/// The terminal cannot be taken or written.
pub async fn run(setup: Setup) -> anyhow::Result<End> {
    let mut signals = Signals::listen()?;
    let (tx, mut reports) = mpsc::channel(REPORTS);
    let mut session = Session::new(setup.user.clone(), setup.config.readonly, tx);
    let screen = Screen::open()?;
    let mut keys = Keys::read()?;
    let size = screen.terminal.size()?;
    let options = app::Options { config: Config::clone(&setup.config), ascii: setup.ascii, connecting_to: setup.target.name() };
    let state = State::new(options, session.now());
    let mut desk = Desk {
        state,
        screen,
        pause: keys.pause(),
        dirty: true,
        end: None,
        judge_at: None,
        judging: Duration::ZERO,
        round: Duration::ZERO,
    };
    desk.tell(&mut session, Msg::Resize(size.width, size.height));
    for problem in &setup.problems {
        desk.tell(&mut session, Msg::Notice(problem.to_string()));
    }
    session.connect(setup.target);

    let mut tick = interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut next_frame = Instant::now();
    loop {
        tokio::select! {
            biased;
            end = signals.next() => desk.end = Some(end),
            input = keys.next() => {
                desk.input(&mut session, input);
                // What a person does is shown at once, not with the next frame of what the cluster does.
                next_frame = next_frame.min(Instant::now());
            }
            () = sleep_until(next_frame), if desk.dirty => {
                desk.draw()?;
                next_frame = Instant::now() + if desk.state.is_listing() { FRAME_LISTS } else { FRAME };
            }
            () = sleep_until(desk.judge_at.unwrap_or(next_frame) + JUDGE_AT_LAST), if desk.judge_at.is_some() => {
                desk.judge(&mut session);
            }
            _ = tick.tick() => desk.tick(&mut session),
            Some(report) = reports.recv() => desk.report(&mut session, report),
            batch = session.next_deltas() => {
                if desk.facts(&mut session, batch) {
                    // The complete list is what a person waits for.
                    next_frame = Instant::now();
                }
            }
            // After the facts that are there already, unless they never cease.
            () = sleep_until(desk.judge_at.unwrap_or(next_frame)), if desk.judge_at.is_some() => desk.judge(&mut session),
        }
        if let Some(end) = desk.end {
            tracing::info!(?end, "ends");
            return Ok(end);
        }
    }
}

/// The cockpit at its terminal.
struct Desk {
    state: State,
    screen: Screen,
    pause: Pause,
    dirty: bool,
    end: Option<End>,
    /// When the rules run for the facts folded in since they last ran.
    judge_at: Option<Instant>,
    /// How long they took for all of them.
    judging: Duration,
    /// How long they have taken for those of this round.
    round: Duration,
}

impl Desk {
    fn draw(&mut self) -> anyhow::Result<()> {
        self.dirty = false;
        let state = &self.state;
        if let Err(error) = self.screen.terminal.draw(|frame| ui::view(state, frame)) {
            if terminal_is_there() {
                return Err(error.into());
            }
            self.end = Some(End::TerminalLost);
        }
        Ok(())
    }

    fn input(&mut self, session: &mut Session, input: Input) {
        match input {
            Input::Msg(Msg::Key(key)) if key.code == KeyCode::F(12) && wants_panic() => break_down(),
            Input::Msg(msg) => self.tell(session, msg),
            Input::Nothing => {}
            Input::Lost => self.end = Some(End::TerminalLost),
        }
    }

    fn tick(&mut self, session: &mut Session) {
        if !terminal_is_there() {
            self.end = Some(End::TerminalLost);
            return;
        }
        for sentence in panics::take_untold() {
            self.tell(session, Msg::Notice(sentence));
        }
        if let Some(sentence) = session.clock_words() {
            self.tell(session, Msg::Notice(sentence));
        }
        let now = session.now();
        if let Some(at) = session.connection().map(Connection::heard_at) {
            self.tell(session, Msg::Heard(at));
        }
        self.tell(session, Msg::Tick(now));
        if self.state.metrics_source.as_ref().is_some_and(|source| source.as_ref().is_ok_and(|from| from.starts_with("kubelet")))
        {
            session.prefer_nodes(app::in_view::nodes(&self.state));
        }
        if self.state.engine.is_behind() {
            self.judge_at = self.judge_at.or(Some(Instant::now()));
        }
    }

    /// Folds facts in, and sees to it that they are judged: soon, but not for each batch of a list or a flood. True when they
    /// complete the list of pods.
    fn facts(&mut self, session: &mut Session, mut batch: Vec<Delta>) -> bool {
        session.drain(&mut batch, BATCH);
        batch.iter().for_each(logging::troubles);
        let completes = batch.iter().any(|delta| matches!(delta, Delta::Listed { kind: KindId::Pod, .. }));
        let was_listing = self.state.is_listing();
        self.tell(session, Msg::Facts(batch));
        if !self.state.unjudged.is_empty() {
            let is_listing = self.state.is_listing();
            let pause = if is_listing { JUDGE_LISTS } else { JUDGE };
            let at = Instant::now() + pause.max(self.judging * JUDGING_SHARE).min(JUDGE_AT_LAST);
            self.judge_at = Some(self.judge_at.map_or(at, |known| known.min(at)));
            // Lists that are complete can be judged, once the screen says so.
            if was_listing && !is_listing {
                self.judge_at = Some(Instant::now() + FRAME);
            }
        }
        completes
    }

    /// Runs the rules for a slice of what changed; for the rest after keys, a frame and facts had their turn.
    fn judge(&mut self, session: &mut Session) {
        let start = Instant::now();
        // Rules judge by the time of the last tick: give them the time of these facts.
        let now = session.now();
        self.tell(session, Msg::Tick(now));
        self.tell(session, Msg::Diagnose);
        self.round += start.elapsed();
        self.judge_at = self.state.is_behind().then(Instant::now);
        if self.judge_at.is_none() {
            self.judging = std::mem::take(&mut self.round);
        }
    }

    fn report(&mut self, session: &mut Session, report: Report) {
        let msg = match report {
            Report::Msg(msg) => Some(*msg),
            Report::Linked { attempt, result } => session.linked(attempt, result),
            Report::Opened { attempt, result } => session.opened(attempt, result),
            Report::Fetched { intent, objects } => {
                let plan = match objects {
                    Ok(objects) => actions::plan(&intent, &objects, &self.state.snapshot, session.now()),
                    Err(error) => Err(actions::Refusal::new(error.to_string())),
                };
                Some(Msg::Planned { intent, plan: Box::new(plan) })
            }
        };
        if let Some(msg) = msg {
            self.tell(session, msg);
        }
    }

    /// Folds a message in and starts what it asks for.
    fn tell(&mut self, session: &mut Session, msg: Msg) {
        let effects = app::update(&mut self.state, msg);
        self.dirty |= std::mem::take(&mut self.state.dirty);
        for effect in effects {
            self.perform(session, effect);
        }
    }

    fn perform(&mut self, session: &mut Session, effect: Effect) {
        match effect {
            Effect::Quit => self.end = Some(End::Quit),
            Effect::Fetch(request) => session.request(request),
            Effect::FollowLog { stream, spec, also } => session.follow_log(stream, spec, also),
            Effect::StopLog => session.stop_log(),
            Effect::SwitchContext(context) => session.switch_context(context),
            Effect::StartPractice => session.start_practice(),
            Effect::SwitchNamespaces(namespaces) => {
                if let Some(msg) = session.switch_namespaces(namespaces) {
                    self.tell(session, msg);
                }
            }
            Effect::Copy(text) => {
                let said = match self.screen.copy(&text) {
                    Ok(()) => "copied (through the terminal, OSC 52)".to_owned(),
                    Err(error) => format!("could not copy: {error}"),
                };
                self.tell(session, Msg::Notice(said));
            }
            Effect::Save { name, text } => {
                let said = match files::save("saved", &name, &text) {
                    Ok(path) => format!("saved {}", path.display()),
                    Err(error) => format!("could not save: {error}"),
                };
                self.tell(session, Msg::Notice(said));
            }
            Effect::Suspend => self.suspend(session),
            Effect::Editor { object, text } => self.edit(session, object, &text),
            Effect::Shell { pod, container } => self.shell(session, &pod, &container),
            Effect::ClearScreen => {
                let _ = self.screen.clear();
                self.dirty = true;
            }
            other => tasks::start(session, other),
        }
    }

    /// The terminal is the editor's until it ends; nobody else reads keys meanwhile.
    fn edit(&mut self, session: &mut Session, object: ObjectRef, text: &str) {
        self.pause.hold();
        let edited = self.screen.away(|| editor::run(&object, text));
        self.pause.release();
        match edited {
            Ok(patch) => self.tell(session, Msg::Edited { object, patch }),
            Err(_) => self.end = Some(End::TerminalLost),
        }
        self.tell(session, Msg::Redraw);
    }

    /// The terminal is the container's shell's until it ends.
    fn shell(&mut self, session: &mut Session, pod: &ObjectRef, container: &str) {
        let Some(arguments) = container_shell::arguments(session, pod, container) else {
            self.tell(session, Msg::Notice("not connected to a cluster".to_owned()));
            return;
        };
        self.pause.hold();
        let ended = self.screen.away(|| container_shell::run(&arguments, pod, container));
        self.pause.release();
        match ended {
            Ok(said) => self.tell(session, said.map_or(Msg::Redraw, Msg::Notice)),
            Err(_) => self.end = Some(End::TerminalLost),
        }
    }

    /// Stops this process until the shell continues it, with the terminal given back meanwhile.
    fn suspend(&mut self, session: &mut Session) {
        let stop = || std::process::Command::new("kill").args(["-TSTP", &std::process::id().to_string()]).status();
        let said = match self.screen.away(stop) {
            Ok(Ok(status)) if status.success() => None,
            Ok(_) => Some("could not suspend".to_owned()),
            Err(_) => {
                self.end = Some(End::TerminalLost);
                None
            }
        };
        self.tell(session, said.map_or(Msg::Redraw, Msg::Notice));
    }
}

/// For the test that a panic gives the terminal back: set, F12 panics.
fn wants_panic() -> bool {
    std::env::var_os("K3AM_TEST_PANIC").is_some()
}

#[expect(clippy::panic, reason = "asked for by a test, see wants_panic")]
fn break_down() -> ! {
    panic!("asked to panic by K3AM_TEST_PANIC and F12")
}
