//! `patchgen inspect`

use super::Exit;
use crate::code::Program;
use crate::image::{ImageFile, load, read_file};
use crate::side_by_side::{self, Comparison, LEGEND};
use crate::{error::InputError, listing, references};
use anyhow::Context as _;
use patchfile::{Patch, PatchId};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// Arguments of `patchgen inspect`.
#[derive(Debug, clap::Args)]
#[command(before_help = "\
Examples:
  patchgen inspect fix.tgp
  patchgen inspect fix.tgp --disasm --old old/vmm | less")]
pub(super) struct Args {
    /// The patch.
    patch: PathBuf,
    /// Show the code of trampolines and functions with symbolic addresses.
    #[arg(long)]
    disasm: bool,
    /// With --disasm: the target's image; changed functions are shown with their old code beside the new one.
    #[arg(long, value_name = "OLD", requires = "disasm")]
    old: Option<PathBuf>,
    /// Separate debug file of OLD.
    #[arg(long, value_name = "FILE", requires = "old")]
    old_debug: Option<PathBuf>,
    /// Print the function table as one JSON document (schema "tardigrade.inspect/1").
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args) -> anyhow::Result<Exit> {
    let name = args.patch.display();
    let bytes = read_file(&args.patch)?;
    let patch = Patch::parse(&bytes).with_context(|| format!("Cannot use {name}"))?;
    let id = PatchId::of_file(&bytes);
    let compared = match &args.old {
        Some(old) => Some(compare(&patch, old, args.old_debug.as_deref())?),
        None => None,
    };
    if args.json {
        let mut document = serde_json::json!({
            "schema": "tardigrade.inspect/1",
            "id": id.to_string(),
            "bytes": bytes.len(),
            "generator": patch.generator,
            "target": patch.target,
            "replacement": patch.replacement,
            "functions": patch.functions,
            "registers_unwind_tables": patch.unwinding.is_some(),
            "references": references::of(&patch),
        });
        if let Some(compared) = &compared {
            document["disassembly"] = serde_json::to_value(compared)?;
        }
        super::print(&(serde_json::to_string_pretty(&document)? + "\n"))?;
    } else {
        let mut text = listing::summary(&patch, id);
        if let Some(compared) = &compared {
            let _ = write!(text, "\n{LEGEND}");
            for function in compared {
                let _ = write!(text, "\n{function}");
            }
            let shown = side_by_side::compared_sections(&patch);
            let _ = write!(text, "\n{}", listing::disassembly(&patch, |section| !shown.contains(&section)));
        } else if args.disasm {
            let _ = write!(text, "\n{}", listing::disassembly(&patch, |_| true));
        }
        super::print(&text)?;
    }
    Ok(Exit::Done)
}

fn compare(patch: &Patch, old: &Path, debug: Option<&Path>) -> Result<Vec<Comparison>, InputError> {
    let file = ImageFile::read(old, debug)?;
    side_by_side::compare(patch, &Program::new(load(&file)?), old)
}
