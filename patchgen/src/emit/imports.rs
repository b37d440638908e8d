//! Symbols that the target does not import: the loader finds them in the other images of the process.

use super::builder::Builder;
use super::place::NoPlace;
use crate::image::{FunctionId, Pointer, Slot};
use crate::report::RefusalKind;
use patchfile::{Patch, Place, SymbolKind};

/// What a slot or a pointer of the replacement to a symbol means in the patched process.
pub(super) enum Definition {
    /// What the patch brings along: the symbol is new in the image itself.
    New(u64),
    /// What the dynamic linker would find.
    Import(usize),
}

impl Builder<'_, '_, '_> {
    /// Where a symbol is that the dynamic linker looks up for the replacement, and for which the target has no slot.
    pub(super) fn definition(&mut self, pointer: &Pointer) -> Result<Definition, NoPlace> {
        let (old, new) = (&self.input.pair.old.image, &self.input.pair.new.image);
        let refuse = |kind, subject: &str, detail: &str| {
            Err(NoPlace { kind, subject: subject.to_owned(), detail: detail.to_owned() })
        };
        let Pointer::Symbol { name, version, .. } = pointer else {
            let name = if let Pointer::ThreadLocal { name, .. } = pointer { name } else { "" };
            return refuse(RefusalKind::NewImport, name, "the target does not import this symbol");
        };
        if let Some(function) = self.exported_function(name) {
            if self.input.matching.old_function(function).is_none() {
                self.exports.insert(name.clone());
                return Ok(Definition::New(new.function(function).address()));
            }
        } else if let Some(object) = new.object_ids().find(|id| {
            let object = new.object(*id);
            object.source.is_none() && object.name == *name && !object.range.is_empty()
        }) && self.input.matching.old_object(object).is_none()
        {
            self.exports.insert(name.clone());
            return Ok(Definition::New(new.object(object).range.start));
        }
        if new.linkage.weak_imports.contains(name) {
            let detail =
                "the target does not import this weak symbol; whether a library defines it is not known";
            return refuse(RefusalKind::NewImport, name, detail);
        }
        if !old.sections.iter().any(|section| section.name == ".dynamic") {
            let detail = "the target is linked statically and has no libraries to take it from";
            return refuse(RefusalKind::NewImport, name, detail);
        }
        let full = if version.is_empty() { name.clone() } else { format!("{name}@{version}") };
        if let Some(symbol) = self.import_symbols.get(&full) {
            return Ok(Definition::Import(*symbol));
        }
        let symbol = self.symbol(full.clone(), Place::Import, 0, SymbolKind::None);
        self.import_symbols.insert(full, symbol);
        Ok(Definition::Import(symbol))
    }

    /// The global function of the replacement that has this name.
    fn exported_function(&self, name: &str) -> Option<FunctionId> {
        let image = &self.input.pair.new.image;
        image.function_ids().find(|id| {
            let function = image.function(*id);
            function.source.is_none()
                && (function.name == name || function.aliases.iter().any(|alias| alias == name))
        })
    }

    /// The function of the replacement itself that a library calls through its own PLT, if the target has none of
    /// that name.
    pub(super) fn own_new_function(&mut self, slot: u64) -> Option<FunctionId> {
        let image = &self.input.pair.new.image;
        let Some(Slot::Dynamic(Pointer::Symbol { name, .. })) = image.slot(slot) else { return None };
        let own = self.exported_function(&name)?;
        if self.input.matching.old_function(own).is_some() {
            return None;
        }
        self.exports.insert(name);
        Some(own)
    }
}

/// Puts the imports behind all other symbols, as the patch file wants them.
pub(super) fn to_the_end(patch: &mut Patch) {
    let is_import = |index: &usize| patch.symbols[*index].place == Place::Import;
    let mut order: Vec<usize> = (0..patch.symbols.len()).collect();
    order.sort_by_key(is_import);
    let mut moved = vec![0; order.len()];
    for (to, from) in order.iter().enumerate() {
        moved[*from] = to;
    }
    patch.symbols = order.iter().map(|from| patch.symbols[*from].clone()).collect();
    for relocation in patch.sections.iter_mut().flat_map(|section| &mut section.relocations) {
        relocation.symbol = moved[relocation.symbol];
    }
    for function in &mut patch.functions {
        function.symbol = moved[function.symbol];
        if let Some(redirect) = &mut function.redirect {
            redirect.trampoline = moved[redirect.trampoline];
        }
    }
    if let Some(unwinding) = &mut patch.unwinding {
        for symbol in [&mut unwinding.frames, &mut unwinding.stub, &mut unwinding.state] {
            *symbol = moved[*symbol];
        }
    }
    patch.gate = moved[patch.gate];
}
