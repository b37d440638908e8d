//! The debug sections of one file, decompressed where needed.

use std::borrow::Cow;
use std::path::Path;

use gimli::{DwarfSections, Section, SectionId};
use object::{Object, ObjectKind, ObjectSection};

use super::DwarfError;
use super::split::{SplitFiles, slice};

/// The debug sections that are read. Location lists are not among them: only variables with one fixed
/// address are of interest, and in large programs these lists are a fifth of all debug data.
const NEEDED: [SectionId; 11] = [
    SectionId::DebugAbbrev,
    SectionId::DebugAddr,
    SectionId::DebugAranges,
    SectionId::DebugInfo,
    SectionId::DebugLine,
    SectionId::DebugLineStr,
    SectionId::DebugRanges,
    SectionId::DebugRngLists,
    SectionId::DebugStr,
    SectionId::DebugStrOffsets,
    SectionId::DebugTypes,
];

/// Whether anybody reads the section.
pub(super) fn is_needed(id: SectionId) -> bool {
    NEEDED.contains(&id)
}

/// The bytes of a file's debug sections.
///
/// Plain sections are borrowed from the file. Compressed ones (`SHF_COMPRESSED` and the older `.zdebug_*`)
/// are decompressed here, which is why this lives apart from [`DebugInfo`](super::DebugInfo): that one
/// borrows from it.
pub struct DebugSections<'a> {
    pub(super) sections: DwarfSections<Cow<'a, [u8]>>,
    pub(super) has_supplementary: bool,
    pub(super) split: SplitFiles,
}

impl<'a> DebugSections<'a> {
    /// Finds the debug sections of a linked ELF file, or of a separate debug file.
    ///
    /// `None` if the file has no `.debug_info`. The files that its units were split off to are read too.
    pub fn load(elf_bytes: &'a [u8]) -> Result<Option<Self>, DwarfError> {
        Self::load_beside(elf_bytes, &[])
    }

    /// The same as [`Self::load`], and looks for split debug information beside the given images.
    pub fn load_beside(elf_bytes: &'a [u8], images: &[&Path]) -> Result<Option<Self>, DwarfError> {
        let file = object::File::parse(elf_bytes)?;
        let section = |id: SectionId| -> Result<Cow<'a, [u8]>, DwarfError> {
            match file.section_by_name(id.name()) {
                Some(section) if is_needed(id) => Ok(section.uncompressed_data()?),
                _ => Ok(Cow::Borrowed(&[])),
            }
        };
        if file.section_by_name(SectionId::DebugInfo.name()).is_none() {
            return Ok(None);
        }
        if file.kind() == ObjectKind::Relocatable {
            return Err(DwarfError::Relocatable);
        }
        let sections = DwarfSections::load(section)?;
        // Stripped files may keep an empty section of that name.
        let dwarf = sections.borrow(slice);
        if dwarf.debug_info.reader().is_empty() {
            return Ok(None);
        }
        let split = SplitFiles::find(&dwarf, images)?;
        let has_supplementary =
            file.gnu_debugaltlink()?.is_some() || file.section_by_name(".debug_sup").is_some();
        Ok(Some(Self { sections, has_supplementary, split }))
    }
}

impl std::fmt::Debug for DebugSections<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("DebugSections")
            .field("has_supplementary", &self.has_supplementary)
            .finish_non_exhaustive()
    }
}
