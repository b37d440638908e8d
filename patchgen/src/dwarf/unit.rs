//! One compilation unit: its root, and the tree of its entries in a compact form.

use crate::image::is_codegen_unit;
use std::sync::OnceLock;

use super::debug_info::DebugInfo;
use super::functions::FunctionIndex;
use super::{DwarfError, LineTable};

/// The reader that all debug data is seen through.
pub(super) type Slice<'s> = gimli::EndianSlice<'s, gimli::LittleEndian>;

/// A unit of one [`DebugInfo`], by its position in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnitId(pub(super) u32);

/// An entry of one [`DebugInfo`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct DieId {
    pub(super) unit: UnitId,
    /// Position in [`Unit::dies`].
    pub(super) index: u32,
}

/// An entry's place in its unit's tree. Attributes are read again when wanted: most entries are never
/// looked at, and a large program has millions.
#[derive(Debug, Clone, Copy)]
pub(super) struct Die {
    /// Offset in the unit.
    pub(super) offset: usize,
    pub(super) tag: gimli::DwTag,
    /// Position of the parent; the root is its own.
    pub(super) parent: u32,
    /// Position behind the last descendant.
    pub(super) end: u32,
}

/// A compilation unit or partial unit.
pub(super) struct Unit<'s> {
    id: UnitId,
    file: usize,
    /// For a unit that was split off, its skeleton: that has the line table.
    skeleton: Option<UnitId>,
    gimli: gimli::Unit<Slice<'s>>,
    name: String,
    group: String,
    is_rust: bool,
    is_cpp: bool,
    build_directory: String,
    dies: OnceLock<Result<Vec<Die>, DwarfError>>,
    lines: OnceLock<Result<LineTable, DwarfError>>,
    functions: OnceLock<Result<FunctionIndex, DwarfError>>,
}

impl<'s> Unit<'s> {
    /// Reads the unit's root entry.
    pub(super) fn parse(
        debug: &DebugInfo<'s>,
        id: UnitId,
        header: gimli::UnitHeader<Slice<'s>>,
        file: usize,
        skeleton: Option<UnitId>,
    ) -> Result<Self, DwarfError> {
        let mut gimli = debug.file(file).unit(header).map_err(|cause| debug.error("debug_info", cause))?;
        if let Some(skeleton) = skeleton {
            gimli.copy_relocated_attributes(debug.unit(skeleton)?.gimli());
        }
        // Type units have no build directory of their own; DWARF 5 repeats it in the line table.
        if gimli.comp_dir.is_none()
            && let Some(header) = gimli.line_program.as_ref().map(gimli::IncompleteLineProgram::header)
            && let Some(directory) = header.directory(0).filter(|_| header.version() >= 5)
        {
            gimli.comp_dir = debug.file(file).attr_string(&gimli, directory).ok();
        }
        let text =
            |slice: Option<Slice<'s>>| slice.map_or(String::new(), |slice| slice.to_string_lossy().into());
        let build_directory: String = text(gimli.comp_dir);
        let name = relative_to(&build_directory, &text(gimli.name)).to_owned();
        let root = gimli.header.entry(&gimli.abbreviations, gimli.header.root_offset());
        let language =
            root.map_err(|cause| debug.error("debug_info", cause))?.attr_value(gimli::DW_AT_language);
        let is_cpp = matches!(language, Some(gimli::AttributeValue::Language(language)) if is_cpp(language));
        let is_rust = language == Some(gimli::AttributeValue::Language(gimli::DW_LANG_Rust));
        let group = if is_rust { crate_of(&name).to_owned() } else { name.clone() };
        let dies = OnceLock::new();
        Ok(Self {
            id,
            file,
            skeleton,
            gimli,
            name,
            group,
            is_rust,
            is_cpp,
            build_directory,
            dies,
            lines: OnceLock::new(),
            functions: OnceLock::new(),
        })
    }

    pub(super) fn id(&self) -> UnitId {
        self.id
    }

    /// The file that it is in.
    pub(super) fn file(&self) -> usize {
        self.file
    }

    /// The sections of that file.
    pub(super) fn dwarf<'d>(&self, debug: &'d DebugInfo<'s>) -> &'d gimli::Dwarf<Slice<'s>> {
        debug.file(self.file)
    }

    pub(super) fn gimli(&self) -> &gimli::Unit<Slice<'s>> {
        &self.gimli
    }

    /// Source file, relative to the build directory where it lies below it.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// The name, but the same for all units that rustc made of one crate.
    pub(super) fn group(&self) -> &str {
        &self.group
    }

    pub(super) fn is_rust(&self) -> bool {
        self.is_rust
    }

    pub(super) fn is_cpp(&self) -> bool {
        self.is_cpp
    }

    /// Whether it was compiled with the toolchain, not with the program.
    pub(super) fn is_of_toolchain(&self) -> bool {
        ["/rustc/", "/rust/deps/"].iter().any(|directory| self.build_directory.starts_with(directory))
    }

    /// All entries in depth-first order.
    pub(super) fn dies(&self, debug: &DebugInfo<'s>) -> Result<&[Die], DwarfError> {
        self.dies.get_or_init(|| self.parse_tree(debug)).as_deref().map_err(Clone::clone)
    }

    /// Position of the entry that begins at an offset of the unit.
    pub(super) fn index_of(&self, debug: &DebugInfo<'s>, offset: usize) -> Result<Option<usize>, DwarfError> {
        Ok(self.dies(debug)?.binary_search_by_key(&offset, |die| die.offset).ok())
    }

    /// The line table.
    pub(super) fn lines<'d>(&'d self, debug: &'d DebugInfo<'s>) -> Result<&'d LineTable, DwarfError> {
        match self.skeleton {
            Some(skeleton) => debug.unit(skeleton)?.lines(debug),
            None => self.lines.get_or_init(|| LineTable::parse(debug, self)).as_ref().map_err(Clone::clone),
        }
    }

    /// The functions with code.
    pub(super) fn functions(&self, debug: &DebugInfo<'s>) -> Result<&FunctionIndex, DwarfError> {
        self.functions.get_or_init(|| FunctionIndex::build(debug, self.id)).as_ref().map_err(Clone::clone)
    }

    /// The unit that has the line table: a unit that was split off shares that of its skeleton (DWARF 5,
    /// section 3.1.3).
    pub(super) fn with_lines<'d>(&'d self, debug: &'d DebugInfo<'s>) -> Result<&'d Self, DwarfError> {
        match self.skeleton {
            Some(skeleton) if self.gimli.line_program.is_none() => debug.unit(skeleton),
            _ => Ok(self),
        }
    }

    /// Path of a source file of the line table: without the build directory, so that builds made in
    /// different places compare equal.
    pub(super) fn source_file(
        &self,
        debug: &DebugInfo<'s>,
        header: &gimli::LineProgramHeader<Slice<'s>>,
        index: u64,
    ) -> Result<Option<String>, DwarfError> {
        let Some(file) = header.file(index) else { return Ok(None) };
        let text = |value| {
            let text = self.dwarf(debug).attr_string(&self.gimli, value);
            text.map(|text| text.to_string_lossy()).map_err(|cause| debug.error("debug_line", cause))
        };
        let mut path = text(file.path_name())?.into_owned();
        // Directory 0 is the build directory.
        if !path.starts_with('/')
            && file.directory_index() != 0
            && let Some(directory) = file.directory(header)
        {
            path = format!("{}/{path}", text(directory)?.trim_end_matches('/'));
        }
        Ok(Some(relative_to(&self.build_directory, &path).to_owned()))
    }

    /// What kind of unit it is, and what made it, from its first entry alone.
    pub(super) fn tag_and_producer(
        &self,
        debug: &DebugInfo<'s>,
    ) -> Result<(gimli::DwTag, String), DwarfError> {
        if let Some(path) = debug.missing_part(self.gimli.header.offset().0).filter(|_| self.file == 0) {
            return Err(DwarfError::SplitDwarf { path: path.to_owned() });
        }
        let error = |cause| debug.error("debug_info", cause);
        let mut entries = self.gimli.header.entries_raw(&self.gimli.abbreviations, None).map_err(error)?;
        let Some(abbreviation) = entries.read_abbreviation().map_err(error)? else {
            return Ok((gimli::DW_TAG_null, String::new()));
        };
        let mut producer = String::new();
        for attribute in abbreviation.attributes() {
            let attribute = entries.read_attribute(*attribute).map_err(error)?;
            if attribute.name() == gimli::DW_AT_producer {
                let text = self.dwarf(debug).attr_string(&self.gimli, attribute.value()).map_err(error)?;
                producer = String::from_utf8_lossy(text.slice()).into_owned();
            }
        }
        Ok((abbreviation.tag(), producer))
    }

    fn parse_tree(&self, debug: &DebugInfo<'s>) -> Result<Vec<Die>, DwarfError> {
        if let Some(path) = debug.missing_part(self.gimli.header.offset().0).filter(|_| self.file == 0) {
            return Err(DwarfError::SplitDwarf { path: path.to_owned() });
        }
        let error = |cause| debug.error("debug_info", cause);
        let mut entries = self.gimli.header.entries_raw(&self.gimli.abbreviations, None).map_err(error)?;
        let mut dies: Vec<Die> = Vec::new();
        let mut open: Vec<u32> = Vec::new();
        while !entries.is_empty() {
            let offset = entries.next_offset().0;
            let index = dies.len() as u32;
            let Some(abbreviation) = entries.read_abbreviation().map_err(error)? else {
                if let Some(parent) = open.pop() {
                    dies[parent as usize].end = index;
                }
                continue;
            };
            entries.skip_attributes(abbreviation.attributes()).map_err(error)?;
            let parent = open.last().copied().unwrap_or(0);
            dies.push(Die { offset, tag: abbreviation.tag(), parent, end: index + 1 });
            if abbreviation.has_children() {
                open.push(index);
            }
        }
        let end = dies.len() as u32;
        for parent in open {
            dies[parent as usize].end = end;
        }
        if dies.is_empty() {
            return Err(error(gimli::Error::MissingUnitDie));
        }
        Ok(dies)
    }
}

fn is_cpp(language: gimli::DwLang) -> bool {
    matches!(
        language,
        gimli::DW_LANG_C_plus_plus
            | gimli::DW_LANG_C_plus_plus_03
            | gimli::DW_LANG_C_plus_plus_11
            | gimli::DW_LANG_C_plus_plus_14
            | gimli::DW_LANG_C_plus_plus_17
            | gimli::DW_LANG_C_plus_plus_20
    )
}

/// The name of a unit of rustc, `src/main.rs/@/crate.hash-cgu.0`, without what tells the units of a crate and the
/// builds of it apart.
fn crate_of(name: &str) -> &str {
    let Some((path, unit)) = name.split_once("/@/") else { return name };
    let end =
        unit.rsplit_once('.').filter(|_| is_codegen_unit(unit)).and_then(|(unit, _)| unit.rsplit_once('.'));
    end.map_or(path, |(krate, _)| &name[..path.len() + "/@/".len() + krate.len()])
}

/// Strips a directory from the front of a path that lies below it, or the `.` that stands for it.
fn relative_to<'p>(directory: &str, path: &'p str) -> &'p str {
    if let Some(rest) = path.strip_prefix("./").filter(|rest| !rest.is_empty()) {
        return rest;
    }
    let directory = directory.trim_end_matches('/');
    match path.strip_prefix(directory).and_then(|rest| rest.strip_prefix('/')) {
        Some(rest) if !directory.is_empty() && !rest.is_empty() => rest,
        _ => path,
    }
}
