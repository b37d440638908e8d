//! Thread-local variables in copied code: the target's layout of them is what threads have.

use super::alignment::Demands;
use super::builder::Builder;
use super::place::{NoPlace, Placed};
use crate::code::{Reference, TlsField, Use, ZeroSlot};
use crate::diff::{NoCounterpart, local_slot, used_places};
use crate::image::{FunctionId, Pointer};
use crate::report::RefusalKind;
use object::elf;
use patchfile::SymbolKind;

fn no_place(none: &NoCounterpart) -> NoPlace {
    NoPlace { kind: RefusalKind::ThreadLocal, subject: none.subject(), detail: none.detail() }
}

impl Builder<'_, '_, '_> {
    /// Refuses a function of which it is not certain which numbers lead to thread-local variables, unless they mean the
    /// same in both builds.
    pub(super) fn check_thread_locals(&mut self, id: FunctionId) -> bool {
        let variables = &self.input.matching.thread_locals;
        let before = self.input.matching.old_function(id);
        let before = before.map_or(Vec::new(), |old| used_places(self.input.pair.old, old));
        let places = used_places(self.input.pair.new, id);
        if let Some(variable) = variables.only_counted(&before, &places) {
            let none = NoCounterpart::Namesakes(variable.to_owned());
            self.refuse(RefusalKind::ThreadLocal, &none.subject(), none.detail(), id);
            return false;
        }
        let uses = &self.input.pair.new.code(id).thread_locals;
        let Some(address) = uses.uncertain.filter(|_| !self.input.matching.thread_locals.same_layout())
        else {
            return true;
        };
        let name = self.input.pair.new.image.function(id).name.clone();
        let detail = format!(
            "the layout of thread-local storage is not the same in both builds, and which numbers behind {address:#x} \
             depend on it is not certain; link with -Wl,--emit-relocs"
        );
        self.refuse(RefusalKind::ThreadLocal, &name, detail, id);
        false
    }

    /// The number for a field that leads to a thread-local variable.
    pub(super) fn thread_local_number(
        &self,
        user: FunctionId,
        field: &TlsField,
        demands: &Demands,
    ) -> Result<i32, NoPlace> {
        let variables = &self.input.matching.thread_locals;
        let old = self.input.matching.old_function(user);
        let olds = old.map(|old| self.input.pair.old.code(old).thread_locals.fields.as_slice());
        let taken = |field: &TlsField, place: u64| field.place == place && field.usage == Use::Address;
        let before = |place: u64, edge: bool| {
            !edge && olds.unwrap_or_default().iter().any(|field| taken(field, place))
        };
        let there = variables.old_place(field, &before).map_err(|none| no_place(&none))?;
        let name = || variables.names(field).next().unwrap_or("thread-local storage").to_owned();
        let bytes = demands.at(field.part, field.end, field.usage);
        if !variables.same_layout() && !variables.aligned_alike(there, field.place, bytes) {
            return Err(NoPlace {
                kind: RefusalKind::Alignment,
                subject: name(),
                detail: format!(
                    "new code needs it aligned to {bytes} bytes, which it may not be in the target"
                ),
            });
        }
        variables.old_number(field, there).ok_or_else(|| NoPlace {
            kind: RefusalKind::ThreadLocal,
            subject: name(),
            detail: "its place in the target is too far away".to_owned(),
        })
    }

    /// The place of a slot of offset 0, which means a variable or all of the image's storage: the function's code tells.
    pub(super) fn place_zero_slot(
        &mut self,
        user: FunctionId,
        reference: &Reference,
    ) -> Option<Result<Placed, NoPlace>> {
        let variables = &self.input.matching.thread_locals;
        let (kind, place) = local_slot(self.input.pair.new, &reference.referent)?;
        if variables.same_layout() || place != 0 || kind == elf::R_X86_64_TPOFF64.0 {
            return None;
        }
        let uses = &self.input.pair.new.code(user).thread_locals;
        let (name, there) = match uses.zero_slot(reference.part, reference.end)? {
            ZeroSlot::Start => ("thread-local storage".to_owned(), 0),
            ZeroSlot::Variable => match variables.old_start(0) {
                Ok(there) => (self.thread_local_name("", 0), there),
                Err(none) => return Some(Err(no_place(&none))),
            },
        };
        let wanted = Pointer::ThreadLocal { kind, name: String::new(), addend: there as i64 };
        Some(match self.input.pair.old.image.slot_for(&wanted) {
            Some(slot) => {
                let symbol = self.target_symbol(&format!("{name}@got"), slot, SymbolKind::Object);
                Ok(Placed { symbol, offset: 0 })
            }
            None => Err(no_slot(name)),
        })
    }

    /// What the target's slot holds for the variable that a slot of the replacement leads to.
    pub(super) fn old_thread_local(&self, pointer: Pointer) -> Result<Pointer, NoPlace> {
        let Pointer::ThreadLocal { kind, name, addend } = &pointer else { return Ok(pointer) };
        let variables = &self.input.matching.thread_locals;
        let old_image = &self.input.pair.old.image;
        if variables.same_layout() && old_image.slot_for(&pointer).is_some() {
            return Ok(pointer);
        }
        let wanted = if name.is_empty() {
            if *addend == 0 && *kind != elf::R_X86_64_TPOFF64.0 && !variables.same_layout() {
                // Its users are placed by `place_zero_slot`.
                let detail =
                    "it may be the first variable or all of the storage, whose layout is not the same"
                        .to_owned();
                let subject = "thread-local storage".to_owned();
                return Err(NoPlace { kind: RefusalKind::ThreadLocal, subject, detail });
            }
            let there = variables.old_start(*addend as u64).map_err(|none| no_place(&none))?;
            Pointer::ThreadLocal { kind: *kind, name: String::new(), addend: there as i64 }
        } else {
            pointer.clone()
        };
        if old_image.slot_for(&wanted).is_some() {
            return Ok(wanted);
        }
        let defined =
            |tls: &crate::image::ThreadLocals| tls.variables.iter().any(|variable| variable.name == *name);
        let (old, new) = (&old_image.tls, &self.input.pair.new.image.tls);
        match (name.is_empty() || defined(old), name.is_empty() || defined(new)) {
            (false, true) => Err(no_place(&NoCounterpart::New(name.clone()))),
            (true, _) => Err(no_slot(self.thread_local_name(name, *addend))),
            (false, false) => Ok(wanted),
        }
    }

    /// What the variable is called that a slot of the replacement with this symbol and addend leads to.
    pub(super) fn thread_local_name(&self, name: &str, addend: i64) -> String {
        if !name.is_empty() {
            return name.to_owned();
        }
        let mut variables = self.input.pair.new.image.tls.variables.iter();
        let found = variables.find(|variable| variable.offset as i64 == addend);
        found.map_or_else(|| "thread-local storage".to_owned(), |variable| variable.name.clone())
    }
}

fn no_slot(subject: String) -> NoPlace {
    let detail = "the target has no slot through which code reaches this thread-local variable so".to_owned();
    NoPlace { kind: RefusalKind::ThreadLocal, subject, detail }
}
