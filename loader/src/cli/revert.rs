//! `tardigrade revert`

use super::{Processes, finish, seconds};
use crate::list::processes_with_patches;
use crate::report::{OperationReport, OperationResult};
use crate::revert::{PatchName, revert};
use anyhow::Result;
use clap::Args;
use std::time::Duration;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// ID of the patch, at least its first 8 digits, or the patch file
    #[arg(value_name = "ID")]
    patch: String,
    #[command(flatten)]
    processes: Processes,
    /// How long to wait until no thread is inside the functions
    #[arg(long, value_name = "SECONDS", value_parser = seconds, default_value = "10")]
    timeout: Duration,
    /// Print a JSON document
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments) -> Result<u8> {
    let name = PatchName::parse(&arguments.patch)?;
    let mut unknown = Vec::new();
    let (pids, ids): (Vec<i32>, Vec<String>) = if arguments.processes.all {
        let survey = processes_with_patches();
        unknown = survey.unknown;
        let patches = survey
            .found
            .iter()
            .flat_map(|process| process.patches.iter().map(|patch| (process.pid, &patch.id)));
        let fitting = patches.filter(|(_, id)| id.starts_with(name.shown()));
        fitting.map(|(pid, id)| (pid, id.clone())).unzip()
    } else {
        (arguments.processes.named(), Vec::new())
    };
    // One process may have one of the patches, and another one the other.
    let ambiguous = name.refuse_ambiguous(ids.into_iter()).err();
    let mut pids = pids;
    pids.dedup();
    let results = pids.into_iter().map(|pid| match &ambiguous {
        Some(error) => OperationResult::not_done(pid, error),
        None => OperationResult::of(pid, revert(pid, &name, arguments.timeout)),
    });
    let report = OperationReport {
        schema: "tardigrade.revert/1",
        patch: name.shown().to_owned(),
        dry_run: false,
        results: results.collect(),
    };
    finish(report, arguments.json, &unknown)
}
