//! Access to the compilation units of one file, parsed on demand.

use std::ops::Range;
use std::sync::OnceLock;

use super::address_index::AddressIndex;
use super::node::Node;
use super::unit::{DieId, Slice, Unit, UnitId};
use super::{DebugSections, DwarfError, LineTable};

/// The debug information of one build.
///
/// Everything is parsed when first asked for, and kept. Asking from many threads is fine: each unit is parsed
/// by one of them.
pub struct DebugInfo<'s> {
    dwarf: gimli::Dwarf<Slice<'s>>,
    has_supplementary: bool,
    units: OnceLock<Result<Vec<UnitSlot<'s>>, DwarfError>>,
    addresses: OnceLock<Result<AddressIndex, DwarfError>>,
}

/// A unit that may not have been looked at yet.
struct UnitSlot<'s> {
    header: gimli::UnitHeader<Slice<'s>>,
    /// Where it lies in `.debug_info`.
    extent: Range<usize>,
    unit: OnceLock<Result<Unit<'s>, DwarfError>>,
}

impl<'s> DebugInfo<'s> {
    /// Wraps the sections; parses nothing.
    pub fn new(sections: &'s DebugSections<'_>) -> Self {
        Self {
            dwarf: sections.sections.borrow(|bytes| gimli::EndianSlice::new(bytes, gimli::LittleEndian)),
            has_supplementary: sections.has_supplementary,
            units: OnceLock::new(),
            addresses: OnceLock::new(),
        }
    }

    /// The units that contain the code at the given link addresses, each once, in file order.
    pub fn units_of(&self, addresses: &[u64]) -> Result<Vec<UnitId>, DwarfError> {
        let mut units = Vec::new();
        for &address in addresses {
            units.extend(self.units_at(address)?);
        }
        units.sort_unstable();
        units.dedup();
        Ok(units)
    }

    /// The units that contain the code at one link address. None: nothing describes that code. Several: the
    /// linker folded identical functions of several units.
    pub fn units_at(&self, address: u64) -> Result<Vec<UnitId>, DwarfError> {
        let index =
            self.addresses.get_or_init(|| AddressIndex::build(self)).as_ref().map_err(Clone::clone)?;
        Ok(index.units_at(address))
    }

    /// Name of the unit's source file as the compiler was given it, without the build directory.
    pub fn unit_name(&self, unit: UnitId) -> Result<&str, DwarfError> {
        Ok(self.unit(unit)?.name())
    }

    /// The line table of a unit.
    pub fn lines(&self, unit: UnitId) -> Result<&LineTable, DwarfError> {
        self.unit(unit)?.lines(self)
    }

    /// Every unit of the file, in order; partial units too.
    pub(super) fn unit_ids(&self) -> Result<impl Iterator<Item = UnitId> + use<>, DwarfError> {
        Ok((0..self.slots()?.len() as u32).map(UnitId))
    }

    /// The parsed root of a unit.
    pub(super) fn unit(&self, id: UnitId) -> Result<&Unit<'s>, DwarfError> {
        let slot = &self.slots()?[id.0 as usize];
        slot.unit.get_or_init(|| Unit::parse(self, id, slot.header)).as_ref().map_err(Clone::clone)
    }

    /// The unit that holds an offset of `.debug_info`.
    pub(super) fn unit_containing(&self, offset: usize) -> Result<Option<UnitId>, DwarfError> {
        let slots = self.slots()?;
        let index = slots.partition_point(|slot| slot.extent.end <= offset);
        Ok(slots.get(index).filter(|slot| slot.extent.contains(&offset)).map(|_| UnitId(index as u32)))
    }

    /// The entry that begins at an offset of `.debug_info`.
    pub(super) fn node_at(&self, offset: usize) -> Result<Node<'_, 's>, DwarfError> {
        let dangling = || DwarfError::DanglingReference { offset };
        let id = self.unit_containing(offset)?.ok_or_else(dangling)?;
        let start = self.slots()?[id.0 as usize].extent.start;
        let unit = self.unit(id)?;
        let index = unit.index_of(self, offset - start)?.ok_or_else(dangling)?;
        Ok(Node::new(self, unit, index))
    }

    /// The entry with the given identity.
    pub(super) fn node(&self, id: DieId) -> Result<Node<'_, 's>, DwarfError> {
        Ok(Node::new(self, self.unit(id.unit)?, id.index as usize))
    }

    /// The entry of a unit itself, the root of its tree.
    pub(super) fn root(&self, unit: UnitId) -> Result<Node<'_, 's>, DwarfError> {
        let unit = self.unit(unit)?;
        unit.dies(self)?;
        Ok(Node::new(self, unit, 0))
    }

    pub(super) fn dwarf(&self) -> &gimli::Dwarf<Slice<'s>> {
        &self.dwarf
    }

    /// Gives a parser's error its meaning. Strings in a file that was not given appear to gimli as values
    /// that are no strings.
    pub(super) fn error(&self, section: &'static str, cause: gimli::Error) -> DwarfError {
        if self.has_supplementary && cause == gimli::Error::ExpectedStringAttributeValue {
            return DwarfError::SupplementaryFile;
        }
        DwarfError::Malformed { section, cause }
    }

    fn slots(&self) -> Result<&[UnitSlot<'s>], DwarfError> {
        let read = || {
            let mut slots = Vec::new();
            let mut headers = self.dwarf.units();
            while let Some(header) = headers.next().map_err(malformed("debug_info"))? {
                let start = header.offset().0;
                let extent = start..start + header.length_including_self();
                slots.push(UnitSlot { header, extent, unit: OnceLock::new() });
            }
            Ok(slots)
        };
        self.units.get_or_init(read).as_deref().map_err(Clone::clone)
    }
}

impl std::fmt::Debug for DebugInfo<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("DebugInfo").finish_non_exhaustive()
    }
}

/// Maps a parser's error to [`DwarfError::Malformed`].
pub(super) fn malformed(section: &'static str) -> impl Fn(gimli::Error) -> DwarfError {
    move |cause| DwarfError::Malformed { section, cause }
}
