//! Which compilation units contain the code at an address.

use std::collections::HashSet;

use super::DwarfError;
use super::debug_info::{DebugInfo, malformed};
use super::unit::UnitId;

/// Address ranges of all compilation units.
#[derive(Debug, Default)]
pub(super) struct AddressIndex {
    /// Sorted by begin.
    ranges: Vec<UnitRange>,
    /// For each range, the greatest end of it and of those before it: how far a search has to look back.
    reach: Vec<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct UnitRange {
    begin: u64,
    end: u64,
    unit: UnitId,
}

impl AddressIndex {
    /// Reads `.debug_aranges`, and the ranges of the units that it does not list (clang writes none, and
    /// programs mix compilers).
    pub(super) fn build(debug: &DebugInfo<'_>) -> Result<Self, DwarfError> {
        let mut ranges = Vec::new();
        let mut listed = HashSet::new();
        let aranges = malformed("debug_aranges");
        let mut headers = debug.dwarf().debug_aranges.headers();
        while let Some(header) = headers.next().map_err(&aranges)? {
            let Some(unit) = debug.unit_containing(header.debug_info_offset().0)? else { continue };
            let mut entries = header.entries();
            let mut any = false;
            while let Some(entry) = entries.next().map_err(&aranges)? {
                any |= push(&mut ranges, entry.range(), unit);
            }
            if any {
                listed.insert(unit);
            }
        }
        for id in debug.unit_ids()? {
            if !listed.contains(&id) {
                let unit = debug.unit(id)?;
                // The addresses of a unit that was split off stand at its skeleton.
                let mut iter = debug.dwarf().unit_ranges(unit.gimli()).map_err(malformed("debug_ranges"))?;
                while let Some(range) = iter.next().map_err(malformed("debug_ranges"))? {
                    push(&mut ranges, range, id);
                }
            }
        }
        for range in &mut ranges {
            range.unit = debug.full_unit(range.unit)?;
        }
        ranges.sort_unstable();
        let reach = ranges
            .iter()
            .scan(0, |reach, range| {
                *reach = range.end.max(*reach);
                Some(*reach)
            })
            .collect();
        Ok(Self { ranges, reach })
    }

    /// All units with code at the address: more than one where a linker folded identical functions.
    pub(super) fn units_at(&self, address: u64) -> Vec<UnitId> {
        let after = self.ranges.partition_point(|range| range.begin <= address);
        let mut units: Vec<_> = (0..after)
            .rev()
            .take_while(|&index| self.reach[index] > address)
            .filter(|&index| self.ranges[index].end > address)
            .map(|index| self.ranges[index].unit)
            .collect();
        units.sort_unstable();
        units.dedup();
        units
    }
}

/// Adds a range unless it is empty or belongs to code that the linker dropped, whose addresses ld sets to 0
/// (no code lies there in a linked image: it is the ELF header's place).
fn push(ranges: &mut Vec<UnitRange>, range: gimli::Range, unit: UnitId) -> bool {
    let keep = range.begin != 0 && range.begin < range.end;
    if keep {
        ranges.push(UnitRange { begin: range.begin, end: range.end, unit });
    }
    keep
}
