//! The cockpit as a program: the only user of the terminal.
//!
//! [`open`] runs the event loop over [`crate::app::State`] (the pure core); effects become tasks, their results messages. Invariants:
//! the terminal is restored on every way out (return, error, panic, signal); nothing in the loop waits for the network.
//! To add an effect: an arm in `tasks.rs` (needs a connection) or in `event_loop.rs` (needs the terminal).

use std::io::IsTerminal;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use crate::cli::{ColorChoice, DemoArgs, Global};
use crate::cluster::{ConnectOptions, connect};
use crate::commands::Outcome;
use crate::config::{Config, Flags, Problem, Sources};
use crate::practice::scenario::Scenario;
use event_loop::Setup;

mod bundle;
mod container_shell;
mod demo;
mod editor;
mod event_loop;
mod files;
mod input;
mod logging;
mod panics;
pub mod screenshots;
mod session;
mod signals;
mod tasks;
mod terminal;

pub use demo::serve;
pub use session::Target;

/// How long tasks may take to end after the screen is closed.
const LAST_WORDS: Duration = Duration::from_millis(200);

/// A terminal that says it cannot draw (an editor's shell, a CI job) would be filled with control sequences. One that says
/// nothing (`TERM` unset, as in `kubectl exec` and some containers) most often can.
const DUMB: &str =
    "this terminal says that it cannot draw (TERM=dumb): use `k3am diagnose`, or set TERM=xterm-256color if it can";

/// `k3am`: the cockpit on the cluster of the kubeconfig, or on a bundle. Returns when the person leaves.
pub fn cockpit(global: &Global, from: Option<&std::path::Path>) -> ExitCode {
    if let Some(path) = from {
        if let Err(error) = std::fs::metadata(path) {
            return Outcome::refused(format!("cannot read {}: {error}", path.display())).print();
        }
        return open(global, Target::Bundle(path.to_owned()));
    }
    let options = connect_options(global);
    // Without any kubeconfig the screen offers the practice cluster instead.
    if let Err(error) = connect::check(&options) {
        return Outcome::refused(error.to_string()).print();
    }
    open(global, Target::Cluster(options))
}

/// `k3am demo`: the cockpit on a practice cluster of its own.
pub fn demo(global: &Global, args: &DemoArgs) -> ExitCode {
    if args.serve {
        return serve(args);
    }
    if let Err(error) = Scenario::find(&args.scenario) {
        return Outcome::refused(error.to_string()).print();
    }
    open(global, Target::Practice(demo::options(args)))
}

fn connect_options(global: &Global) -> ConnectOptions {
    ConnectOptions {
        kubeconfig: global.kubeconfig.clone(),
        context: global.context.clone(),
        impersonate: global.as_user.clone(),
        impersonate_groups: global.as_groups.clone(),
        namespaces: global.namespaces.clone(),
    }
}

/// The settings of this process. Problems are for the status line: none of them is a reason not to start at 3 a.m.
fn settings(global: &Global) -> (Config, Vec<Problem>) {
    let colourless = global.color_choice() == ColorChoice::Never;
    let theme = global.theme.clone().or_else(|| colourless.then(|| "no-colour".to_owned()));
    let (sources, mut problems) = Sources::of_process(Flags { theme, readonly: global.readonly });
    let (config, more) = Config::build(&sources);
    problems.extend(more);
    (config, problems)
}

fn open(global: &Global, target: Target) -> ExitCode {
    if !std::io::stdin().is_terminal() || !std::io::stdout().is_terminal() {
        return Outcome::refused(no_terminal(&target)).print();
    }
    if std::env::var_os("TERM").is_some_and(|term| term == "dumb") {
        return Outcome::refused(DUMB.to_owned()).print();
    }
    let (config, problems) = settings(global);
    let log = logging::start(global.log_level);
    panics::install();
    tracing::info!(version = env!("CARGO_PKG_VERSION"), target = target.name(), "starts");
    let run = || -> anyhow::Result<event_loop::End> {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).thread_name("k3am-work").enable_all().build()?;
        let user = connect_options(global);
        let setup = Setup { config: Arc::new(config), problems, target, user, ascii: global.ascii };
        let end = runtime.block_on(event_loop::run(setup));
        runtime.shutdown_timeout(LAST_WORDS);
        end
    };
    let outcome = match std::panic::catch_unwind(std::panic::AssertUnwindSafe(run)) {
        Ok(Ok(end)) => Outcome { notes: end.words().into_iter().collect(), status: end.status(), ..Outcome::default() },
        Ok(Err(error)) => Outcome::refused(format!("{error:#}")),
        Err(_) => Outcome { status: panics::STATUS, ..Outcome::default() },
    };
    drop(log);
    outcome.print()
}

fn no_terminal(target: &Target) -> String {
    let no_kubeconfig = match target {
        Target::Cluster(options) => connect::contexts(options).is_ok_and(|contexts| contexts.is_empty()),
        Target::Practice(_) | Target::Bundle(_) => false,
    };
    if no_kubeconfig {
        "there is no kubeconfig (looked at --kubeconfig, $KUBECONFIG, ~/.kube/config), and the cockpit needs a terminal: run \
         `k3am demo` in one for the practice cluster"
            .to_owned()
    } else {
        "the cockpit needs a terminal on standard input and output: run it in one, or use `k3am diagnose` in scripts".to_owned()
    }
}
