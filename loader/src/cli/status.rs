//! `tardigrade status`

use super::list::write_patch;
use super::{print_json, tell_unknown};
use crate::status::status;
use anyhow::Result;
use clap::Args;
use std::io::Write as _;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Print a JSON document
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments) -> Result<u8> {
    let (report, unknown) = status();
    if arguments.json {
        print_json(&report)?;
        return Ok(tell_unknown(&unknown));
    }
    let mut out = std::io::stdout().lock();
    for process in &report.processes {
        let kind = if process.vmm { "virtual machine monitor" } else { "process" };
        let build_id = process.build_id.as_deref().unwrap_or("none");
        writeln!(out, "{kind} {} ({}), build ID {build_id}", process.pid, process.exe)?;
        for patch in &process.patches {
            write_patch(&mut out, patch)?;
        }
    }
    if report.processes.is_empty() {
        writeln!(out, "no virtual machine monitors and no patches")?;
    }
    Ok(tell_unknown(&unknown))
}
