//! Split debug information (`-gsplit-dwarf`): finds the `.dwo` and `.dwp` files that units of a file are in.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use gimli::{DwarfPackageSections, DwarfSections, DwoId, SectionId, UnitType};
use object::{Object, ObjectSection};

use super::debug_info::malformed;
use super::unit::Slice;
use super::{DwarfError, sections};

/// `DW_AT_GNU_dwo_name` as `.debug_abbrev` has it.
const GNU_DWO_NAME: [u8; 2] = [0xb0, 0x42];

/// The debug data of a unit of which the file itself has a skeleton only.
pub(super) struct SplitUnit {
    /// Offset of the skeleton in `.debug_info`.
    pub(super) skeleton: usize,
    /// Path that the skeleton names.
    pub(super) path: PathBuf,
    pub(super) source: SplitSource,
}

/// Where the debug data of a split unit was found.
pub(super) enum SplitSource {
    /// In a `.dwo` file: its sections.
    File(Box<DwarfSections<Cow<'static, [u8]>>>),
    /// In the package with that position.
    Package(usize, DwoId),
    /// Nowhere, or not those of this build.
    Missing,
}

/// All split units of a file.
#[derive(Default)]
pub(super) struct SplitFiles {
    pub(super) units: Vec<SplitUnit>,
    pub(super) packages: Vec<DwarfPackageSections<Cow<'static, [u8]>>>,
}

impl SplitFiles {
    /// Looks for the split units of `main`: in packages beside the images, at the path that the skeleton names, and
    /// under its file name beside the images. Only what has the skeleton's ID is taken.
    pub(super) fn find(main: &gimli::Dwarf<Slice<'_>>, images: &[&Path]) -> Result<Self, DwarfError> {
        let mut files = Self::default();
        let skeletons = skeletons(main)?;
        if skeletons.is_empty() {
            return Ok(files);
        }
        for image in images {
            let mut path = image.as_os_str().to_owned();
            path.push(".dwp");
            // The index speaks of all sections.
            let package = read(Path::new(&path), |_| true, |load| DwarfPackageSections::load(load));
            if let Some(package) = package {
                files.packages.push(package);
            }
        }
        for Skeleton { offset, id, directory, name } in skeletons {
            let path = directory.join(&name);
            let in_package = |package: &DwarfPackageSections<_>| {
                package
                    .borrow(slice, slice(&EMPTY))
                    .is_ok_and(|package| package.cu_index.find(id.0).is_some())
            };
            let mut candidates = vec![path.clone()];
            for directory in images.iter().filter_map(|image| image.parent()) {
                candidates.push(directory.join(&name));
                candidates.extend(name.file_name().map(|name| directory.join(name)));
            }
            let source = match files.packages.iter().position(in_package) {
                Some(package) => SplitSource::Package(package, id),
                None => candidates
                    .iter()
                    .filter_map(|path| read(path, sections::is_needed, |load| DwarfSections::load(load)))
                    .find(|sections| belongs(sections, id))
                    .map_or(SplitSource::Missing, |sections| SplitSource::File(Box::new(sections))),
            };
            files.units.push(SplitUnit { skeleton: offset, path, source });
        }
        Ok(files)
    }
}

const EMPTY: Cow<'static, [u8]> = Cow::Borrowed(&[]);

/// The reader of a section's bytes.
#[expect(clippy::ptr_arg, reason = "the type that gimli hands to it")]
pub(super) fn slice<'s>(bytes: &'s Cow<'_, [u8]>) -> Slice<'s> {
    gimli::EndianSlice::new(bytes, gimli::LittleEndian)
}

/// A unit that only says where the real one is.
struct Skeleton {
    offset: usize,
    id: DwoId,
    directory: PathBuf,
    name: PathBuf,
}

fn skeletons(main: &gimli::Dwarf<Slice<'_>>) -> Result<Vec<Skeleton>, DwarfError> {
    let error = malformed("debug_info");
    // Only DWARF 5 says in the header that a unit is a skeleton; most files have none.
    let abbreviations = gimli::Section::reader(&main.debug_abbrev).slice();
    let may_be_gnu = abbreviations.windows(2).any(|bytes| bytes == GNU_DWO_NAME);
    let mut found = Vec::new();
    let mut headers = main.units();
    while let Some(header) = headers.next().map_err(&error)? {
        let old = header.version() < 5 && may_be_gnu;
        if !old && !matches!(header.type_(), UnitType::Skeleton(_)) {
            continue;
        }
        let unit = main.unit(header).map_err(&error)?;
        let (Some(id), Some(name)) = (unit.dwo_id, unit.dwo_name().map_err(&error)?) else { continue };
        let text = |slice: Slice<'_>| PathBuf::from(slice.to_string_lossy().into_owned());
        let name = text(main.attr_string(&unit, name).map_err(&error)?);
        let directory = unit.comp_dir.map_or_else(PathBuf::new, text);
        found.push(Skeleton { offset: header.offset().0, id, directory, name });
    }
    Ok(found)
}

/// Reads the sections of a file; `None` if there is no such file, or it cannot be read.
fn read<T>(
    path: &Path,
    wanted: impl Fn(SectionId) -> bool,
    load: impl FnOnce(
        &mut dyn FnMut(SectionId) -> Result<Cow<'static, [u8]>, DwarfError>,
    ) -> Result<T, DwarfError>,
) -> Option<T> {
    let bytes = std::fs::read(path).ok()?;
    let file = object::File::parse(bytes.as_slice()).ok()?;
    let mut section = |id: SectionId| -> Result<Cow<'static, [u8]>, DwarfError> {
        let Some(name) = id.dwo_name().filter(|_| wanted(id)) else { return Ok(EMPTY) };
        // Each type unit has a section of its own, of the same name.
        let mut bytes = Vec::new();
        for section in file.sections().filter(|section| section.name() == Ok(name)) {
            bytes.extend_from_slice(&section.uncompressed_data()?);
        }
        Ok(Cow::Owned(bytes))
    };
    load(&mut section).ok()
}

/// Whether a `.dwo` file has the unit of a skeleton.
fn belongs(sections: &DwarfSections<Cow<'static, [u8]>>, id: DwoId) -> bool {
    let mut dwarf = sections.borrow(slice);
    dwarf.file_type = gimli::DwarfFileType::Dwo;
    let mut headers = dwarf.units();
    while let Ok(Some(header)) = headers.next() {
        if type_of(&header).is_none() {
            return dwarf.unit(header).is_ok_and(|unit| unit.dwo_id == Some(id));
        }
    }
    false
}

/// Signature and place of the type of a type unit.
pub(super) fn type_of(header: &gimli::UnitHeader<Slice<'_>>) -> Option<(u64, usize)> {
    match header.type_() {
        UnitType::Type { type_signature, type_offset }
        | UnitType::SplitType { type_signature, type_offset } => Some((type_signature.0, type_offset.0)),
        _ => None,
    }
}

impl From<gimli::Error> for DwarfError {
    fn from(cause: gimli::Error) -> Self {
        Self::Malformed { section: "split debug information", cause }
    }
}
