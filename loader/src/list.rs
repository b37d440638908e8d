//! What is applied where, read from the processes themselves.

use crate::error::{LoaderError, Result};
use crate::presence::{Presence, image_of};
use crate::process::Process;
use crate::record::Record;
use crate::report::{ListedPatch, ListedProcess};
use crate::sharers::all_pids;
use crate::target::Target;

/// The patches of one process.
pub fn patches(target: &Target) -> Result<Vec<ListedPatch>> {
    let mut patches = Vec::new();
    for header in target.filled_regions()? {
        let table = header.read_table(&target.memory, target.process.pid())?;
        let record = Record { header, table };
        // Text that cannot be read is neither as before nor as it should be.
        let unknown = Presence::unknown();
        let presence = Presence::of(&record, target).unwrap_or(unknown);
        let path = image_of(&record.header, target).and_then(|image| image.path.as_ref());
        let image = path.map_or(record.table.image.clone(), |path| path.display().to_string());
        patches.push(ListedPatch::new(&record, image, presence));
    }
    Ok(patches)
}

/// True if a loader may have been there; spares opening the memory of every process.
fn may_have_patches(target: &crate::maps::MemoryMap) -> bool {
    target.iter().any(|mapping| mapping.is_private_anonymous() && mapping.execute && !mapping.write)
}

/// The patches of process `pid`.
pub fn list_process(pid: i32) -> Result<ListedProcess> {
    let target = Target::open(pid)?;
    let exe = target.process.exe().map_or_else(String::new, |exe| exe.display().to_string());
    let patches = patches(&target).map_err(|error| target.explain(error))?;
    Ok(ListedProcess { pid, exe, patches })
}

/// What a look at all processes showed.
#[derive(Debug)]
pub struct Survey<T> {
    /// What was looked for.
    pub found: Vec<T>,
    /// The processes of which nothing is known, with the reasons.
    pub unknown: Vec<(i32, LoaderError)>,
}

/// Looks at all processes. Those that end meanwhile are left out.
pub fn survey<T>(look: impl Fn(i32) -> Result<Option<T>>) -> Survey<T> {
    let mut survey = Survey { found: Vec::new(), unknown: Vec::new() };
    for pid in all_pids() {
        let looked = match look(pid) {
            Err(LoaderError::AnotherProgram(_)) => look(pid),
            looked => looked,
        };
        match looked {
            Ok(found) => survey.found.extend(found),
            Err(LoaderError::NoProcess(_) | LoaderError::ProcessEnded(_) | LoaderError::KernelThread(_)) => {}
            Err(error) => survey.unknown.push((pid, error)),
        }
    }
    survey
}

/// All processes that hold patches.
pub fn processes_with_patches() -> Survey<ListedProcess> {
    survey(|pid| {
        if !may_have_patches(&Process::open(pid)?.memory_map()?) {
            return Ok(None);
        }
        list_process(pid).map(|process| Some(process).filter(|process| !process.patches.is_empty()))
    })
}
