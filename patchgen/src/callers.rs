//! Who calls a function.

use crate::binding::is_program;
use crate::code::{Form, Program};
use crate::diff::data_pointers;
use crate::image::{Access, Function, FunctionId, Image, Pointer, Referent};
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

    /// Whether nothing refers to a function but branches of functions of the same image, and modules of a program that look it
    /// up, compiled with the same headers. Where pointers have no relocations, no word of the data is the address.
    pub(crate) fn only_called(&self, program: &Program<'_>, id: FunctionId) -> bool {
        let image = &program.image;
        let function = image.function(id);
        let hidden = || image.may_hide_pointers() && holds_number(image, function.address());
        let from_outside = || !is_program(image) && is_exported(image, function);
        let known = !function.ifunc && !self.addressed.contains(&id) && !self.entered.contains(&id);
        known && !from_outside() && !hidden()
    }

    /// Whether functions of the set are the only ones that refer to a function.
    pub(crate) fn is_inner(&self, program: &Program<'_>, id: FunctionId, set: &BTreeSet<FunctionId>) -> bool {
        let image = &program.image;
        !image.may_hide_pointers()
            && !is_exported(image, image.function(id))
            && self.only_called(program, id)
            && self.branches.get(&id).is_some_and(|callers| callers.is_subset(set))
    }

    /// Whether any function of the set branches to a function.
    pub(crate) fn are_any(&self, id: FunctionId, set: &BTreeSet<FunctionId>) -> bool {
        self.branches.get(&id).is_some_and(|callers| !callers.is_disjoint(set))
    }
}

fn is_exported(image: &Image<'_>, function: &Function) -> bool {
    std::iter::once(&function.name).chain(&function.aliases).any(|name| image.exports.contains(name))
}

/// Whether four bytes of the data of an image at a fixed address, at a multiple of four, are an address.
fn holds_number(image: &Image<'_>, address: u64) -> bool {
    let Ok(number) = u32::try_from(address) else { return true };
    let data = image.sections.iter().filter(|section| section.access != Access::Execute);
    data.flat_map(|section| section.data.chunks_exact(4)).any(|word| word == number.to_le_bytes())
}
