//! `patchgen inspect`

use super::Exit;
use crate::listing;
use anyhow::Context as _;
use patchfile::{Patch, PatchId};
use std::path::PathBuf;

/// Arguments of `patchgen inspect`.
#[derive(Debug, clap::Args)]
#[command(before_help = "Example:\n  patchgen inspect fix.tgp --disasm")]
pub(super) struct Args {
    /// The patch.
    patch: PathBuf,
    /// Show the code of trampolines and functions with symbolic addresses.
    #[arg(long)]
    disasm: bool,
    /// Print the function table as one JSON document (schema "tardigrade.inspect/1").
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args) -> anyhow::Result<Exit> {
    let name = args.patch.display();
    let bytes = std::fs::read(&args.patch)
        .map_err(|source| crate::error::InputError::Read { path: args.patch.clone(), source })?;
    let patch = Patch::parse(&bytes).with_context(|| format!("Cannot use {name}"))?;
    let id = PatchId::of_file(&bytes);
    if args.json {
        let document = serde_json::json!({
            "schema": "tardigrade.inspect/1",
            "id": id.to_string(),
            "bytes": bytes.len(),
            "generator": patch.generator,
            "target": patch.target,
            "replacement": patch.replacement,
            "functions": patch.functions,
        });
        super::print(&(serde_json::to_string_pretty(&document)? + "\n"))?;
    } else {
        let mut text = listing::summary(&patch, id);
        if args.disasm {
            text.push('\n');
            text.push_str(&listing::disassembly(&patch));
        }
        super::print(&text)?;
    }
    Ok(Exit::Done)
}
