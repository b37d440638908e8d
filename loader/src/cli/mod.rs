//! The command line: one module for each subcommand.

mod apply;
mod list;
mod revert;
mod status;

use crate::error::{LoaderError, Severity};
use crate::report::{OperationReport, OperationResult, Outcome, exit_code};
use anyhow::Result;
use clap::{Args, Parser, Subcommand};
use std::collections::HashSet;
use std::io::Write as _;
use std::time::Duration;

const EXAMPLES: &str = "\
Applies hot patches to running processes.

Examples:
  tardigrade apply fix.tgp --pid 4711       patch one process
  tardigrade apply fix.tgp --all            patch every process that runs the fixed build
  tardigrade list                           what is applied, where, since when
  tardigrade revert fix.tgp --all           take the patch back
  tardigrade status                         virtual machine monitors and their patches";

/// Applies hot patches to running processes.
#[derive(Debug, Parser)]
#[command(name = "tardigrade", version, about = EXAMPLES, verbatim_doc_comment, after_help = EXIT_STATUS)]
struct Command {
    #[command(subcommand)]
    command: Subcommands,
}

const EXIT_STATUS: &str = "\
Exit status: 0 done (also: already applied, not applied), 1 failed, 2 wrong usage or unreadable input, \
4 busy or refused. Several processes give the worst of theirs in the order 1, 4, 0.";

#[derive(Debug, Subcommand)]
enum Subcommands {
    /// Redirect the functions of a patch to their new versions
    Apply(apply::Arguments),
    /// Show what is applied, read from the processes themselves
    List(list::Arguments),
    /// Take a patch back
    Revert(revert::Arguments),
    /// Show virtual machine monitors, their builds and patches
    Status(status::Arguments),
}

/// Which processes to work on.
#[derive(Debug, Args)]
#[group(required = true, multiple = true)]
struct Processes {
    /// Process to work on (may be repeated)
    #[arg(long = "pid", value_name = "N", conflicts_with = "all")]
    pids: Vec<i32>,
    /// Work on every process concerned
    #[arg(long)]
    all: bool,
}

impl Processes {
    /// The processes that were named, each once.
    fn named(&self) -> Vec<i32> {
        let mut seen = HashSet::new();
        self.pids.iter().copied().filter(|pid| seen.insert(*pid)).collect()
    }
}

/// Reads the command line, does what it says, and returns the exit status.
pub fn run() -> u8 {
    let command = match Command::try_parse() {
        Ok(command) => command,
        Err(error) => {
            // Help and version are no errors.
            let code = if error.use_stderr() { 2 } else { 0 };
            let _ = error.print();
            return code;
        }
    };
    let _ = crate::sys::catch_termination();
    let outcome = match &command.command {
        Subcommands::Apply(arguments) => apply::run(arguments),
        Subcommands::List(arguments) => list::run(arguments),
        Subcommands::Revert(arguments) => revert::run(arguments),
        Subcommands::Status(arguments) => status::run(arguments),
    };
    outcome.unwrap_or_else(|error| {
        // The messages name their causes themselves.
        eprintln!("tardigrade: {error}");
        match error.downcast_ref::<LoaderError>().map(LoaderError::severity) {
            Some(Severity::Input) => 2,
            Some(Severity::Busy | Severity::Refused) => 4,
            Some(Severity::Failed) | None => 1,
        }
    })
}

/// Parses a number of seconds.
fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| format!("\"{text}\" is not a number of seconds"))?;
    Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())
}

/// Says how many processes could not be looked at. True if root could look at them: then an answer about all processes
/// is not complete.
fn tell_unreadable() -> bool {
    let count = crate::list::unreadable_processes();
    let root = nix::unistd::geteuid().is_root();
    if count > 0 {
        let advice = if root { "" } else { "; run as root" };
        eprintln!("tardigrade: {count} processes could not be looked at, permission denied{advice}");
    }
    count > 0 && !root
}

/// Prints the report of apply or revert and returns the exit status. `all`: it is about every process concerned.
fn finish(report: &OperationReport, json: bool, all: bool) -> Result<u8> {
    if json {
        print_json(report)?;
    }
    for result in &report.results {
        print_result(result, json)?;
    }
    let code = exit_code(report.results.iter().map(|result| result.outcome));
    let incomplete = all && tell_unreadable();
    Ok(if incomplete && code == 0 { 1 } else { code })
}

fn print_result(result: &OperationResult, json: bool) -> Result<()> {
    let is_error = matches!(result.outcome, Outcome::Busy | Outcome::Refused | Outcome::Failed);
    if is_error {
        eprintln!("tardigrade: {result}");
    } else if !json {
        writeln!(std::io::stdout(), "{result}")?;
    }
    Ok(())
}

fn print_json(document: &impl serde::Serialize) -> Result<()> {
    let mut out = std::io::stdout().lock();
    serde_json::to_writer_pretty(&mut out, document)?;
    writeln!(out)?;
    Ok(())
}
