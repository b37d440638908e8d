//! Changes that are reached only when something is created.

use crate::callers::Callers;
use crate::code::Program;
use crate::emit::Change;
use crate::image::FunctionId;

/// Pieces of names that functions carry which run when an object is made or the program starts.
const STARTING: [&str; 10] = [
    "realize",
    "init",
    "initialize",
    "instance_init",
    "class_init",
    "create",
    "new",
    "register",
    "setup_once",
    "constructor",
];

/// Warns if all changes are reached only when something is created: they protect nothing that exists already.
///
/// Goes by the names of functions and of their callers, so it may be wrong in both directions.
pub(super) fn only_at_start(program: &Program<'_>, callers: &Callers, changes: &[Change]) -> Option<String> {
    if changes.is_empty() {
        return None;
    }
    let at_start = |id: FunctionId| runs_at_start(callers, program, id, 8);
    if !changes.iter().all(|change| at_start(change.old)) {
        return None;
    }
    let names: Vec<&str> =
        changes.iter().map(|change| program.image.function(change.old).name.as_str()).collect();
    Some(format!(
        "by their names, the changed functions run only when something is created or started ({}): the patch does not \
         change what exists already",
        names.join(", ")
    ))
}

fn runs_at_start(callers: &Callers, program: &Program<'_>, id: FunctionId, depth: usize) -> bool {
    let name = &program.image.function(id).name;
    let plain = name.split('.').next().unwrap_or(name);
    let named = STARTING.iter().any(|piece| {
        plain.split('_').any(|word| word == *piece)
            || plain.strip_suffix(piece).is_some_and(|stem| stem.ends_with('_'))
    });
    if named {
        return true;
    }
    if depth == 0 || callers.addressed.contains(&id) {
        return false;
    }
    callers
        .branches
        .get(&id)
        .is_some_and(|by| by.iter().all(|caller| runs_at_start(callers, program, *caller, depth - 1)))
}
