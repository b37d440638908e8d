//! `tardigrade apply`

use super::{Processes, finish, seconds};
use crate::apply::{ApplyOptions, LoadedPatch, apply};
use crate::list::{Survey, survey};
use crate::report::{OperationReport, OperationResult};
use crate::target::Target;
use anyhow::Result;
use clap::{Args, ValueEnum};
use std::time::Duration;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Patch file
    #[arg(value_name = "FIX.tgp")]
    patch: String,
    #[command(flatten)]
    processes: Processes,
    /// When the change may happen
    #[arg(long, value_enum, default_value_t = Consistency::Strict)]
    consistency: Consistency,
    /// Check everything that can be checked without stopping or changing anything
    #[arg(long)]
    dry_run: bool,
    /// How long to wait until no thread is inside the functions
    #[arg(long, value_name = "SECONDS", value_parser = seconds, default_value = "10")]
    timeout: Duration,
    /// Print a JSON document
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Consistency {
    /// Only while no thread is inside any function of the patch
    Strict,
}

pub(super) fn run(arguments: &Arguments) -> Result<u8> {
    let Consistency::Strict = arguments.consistency;
    let loaded = LoadedPatch::from_file(&arguments.patch)?;
    let options = ApplyOptions { timeout: arguments.timeout, dry_run: arguments.dry_run };
    let Survey { found: pids, unknown } = if arguments.processes.all {
        let survey = processes_with_image(&loaded);
        if survey.found.is_empty() {
            let target = &loaded.patch.target;
            eprintln!("tardigrade: no process runs {} with build ID {}", target.name, target.build_id);
        }
        survey
    } else {
        Survey { found: arguments.processes.named(), unknown: Vec::new() }
    };
    let results = pids.into_iter().map(|pid| {
        let result = OperationResult::of(pid, apply(pid, &loaded, &options));
        OperationResult { dry_run: arguments.dry_run, ..result }
    });
    let report = OperationReport {
        schema: "tardigrade.apply/1",
        patch: loaded.id.to_string(),
        dry_run: arguments.dry_run,
        results: results.collect(),
    };
    finish(report, arguments.json, &unknown)
}

/// The processes that have the patch's image mapped.
fn processes_with_image(loaded: &LoadedPatch) -> Survey<i32> {
    let build_id = Some(&loaded.patch.target.build_id);
    let own = std::process::id() as i32;
    survey(|pid| {
        if pid == own {
            return Ok(None);
        }
        let images = Target::open(pid)?.images;
        Ok(images.iter().any(|image| image.build_id.as_ref() == build_id).then_some(pid))
    })
}
