//! The command line: one module for each subcommand.

mod apply;
mod list;
mod revert;
mod status;

use crate::error::{LoaderError, Severity};
use crate::report::{OperationReport, OperationResult, Outcome, exit_code};
use anyhow::Result;
use clap::builder::TypedValueParser;
use clap::{Args, Parser, Subcommand, value_parser};
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
    #[arg(long = "pid", value_name = "N", value_parser = pid(), conflicts_with = "all")]
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

/// Parses the number of a process.
fn pid() -> impl TypedValueParser<Value = i32> {
    value_parser!(i32).range(1..)
}

/// Says of which processes nothing is known, for a report on all of them, and returns the exit status. What root may
/// not look at nobody may: then a report without it is as complete as it can be.
fn tell_unknown(unknown: &[(i32, LoaderError)]) -> u8 {
    let denied: Vec<i32> =
        unknown.iter().filter(|(_, error)| is_denial(error)).map(|(pid, _)| *pid).collect();
    tell_denied(&denied);
    for (pid, error) in unknown.iter().filter(|(_, error)| !is_denial(error)) {
        eprintln!("tardigrade: process {pid}: {error}");
    }
    let complete = denied.len() == unknown.len() && (denied.is_empty() || is_root());
    u8::from(!complete)
}

fn is_denial(error: &LoaderError) -> bool {
    matches!(error, LoaderError::NoPermission(_))
}

fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

/// Names processes that this user may not look at, in one line: they may be all processes of the host.
fn tell_denied(pids: &[i32]) {
    const NAMED: usize = 8;
    if pids.is_empty() {
        return;
    }
    let processes = if pids.len() == 1 { "process" } else { "processes" };
    let mut names: Vec<String> = pids.iter().take(NAMED).map(ToString::to_string).collect();
    if pids.len() > NAMED {
        names.push("...".to_owned());
    }
    let advice = if is_root() { "" } else { "; run as root" };
    let (count, names) = (pids.len(), names.join(", "));
    eprintln!("tardigrade: {count} {processes} could not be looked at, permission denied: {names}{advice}");
}

/// Prints the report of apply or revert and returns the exit status. `unknown` are processes that may be concerned:
/// they have not got what was asked for.
fn finish(mut report: OperationReport, json: bool, unknown: &[(i32, LoaderError)]) -> Result<u8> {
    let done = report.results.len();
    report.results.extend(unknown.iter().map(|(pid, error)| OperationResult::not_done(*pid, error)));
    if json {
        print_json(&report)?;
    }
    let (results, others) = report.results.split_at(done);
    for result in results {
        print_result(result, json)?;
    }
    let mut denied = Vec::new();
    for (result, (pid, error)) in others.iter().zip(unknown) {
        if is_denial(error) {
            denied.push(*pid);
        } else {
            print_result(result, json)?;
        }
    }
    tell_denied(&denied);
    Ok(exit_code(report.results.iter().map(|result| result.outcome)))
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
