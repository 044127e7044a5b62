//! A running process: its lines, its probes, its memory limit and its end.

use super::super::super::object;
use super::super::super::quantity;
use super::super::host::Host;
use super::super::probe::{Kind, Probe, Verdict};
use super::super::process::Program;
use super::{Container, Exit, Run, State};
use chrono::{DateTime, Utc};
use std::time::Duration;

/// How much past traffic a resumed container has in its log.
const BACKFILL: Duration = Duration::from_secs(600);

/// One look at what a running container uses.
#[derive(Clone, Copy, Debug)]
pub struct Measured {
    /// Cores.
    pub cpu: f64,
    /// Bytes of working set.
    pub memory: f64,
    /// The share of periods in which it was held back at its CPU limit; none without a limit.
    pub throttled: Option<f64>,
    /// Bytes of its own files.
    pub disk: f64,
    /// How long it has been running.
    pub elapsed: Duration,
}

impl Run {
    /// preStop first, then SIGTERM, then SIGKILL at the end of the grace period.
    pub(super) fn stop(&mut self, now: DateTime<Utc>, pre_stop: Duration, grace: Duration) {
        let kill = now + grace;
        if self.killed_at.is_some_and(|earlier| earlier <= kill) {
            return;
        }
        self.killed_at = Some(kill);
        let signal = now + pre_stop.min(grace);
        match &self.program.on_stop {
            Some(stop) if signal + stop.after <= kill => {
                self.stop_lines = Some((signal, stop.lines.clone()));
                self.end = Some((signal + stop.after, stop.code, if stop.code == 0 { "Completed" } else { "Error" }));
            }
            _ => self.end = Some((kill, 137, "Error")),
        }
    }
}

impl Container {
    /// Enters the running state with a plan.
    pub(super) fn enter(&mut self, host: &mut Host<'_>, program: Program, since: DateTime<Utc>) {
        host.changed = true;
        host.runtime.start_log(object::uid(host.pod), &self.name, self.restarts);
        let limit = quantity::parse(object::at(&self.spec, "/resources/limits/memory"));
        let killed = program.memory.exceeds(limit).map(|after| (since + after, 137, "OOMKilled"));
        let exits = program.exit.map(|(after, code)| (since + after, code, if code == 0 { "Completed" } else { "Error" }));
        let end = [killed, exits].into_iter().flatten().min_by_key(|(at, ..)| *at);
        self.probes = Probe::of(&self.spec, since, &mut self.random);
        let has = |kind: Kind| self.probes.iter().any(|probe| probe.kind == kind);
        self.started = !has(Kind::Startup);
        self.ready = self.started && !has(Kind::Readiness);
        let traffic_at = program.traffic.map(|_| since + program.listens_after + Duration::from_secs(3));
        self.state =
            State::Running(Box::new(Run { since, program, written: 0, traffic_at, end, killed_at: None, stop_lines: None }));
    }

    /// Does what a running container has due; answers when something is due next.
    pub(super) fn run(&mut self, host: &mut Host<'_>) -> Option<DateTime<Utc>> {
        let mut due = self.write_lines(host);
        if let Some(end) = self.end_due(host.now) {
            self.finish(host, end);
            return Some(host.now);
        }
        let probing = if host.stopping { None } else { self.probe(host) };
        let State::Running(run) = &self.state else { return Some(host.now) };
        due = [due, run.end.map(|(at, ..)| at), probing].into_iter().flatten().min();
        due
    }

    fn end_due(&self, now: DateTime<Utc>) -> Option<(DateTime<Utc>, i32, &'static str)> {
        match &self.state {
            State::Running(run) => run.end.filter(|(at, ..)| *at <= now),
            _ => None,
        }
    }

    /// Lines of the plan, of traffic and of stopping that are due.
    fn write_lines(&mut self, host: &mut Host<'_>) -> Option<DateTime<Utc>> {
        let (ready, in_service) = (self.ready && !host.stopping, host.in_service);
        let (name, restarts) = (self.name.clone(), self.restarts);
        let State::Running(run) = &mut self.state else { return None };
        let busy = in_service || run.program.works_alone;
        let serving = ready && busy;
        let uid = object::uid(host.pod);
        let cutoff = run.end.map_or(host.now, |(end, ..)| end.min(host.now));
        while let Some((after, line)) = run.program.lines.get(run.written).filter(|(after, _)| run.since + *after <= cutoff) {
            host.runtime.append_log(uid, &name, restarts, run.since + *after, line);
            run.written += 1;
        }
        if let Some((at, lines)) = run.stop_lines.take() {
            if at <= host.now {
                for line in &lines {
                    host.runtime.append_log(uid, &name, restarts, at, line);
                }
            } else {
                run.stop_lines = Some((at, lines));
            }
        }
        while let (Some(traffic), Some(at)) = (run.program.traffic, run.traffic_at.filter(|at| *at <= cutoff)) {
            let (wait, lines) = traffic(&mut self.random);
            if serving {
                for line in &lines {
                    host.runtime.append_log(uid, &name, restarts, at, line);
                }
            }
            run.traffic_at = Some(at + if serving { wait } else { wait.max(Duration::from_secs(5)) });
        }
        let next_line = run.program.lines.get(run.written).map(|(after, _)| run.since + *after);
        let stop_line = run.stop_lines.as_ref().map(|(at, _)| *at);
        // Without work there is nothing to write about: no need to wake up for it.
        let traffic = run.traffic_at.filter(|_| busy);
        [next_line, stop_line, traffic].into_iter().flatten().min()
    }

    /// Gives a resumed container the last minutes of its traffic as a log.
    pub(super) fn backfill(&mut self, host: &mut Host<'_>) {
        let State::Running(run) = &mut self.state else { return };
        run.traffic_at = run.traffic_at.map(|at| at.max(host.now - BACKFILL));
        for probe in &mut self.probes {
            probe.settle(host.now, &mut self.random);
        }
        self.write_lines(host);
    }

    /// Runs the probes that are due.
    fn probe(&mut self, host: &mut Host<'_>) -> Option<DateTime<Utc>> {
        let field = self.field();
        let mut kill = None;
        let State::Running(run) = &self.state else { return None };
        if run.killed_at.is_some() {
            return None;
        }
        for probe in &mut self.probes {
            let active = if probe.kind == Kind::Startup { !self.started } else { self.started };
            if !active || probe.next > host.now {
                continue;
            }
            let verdict = probe.execute(host, run, &self.spec, &mut self.random);
            if let Some(line) = &verdict.access_log {
                host.runtime.append_log(object::uid(host.pod), &self.name, self.restarts, host.now, line);
            }
            if let Some(complaint) = &verdict.complaint {
                host.warn(&field, "Unhealthy", &format!("{} probe failed: {complaint}", probe.kind.title()));
            }
            match (probe.kind, verdict.verdict) {
                (Kind::Startup, Verdict::Passed) => {
                    self.started = true;
                    host.changed = true;
                }
                (Kind::Readiness, Verdict::Passed | Verdict::Failed) => {
                    let ready = verdict.verdict == Verdict::Passed;
                    host.changed |= self.ready != ready;
                    self.ready = ready;
                }
                (kind @ (Kind::Liveness | Kind::Startup), Verdict::Failed) => kill = Some(kind),
                _ => {}
            }
        }
        if self.started && !self.ready && !self.probes.iter().any(|probe| probe.kind == Kind::Readiness) {
            self.ready = true;
            host.changed = true;
        }
        if let Some(kind) = kill {
            self.kill_by_probe(host, kind);
            return Some(host.now);
        }
        let live = |probe: &&Probe| (probe.kind == Kind::Startup) != self.started;
        self.probes.iter().filter(live).map(|probe| probe.next).min()
    }

    fn kill_by_probe(&mut self, host: &mut Host<'_>, kind: Kind) {
        let message = format!("Container {} failed {} probe, will be restarted", self.name, kind.title().to_lowercase());
        host.say(&self.field(), "Killing", &message);
        let grace = object::int(host.pod, "/spec/terminationGracePeriodSeconds").unwrap_or(30).max(0) as u64;
        let pre_stop = self.pre_stop();
        if let State::Running(run) = &mut self.state {
            run.stop(host.now, pre_stop, Duration::from_secs(grace));
        }
    }

    fn finish(&mut self, host: &mut Host<'_>, (finished, code, reason): (DateTime<Utc>, i32, &'static str)) {
        let State::Running(run) = std::mem::replace(&mut self.state, State::Idle) else { return };
        host.changed = true;
        self.ready = false;
        self.started = false;
        host.runtime.end_log(object::uid(host.pod), &self.name, self.restarts);
        host.runtime.clear_usage(object::uid(host.pod), &self.name);
        let id = self.identity.as_ref().map(|identity| identity.id.clone()).unwrap_or_default();
        let exit = Exit { code, reason, message: None, started: run.since, finished, id };
        let seen = host.now + self.random.seconds(0.7, 1.2);
        self.state = if host.stopping { State::Done(exit) } else { State::Ended { exit, seen } };
    }

    /// What is in use now; `sharers` pods of its owner, itself included, work off one queue.
    pub fn usage(&mut self, now: DateTime<Utc>, in_service: bool, sharers: usize) -> Option<Measured> {
        let limit = quantity::parse(object::at(&self.spec, "/resources/limits/memory"));
        let State::Running(run) = &self.state else { return None };
        let elapsed = (now - run.since).to_std().unwrap_or_default();
        let (busy, idle) = run.program.cpu;
        let own = if self.ready && (in_service || run.program.works_alone) { busy } else { idle };
        let cpu = (own + run.program.queue / sharers.max(1) as f64) * self.random.between(0.75, 1.3);
        let memory = run.program.memory.at(elapsed) * self.random.between(0.985, 1.015);
        let allowed = quantity::parse(object::at(&self.spec, "/resources/limits/cpu"));
        Some(Measured {
            cpu: if allowed > 0.0 { cpu.min(allowed) } else { cpu },
            memory: if limit > 0.0 { memory.min(limit) } else { memory },
            throttled: if allowed > 0.0 { Some((1.0 - allowed / cpu.max(1e-9)).max(0.0)) } else { None },
            disk: run.program.disk.at(elapsed),
            elapsed,
        })
    }
}
