//! Whether all live objects of a type have zeros where the old layout had padding.
//!
//! Only variables with static storage can show that: a linked program does not tell what an allocator, or a copy of
//! a whole object, left in padding. So the builds must mention the type in such variables only, nobody may take their
//! addresses, and no instruction may write the padding.

use crate::code::{Form, Program, Use, instructions};
use crate::diff::data_pointers;
use crate::dwarf::{DebugInfo, LayoutChange, ObjectsOf};
use crate::image::{Access, FunctionId, ObjectId, Pointer};
use iced_x86::{Instruction, Register};
use std::ops::Range;

/// The two builds, and the functions that the patch brings.
pub(crate) struct Builds<'b, 'a, 'o, 'n> {
    pub(crate) old: &'b Program<'a>,
    pub(crate) new: &'b Program<'a>,
    pub(crate) old_debug: &'b DebugInfo<'o>,
    pub(crate) new_debug: &'b DebugInfo<'n>,
    pub(crate) functions: &'b [FunctionId],
}

impl Builds<'_, '_, '_, '_> {
    /// What is missing for a proof that all live objects have zeros in the padding that becomes members.
    pub(crate) fn prove_zeroed(&self, change: &LayoutChange) -> Result<(), String> {
        let old = objects(self.old_debug, &change.type_name)?;
        let new = objects(self.new_debug, &change.type_name)?;
        if old.variables.is_empty() {
            return Err("no variable of the type has a fixed place".to_owned());
        }
        for (name, range) in &old.variables {
            let object = whole(self.old, name, range)?;
            self.check_old(object, &change.filled)?;
        }
        for (name, range) in &new.variables {
            let object = whole(self.new, name, range)?;
            for id in self.functions {
                let mut references = self.new.code(*id).references.iter();
                if references.any(|found| found.usage == Use::Address && near(found.target, range)) {
                    return Err(address_taken(self.new, object));
                }
            }
        }
        match self.functions.iter().find(|id| self.reaches(**id, &change.filled)) {
            None => Ok(()),
            Some(id) => {
                let name = &self.new.image.function(*id).name;
                Err(format!("`{name}` may use an object of it through a pointer"))
            }
        }
    }

    /// Looks at everything in the target that could have changed the padding of a variable.
    fn check_old(&self, id: ObjectId, filled: &[Range<u64>]) -> Result<(), String> {
        let image = &self.old.image;
        let object = image.object(id);
        let (name, range) = (&object.name, &object.range);
        let holes: Vec<Range<u64>> =
            filled.iter().map(|hole| range.start + hole.start..range.start + hole.end).collect();
        let section = &image.sections[object.section];
        let is_zero =
            |at: u64| section.data.get((at - section.range.start) as usize).is_none_or(|byte| *byte == 0);
        if !holes.iter().cloned().flatten().all(is_zero) {
            return Err(format!("the padding of `{name}` does not begin as zeros"));
        }
        if section.access != Access::Write || image.exports.contains(name) {
            return Err(format!("`{name}` is not only this program's variable"));
        }
        for (_, pointer) in data_pointers(image, 0..u64::MAX) {
            if let Pointer::Address(address) | Pointer::Resolved(address) = pointer
                && near(address, range)
            {
                return Err(address_taken(self.old, id));
            }
        }
        for function in image.function_ids() {
            for reference in &self.old.code(function).references {
                if !near(reference.target, range) {
                    continue;
                }
                let part = &image.function(function).parts[usize::from(reference.part)];
                let end = part.start + u64::from(reference.end);
                let writes = match reference.usage {
                    Use::Read(_) => continue,
                    Use::Write if reference.form == Form::RipRelative => written(self.old, part.clone(), end),
                    _ => None,
                };
                let Some(size) = writes else { return Err(address_taken(self.old, id)) };
                let written = reference.target..reference.target + size;
                if holes.iter().any(|hole| overlap(hole, &written)) {
                    return Err(format!(
                        "`{}` writes the padding of `{name}`",
                        image.function(function).name
                    ));
                }
            }
        }
        Ok(())
    }

    /// True if a function has an operand that may be a new member of an object that a register points to.
    fn reaches(&self, id: FunctionId, filled: &[Range<u64>]) -> bool {
        let image = &self.new.image;
        let at_hole = |instruction: &Instruction| {
            let base = instruction.memory_base();
            if matches!(base, Register::None | Register::RIP | Register::RSP)
                && instruction.memory_index() == Register::None
            {
                return false;
            }
            let from = instruction.memory_displacement64();
            let size = (instruction.memory_size().size() as u64).max(1);
            filled.iter().any(|hole| overlap(hole, &(from..from.saturating_add(size))))
        };
        let parts = image.function(id).parts.iter();
        parts.flat_map(|part| instructions(image, part.clone())).any(|instruction| at_hole(&instruction))
    }
}

fn objects(debug: &DebugInfo<'_>, type_name: &str) -> Result<ObjectsOf, String> {
    let found = debug.objects_of(type_name).map_err(|error| error.to_string())?;
    match found.other {
        Some(other) => Err(format!("there may be others than variables with static storage ({other})")),
        None => Ok(found),
    }
}

/// The object that a variable is, as a whole.
fn whole(program: &Program<'_>, name: &str, range: &Range<u64>) -> Result<ObjectId, String> {
    let found = program.image.object_at(range.start).map(|(id, _)| id);
    let found = found.filter(|id| program.image.object(*id).range == *range);
    found.ok_or_else(|| format!("the variable `{name}` is not in one piece"))
}

fn address_taken(program: &Program<'_>, id: ObjectId) -> String {
    format!("the address of `{}` is taken", program.image.object(id).name)
}

/// True for an address in `range` or at its end.
fn near(address: u64, range: &Range<u64>) -> bool {
    (range.start..=range.end).contains(&address)
}

fn overlap(a: &Range<u64>, b: &Range<u64>) -> bool {
    a.start < b.end && b.start < a.end
}

/// How many bytes the instruction that ends at `end` writes at its operand in memory.
fn written(program: &Program<'_>, part: Range<u64>, end: u64) -> Option<u64> {
    let mut listed = instructions(&program.image, part).into_iter();
    let instruction = listed.find(|instruction| instruction.next_ip() == end)?;
    Some(instruction.memory_size().size() as u64).filter(|size| *size > 0)
}
