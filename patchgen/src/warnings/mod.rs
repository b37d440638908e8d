//! What a release engineer should know although there is a patch.

mod assembly;
mod coroutines;
mod creation;
mod libraries;
mod staying;
mod variables;

use crate::callers::Callers;
use crate::diff::{Matching, Pair};
use crate::emit::Change;
use crate::image::{Function, FunctionId, Image, Pointer, Referent, Slot};
pub use libraries::bound_otherwise;
pub use variables::dropped;

/// All warnings about the changes that a patch makes.
///
/// `is_assembly` tells which functions of the target no compiler made.
pub(crate) fn about(
    pair: &Pair<'_, '_>,
    callers: &Callers,
    matching: &Matching,
    changes: &[Change],
    is_assembly: &(dyn Fn(&Function) -> bool + Sync),
) -> Vec<String> {
    let mut warnings: Vec<String> = creation::only_at_start(pair.old, callers, changes).into_iter().collect();
    warnings.extend(staying::stay_on_stacks(pair.old, changes));
    warnings.extend(coroutines::may_be_suspended(pair.old, changes));
    warnings.extend(variables::given_up(pair, matching, changes));
    warnings.extend(assembly::repeated(pair.old, changes, is_assembly));
    warnings
}

/// The imports that the target does not have.
pub fn of_imports(imports: &[String]) -> Option<String> {
    let list = imports.join(", ");
    (!imports.is_empty()).then(|| {
        format!(
            "the target does not import {list}: `tardigrade apply` looks for it in the libraries of the process, and \
             refuses the patch if not exactly one defines it"
        )
    })
}

/// Who is called or jumped to.
enum Callee<'i> {
    Function(FunctionId),
    Import(&'i str),
}

impl<'i> Callee<'i> {
    /// The function or import that a branch leads to.
    fn of(image: &'i Image<'_>, referent: &Referent) -> Option<Self> {
        let code = |referent: &Referent| match referent {
            Referent::Code { function, part: 0, offset: 0 } => Some(Callee::Function(*function)),
            _ => None,
        };
        let (Referent::Stub { slot } | Referent::Slot { address: slot }) = referent else {
            return code(referent);
        };
        if let Some(Pointer::Symbol { name, .. }) = image.linkage.pointer_at(*slot) {
            return Some(Callee::Import(name));
        }
        match image.slot(*slot)? {
            Slot::Constant(address) | Slot::Dynamic(Pointer::Address(address)) => {
                code(&image.resolve(address, None))
            }
            Slot::Dynamic(_) => None,
        }
    }

    fn name(&self, image: &'i Image<'_>) -> &'i str {
        match self {
            Callee::Function(id) => &image.function(*id).name,
            Callee::Import(name) => name,
        }
    }
}
