//! What each function of a patch refers to, by name: places of the target, things that the patch brings along, imports.

use patchfile::{Function, Patch, Place};
use serde::Serialize;
use std::collections::BTreeSet;

/// What one function refers to.
#[derive(Clone, Debug, Default, Serialize)]
pub struct References {
    /// The function.
    pub function: String,
    /// Functions, variables and constants of the target. `NAME@plt` and `NAME@got` are the target's own imports.
    pub target: BTreeSet<String>,
    /// Functions and data that the patch brings along.
    pub patch: BTreeSet<String>,
    /// Symbols that the loader takes from the process's libraries.
    pub imports: BTreeSet<String>,
}

/// The references of all functions of `patch`, in its order.
pub fn of(patch: &Patch) -> Vec<References> {
    patch.functions.iter().map(|function| of_function(patch, function)).collect()
}

/// The sections of the function's body and of its split-off parts, whose symbols follow that of the body.
pub(crate) fn part_sections(patch: &Patch, function: &Function) -> Vec<usize> {
    let cold = format!("{}.cold", patch.symbols[function.symbol].name);
    let rest = patch.symbols[function.symbol + 1..].iter().take_while(|symbol| symbol.name == cold);
    let symbols = std::iter::once(&patch.symbols[function.symbol]).chain(rest);
    let sections = symbols.filter_map(|symbol| match symbol.place {
        Place::Patch { section, .. } => Some(section),
        Place::Target(_) | Place::Import => None,
    });
    sections.collect()
}

fn of_function(patch: &Patch, function: &Function) -> References {
    let own = part_sections(patch, function);
    let mut found = References { function: function.name.clone(), ..References::default() };
    let mut open = own.clone();
    let mut seen: BTreeSet<usize> = own.iter().copied().collect();
    while let Some(section) = open.pop() {
        for relocation in &patch.sections[section].relocations {
            let symbol = &patch.symbols[relocation.symbol];
            match symbol.place {
                Place::Target(_) => found.target.insert(symbol.name.clone()),
                Place::Import => found.imports.insert(symbol.name.clone()),
                // Slots and stubs of the patch's own stand for what they lead to, jump tables for their function.
                Place::Patch { section, .. } => {
                    let name = &patch.sections[section].name;
                    let linkage =
                        [".rodata.got.", ".text.plt."].iter().any(|prefix| name.starts_with(prefix));
                    if linkage && seen.insert(section) {
                        open.push(section);
                    }
                    let table = symbol.name.strip_suffix(".table").is_some();
                    !linkage && !table && !own.contains(&section) && found.patch.insert(symbol.name.clone())
                }
            };
        }
    }
    found
}
