//! What a release engineer should know although there is a patch.

mod coroutines;
mod creation;
mod staying;
mod variables;

use crate::code::Program;
use crate::diff::{Matching, Pair};
use crate::emit::Change;
use crate::image::{FunctionId, Image, Pointer, Referent, Slot};

/// All warnings about the changes that a patch makes.
pub fn about(pair: &Pair<'_, '_>, matching: &Matching, changes: &[Change]) -> Vec<String> {
    let mut warnings: Vec<String> = creation::only_at_start(pair.old, changes).into_iter().collect();
    warnings.extend(staying::stay_on_stacks(pair.old, changes));
    warnings.extend(coroutines::may_be_suspended(pair.old, changes));
    warnings.extend(variables::given_up(pair, matching, changes));
    warnings
}

/// Who is called or jumped to.
enum Callee<'i> {
    Function(FunctionId),
    Import(&'i str),
}

/// The function or import that a branch leads to.
fn callee<'i>(image: &'i Image<'_>, referent: &Referent) -> Option<Callee<'i>> {
    match referent {
        Referent::Code { function, part: 0, offset: 0 } => Some(Callee::Function(*function)),
        Referent::Stub { slot } | Referent::Slot { address: slot } => match image.linkage.pointer_at(*slot) {
            Some(Pointer::Symbol { name, .. }) => Some(Callee::Import(name)),
            _ => match image.slot(*slot) {
                Some(Slot::Constant(address) | Slot::Dynamic(Pointer::Address(address))) => {
                    match image.resolve(address, None) {
                        Referent::Code { function, part: 0, offset: 0 } => Some(Callee::Function(function)),
                        _ => None,
                    }
                }
                _ => None,
            },
        },
        _ => None,
    }
}

/// The name of whoever is called.
fn callee_name<'i>(program: &'i Program<'_>, referent: &Referent) -> Option<&'i str> {
    Some(match callee(&program.image, referent)? {
        Callee::Function(id) => &program.image.function(id).name,
        Callee::Import(name) => name,
    })
}
