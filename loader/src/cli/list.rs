//! `tardigrade list`

use super::{pid, print_json, tell_unknown};
use crate::list::{Survey, list_process, processes_with_patches};
use crate::redirect::PatchState;
use crate::report::{ListReport, ListedPatch};
use anyhow::Result;
use clap::Args;
use std::io::Write as _;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Only this process
    #[arg(long, value_name = "N", value_parser = pid())]
    pid: Option<i32>,
    /// Print a JSON document
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments) -> Result<u8> {
    let Survey { found: processes, unknown } = match arguments.pid {
        Some(pid) => Survey { found: vec![list_process(pid)?], unknown: Vec::new() },
        None => processes_with_patches(),
    };
    let report = ListReport { schema: "tardigrade.list/1", processes, kernel: Vec::new() };
    if arguments.json {
        print_json(&report)?;
        return Ok(tell_unknown(&unknown));
    }
    let mut out = std::io::stdout().lock();
    for process in &report.processes {
        writeln!(out, "process {} ({})", process.pid, process.exe)?;
        for patch in &process.patches {
            write_patch(&mut out, patch)?;
        }
        if process.patches.is_empty() {
            writeln!(out, "  no patches")?;
        }
    }
    if report.processes.is_empty() {
        writeln!(out, "no patches")?;
    }
    Ok(tell_unknown(&unknown))
}

/// One patch with its functions, for people.
pub(super) fn write_patch(out: &mut impl std::io::Write, patch: &ListedPatch) -> std::io::Result<()> {
    let state = match patch.state {
        PatchState::Applied => "applied",
        PatchState::Inert if patch.unloaded => "inert, its image was unloaded",
        PatchState::Inert if patch.applied_at.is_none() => "inert, never applied",
        PatchState::Inert => "inert",
        PatchState::Interrupted if !patch.foreign.is_empty() => "changed by something else",
        PatchState::Interrupted => "interrupted, apply or revert it again",
    };
    let since = patch.applied_at.as_ref().map_or(String::new(), |time| format!(", last applied {time}"));
    writeln!(out, "  patch {}: {state}{since}", patch.id)?;
    writeln!(out, "    image {}, build ID {}", patch.image, patch.build_id)?;
    for function in &patch.functions {
        writeln!(out, "    {} {} -> {}", function.name, function.old_address, function.new_address)?;
    }
    for foreign in &patch.foreign {
        let advice = "remove that, then apply or revert the patch";
        writeln!(
            out,
            "    {} was changed at {}: {}; {advice}",
            foreign.function, foreign.address, foreign.what
        )?;
    }
    Ok(())
}
