//! May two patches of one image be in force together?
//!
//! Each patch is proven against the target's build alone. Two of them are together what one patch of both fixes would
//! be if neither's code refers to what the other replaces, and if no compiler looked at code of both at once: within a
//! source file it lets a caller keep values in registers that a callee leaves alone (-fipa-ra), also through functions
//! in between that stay as they are, and takes a variable that nobody writes for a constant.

use crate::address::{AddressRange, RuntimeAddr};
use crate::code::CodeSet;
use crate::dynamic::Dynamic;
use crate::error::{LoaderError, Result};
use crate::image::Image;
use crate::memory::RemoteMemory;
use crate::presence::Presence;
use crate::record::{Header, Record, Table};
use crate::redirect::PatchState;
use crate::target::Target;
use patchfile::{Patch, PatchId, Place, RelocationKind, SectionKind, SymbolKind};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// What the code of a patch takes for granted of the target.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reliance {
    /// Addresses in the image's code that the patch refers to, other than in what it replaces itself.
    pub refers_to: Vec<RuntimeAddr>,
    /// Compilation units of the patch's functions.
    pub units: Vec<String>,
    /// Names of the variables and constants that the patch brings along.
    pub brings: BTreeSet<String>,
    /// Names of the target's variables and constants that it refers to.
    pub uses: BTreeSet<String>,
    /// A function of which it is not known with what it was compiled.
    pub without_unit: Option<String>,
}

/// Why two patches cannot be in force together.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Conflict {
    /// One redirect would be written over the other.
    #[error("both replace {0}")]
    SameFunction(String),
    /// The new code was made for the old function: for its arguments, and for the registers that it changes.
    #[error("code of {user} refers to {function}, which {replacer} replaces")]
    Reference {
        /// The patch with the reference.
        user: PatchId,
        /// What it refers to.
        function: String,
        /// The patch that replaces that.
        replacer: PatchId,
    },
    /// Each would use its own, or one the target's and the other its own.
    #[error("one brings {0} along, which the other has or uses too")]
    SameData(String),
    /// The compiler saw both places at once.
    #[error("both have code of {0}, and what the compiler concluded in one build need not hold in the other")]
    SameUnit(String),
    /// It may be the same.
    #[error("it is not known with what {function} of {patch} was compiled")]
    UnknownUnit {
        /// The patch.
        patch: PatchId,
        /// Its function.
        function: String,
    },
}

impl Reliance {
    /// What `patch` relies on in `image`. It depends on the image alone, not on what was done to it.
    pub fn of(patch: &Patch, image: &Image, memory: &RemoteMemory) -> Result<Self> {
        let (units, without_unit) = units(patch);
        let refers_to = references(patch, image, memory)?.into_iter().collect();
        let (brings, uses) = data(patch);
        Ok(Reliance { refers_to, units, brings, uses, without_unit })
    }
}

/// Refuses if another patch is in force in `image` beside which `patch`, with this table, must not be.
pub fn refuse_conflicts(patch: PatchId, table: &Table, image: &Image, target: &Target) -> Result<()> {
    let pid = target.process.pid();
    let is_of_image =
        |header: &Header| header.bias == image.bias && Some(&header.build_id) == image.build_id.as_ref();
    for header in target.filled_regions()? {
        if header.patch == patch || !is_of_image(&header) {
            continue;
        }
        let other = Record { table: header.read_table(&target.memory, pid)?, header };
        if Presence::of(&other, target)?.state == PatchState::Inert {
            continue;
        }
        if let Some(conflict) = conflict((patch, table), (other.header.patch, &other.table)) {
            let (other, conflict) = (other.header.patch, Box::new(conflict));
            return Err(LoaderError::Conflict { pid, patch, other, conflict });
        }
    }
    Ok(())
}

/// The first reason against two patches of one image.
fn conflict(one: (PatchId, &Table), other: (PatchId, &Table)) -> Option<Conflict> {
    let replaced = other.1.replaced_code();
    let both = one.1.functions.iter().find(|function| {
        let is_there =
            |range: &AddressRange| !range.is_empty() && replaced.function_at(range.start).is_some();
        function.old.iter().any(is_there)
    });
    if let Some(function) = both {
        return Some(Conflict::SameFunction(function.name.clone()));
    }
    for (user, replacer) in [(one, other), (other, one)] {
        let replaced = replacer.1.replaced_code();
        let mut addresses = user.1.reliance.refers_to.iter();
        if let Some(function) = addresses.find_map(|address| replaced.function_at(*address)) {
            let function = function.to_owned();
            return Some(Conflict::Reference { user: user.0, function, replacer: replacer.0 });
        }
    }
    for (bringer, user) in [(one, other), (other, one)] {
        let (theirs, own) = (&user.1.reliance, &bringer.1.reliance);
        let shared = |name: &&String| theirs.brings.contains(*name) || theirs.uses.contains(*name);
        if let Some(name) = own.brings.iter().find(shared) {
            return Some(Conflict::SameData(name.clone()));
        }
    }
    let units = &other.1.reliance.units;
    if let Some(unit) = one.1.reliance.units.iter().find(|unit| units.contains(unit)) {
        return Some(Conflict::SameUnit(unit.clone()));
    }
    let unknown = |(patch, table): (PatchId, &Table)| {
        let function = table.reliance.without_unit.clone()?;
        Some(Conflict::UnknownUnit { patch, function })
    };
    unknown(one).or_else(|| unknown(other))
}

/// The named data that a patch brings along, and that of the target which it refers to.
fn data(patch: &Patch) -> (BTreeSet<String>, BTreeSet<String>) {
    let (mut brings, mut uses) = (BTreeSet::new(), BTreeSet::new());
    for symbol in patch.symbols.iter().filter(|symbol| symbol.kind == SymbolKind::Object) {
        match symbol.place {
            // Constants that have a name of their own are in a section that is named after them.
            Place::Patch { section, .. } => {
                let section = &patch.sections[section];
                let named = section.name.strip_prefix(".rodata.") == Some(symbol.name.as_str());
                if named || section.kind == SectionKind::Data {
                    brings.insert(symbol.name.clone());
                }
            }
            Place::Target(_) => drop(uses.insert(symbol.name.clone())),
            Place::Import => {}
        }
    }
    (brings, uses)
}

/// The compilation units of a patch's functions, and a function whose unit is not known.
fn units(patch: &Patch) -> (Vec<String>, Option<String>) {
    let units: BTreeSet<String> =
        patch.functions.iter().filter_map(|function| function.unit.clone()).collect();
    let without = patch.functions.iter().find(|function| function.unit.is_none());
    (units.into_iter().collect(), without.map(|function| function.name.clone()))
}

/// The addresses in the image's code that the patch refers to.
fn references(patch: &Patch, image: &Image, memory: &RemoteMemory) -> Result<BTreeSet<RuntimeAddr>> {
    let bias = image.bias;
    let own = patch.functions.iter().flat_map(|function| &function.old);
    let own = own.map(|range| (AddressRange::sized(bias.at(range.address), range.size), String::new()));
    let own = CodeSet::new(own);
    let segments: Vec<_> = image.segments().filter(|segment| segment.execute).collect();
    let mut found = BTreeSet::new();
    let mut slots = BTreeSet::new();
    for relocation in patch.sections.iter().flat_map(|section| &section.relocations) {
        let symbol = &patch.symbols[relocation.symbol];
        let Place::Target(address) = symbol.place else { continue };
        let field = match relocation.kind {
            RelocationKind::Pc32 | RelocationKind::Pc64 => relocation.kind.width(),
            _ => 0,
        };
        let named = bias.at(address);
        // Displacements count from the field's end, or from a little behind it.
        found.extend([named, named.plus(relocation.addend as u64).plus(field)]);
        if let Some((name, "plt" | "got")) = symbol.name.rsplit_once('@') {
            slots.insert(name);
        }
    }
    // Through its PLT and GOT a library reaches its own functions too.
    if !slots.is_empty()
        && let Some(dynamic) = Dynamic::read(image, memory)?
    {
        found.extend(dynamic.defined(&slots).map(|address| bias.at(address)));
    }
    let is_code = |address| segments.iter().any(|segment| segment.memory.contains(address));
    found.retain(|address| is_code(*address) && own.function_at(*address).is_none());
    Ok(found)
}

impl Table {
    /// The old code of the functions that are redirected.
    fn replaced_code(&self) -> CodeSet {
        let ranges = self.functions.iter().flat_map(|function| {
            let name = &function.name;
            function.old.iter().map(move |range| (*range, name.clone()))
        });
        CodeSet::new(ranges)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::redirect::{Form, RuntimeRedirect};

    fn table(old: u64, refers_to: &[u64], units: &[&str], without_unit: Option<&str>) -> Table {
        let function = RuntimeRedirect {
            name: format!("f{old:x}"),
            site: RuntimeAddr(old),
            form: Form::Near,
            original: vec![0; 5],
            old: vec![AddressRange::sized(RuntimeAddr(old), 0x10)],
            new: RuntimeAddr(0),
            trampoline: RuntimeAddr(0),
        };
        let reliance = Reliance {
            refers_to: refers_to.iter().copied().map(RuntimeAddr).collect(),
            units: units.iter().map(|unit| (*unit).to_owned()).collect(),
            without_unit: without_unit.map(str::to_owned),
            ..Reliance::default()
        };
        Table { image: "image".to_owned(), functions: vec![function], reliance }
    }

    #[test]
    fn reasons_against_two_patches() {
        let [a, b] = [PatchId([1; 32]), PatchId([2; 32])];
        let first = table(0x1000, &[0x3000], &["a.c"], None);
        let between =
            |second: &Table| [conflict((a, &first), (b, second)), conflict((b, second), (a, &first))];
        assert_eq!(between(&table(0x2000, &[0x3000], &["b.c"], None)), [None, None]);
        let found = between(&table(0x1000, &[], &["b.c"], None));
        assert_eq!(found, [(); 2].map(|()| Some(Conflict::SameFunction("f1000".to_owned()))));
        let reference = |user, function: &str, replacer| {
            Some(Conflict::Reference { user, function: function.to_owned(), replacer })
        };
        let found = between(&table(0x2000, &[0x1008], &["b.c"], None));
        assert_eq!(found, [(); 2].map(|()| reference(b, "f1000", a)));
        let found = between(&table(0x3000, &[], &["b.c"], None));
        assert_eq!(found, [(); 2].map(|()| reference(a, "f3000", b)));
        let found = between(&table(0x2000, &[], &["a.c"], None));
        assert_eq!(found, [(); 2].map(|()| Some(Conflict::SameUnit("a.c".to_owned()))));
        let found = between(&table(0x2000, &[], &["b.c"], Some("g")));
        let unknown = Conflict::UnknownUnit { patch: b, function: "g".to_owned() };
        assert_eq!(found, [(); 2].map(|()| Some(unknown.clone())));
    }
}
