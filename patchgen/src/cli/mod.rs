//! The command line: one file for each subcommand.

mod diff;
mod inspect;

use crate::error::InputError;
use clap::{Parser, Subcommand};
use patchfile::PatchFileError;

const EXAMPLES: &str = "\
Examples:
  patchgen diff old/qemu-system-x86_64 new/qemu-system-x86_64 -o fix.tgp
  patchgen diff old/libfoo.so new/libfoo.so --json
  patchgen inspect fix.tgp --disasm

Exit status: 0 a patch was made, 1 failed, 2 wrong usage or unreadable input, 3 unchanged, 4 unpatchable.";

/// Makes a hot patch from two builds of a program, or refuses with reasons.
#[derive(Debug, Parser)]
#[command(name = "patchgen", version, before_help = EXAMPLES)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Compares two builds and writes a patch.
    Diff(diff::Args),
    /// Shows what a patch contains.
    Inspect(inspect::Args),
}

/// Exit statuses, the same for both programs of the toolkit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Done.
    Done = 0,
    /// Failed; nothing was written.
    Failed = 1,
    /// Wrong usage or unreadable input.
    Usage = 2,
    /// The builds are the same: nothing to patch.
    Unchanged = 3,
    /// No patch can be made; the reasons were told.
    Unpatchable = 4,
}

impl Exit {
    /// The status for an error.
    pub fn of_error(error: &anyhow::Error) -> Self {
        let unreadable = error.chain().any(|cause| {
            cause.downcast_ref::<InputError>().is_some() || cause.downcast_ref::<PatchFileError>().is_some()
        });
        if unreadable { Exit::Usage } else { Exit::Failed }
    }
}

/// Prints `text`. A reader that has gone away (`| head`) has seen enough.
fn print(text: &str) -> std::io::Result<()> {
    use std::io::Write as _;
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        result => result,
    }
}

/// Runs the command.
pub fn run(cli: &Cli) -> anyhow::Result<Exit> {
    match &cli.command {
        Command::Diff(args) => diff::run(args),
        Command::Inspect(args) => inspect::run(args),
    }
}
