//! Changed constants. New code gets its own copy of one, so nobody may hold on to the target's: no live data, no other
//! image, and no code that means it by an address which looks like another one's.

use crate::code::{Form, Program, Reference, Use, keeps_address};
use crate::diff::{DataChange, Pair, caught_by_address, data_pointers};
use crate::emit::{MAX_BEFORE, MAX_BIAS};
use crate::image::{Access, Extent, ObjectId, Pointer, Referent, Section};
use crate::report::{Refusal, RefusalKind};
use object::elf;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

/// Beginnings of the names of sections whose contents are no data of the program.
const LINKER_MADE: [&str; 8] =
    [".dyn", ".rel", ".gnu", ".interp", ".note", ".eh_frame", ".gcc_except_table", ".hash"];

/// Why the constants among `data`, which are not the same in both builds, cannot be replaced.
pub(crate) fn refuse(pair: &Pair<'_, '_>, data: &[DataChange]) -> Vec<Refusal> {
    let image = &pair.new.image;
    let mut ranges: Vec<Range<u64>> = Vec::new();
    ranges.extend(
        data.iter().filter(|change| change.constant).map(|change| image.object(change.new).range.clone()),
    );
    ranges.retain(|range| !range.is_empty());
    if ranges.is_empty() {
        return Vec::new();
    }
    ranges.sort_by_key(|range| (range.start, range.end));
    ranges.dedup();
    let changed = Changed { program: pair.new, ranges };
    let held = changed.held();
    let hidden = changed.hidden();
    let used = changed.used();
    let mut refusals = Vec::new();
    for change in data.iter().filter(|change| change.constant) {
        let object = image.object(change.new);
        let start = object.range.start;
        let mut refuse = |kind, why: String, functions: &BTreeSet<&str>| {
            refusals.push(Refusal {
                kind,
                subject: subject(pair.new, change.new),
                detail: format!("{}, and {why}", change.detail),
                functions: functions.iter().map(|name| (*name).to_owned()).collect(),
            });
        };
        let nobody = BTreeSet::new();
        if let Some(holder) = held.get(&start) {
            refuse(RefusalKind::DataChanged, format!("{holder}, which is live, points to it"), &nobody);
        } else if image.exports.contains(&object.name) {
            let why = "the dynamic linker binds users to the target's".to_owned();
            refuse(RefusalKind::DataChanged, why, &nobody);
        } else if is_kept(pair.old, change.old) || is_kept(pair.new, change.new) {
            let why = "code may store its address: live objects may hold the other build's, and comparing or subtracting would fail";
            refuse(RefusalKind::DataChanged, why.to_owned(), &nobody);
        } else if changed.is_table_by_address(&object.range) {
            let why = "code takes its address: live objects may hold the target's, and comparisons with it would fail";
            refuse(RefusalKind::DataChanged, why.to_owned(), &nobody);
        } else if is_run_time_type(&object.name) {
            let why = "the language's runtime compares it by its address: live objects and exceptions have the target's";
            refuse(RefusalKind::DataChanged, why.to_owned(), &nobody);
        } else if let Some(functions) = hidden.get(&start) {
            let why = "addresses in code that look like its neighbour's may mean it: its end, or a place before its start";
            refuse(RefusalKind::AmbiguousReference, why.to_owned(), functions);
        } else if !used.contains(&start) && !object.range.is_empty() {
            let why = "nothing that refers to it was found, so it is not known what uses it".to_owned();
            refuse(RefusalKind::DataChanged, why, &nobody);
        }
    }
    refusals
}

/// True for what C++ calls type information, type names, vtables and their tables (Itanium C++ ABI, "Mangling").
fn is_run_time_type(name: &str) -> bool {
    ["_ZTI", "_ZTS", "_ZTV", "_ZTT", "_ZTC"].iter().any(|prefix| name.starts_with(prefix))
}

/// True if a function stores, returns or gives away the address of an object.
fn is_kept(program: &Program<'_>, id: ObjectId) -> bool {
    let range = &program.image.object(id).range;
    program.image.function_ids().any(|function| keeps_address(program, function, range))
}

/// An object as refusals name it.
pub(crate) fn subject(program: &Program<'_>, id: ObjectId) -> String {
    let object = program.image.object(id);
    match &object.source {
        Some(source) => format!("{} in {source}", object.name),
        None => object.name.clone(),
    }
}

struct Changed<'c, 'a> {
    program: &'c Program<'a>,
    /// Where the changed constants are, by ascending address.
    ranges: Vec<Range<u64>>,
}

impl Changed<'_, '_> {
    /// The changed constant that has `address` in it, by its start.
    fn holding(&self, address: u64) -> Option<u64> {
        let after = self.ranges.partition_point(|range| range.start <= address);
        let last = self.ranges[..after].last()?;
        last.contains(&address).then_some(last.start)
    }

    /// The changed constant that `address` may mean although it looks like a place in something else: the end of
    /// one, or, if it is no beginning of anything, a place before one.
    fn meant_by(&self, address: u64, referent: &Referent, indexed: bool) -> Option<u64> {
        let image = &self.program.image;
        if self.holding(address).is_some() {
            return None;
        }
        let settled = matches!(referent, Referent::Object { certain: true, .. });
        let before = self.ranges.partition_point(|range| range.start < address);
        let ended = self.ranges[..before].iter().rev().find(|range| range.end == address);
        let is_end_of_it = |range: &&Range<u64>| match referent {
            Referent::Object { id, .. } => image.object(*id).range == **range,
            _ => false,
        };
        if let Some(range) = ended.filter(|range| !settled && !is_end_of_it(range)) {
            return Some(range.start);
        }
        let next = self.ranges.get(before)?;
        let distance = next.start - address;
        let begins = match referent {
            // An indexed operand at the start of an array may be one of the next array, biased by the first one's size.
            Referent::Object { offset, .. } => *offset == 0 && (!indexed || distance > MAX_BEFORE),
            Referent::Constant { address, .. } => {
                matches!(self.program.constant(*address), Some((Extent::Text(_), _)))
            }
            Referent::Code { .. } | Referent::Stub { .. } | Referent::Slot { .. } => !indexed,
            Referent::Unnamed { .. } | Referent::Outside { .. } => false,
        };
        let bias = if indexed { MAX_BIAS } else { MAX_BEFORE };
        (!settled && !begins && distance <= bias).then_some(next.start)
    }

    /// Changed constants to which data leads, or may lead, and what holds the address.
    fn held(&self) -> BTreeMap<u64, String> {
        let image = &self.program.image;
        let mut held = BTreeMap::new();
        for to in caught_by_address(image) {
            if let Some(constant) = self.holding(to) {
                held.insert(constant, "an exception table".to_owned());
            }
        }
        for (at, to) in addresses_in_data(self.program) {
            let settled = image.kept_in(at..at + 1).first().and_then(|kept| kept.symbol);
            let referent = image.resolve(to, settled);
            let constant = match &referent {
                Referent::Object { id, certain: true, .. } => self.holding(image.object(*id).range.start),
                _ => self.holding(to).or_else(|| self.meant_by(to, &referent, false)),
            };
            if let Some(constant) = constant {
                let holder = match image.object_at(at) {
                    Some((id, _)) => format!("`{}`", image.object(id).name),
                    None => "other data".to_owned(),
                };
                held.entry(constant).or_insert(holder);
            }
        }
        held
    }

    /// Changed constants that code may mean by an address that does not look like theirs, and the functions.
    fn hidden(&self) -> BTreeMap<u64, BTreeSet<&str>> {
        let mut hidden: BTreeMap<u64, BTreeSet<&str>> = BTreeMap::new();
        let tables = self.program.code.iter().flat_map(|code| &code.tables);
        let jump_tables: BTreeSet<u64> = tables.map(|table| table.address).collect();
        for (function, reference) in self.references() {
            if jump_tables.contains(&reference.target) {
                continue;
            }
            if reference.usage != Use::Address || reference.base.is_some_and(|base| base != reference.target)
            {
                continue;
            }
            let indexed = matches!(reference.form, Form::Absolute { immediate: false, .. });
            if let Some(constant) = self.meant_by(reference.target, &reference.referent, indexed) {
                hidden.entry(constant).or_default().insert(function);
            }
        }
        hidden
    }

    /// Changed constants to which anything refers.
    fn used(&self) -> BTreeSet<u64> {
        let by_code = self.references().filter_map(|(_, reference)| match &reference.referent {
            Referent::Object { id, .. } => self.holding(self.program.image.object(*id).range.start),
            _ => self.holding(reference.target),
        });
        by_code.collect()
    }

    fn references(&self) -> impl Iterator<Item = (&str, &Reference)> {
        let functions = self.program.image.functions.iter().zip(&self.program.code);
        functions.flat_map(|(function, code)| {
            code.references.iter().map(|reference| (function.name.as_str(), reference))
        })
    }

    /// True if code takes the address of a constant that holds pointers: such tables are stored and compared.
    fn is_table_by_address(&self, range: &Range<u64>) -> bool {
        !data_pointers(&self.program.image, range.clone()).is_empty()
            && self
                .references()
                .any(|(_, reference)| reference.usage == Use::Address && range.contains(&reference.target))
    }
}

/// All addresses that data of the image holds, or may hold, with the places that hold them.
fn addresses_in_data(program: &Program<'_>) -> Vec<(u64, u64)> {
    let image = &program.image;
    let mut found = Vec::new();
    let of_program = |section: &&Section<'_>| {
        section.access != Access::Execute && !LINKER_MADE.iter().any(|name| section.name.starts_with(name))
    };
    for section in image.sections.iter().filter(of_program) {
        let pointers = data_pointers(image, section.range.clone()).into_iter();
        found.extend(pointers.filter_map(|(at, pointer)| match pointer {
            Pointer::Address(to) => Some((at, to)),
            _ => None,
        }));
        // Narrow ones, and distances from where they stand, of which the linker kept a record.
        for kept in image.kept_in(section.range.clone()) {
            let word = image.bytes(kept.address..kept.address + 4).and_then(|bytes| bytes.try_into().ok());
            let Some(word) = word.map(u32::from_le_bytes) else { continue };
            let distance = i64::from(word as i32);
            match elf::RelocationType(kept.kind) {
                elf::R_X86_64_32 => found.push((kept.address, u64::from(word))),
                elf::R_X86_64_32S => found.push((kept.address, distance as u64)),
                elf::R_X86_64_PC32 => found.push((kept.address, kept.address.wrapping_add_signed(distance))),
                _ => {}
            }
        }
    }
    found
}
