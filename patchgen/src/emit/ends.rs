//! Addresses that are the end of one object and the start of what comes along with the patch.
//!
//! If the end is meant, the reference belongs to the target's object, also where the function has no other reference to
//! it: its caller may have given it a pointer. So the start needs evidence.

use super::builder::Builder;
use super::place::{NoPlace, User};
use crate::code::{EndUse, Program, Reference, Use, end_use, lends_address, reads_first};
use crate::diff::data_pointers;
use crate::image::{Access, Extent, FunctionId, ObjectId, Pointer, Referent, is_rust};
use crate::report::RefusalKind;
use std::ops::Range;

/// Unnamed bytes behind an array that have to be the same in the target.
const MAX_ZONE: u64 = 4096;

/// What may begin at an address.
#[derive(Clone, Copy, Debug)]
pub(super) struct Start {
    /// The address in the replacement.
    pub(super) address: u64,
    /// The address of the same thing in the target, if that is known.
    pub(super) old: Option<u64>,
    /// It is a string.
    pub(super) is_text: bool,
}

impl Builder<'_, '_, '_> {
    /// Refuses an address unless it is certain that `start` is meant and not the end of `ends_here`.
    pub(super) fn check_end(
        &self,
        user: User,
        ends_here: Option<ObjectId>,
        start: Start,
        name: &str,
    ) -> Result<(), NoPlace> {
        let (Some(user), Some(before)) = (user, ends_here) else { return Ok(()) };
        if self.means_start(user, before, start) {
            return Ok(());
        }
        let before = &self.input.pair.new.image.object(before).name;
        Err(NoPlace {
            kind: RefusalKind::AmbiguousReference,
            subject: name.to_owned(),
            detail: format!(
                "an address may mean its start or the end of `{before}`; a symbol that is not static, with \
                 --emit-relocs, would tell"
            ),
        })
    }

    fn means_start(&self, user: FunctionId, before: ObjectId, start: Start) -> bool {
        let program = self.input.pair.new;
        let object = program.image.object(before);
        if object.names_function()
            || object.is_guard()
            || self.cannot_name(user, before)
            || self.reads_start(user, start.address)
        {
            return true;
        }
        let range = &object.range;
        let used = program.code(user).references.iter().any(|reference| match reference.referent {
            Referent::Object { id, .. } => program.image.object(id).range == *range,
            _ => false,
        });
        if used {
            return false;
        }
        if self.meant_start_before(user, before, start) {
            return true;
        }
        // Whoever gets the end of an array, or of a number's bytes, may go back from it.
        let may_go_back = !is_rust(&program.image.function(user).name);
        match end_use(program, user, start.address) {
            EndUse::Start => true,
            EndUse::Passed if start.is_text => true,
            EndUse::Passed | EndUse::Open => !self.is_lent(before) && (start.is_text || !may_go_back),
            EndUse::Descends => false,
        }
    }

    /// True if the function surely reads or writes what begins at `address` before it does anything else with it.
    pub(super) fn reads_start(&self, user: FunctionId, address: u64) -> bool {
        let program = self.input.pair.new;
        let object = program.image.object_at(address).filter(|(_, offset)| *offset == 0);
        let end = match object {
            Some((id, _)) => Some(program.image.object(id).range.end),
            None => program.piece_end(address),
        };
        end.is_some_and(|end| reads_first(program, user, address, end - address))
    }

    /// True if the function's old version refers to the same thing as often, where nothing corresponding ends.
    fn meant_start_before(&self, user: FunctionId, before: ObjectId, start: Start) -> bool {
        let (old, new) = (self.input.pair.old, self.input.pair.new);
        let (Some(there), Some(old_user)) = (start.old, self.input.matching.old_function(user)) else {
            return false;
        };
        let old_end = self.input.matching.old_object(before).map(|before| old.image.object(before).range.end);
        let count = |program: &Program<'_>, user, address| {
            let references = program.code(user).references.iter();
            references
                .filter(|reference| reference.usage == Use::Address && reference.target == address)
                .count()
        };
        old_end.is_some_and(|end| end != there)
            && count(new, user, start.address) <= count(old, old_user, there)
    }

    /// True if an object is local to a file that the function is not from.
    fn cannot_name(&self, user: FunctionId, object: ObjectId) -> bool {
        let image = &self.input.pair.new.image;
        let Some(home) = &image.object(object).source else { return false };
        // What a linker compiles has no file of its own.
        if home.starts_with('<') || home.ends_with(".o") {
            return false;
        }
        let function = image.function(user);
        let source = match &function.source {
            Some(source) => source.to_string(),
            None => self.input.sources.new_main_file(function).unwrap_or_default(),
        };
        let source = source.rsplit('/').next().unwrap_or_default();
        let functions = image.functions.iter().map(|function| &function.source);
        let mut files = functions.chain(image.objects.iter().map(|object| &object.source)).flatten();
        *source != **home && files.any(|file| **file == *source)
    }

    /// True if a pointer into an object may get to functions that do not name it, in one of the builds.
    pub(super) fn is_lent(&self, id: ObjectId) -> bool {
        let pair = self.input.pair;
        let in_old = self
            .input
            .matching
            .old_object(id)
            .is_some_and(|old| is_lent(pair.old, &pair.old.image.object(old).range));
        let image = &pair.new.image;
        in_old || image.exports.contains(&image.object(id).name) || is_lent(pair.new, &image.object(id).range)
    }

    /// Where the target has the same unnamed constant right behind the same object.
    pub(super) fn same_behind(&self, before: ObjectId, address: u64) -> Option<u64> {
        let (old, new) = (self.input.pair.old, self.input.pair.new);
        let before = self
            .input
            .matching
            .old_object(before)
            .filter(|_| !self.input.changed_constants.contains(&before))?;
        let there = old.image.object(before).range.end;
        let (old_zone, new_zone) = (zone(old, there)?, zone(new, address)?);
        let len = match new.constant(address)? {
            (Extent::Text(len), _) => len,
            (Extent::AtMost(len), _) => len.max(new_zone.end - new_zone.start),
        };
        let bytes = new.image.bytes(address..address + len)?;
        let same = len <= old_zone.end - old_zone.start && old.image.bytes(there..there + len)? == bytes;
        let plain = |program: &Program<'_>, range| data_pointers(&program.image, range).is_empty();
        (same && plain(old, there..there + len) && plain(new, address..address + len)).then_some(there)
    }

    /// True if this is the jump table of another function: nobody else means its start.
    pub(super) fn is_foreign_table(&self, address: u64) -> bool {
        self.input.pair.new.code.iter().any(|code| code.table_at(address).is_some())
    }

    /// Refuses the address of a function's table if another reference to it may mean the end of what is before.
    pub(super) fn check_table(&self, user: FunctionId, table: &Reference) -> Result<(), NoPlace> {
        let Referent::Constant { ends_here: Some(before), address } = table.referent else { return Ok(()) };
        let references = self.input.pair.new.code(user).references.iter();
        let several = references.filter(|reference| reference.target == address).count() > 1;
        if !several || self.cannot_name(user, before) {
            return Ok(());
        }
        let start = Start { address, old: None, is_text: false };
        self.check_end(Some(user), Some(before), start, &format!("table at {address:#x}"))
    }

    /// Refuses pointers in an object that has one to another object's inside and one to that object's end, where
    /// something begins that is somewhere else in the patched process.
    pub(super) fn check_ends_in(&self, range: Range<u64>) -> Result<(), NoPlace> {
        let image = &self.input.pair.new.image;
        let pointers = data_pointers(image, range);
        let targets = pointers.iter().filter_map(|(_, pointer)| match pointer {
            Pointer::Address(to) => Some(*to),
            _ => None,
        });
        let targets: Vec<u64> = targets.collect();
        for to in &targets {
            let (Referent::Object { ends_here: Some(before), .. }
            | Referent::Constant { ends_here: Some(before), .. }) = image.resolve(*to, None)
            else {
                continue;
            };
            let inside = &image.object(before).range;
            if targets.iter().any(|other| inside.contains(other)) && !image.object(before).is_guard() {
                return Err(NoPlace {
                    kind: RefusalKind::AmbiguousReference,
                    subject: image.object(before).name.clone(),
                    detail: "a pointer may mean its end or the start of what is behind it".to_owned(),
                });
            }
        }
        Ok(())
    }
}

/// The unnamed constants from `address` on: up to the next object or jump table.
fn zone(program: &Program<'_>, address: u64) -> Option<Range<u64>> {
    let image = &program.image;
    let section = image.section_at(address).filter(|section| section.access == Access::Read)?;
    let object = image.object_after(address).map(|next| image.object(next).range.start);
    let tables = program.code.iter().flat_map(|code| &code.tables).map(|table| table.address);
    let table = tables.filter(|table| *table > address).min();
    let end = [Some(section.range.end), object, table].into_iter().flatten().min()?;
    Some(address..end.min(address + MAX_ZONE))
}

fn is_lent(program: &Program<'_>, range: &Range<u64>) -> bool {
    let image = &program.image;
    let in_data = data_pointers(image, 0..u64::MAX).into_iter().any(|(_, pointer)| match pointer {
        Pointer::Address(to) => range.contains(&to),
        _ => false,
    });
    in_data || image.function_ids().any(|function| lends_address(program, function, range))
}
