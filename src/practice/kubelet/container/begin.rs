//! From nothing to a started process: image, configuration, creation.

use super::super::super::behaviours::{self, Start};
use super::super::super::object;
use super::super::environment;
use super::super::host::Host;
use super::super::image::{self, Reference};
use super::super::process::Program;
use super::{Container, Exit, Identity, State};
use chrono::{DateTime, Utc};
use std::time::Duration;

impl Container {
    /// Begins a run: a present image goes straight to creation, an absent one is pulled first.
    pub(super) fn begin(&mut self, host: &mut Host<'_>) -> DateTime<Utc> {
        host.changed = true;
        self.ready = false;
        self.started = false;
        let image = object::text(&self.spec, "/image").to_owned();
        let reference = match Reference::parse(&image) {
            Ok(reference) => reference,
            Err(complaint) => return self.refuse_name(host, &image, &complaint),
        };
        let present = host.images.contains(&reference.full());
        match (object::text(&self.spec, "/imagePullPolicy"), present) {
            ("IfNotPresent" | "Never" | "", true) => {
                host.say(
                    &self.field(),
                    "Pulled",
                    &format!("Container image \"{image}\" already present on machine and can be accessed by the pod"),
                );
                self.create(host, &reference)
            }
            ("Never", false) => {
                let message = format!("Container image \"{image}\" is not present with pull policy of Never");
                host.warn(&self.field(), "ErrImageNeverPull", &message);
                host.warn(&self.field(), "Failed", "Error: ErrImageNeverPull");
                self.refuse(host, "ErrImageNeverPull", message)
            }
            _ => {
                host.say(&self.field(), "Pulling", &format!("Pulling image \"{image}\""));
                let done = host.now
                    + if image::pull(&reference).is_ok() { self.random.seconds(0.9, 2.4) } else { self.random.seconds(0.3, 0.9) };
                // A retry keeps showing why the last pull failed until it has an answer.
                self.state = State::Pulling { done };
                done
            }
        }
    }

    fn refuse_name(&mut self, host: &mut Host<'_>, image: &str, complaint: &str) -> DateTime<Utc> {
        let message =
            format!("Failed to apply default image tag \"{image}\": couldn't parse image name \"{image}\": {complaint}");
        host.warn(&self.field(), "InspectFailed", &message);
        host.warn(&self.field(), "Failed", "Error: InvalidImageName");
        self.refuse(host, "InvalidImageName", message)
    }

    fn refuse(&mut self, host: &mut Host<'_>, reason: &'static str, message: String) -> DateTime<Utc> {
        let retry = host.now + self.random.seconds(10.0, 14.0);
        self.state = State::Refused { reason, message, retry };
        host.changed = true;
        retry
    }

    /// The registry's answer.
    pub(super) fn finish_pull(&mut self, host: &mut Host<'_>) -> DateTime<Utc> {
        host.changed = true;
        let image = object::text(&self.spec, "/image").to_owned();
        let Ok(reference) = Reference::parse(&image) else { return self.refuse(host, "InvalidImageName", image) };
        match image::pull(&reference) {
            Ok(pulled) => {
                let took = self.random.between(0.9, 2.4);
                let message = format!(
                    "Successfully pulled image \"{image}\" in {took:.3}s ({took:.3}s including waiting). Image size: {} bytes.",
                    pulled.bytes
                );
                host.say(&self.field(), "Pulled", &message);
                host.images.insert(reference.full());
                self.create(host, &reference)
            }
            Err(error) => {
                host.warn(&self.field(), "Failed", &format!("Failed to pull image \"{image}\": {error}"));
                host.warn(&self.field(), "Failed", "Error: ErrImagePull");
                let delay = self.pull.grow(host.now);
                let shown_as_back_off = host.now + delay.mul_f64(0.5).min(Duration::from_secs(6));
                let next_event = host.now + Duration::from_millis(400);
                self.state = State::PullFailed { error, shown_as_back_off, next_event, retry: host.now + delay };
                next_event
            }
        }
    }

    /// Waits out the image back-off, saying so now and then.
    pub(super) fn wait_for_pull(&mut self, host: &mut Host<'_>) -> DateTime<Utc> {
        let field = self.field();
        let State::PullFailed { shown_as_back_off, next_event, retry, .. } = &mut self.state else { return host.now };
        if *retry <= host.now {
            return self.begin(host);
        }
        if *shown_as_back_off <= host.now && *shown_as_back_off != DateTime::<Utc>::MIN_UTC {
            *shown_as_back_off = DateTime::<Utc>::MIN_UTC;
            host.changed = true;
        }
        if *next_event <= host.now {
            *next_event = host.now + self.random.seconds(12.0, 15.0);
            let image = object::text(&self.spec, "/image");
            host.say(&field, "BackOff", &format!("Back-off pulling image \"{image}\""));
            host.warn(&field, "Failed", "Error: ImagePullBackOff");
        }
        let switch = if *shown_as_back_off == DateTime::<Utc>::MIN_UTC { *retry } else { *shown_as_back_off };
        (*retry).min(*next_event).min(switch)
    }

    /// Creates the container: its configuration must be complete.
    fn create(&mut self, host: &mut Host<'_>, reference: &Reference) -> DateTime<Utc> {
        let environment = match environment::resolve(host.store, host.pod, &self.spec) {
            Ok(environment) => environment,
            Err(complaint) => {
                host.warn(&self.field(), "Failed", &format!("Error: {complaint}"));
                return self.refuse(host, "CreateContainerConfigError", complaint);
            }
        };
        if let Some(complaint) = self.root_complaint(host, reference) {
            host.warn(&self.field(), "Failed", &format!("Error: {complaint}"));
            return self.refuse(host, "CreateContainerConfigError", complaint);
        }
        let start =
            Start { store: host.store, pod: host.pod, container: &self.spec, image: reference, environment: &environment };
        let program = behaviours::plan(&start, &mut self.random);
        self.identity = Some(Identity {
            id: format!("containerd://{}", self.random.hex(64)),
            image: reference.full(),
            image_id: format!(
                "{}/{}@sha256:{}",
                reference.host,
                reference.path,
                super::super::super::random::Random::of(7, &reference.full()).hex(64)
            ),
        });
        host.say(&self.field(), "Created", "Container created");
        if let Some(error) = program.start_error.clone() {
            return self.fail_start(host, &error);
        }
        let done = host.now + self.random.seconds(0.1, 0.5);
        self.state = State::Creating { done, program: Box::new(program) };
        done
    }

    /// The kubelet's complaint when the pod must not run as root and the image would (`kuberuntime/security_context_others.go`).
    fn root_complaint(&self, host: &Host<'_>, image: &Reference) -> Option<String> {
        let setting = |field: &str| {
            let own = object::at(&self.spec, &format!("/securityContext/{field}"));
            if own.is_null() { object::at(host.pod, &format!("/spec/securityContext/{field}")) } else { own }
        };
        if setting("runAsNonRoot").as_bool() != Some(true) {
            return None;
        }
        let of = format!("(pod: {:?}, container: {})", host.pod_full_name(), self.name);
        match setting("runAsUser").as_i64() {
            Some(0) => Some(format!("container's runAsUser breaks non-root policy {of}")),
            None if image.runs_as_root() => Some(format!("container has runAsNonRoot and image will run as root {of}")),
            _ => None,
        }
    }

    fn fail_start(&mut self, host: &mut Host<'_>, error: &str) -> DateTime<Utc> {
        host.warn(&self.field(), "Failed", &format!("Error: {error}"));
        host.runtime.start_log(object::uid(host.pod), &self.name, self.restarts);
        host.runtime.end_log(object::uid(host.pod), &self.name, self.restarts);
        let exit = Exit {
            code: 128,
            reason: "StartError",
            message: Some(error.to_owned()),
            started: DateTime::<Utc>::UNIX_EPOCH,
            finished: host.now,
            id: self.identity.as_ref().map(|identity| identity.id.clone()).unwrap_or_default(),
        };
        let seen = host.now + Duration::from_millis(600);
        self.state = State::Ended { exit, seen };
        seen
    }

    /// The process runs.
    pub(super) fn start(&mut self, host: &mut Host<'_>) -> DateTime<Utc> {
        let State::Creating { program, .. } = std::mem::replace(&mut self.state, State::Idle) else { return host.now };
        host.say(&self.field(), "Started", "Container started");
        self.enter(host, *program, host.now);
        self.post_start(host);
        host.now
    }

    /// Runs the postStart hook: one that fails has the container killed (`kuberuntime_container.go`).
    fn post_start(&mut self, host: &mut Host<'_>) {
        let words: Vec<&str> =
            object::items(&self.spec, "/lifecycle/postStart/exec/command").iter().filter_map(serde_json::Value::as_str).collect();
        let line = words.join(" ");
        if !(line.contains("exit 1") || line.ends_with("false") || words.iter().any(|word| word.contains("missing"))) {
            return;
        }
        host.warn(&self.field(), "FailedPostStartHook", "PostStartHook failed");
        host.say(&self.field(), "Killing", "FailedPostStartHook");
        let grace = object::int(host.pod, "/spec/terminationGracePeriodSeconds").unwrap_or(30).max(0) as u64;
        let pre_stop = self.pre_stop();
        if let State::Running(run) = &mut self.state {
            run.stop(host.now, pre_stop, Duration::from_secs(grace));
        }
    }

    /// Takes up a container that has been running since long before the practice cluster began.
    pub fn resume(&mut self, host: &mut Host<'_>, since: DateTime<Utc>) {
        let Ok(reference) = Reference::parse(object::text(&self.spec, "/image")) else { return };
        host.images.insert(reference.full());
        self.create(host, &reference);
        let program = match std::mem::replace(&mut self.state, State::Idle) {
            State::Creating { program, .. } => *program,
            _ => Program::quiet(),
        };
        if self.init && !self.is_sidecar() {
            let id = self.identity.as_ref().map(|identity| identity.id.clone()).unwrap_or_default();
            self.state = State::Done(Exit { code: 0, reason: "Completed", message: None, started: since, finished: since, id });
            self.ready = true;
            return;
        }
        self.enter(host, program, since);
        self.ready = true;
        self.started = true;
        self.backfill(host);
    }
}
