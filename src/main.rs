//! The `k3am` binary: parse, run, exit status.

use std::process::ExitCode;

use clap::Parser;
use k3am::cli::{Cli, Command};
use k3am::commands::{self, Outcome};

fn main() -> ExitCode {
    let cli = Cli::parse();
    let outcome = match &cli.command {
        Some(Command::Explain(args)) => commands::explain(args.cause.as_deref()),
        Some(Command::Diagnose(args)) => commands::diagnose(&cli.global, args),
        _ => {
            Outcome::refused("the cockpit is not in this build yet: use `k3am diagnose --from PATH` or `k3am explain`".to_owned())
        }
    };
    outcome.print()
}
