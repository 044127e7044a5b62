//! The command line, as clap types. Nothing happens here: `commands` runs what was asked for.
//!
//! Conventions are kubectl's where kubectl has one (`--context`, `-n`, `-A`, `--kubeconfig`, `--as`, `-o`).

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::diagnosis::Severity;
use crate::text::Time;

/// Kubernetes at 3 a.m.: opens on what is broken, why, what changed, and a safe fix.
#[derive(Debug, Clone, Parser)]
#[command(name = "k3am", version, about, propagate_version = true)]
#[command(after_help = "Without a command k3am opens the cockpit on the current context. \
`k3am demo` opens it on a practice cluster that is failing.")]
pub struct Cli {
    /// Options of every command.
    #[command(flatten)]
    pub global: Global,
    /// Open the cockpit on a bundle (folder, .tar, .tgz, .zip or file) instead of a cluster
    #[arg(long, value_name = "PATH")]
    pub from: Option<PathBuf>,
    /// What to do; nothing opens the cockpit.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// Options of every command.
#[derive(Debug, Clone, Args)]
pub struct Global {
    /// Context of the kubeconfig to use
    #[arg(long, global = true, value_name = "NAME")]
    pub context: Option<String>,
    /// Look at this namespace only (may be given several times)
    #[arg(short, long = "namespace", global = true, value_name = "NAMESPACE")]
    pub namespaces: Vec<String>,
    /// Look at all namespaces (the default)
    #[arg(short = 'A', long, global = true, conflicts_with = "namespaces")]
    pub all_namespaces: bool,
    /// Kubeconfig file to use instead of $KUBECONFIG or ~/.kube/config
    #[arg(long, global = true, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
    /// User to act as
    #[arg(long = "as", global = true, value_name = "USER")]
    pub as_user: Option<String>,
    /// Group to act as, with --as (may be given several times)
    #[arg(long = "as-group", global = true, value_name = "GROUP", requires = "as_user")]
    pub as_groups: Vec<String>,
    /// Refuse every change to the cluster
    #[arg(long, global = true)]
    pub readonly: bool,
    /// Write a log of this level to the state directory
    #[arg(long, global = true, value_name = "LEVEL", value_enum)]
    pub log_level: Option<LogLevel>,
    /// When to use colours
    #[arg(long, global = true, value_name = "WHEN", value_enum, default_value_t = ColorChoice::Auto, overrides_with = "no_color")]
    pub color: ColorChoice,
    /// Same as --color never
    #[arg(long, global = true)]
    pub no_color: bool,
    /// Colour theme: dark, light, or the name of one in the config file
    #[arg(long, global = true, value_name = "NAME")]
    pub theme: Option<String>,
    /// Draw with ASCII characters only
    #[arg(long, global = true)]
    pub ascii: bool,
}

impl Global {
    /// The colour choice of both flags together.
    pub fn color_choice(&self) -> ColorChoice {
        if self.no_color { ColorChoice::Never } else { self.color }
    }
}

/// What k3am can do besides opening the cockpit.
#[derive(Debug, Clone, Subcommand)]
pub enum Command {
    /// Open the cockpit on a practice cluster inside k3am: nothing to install, nothing to break
    Demo(DemoArgs),
    /// Print what is broken and why, and exit: for scripts, chat and CI
    Diagnose(DiagnoseArgs),
    /// Explain a cause: what it means, how k3am finds it, what to do
    Explain(ExplainArgs),
    /// Print the keys of the cockpit
    Keys,
    /// Draw the pictures in screenshots/ anew (in the repository)
    #[command(hide = true)]
    Screenshots,
}

/// Options of `k3am demo`.
#[derive(Debug, Clone, Args)]
pub struct DemoArgs {
    /// Only run the practice cluster's API server, and print the path of a kubeconfig for it
    #[arg(long)]
    pub serve: bool,
    /// With --serve: also write a kubeconfig for each of several users who may do less, and print their paths
    #[arg(long, requires = "serve")]
    pub users: bool,
    /// With --serve: take faults on this port (0: any), e.g. `curl -X POST http://127.0.0.1:PORT/hang/20`; GET / lists them
    #[arg(long, value_name = "PORT", requires = "serve")]
    pub control: Option<u16>,
    /// How many times faster than real time the cluster lives
    #[arg(long, value_name = "FACTOR", default_value_t = 1.0, value_parser = positive)]
    pub speed: f64,
    /// Seed of everything random in it
    #[arg(long, value_name = "N", default_value_t = 3)]
    pub seed: u64,
    /// Add this many healthy pods, to see k3am at scale
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub pods: usize,
    /// Change this many of those pods, and the events about them, in a second
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub events_per_second: usize,
    /// Scenario to play: `night-shift`, `quiet`, a cause such as `image-not-found`, or a file (*.yaml)
    #[arg(long, value_name = "NAME", default_value = "night-shift")]
    pub scenario: String,
}

/// Options of `k3am diagnose`.
#[derive(Debug, Clone, Args)]
pub struct DiagnoseArgs {
    /// Read a bundle (folder, .tar, .tgz, .zip or file: `kubectl get -o json|yaml`, `cluster-info dump`, support bundle, must-gather) instead of a cluster
    #[arg(long, value_name = "PATH")]
    pub from: Option<PathBuf>,
    /// Time to judge ages by, RFC 3339 (default: now; for a bundle the newest time in it)
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub at: Option<Time>,
    /// Format of the report
    #[arg(short, long, value_enum, default_value_t = ReportFormat::Text)]
    pub output: ReportFormat,
    /// Exit with status 1 when an incident is at least this bad
    #[arg(long, value_enum, default_value_t = FailOn::Critical)]
    pub fail_on: FailOn,
    /// Give up looking after this long (`20s`, `2m`, or seconds)
    #[arg(long, value_name = "DURATION", default_value = "20s", value_parser = duration)]
    pub timeout: Duration,
}

/// Options of `k3am explain`.
#[derive(Debug, Clone, Args)]
pub struct ExplainArgs {
    /// The cause, e.g. `image-not-found`; none lists them all
    pub cause: Option<String>,
}

/// Formats of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ReportFormat {
    /// For people.
    Text,
    /// For programs: schema `k3am.dev/report/v1`.
    Json,
    /// For tickets.
    Markdown,
}

/// When `k3am diagnose` exits with status 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum FailOn {
    /// A critical incident.
    Critical,
    /// A critical incident or a warning.
    Warning,
    /// Never.
    Never,
}

impl FailOn {
    /// The least severity that fails; `None` for never.
    pub fn threshold(self) -> Option<Severity> {
        match self {
            Self::Critical => Some(Severity::Critical),
            Self::Warning => Some(Severity::Warning),
            Self::Never => None,
        }
    }
}

/// When to use colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ColorChoice {
    /// On a terminal, unless `NO_COLOR` is set.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// Levels of the log file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogLevel {
    /// Failures.
    Error,
    /// And what may become one.
    Warn,
    /// And what k3am does.
    Info,
    /// And how.
    Debug,
    /// Everything.
    Trace,
}

impl LogLevel {
    /// The level as `tracing` spells it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }
}

fn time(text: &str) -> Result<Time, String> {
    chrono::DateTime::parse_from_rfc3339(text).map(|t| t.to_utc()).map_err(|_| "give a time like 2026-11-22T20:31:30Z".to_owned())
}

fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || "give a duration like 20s, 2m or 500ms".to_owned();
    let split = text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let number: f64 = number.parse().map_err(|_| wrong())?;
    let factor = match unit {
        "ms" => 0.001,
        "" | "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return Err(wrong()),
    };
    Duration::try_from_secs_f64(number * factor).map_err(|_| wrong())
}

fn positive(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(factor) if factor > 0.0 && factor.is_finite() => Ok(factor),
        _ => Err("give a number greater than 0".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        use clap::CommandFactory;
        Cli::command().debug_assert();
    }

    #[test]
    fn global_flags_work_after_a_command_too() {
        let cli = Cli::parse_from(["k3am", "diagnose", "-n", "a", "-n", "b", "--context", "prod", "--timeout", "2m"]);
        assert_eq!(cli.global.namespaces, ["a", "b"]);
        assert_eq!(cli.global.context.as_deref(), Some("prod"));
        let Some(Command::Diagnose(args)) = cli.command else { panic!("not diagnose") };
        assert_eq!(args.timeout, Duration::from_secs(120));
    }

    #[test]
    fn times_and_durations_are_checked_before_anything_runs() {
        assert!(Cli::try_parse_from(["k3am", "diagnose", "--at", "yesterday"]).is_err());
        assert!(Cli::try_parse_from(["k3am", "diagnose", "--timeout", "-3s"]).is_err());
        assert!(Cli::try_parse_from(["k3am", "demo", "--speed", "0"]).is_err());
    }
}
