//! Changes that are reached only when something is created.

use crate::code::Program;
use crate::diff::data_pointers;
use crate::emit::Change;
use crate::image::{FunctionId, Pointer, Referent};
use std::collections::{BTreeMap, BTreeSet};

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
pub(super) fn only_at_start(program: &Program<'_>, changes: &[Change]) -> Option<String> {
    if changes.is_empty() {
        return None;
    }
    let callers = Callers::of(program);
    let at_start = |id: FunctionId| callers.only_at_start(program, id, 8);
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

struct Callers {
    callers: BTreeMap<FunctionId, BTreeSet<FunctionId>>,
    /// Functions whose address is stored somewhere: their callers are not known.
    addressed: BTreeSet<FunctionId>,
}

impl Callers {
    fn of(program: &Program<'_>) -> Self {
        let mut callers: BTreeMap<FunctionId, BTreeSet<FunctionId>> = BTreeMap::new();
        let mut addressed = BTreeSet::new();
        for (index, code) in program.code.iter().enumerate() {
            for reference in &code.references {
                let Some((callee, 0, 0)) = program.image.function_at(reference.target) else { continue };
                if matches!(reference.form, crate::code::Form::Branch { .. }) {
                    callers.entry(callee).or_default().insert(FunctionId(index as u32));
                } else {
                    addressed.insert(callee);
                }
            }
        }
        for (_, pointer) in data_pointers(&program.image, 0..u64::MAX) {
            let Pointer::Address(address) = pointer else { continue };
            if let Referent::Code { function, part: 0, offset: 0 } = program.image.resolve(address, None) {
                addressed.insert(function);
            }
        }
        Callers { callers, addressed }
    }

    fn only_at_start(&self, program: &Program<'_>, id: FunctionId, depth: usize) -> bool {
        let name = &program.image.function(id).name;
        let plain = name.split('.').next().unwrap_or(name);
        let named = STARTING.iter().any(|piece| {
            plain.split('_').any(|word| word == *piece)
                || plain.strip_suffix(piece).is_some_and(|stem| stem.ends_with('_'))
        });
        if named {
            return true;
        }
        if depth == 0 || self.addressed.contains(&id) {
            return false;
        }
        self.callers.get(&id).is_some_and(|callers| {
            callers.iter().all(|caller| self.only_at_start(program, *caller, depth - 1))
        })
    }
}
