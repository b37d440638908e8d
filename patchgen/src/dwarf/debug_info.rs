//! Access to the compilation units of one file, parsed on demand.

use std::collections::HashMap;
use std::ops::Range;
use std::path::Path;
use std::sync::OnceLock;

use super::address_index::AddressIndex;
use super::node::Node;
use super::split::{SplitSource, slice, type_of};
use super::unit::{DieId, Slice, Unit, UnitId};
use super::{DebugSections, DwarfError, LineTable};

/// The debug information of one build.
///
/// Everything is parsed when first asked for, and kept. Asking from many threads is fine: each unit is parsed
/// by one of them.
pub struct DebugInfo<'s> {
    /// The file itself, then the parts that were split off.
    files: Vec<gimli::Dwarf<Slice<'s>>>,
    /// Offset of the skeleton of each part, in the order of `files`.
    skeletons: Vec<usize>,
    /// Skeletons without their part, and the path that they name.
    missing: HashMap<usize, &'s Path>,
    has_supplementary: bool,
    units: OnceLock<Result<Units<'s>, DwarfError>>,
    addresses: OnceLock<Result<AddressIndex, DwarfError>>,
    /// Whether units of several files come from one object file.
    pub(super) merged: OnceLock<Result<bool, DwarfError>>,
}

/// All units of all files.
#[derive(Default)]
struct Units<'s> {
    slots: Vec<UnitSlot<'s>>,
    /// For each file, the positions of its units in `.debug_info`.
    info: Vec<Range<usize>>,
    /// Type units by file and signature.
    types: HashMap<(usize, u64), UnitId>,
    /// The unit that was split off from each skeleton.
    full: HashMap<UnitId, UnitId>,
}

/// A unit that may not have been looked at yet.
struct UnitSlot<'s> {
    header: gimli::UnitHeader<Slice<'s>>,
    /// Position of its file in [`DebugInfo::files`].
    file: usize,
    /// Where it lies in `.debug_info` or `.debug_types`.
    extent: Range<usize>,
    /// For a unit that was split off, its skeleton.
    skeleton: Option<UnitId>,
    unit: OnceLock<Result<Unit<'s>, DwarfError>>,
}

impl<'s> DebugInfo<'s> {
    /// Wraps the sections; parses nothing but the index of a package.
    pub fn new(sections: &'s DebugSections<'_>) -> Self {
        let mut files = vec![sections.sections.borrow(slice)];
        let (mut skeletons, mut missing) = (Vec::new(), HashMap::new());
        for unit in &sections.split.units {
            let part = match &unit.source {
                SplitSource::File(part) => {
                    let mut part = part.borrow(slice);
                    part.make_dwo(&files[0]);
                    Some(part)
                }
                SplitSource::Package(package, id) => {
                    let package = sections.split.packages[*package].borrow(slice, Slice::default());
                    package.and_then(|package| package.find_cu(*id, &files[0])).ok().flatten()
                }
                SplitSource::Missing => None,
            };
            match part {
                Some(part) => {
                    files.push(part);
                    skeletons.push(unit.skeleton);
                }
                None => {
                    missing.insert(unit.skeleton, unit.path.as_path());
                }
            }
        }
        Self {
            files,
            skeletons,
            missing,
            has_supplementary: sections.has_supplementary,
            units: OnceLock::new(),
            addresses: OnceLock::new(),
            merged: OnceLock::new(),
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

    /// Every unit of the file itself, in order; partial units too, but not type units.
    pub(super) fn unit_ids(&self) -> Result<impl Iterator<Item = UnitId> + use<>, DwarfError> {
        let units = self.units()?;
        let is_type = |index: &usize| type_of(&units.slots[*index].header).is_some();
        let ids: Vec<_> = units.info[0].clone().filter(|index| !is_type(index)).collect();
        Ok(ids.into_iter().map(|index| UnitId(index as u32)))
    }

    /// The parsed root of a unit.
    pub(super) fn unit(&self, id: UnitId) -> Result<&Unit<'s>, DwarfError> {
        let slot = &self.units()?.slots[id.0 as usize];
        let parse = || Unit::parse(self, id, slot.header, slot.file, slot.skeleton);
        slot.unit.get_or_init(parse).as_ref().map_err(Clone::clone)
    }

    /// The unit of the file itself that holds an offset of `.debug_info`.
    pub(super) fn unit_containing(&self, offset: usize) -> Result<Option<UnitId>, DwarfError> {
        self.unit_in(0, offset)
    }

    /// The unit that was split off, for a skeleton; else the unit itself.
    pub(super) fn full_unit(&self, id: UnitId) -> Result<UnitId, DwarfError> {
        Ok(self.units()?.full.get(&id).copied().unwrap_or(id))
    }

    /// The `.dwo` file of a skeleton that was not found.
    pub(super) fn missing_part(&self, skeleton: usize) -> Option<&'s Path> {
        self.missing.get(&skeleton).copied()
    }

    /// Whether any of the types may be in type units.
    pub(super) fn has_type_units(&self) -> bool {
        self.units().is_ok_and(|units| !units.types.is_empty())
    }

    /// The type with a signature.
    pub(super) fn type_at(&self, file: usize, signature: u64) -> Result<Node<'_, 's>, DwarfError> {
        let units = self.units()?;
        let missing = || DwarfError::MissingTypeUnit { signature };
        let id = *units.types.get(&(file, signature)).ok_or_else(missing)?;
        let (_, offset) = type_of(&units.slots[id.0 as usize].header).ok_or_else(missing)?;
        let unit = self.unit(id)?;
        let index = unit.index_of(self, offset)?.ok_or_else(missing)?;
        Ok(Node::new(self, unit, index))
    }

    fn unit_in(&self, file: usize, offset: usize) -> Result<Option<UnitId>, DwarfError> {
        let units = self.units()?;
        let range = units.info[file].clone();
        let slots = &units.slots[range.clone()];
        let index = slots.partition_point(|slot| slot.extent.end <= offset);
        let found = slots.get(index).filter(|slot| slot.extent.contains(&offset));
        Ok(found.map(|_| UnitId((range.start + index) as u32)))
    }

    /// The entry that begins at an offset of `.debug_info` of a file.
    pub(super) fn node_at(&self, file: usize, offset: usize) -> Result<Node<'_, 's>, DwarfError> {
        let dangling = || DwarfError::DanglingReference { offset };
        let id = self.unit_in(file, offset)?.ok_or_else(dangling)?;
        let start = self.units()?.slots[id.0 as usize].extent.start;
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

    /// The sections of the file itself.
    pub(super) fn dwarf(&self) -> &gimli::Dwarf<Slice<'s>> {
        &self.files[0]
    }

    /// The sections of a file.
    pub(super) fn file(&self, file: usize) -> &gimli::Dwarf<Slice<'s>> {
        &self.files[file]
    }

    /// Gives a parser's error its meaning. Strings in a file that was not given appear to gimli as values
    /// that are no strings.
    pub(super) fn error(&self, section: &'static str, cause: gimli::Error) -> DwarfError {
        if self.has_supplementary && cause == gimli::Error::ExpectedStringAttributeValue {
            return DwarfError::SupplementaryFile;
        }
        DwarfError::Malformed { section, cause }
    }

    fn units(&self) -> Result<&Units<'s>, DwarfError> {
        let read = || {
            let mut units = Units::default();
            for (file, dwarf) in self.files.iter().enumerate() {
                let first = units.slots.len();
                let mut headers = dwarf.units();
                while let Some(header) = headers.next().map_err(malformed("debug_info"))? {
                    units.push(header, file);
                }
                units.info.push(first..units.slots.len());
                // DWARF 4 has a section of their own for type units.
                let mut headers = dwarf.type_units();
                while let Some(header) = headers.next().map_err(malformed("debug_types"))? {
                    units.push(header, file);
                }
            }
            for (part, skeleton) in self.skeletons.iter().enumerate() {
                let own = units.slots[units.info[0].clone()].iter();
                let skeleton = own.map(|slot| slot.extent.start).position(|start| start == *skeleton);
                let is_whole = |index: &usize| type_of(&units.slots[*index].header).is_none();
                let full = units.info[part + 1].clone().find(is_whole);
                if let (Some(skeleton), Some(full)) = (skeleton, full) {
                    let skeleton = UnitId(skeleton as u32);
                    units.full.insert(skeleton, UnitId(full as u32));
                    units.slots[full].skeleton = Some(skeleton);
                }
            }
            Ok(units)
        };
        self.units.get_or_init(read).as_ref().map_err(Clone::clone)
    }
}

impl<'s> Units<'s> {
    fn push(&mut self, header: gimli::UnitHeader<Slice<'s>>, file: usize) {
        let id = UnitId(self.slots.len() as u32);
        if let Some((signature, _)) = type_of(&header) {
            self.types.entry((file, signature)).or_insert(id);
        }
        let start = header.offset().0;
        let extent = start..start + header.length_including_self();
        self.slots.push(UnitSlot { header, file, extent, skeleton: None, unit: OnceLock::new() });
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
