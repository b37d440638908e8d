//! What is applied where, read from the processes themselves.

use crate::error::Result;
use crate::presence::{Presence, image_of};
use crate::record::Record;
use crate::redirect::PatchState;
use crate::report::{ListReport, ListedPatch, ListedProcess};
use crate::sharers::all_pids;
use crate::target::Target;

/// The patches of one process.
pub fn patches(target: &Target) -> Result<Vec<ListedPatch>> {
    let mut patches = Vec::new();
    for header in target.filled_regions()? {
        let table = header.read_table(&target.memory, target.process.pid())?;
        let record = Record { header, table };
        // Text that cannot be read is neither as before nor as it should be.
        let unknown = Presence { state: PatchState::Interrupted, unloaded: false, reloaded: false };
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

/// The processes that hold patches, or the given one.
pub fn list(pid: Option<i32>) -> Result<ListReport> {
    let processes = match pid {
        Some(pid) => vec![list_process(pid)?],
        None => processes_with_patches(),
    };
    Ok(ListReport { schema: "tardigrade.list/1", processes, kernel: Vec::new() })
}

/// How many processes this user may not look at: nothing is known of them.
pub fn unreadable_processes() -> usize {
    let unreadable = |pid: &i32| {
        let map = crate::process::Process::open(*pid).and_then(|process| process.memory_map());
        matches!(map, Err(crate::error::LoaderError::NoPermission(_)))
    };
    all_pids().iter().filter(|pid| unreadable(pid)).count()
}

/// All processes that hold patches. Processes that end meanwhile, or that this user may not look at, are left
/// out.
pub fn processes_with_patches() -> Vec<ListedProcess> {
    let candidates = all_pids().into_iter().filter(|pid| {
        let map = crate::process::Process::open(*pid).and_then(|process| process.memory_map());
        map.is_ok_and(|map| may_have_patches(&map))
    });
    candidates
        .filter_map(|pid| list_process(pid).ok())
        .filter(|process| !process.patches.is_empty())
        .collect()
}
