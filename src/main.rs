//! The `k3am` binary: parse, run, exit status.

use std::process::ExitCode;

use clap::Parser;
use k3am::cli::{Cli, Command, DiagnoseArgs};
use k3am::{commands, shell};

fn main() -> ExitCode {
    let cli = Cli::parse();
    match &cli.command {
        None => shell::cockpit(&cli.global, cli.from.as_deref()),
        Some(Command::Demo(args)) => shell::demo(&cli.global, args),
        Some(Command::Diagnose(args)) => {
            let args = DiagnoseArgs { from: args.from.clone().or_else(|| cli.from.clone()), ..args.clone() };
            commands::diagnose(&cli.global, &args).print()
        }
        Some(Command::Explain(args)) => commands::explain(args.cause.as_deref()).print(),
        Some(Command::Screenshots) => commands::screenshots().print(),
        Some(Command::Keys) => commands::keys().print(),
    }
}
