//! One container of a pod: pulled, created, run, ended, backed off and run again.
//!
//! A state machine stepped by its pod's worker. Invariant: every transition happens at its own time, however late the step
//! comes, and every step answers when the next one is due. Texts and times as in the captures and `pkg/kubelet`.

mod begin;
mod run;

pub use run::Measured;

use super::super::object;
use super::super::random::Random;
use super::super::runtime::Runtime;
use super::host::Host;
use super::probe::Probe;
use super::process::Program;
use chrono::{DateTime, Utc};
use serde_json::Value;
use std::time::Duration;

/// The cap of both back-offs, and half the quiet time that resets them.
const CAP: Duration = Duration::from_secs(300);
const FIRST: Duration = Duration::from_secs(10);

/// A container and everything the kubelet remembers about it.
pub struct Container {
    /// Its name.
    pub name: String,
    /// Whether it is an init container.
    pub init: bool,
    /// The list of the pod's spec it stands in.
    list: &'static str,
    /// Where it stands.
    pub state: State,
    /// How its previous run ended.
    pub last: Option<Exit>,
    /// How often it was restarted.
    pub restarts: u32,
    /// Whether its readiness probe (or its mere running) says it can serve.
    pub ready: bool,
    /// Whether its startup probe has passed.
    pub started: bool,
    /// The runtime's names for it, once created.
    pub identity: Option<Identity>,
    /// Its status as last composed; shown again while it is on the way to another run.
    pub shown: Value,
    spec: Value,
    restart_policy: String,
    probes: Vec<Probe>,
    crash: BackOff,
    pull: BackOff,
    random: Random,
}

/// What the runtime calls a created container.
#[derive(Clone, Debug)]
pub struct Identity {
    /// `containerd://...`.
    pub id: String,
    /// The full image name.
    pub image: String,
    /// The image's digest.
    pub image_id: String,
}

/// How a run ended.
#[derive(Clone, Debug)]
pub struct Exit {
    /// The exit code.
    pub code: i32,
    /// `Completed`, `Error`, `OOMKilled`, `StartError`.
    pub reason: &'static str,
    /// The runtime's message, if any.
    pub message: Option<String>,
    /// When the run began.
    pub started: DateTime<Utc>,
    /// When it ended.
    pub finished: DateTime<Utc>,
    /// The container's runtime name.
    pub id: String,
}

/// Where a container stands.
pub enum State {
    /// Not begun: `ContainerCreating` or `PodInitializing`.
    Idle,
    /// Refused for a reason that may pass.
    Refused {
        /// The waiting reason.
        reason: &'static str,
        /// The waiting message.
        message: String,
        /// When it is tried again.
        retry: DateTime<Utc>,
    },
    /// Its image is on the way.
    Pulling {
        /// When the registry has answered.
        done: DateTime<Utc>,
    },
    /// Its image could not be had: first shown as `ErrImagePull`, then as `ImagePullBackOff`.
    PullFailed {
        /// The runtime's error.
        error: String,
        /// When the shown reason changes; the earliest time there is, once it has.
        shown_as_back_off: DateTime<Utc>,
        /// When the next `BackOff` event is due.
        next_event: DateTime<Utc>,
        /// When it is pulled again.
        retry: DateTime<Utc>,
    },
    /// Created, about to start.
    Creating {
        /// When it runs.
        done: DateTime<Utc>,
        /// What it will do.
        program: Box<Program>,
    },
    /// Running.
    Running(Box<Run>),
    /// Ended; the kubelet has not looked yet.
    Ended {
        /// How.
        exit: Exit,
        /// When the kubelet looks.
        seen: DateTime<Utc>,
    },
    /// Ended too often: `CrashLoopBackOff`.
    BackingOff {
        /// The delay in force.
        delay: Duration,
        /// When it runs again.
        until: DateTime<Utc>,
        /// When the next `BackOff` event is due.
        next_event: DateTime<Utc>,
    },
    /// Ended for good.
    Done(Exit),
}

/// A running process.
pub struct Run {
    /// When it began.
    pub since: DateTime<Utc>,
    /// Its plan.
    pub program: Program,
    written: usize,
    traffic_at: Option<DateTime<Utc>>,
    end: Option<(DateTime<Utc>, i32, &'static str)>,
    /// Whether it was asked to stop, and when it will be killed.
    killed_at: Option<DateTime<Utc>>,
    stop_lines: Option<(DateTime<Utc>, Vec<String>)>,
}

/// A doubling delay, reset after twice its cap of quiet.
#[derive(Clone, Copy, Default)]
struct BackOff {
    delay: Option<Duration>,
    updated: Option<DateTime<Utc>>,
}

impl BackOff {
    /// The delay in force for something that went wrong at `when`.
    fn current(&self, when: DateTime<Utc>) -> Option<Duration> {
        let fresh = self.updated.is_some_and(|updated| when - updated <= chrono::Duration::from_std(CAP * 2).unwrap_or_default());
        self.delay.filter(|_| fresh)
    }

    /// Doubles the delay.
    fn grow(&mut self, when: DateTime<Utc>) -> Duration {
        let next = self.current(when).map_or(FIRST, |delay| (delay * 2).min(CAP));
        self.delay = Some(next);
        self.updated = Some(when);
        next
    }
}

impl Container {
    /// A container that has not begun.
    pub fn new(pod: &Value, spec: &Value, init: bool, random: Random) -> Self {
        Self {
            name: object::text(spec, "/name").to_owned(),
            init,
            list: if init { "initContainers" } else { "containers" },
            state: State::Idle,
            last: None,
            restarts: 0,
            ready: false,
            started: false,
            identity: None,
            shown: Value::Null,
            spec: spec.clone(),
            restart_policy: object::text(pod, "/spec/restartPolicy").to_owned(),
            probes: Vec::new(),
            crash: BackOff::default(),
            pull: BackOff::default(),
            random,
        }
    }

    /// An ephemeral container, which is never started again.
    pub fn ephemeral(pod: &Value, spec: &Value, random: Random) -> Self {
        let mut container = Self::new(pod, spec, false, random);
        "Never".clone_into(&mut container.restart_policy);
        container.list = "ephemeralContainers";
        container
    }

    /// The container's spec.
    pub fn spec(&self) -> &Value {
        &self.spec
    }

    /// Whether a process is alive.
    pub fn is_running(&self) -> bool {
        matches!(self.state, State::Running(_))
    }

    /// The exit it ended with for good.
    pub fn done(&self) -> Option<&Exit> {
        match &self.state {
            State::Done(exit) => Some(exit),
            _ => None,
        }
    }

    /// Whether it keeps running beside the others although it is an init container.
    pub fn is_sidecar(&self) -> bool {
        self.init && object::text(&self.spec, "/restartPolicy") == "Always"
    }

    /// Does what is due; answers when something is due next.
    pub fn step(&mut self, host: &mut Host<'_>) -> Option<DateTime<Utc>> {
        for _ in 0..16 {
            let due = self.advance(host);
            match due {
                Some(due) if due <= host.now => {}
                due => return due,
            }
        }
        Some(host.now + Duration::from_millis(500))
    }

    /// One transition at most; answers when to be called again (now, if something more may be due).
    fn advance(&mut self, host: &mut Host<'_>) -> Option<DateTime<Utc>> {
        match &self.state {
            State::Idle => Some(self.begin(host)),
            State::Refused { retry, .. } if *retry <= host.now => Some(self.begin(host)),
            State::Refused { retry, .. } => Some(*retry),
            State::Pulling { done } if *done <= host.now => Some(self.finish_pull(host)),
            State::PullFailed { .. } => Some(self.wait_for_pull(host)),
            State::Creating { done, .. } if *done <= host.now => Some(self.start(host)),
            State::Pulling { done } | State::Creating { done, .. } => Some(*done),
            State::Running(_) => self.run(host),
            State::Ended { seen, .. } if *seen <= host.now => self.after_end(host),
            State::Ended { seen, .. } => Some(*seen),
            State::BackingOff { .. } => Some(self.wait_for_restart(host)),
            State::Done(_) => None,
        }
    }

    /// Decides what follows an end: nothing, another run, or a back-off.
    fn after_end(&mut self, host: &mut Host<'_>) -> Option<DateTime<Utc>> {
        let State::Ended { exit, .. } = std::mem::replace(&mut self.state, State::Idle) else { return None };
        host.changed = true;
        let again = match self.restart_policy.as_str() {
            "Never" => self.is_sidecar(),
            "OnFailure" => exit.code != 0 || self.is_sidecar(),
            _ => !self.init || exit.code != 0 || self.is_sidecar(),
        };
        if !again || host.stopping {
            self.state = State::Done(exit);
            return None;
        }
        let finished = exit.finished;
        self.last = Some(exit);
        match self.crash.current(finished).filter(|delay| finished + *delay > host.now) {
            Some(delay) => {
                self.say_backing_off(host);
                let next_event = host.now + self.random.seconds(11.0, 15.0);
                self.state = State::BackingOff { delay, until: finished + delay, next_event };
                Some(host.now)
            }
            None => Some(self.restart(host)),
        }
    }

    fn wait_for_restart(&mut self, host: &mut Host<'_>) -> DateTime<Utc> {
        let State::BackingOff { until, next_event, .. } = &mut self.state else { return host.now };
        if *until <= host.now {
            return self.restart(host);
        }
        let mut due = (*until).min(*next_event);
        if *next_event <= host.now {
            *next_event = host.now + self.random.seconds(11.0, 15.0);
            due = (*until).min(*next_event);
            self.say_backing_off(host);
        }
        due
    }

    fn say_backing_off(&self, host: &Host<'_>) {
        let message = format!("Back-off restarting failed container {} in pod {}", self.name, host.pod_full_name());
        host.warn(&self.field(), "BackOff", &message);
    }

    fn restart(&mut self, host: &mut Host<'_>) -> DateTime<Utc> {
        let finished = self.last.as_ref().map_or(host.now, |exit| exit.finished);
        self.crash.grow(finished);
        self.restarts += 1;
        self.begin(host)
    }

    /// Asks the process to stop: preStop, SIGTERM, and SIGKILL when `grace` is over. Other states just end.
    pub fn stop(&mut self, host: &mut Host<'_>, grace: Duration) {
        host.changed = true;
        let pre_stop = self.pre_stop();
        match &mut self.state {
            State::Running(run) => run.stop(host.now, pre_stop, grace),
            State::Ended { exit, .. } => self.state = State::Done(exit.clone()),
            State::Done(_) => {}
            _ => {
                if let Some(exit) = self.last.take() {
                    self.state = State::Done(exit);
                }
            }
        }
    }

    /// Ends it for good this moment, whatever it does.
    pub fn kill(&mut self, runtime: &Runtime, pod_uid: &str, now: DateTime<Utc>) {
        let started = match &self.state {
            State::Running(run) => run.since,
            State::Done(_) => return,
            _ => now,
        };
        runtime.end_log(pod_uid, &self.name, self.restarts);
        runtime.clear_usage(pod_uid, &self.name);
        let id = self.identity.as_ref().map(|identity| identity.id.clone()).unwrap_or_default();
        self.ready = false;
        self.started = false;
        self.state = State::Done(Exit { code: 137, reason: "Error", message: None, started, finished: now, id });
    }

    /// How long the preStop hook takes: `sleep`, or an exec of `sleep N`.
    fn pre_stop(&self) -> Duration {
        let seconds = object::int(&self.spec, "/lifecycle/preStop/sleep/seconds").or_else(|| {
            let words: Vec<_> =
                object::items(&self.spec, "/lifecycle/preStop/exec/command").iter().filter_map(Value::as_str).collect();
            let line = words.join(" ");
            line.split("sleep ").nth(1)?.split(|letter: char| !letter.is_ascii_digit()).next()?.parse().ok()
        });
        Duration::from_secs(seconds.unwrap_or(0).max(0) as u64)
    }

    /// The event field path of this container.
    pub fn field(&self) -> String {
        format!("spec.{}{{{}}}", self.list, self.name)
    }
}

/// A duration as Go prints whole seconds: `10s`, `1m20s`, `5m0s`.
pub fn go_seconds(duration: Duration) -> String {
    let seconds = duration.as_secs();
    if seconds < 60 { format!("{seconds}s") } else { format!("{}m{}s", seconds / 60, seconds % 60) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_back_off_doubles_to_five_minutes_and_forgets_after_ten() {
        let start = DateTime::<Utc>::UNIX_EPOCH;
        let mut back_off = BackOff::default();
        assert!(back_off.current(start).is_none());
        let grown: Vec<_> = (0..7).map(|_| go_seconds(back_off.grow(start))).collect();
        assert_eq!(grown, ["10s", "20s", "40s", "1m20s", "2m40s", "5m0s", "5m0s"]);
        assert!(back_off.current(start + Duration::from_secs(700)).is_none());
    }
}
