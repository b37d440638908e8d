//! `patchgen diff`

use super::Exit;
use crate::error::InputError;
use crate::report::Outcome;
use crate::verdict::{Inputs, Options, diff_with};
use anyhow::Context as _;
use std::io::Write as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// Arguments of `patchgen diff`.
#[derive(Debug, clap::Args)]
#[command(before_help = "\
Examples:
  patchgen diff old/vmm new/vmm -o fix.tgp
  patchgen diff old/vmm new/vmm --old-debug old/vmm.debug --new-debug new/vmm.debug --json
  patchgen diff old/vmm new/vmm --include-line-only -o fix.tgp")]
pub(super) struct Args {
    /// The build that runs: a linked x86-64 executable or shared library with a build ID.
    old: PathBuf,
    /// The build with the fix.
    new: PathBuf,
    /// Where to write the patch.
    #[arg(short, long, value_name = "FIX.tgp")]
    output: Option<PathBuf>,
    /// Separate debug file of OLD; otherwise found by build ID and .gnu_debuglink.
    #[arg(long, value_name = "FILE")]
    old_debug: Option<PathBuf>,
    /// Separate debug file of NEW.
    #[arg(long, value_name = "FILE")]
    new_debug: Option<PathBuf>,
    /// Refuse if the layouts of types could not be compared; without it that is a warning.
    #[arg(long)]
    require_types: bool,
    /// Patch functions in which only line numbers differ, too, so that their messages name the new lines.
    #[arg(long)]
    include_line_only: bool,
    /// Print the verdict as one JSON document (schema "tardigrade.verdict/1").
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args) -> anyhow::Result<Exit> {
    if let Some(output) = &args.output {
        refuse_input(output, &[&args.old, &args.new])?;
    }
    let inputs = Inputs {
        old: &args.old,
        new: &args.new,
        old_debug: args.old_debug.as_deref(),
        new_debug: args.new_debug.as_deref(),
    };
    let mut result = diff_with(&inputs, Options { include_line_only: args.include_line_only })?;
    if args.require_types {
        result.require_types();
    }
    if let (Some(path), Some(bytes)) = (&args.output, &result.patch) {
        write_atomically(path, bytes).with_context(|| format!("Cannot write {}", path.display()))?;
        if let Some(patch) = &mut result.verdict.patch {
            patch.path = Some(path.clone());
        }
    }
    if args.json {
        super::print(&(serde_json::to_string_pretty(&result.verdict)? + "\n"))?;
    } else {
        super::print(&result.verdict.to_string())?;
    }
    Ok(match result.verdict.verdict {
        Outcome::Patchable => Exit::Done,
        Outcome::Unchanged => Exit::Unchanged,
        Outcome::Unpatchable => Exit::Unpatchable,
    })
}

/// Refuses to write the patch over a build that it is made from.
fn refuse_input(output: &Path, inputs: &[&PathBuf]) -> anyhow::Result<()> {
    let Ok(output_file) = std::fs::metadata(output) else { return Ok(()) };
    let is_output = |input: &&&PathBuf| {
        std::fs::metadata(input)
            .is_ok_and(|file| (file.dev(), file.ino()) == (output_file.dev(), output_file.ino()))
    };
    if inputs.iter().any(|input| is_output(&input)) {
        return Err(InputError::OutputIsInput { path: output.to_owned() }.into());
    }
    Ok(())
}

/// Writes beside the destination, then renames: there is never half a patch under the name. What is no regular file
/// (a device, a pipe) is written to, and stays what it is; a symbolic link is followed.
fn write_atomically(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let followed = std::fs::canonicalize(path);
    let path = followed.as_deref().unwrap_or(path);
    if std::fs::metadata(path).is_ok_and(|file| !file.is_file()) {
        return std::fs::OpenOptions::new().write(true).open(path)?.write_all(bytes);
    }
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.partial", std::process::id()));
    let partial = path.with_file_name(name);
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).open(&partial)?;
    let written =
        file.write_all(bytes).and_then(|()| file.sync_all()).and_then(|()| std::fs::rename(&partial, path));
    if written.is_err() {
        let _ = std::fs::remove_file(&partial);
    }
    written
}
