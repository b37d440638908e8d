//! Who calls a function.

use crate::code::{Form, Program};
use crate::diff::data_pointers;
use crate::image::{FunctionId, Pointer, Referent};
use std::collections::{BTreeMap, BTreeSet};

/// The references between the functions of an image.
pub(crate) struct Callers {
    /// Who branches to the entry of a function.
    pub(crate) branches: BTreeMap<FunctionId, BTreeSet<FunctionId>>,
    /// Functions whose address is stored somewhere: their callers are not known.
    pub(crate) addressed: BTreeSet<FunctionId>,
    /// Functions into which others jump behind the entry.
    entered: BTreeSet<FunctionId>,
}

impl Callers {
    /// Reads the references of all code and data.
    pub(crate) fn of(program: &Program<'_>) -> Self {
        let mut branches: BTreeMap<FunctionId, BTreeSet<FunctionId>> = BTreeMap::new();
        let (mut addressed, mut entered) = (BTreeSet::new(), BTreeSet::new());
        for (index, code) in program.code.iter().enumerate() {
            let caller = FunctionId(index as u32);
            for reference in &code.references {
                match program.image.function_at(reference.target) {
                    Some((callee, 0, 0)) if matches!(reference.form, Form::Branch { .. }) => {
                        branches.entry(callee).or_default().insert(caller);
                    }
                    Some((callee, 0, 0)) => {
                        addressed.insert(callee);
                    }
                    Some((callee, ..)) if callee != caller => {
                        entered.insert(callee);
                    }
                    _ => {}
                }
            }
        }
        for (_, pointer) in data_pointers(&program.image, 0..u64::MAX) {
            let Pointer::Address(address) = pointer else { continue };
            if let Referent::Code { function, part: 0, offset: 0 } = program.image.resolve(address, None) {
                addressed.insert(function);
            }
        }
        Callers { branches, addressed, entered }
    }

    /// Whether nothing refers to a function but branches of functions of the same image.
    pub(crate) fn are_known(&self, program: &Program<'_>, id: FunctionId) -> bool {
        let image = &program.image;
        let function = image.function(id);
        let exported = |name: &String| image.exports.contains(name);
        !image.may_hide_pointers()
            && !function.ifunc
            && !exported(&function.name)
            && !function.aliases.iter().any(exported)
            && !self.addressed.contains(&id)
            && !self.entered.contains(&id)
    }

    /// Whether functions of the set are the only ones that refer to a function.
    pub(crate) fn is_inner(&self, program: &Program<'_>, id: FunctionId, set: &BTreeSet<FunctionId>) -> bool {
        self.are_known(program, id) && self.branches.get(&id).is_some_and(|callers| callers.is_subset(set))
    }

    /// Whether any function of the set branches to a function.
    pub(crate) fn are_any(&self, id: FunctionId, set: &BTreeSet<FunctionId>) -> bool {
        self.branches.get(&id).is_some_and(|callers| !callers.is_disjoint(set))
    }
}
