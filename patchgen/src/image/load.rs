//! Reading linked ELF images.

use super::{Access, DebugFile, Image, KeptRelocation, Linkage, Section, ThreadLocals, debug_file, symbols};
use crate::error::InputError;
use object::elf;
use object::read::elf::{ElfFile64, ElfSection64, FileHeader, Rela as _, SectionHeader as _};
use object::{LittleEndian as LE, Object as _, ObjectSection as _, ObjectSymbol as _};
use patchfile::BuildId;
use std::collections::HashSet;
use std::path::{Path, PathBuf};

pub(crate) type Elf<'a> = ElfFile64<'a, object::endian::LittleEndian>;

/// The bytes of an image and of the file that holds its symbols and debugging information.
pub struct ImageFile {
    /// Where the image was read from.
    pub path: PathBuf,
    /// Contents of the image.
    pub bytes: Vec<u8>,
    /// The separate debug file, if one is used.
    pub debug: Option<DebugFile>,
}

impl ImageFile {
    /// Reads an image and, where it has no symbol table of its own, its separate debug file.
    ///
    /// `debug` names the debug file; without it, it is looked for by build ID and `.gnu_debuglink`.
    pub fn read(path: &Path, debug: Option<&Path>) -> Result<Self, InputError> {
        let bytes = read_file(path)?;
        let elf = parse(path, &bytes)?;
        let build_id = build_id(path, &elf)?;
        let debug = match debug {
            Some(debug) => Some(DebugFile::open(debug, path, &build_id)?),
            None if has_symbols(&elf) && has_debug_info(&elf) => None,
            None => debug_file::find(path, &elf, &build_id)?,
        };
        Ok(ImageFile { path: path.to_owned(), bytes, debug })
    }

    /// The file that holds DWARF: the image itself or its debug file.
    pub fn debug_bytes(&self) -> &[u8] {
        self.debug.as_ref().map_or(&self.bytes, |debug| &debug.bytes)
    }
}

pub(crate) fn read_file(path: &Path) -> Result<Vec<u8>, InputError> {
    patchfile::read_file(path).map_err(|source| InputError::Read { path: path.to_owned(), source })
}

pub(crate) fn has_symbols(elf: &Elf<'_>) -> bool {
    elf.symbols().any(|symbol| symbol.kind() == object::SymbolKind::Text)
}

fn has_debug_info(elf: &Elf<'_>) -> bool {
    elf.section_by_name(".debug_info").is_some() || elf.section_by_name(".zdebug_info").is_some()
}

pub(crate) fn parse<'a>(path: &Path, bytes: &'a [u8]) -> Result<Elf<'a>, InputError> {
    let damaged = |reason: String| InputError::Elf { path: path.to_owned(), reason };
    if !bytes.starts_with(&elf::ELFMAG) {
        return Err(damaged("no ELF magic".to_owned()));
    }
    // e_ident[EI_CLASS], e_ident[EI_DATA] (gABI, ELF header).
    if bytes.get(4) != Some(&elf::ELFCLASS64.0) || bytes.get(5) != Some(&elf::ELFDATA2LSB.0) {
        return Err(damaged("not a 64-bit little-endian file".to_owned()));
    }
    let elf = Elf::parse(bytes).map_err(|error| damaged(error.to_string()))?;
    let header = elf.elf_header();
    let machine = header.e_machine(LE);
    if machine != elf::EM_X86_64 {
        return Err(InputError::Machine {
            path: path.to_owned(),
            machine: machine.0,
            expected: elf::EM_X86_64.0,
        });
    }
    Ok(elf)
}

pub(crate) fn build_id(path: &Path, elf: &Elf<'_>) -> Result<BuildId, InputError> {
    let damaged = |error: object::Error| InputError::Elf { path: path.to_owned(), reason: error.to_string() };
    match elf.build_id().map_err(damaged)? {
        Some(id) if !id.is_empty() => Ok(BuildId(id.to_vec())),
        _ => Err(InputError::NoBuildId { path: path.to_owned() }),
    }
}

/// Reads the image in `file`.
pub fn load(file: &ImageFile) -> Result<Image<'_>, InputError> {
    let path = file.path.as_path();
    let damaged = |error: object::Error| InputError::Elf { path: path.to_owned(), reason: error.to_string() };
    let elf = parse(path, &file.bytes)?;
    let elf_type = elf.elf_header().e_type(LE);
    if elf_type != elf::ET_EXEC && elf_type != elf::ET_DYN {
        return Err(InputError::NotLinked { path: path.to_owned(), elf_type: elf_type.0 });
    }
    let build_id = build_id(path, &elf)?;

    let relro = relro_range(&elf);
    let mut sections = Vec::new();
    for section in elf.sections() {
        let flags = section.elf_section_header().sh_flags(LE);
        let tls_bss = flags.contains(elf::SHF_TLS) && section.kind() == object::SectionKind::UninitializedTls;
        if !flags.contains(elf::SHF_ALLOC) || section.size() == 0 || tls_bss {
            continue;
        }
        let start = section.address();
        let end = start.checked_add(section.size()).ok_or_else(|| InputError::Elf {
            path: path.to_owned(),
            reason: "section wraps around".to_owned(),
        })?;
        let access = if flags.contains(elf::SHF_EXECINSTR) {
            Access::Execute
        } else if !flags.contains(elf::SHF_WRITE) {
            Access::Read
        } else if relro.contains(&start) && end <= relro.end {
            Access::ReadAfterRelocation
        } else {
            Access::Write
        };
        let data = section.data().map_err(damaged)?;
        let name = section.name().map_err(damaged)?.to_owned();
        sections.push(Section { name, range: start..end, data, access });
    }
    sections.sort_by_key(|section| section.range.start);

    let symbol_elf = match &file.debug {
        Some(debug) => parse(&debug.path, &debug.bytes)?,
        None => parse(path, &file.bytes)?,
    };
    let symbol_elf = if has_symbols(&symbol_elf) { symbol_elf } else { parse(path, &file.bytes)? };
    if !has_symbols(&symbol_elf) {
        return Err(InputError::NoSymbols { path: path.to_owned(), build_id: build_id.to_string() });
    }
    let symbols = symbols::read(&symbol_elf, &sections).map_err(damaged)?;
    let linkage = Linkage::read(&elf, &sections).map_err(damaged)?;
    let kept_relocations = kept_relocations(&elf).map_err(damaged)?;
    let position_independent = elf_type == elf::ET_DYN;
    let tls_is_fixed = !position_independent
        || elf.elf_program_headers().iter().any(|header| {
            use object::read::elf::ProgramHeader as _;
            header.p_type(LE) == elf::PT_INTERP
        });
    let tls = ThreadLocals::read(&symbol_elf, &elf).map_err(damaged)?;

    let mut code_index: Vec<_> = Vec::new();
    for (index, function) in symbols.functions.iter().enumerate() {
        for (part, range) in function.parts.iter().enumerate() {
            code_index.push((range.clone(), super::FunctionId(index as u32), part));
        }
    }
    code_index.sort_by_key(|(range, ..)| range.start);
    let mut reach = 0;
    let object_reach = symbols
        .objects
        .iter()
        .map(|object| {
            reach = reach.max(object.range.end);
            reach
        })
        .collect();
    let sized = symbols.objects.iter().enumerate().filter(|(_, object)| !object.range.is_empty());
    let mut object_ends: Vec<_> =
        sized.map(|(index, object)| (object.range.end, super::ObjectId(index as u32))).collect();
    object_ends.sort_unstable();
    let bare = symbols.objects.iter().enumerate().filter(|(_, object)| object.range.is_empty());
    let marks = bare.filter(|(_, object)| object.marks().is_some());
    let set_marks =
        marks.map(|(index, object)| (object.range.start, super::ObjectId(index as u32))).collect();
    let got = symbols.objects.iter().find(|object| object.name == "_GLOBAL_OFFSET_TABLE_");
    let got = got.map(|object| object.range.start);
    let is_rust = symbols.functions.iter().any(|function| super::is_rust(&function.name));
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    Ok(Image {
        name,
        build_id,
        position_independent,
        sections,
        functions: symbols.functions,
        objects: symbols.objects,
        linkage,
        kept_relocations,
        labels: symbols.labels,
        exports: exports(&elf).map_err(damaged)?,
        needed: needed(&elf).map_err(damaged)?,
        tls,
        tls_is_fixed,
        unnamed: symbols.unnamed,
        is_rust,
        object_reach,
        object_ends,
        set_marks,
        got,
        code_index,
    })
}

/// Names that the image defines for others.
fn exports(elf: &Elf<'_>) -> object::Result<HashSet<String>> {
    use object::read::elf::Sym as _;
    let table = elf.elf_dynamic_symbol_table();
    let mut names = HashSet::new();
    for symbol in table.iter().filter(|symbol| !symbol.is_undefined(LE)) {
        names.insert(String::from_utf8_lossy(table.symbol_name(LE, symbol)?).into_owned());
    }
    Ok(names)
}

/// `DT_NEEDED`.
fn needed(elf: &Elf<'_>) -> object::Result<Vec<String>> {
    use object::read::elf::{Dyn as _, FileHeader as _};
    let data = elf.data();
    let sections = elf.elf_header().sections(LE, data)?;
    let Some((entries, link)) = sections.dynamic(LE, data)? else { return Ok(Vec::new()) };
    let strings = sections.strings(LE, data, link)?;
    let wanted = entries.iter().filter(|entry| entry.d_tag(LE) == elf::DT_NEEDED);
    let names = wanted.filter_map(|entry| strings.get(entry.d_val(LE) as u32).ok());
    Ok(names.map(|name| String::from_utf8_lossy(name).into_owned()).collect())
}

/// The range that becomes read-only after relocation (`PT_GNU_RELRO`).
fn relro_range(elf: &Elf<'_>) -> std::ops::Range<u64> {
    use object::read::elf::ProgramHeader as _;
    elf.elf_program_headers()
        .iter()
        .find(|header| header.p_type(LE) == elf::PT_GNU_RELRO)
        .map_or(0..0, |header| header.p_vaddr(LE)..header.p_vaddr(LE).saturating_add(header.p_memsz(LE)))
}

/// Relocation sections without SHF_ALLOC: `--emit-relocs` (ld, "-q").
fn kept_relocations(elf: &Elf<'_>) -> object::Result<Option<Vec<KeptRelocation>>> {
    let header = elf.elf_header();
    let data = elf.data();
    let sections = header.sections(LE, data)?;
    let mut kept = Vec::new();
    let mut any = false;
    for section in sections.iter() {
        if section.sh_flags(LE).contains(elf::SHF_ALLOC) {
            continue;
        }
        let Some((relocations, link)) = section.rela(LE, data)? else { continue };
        let patched = sections.section(section.info_link(LE))?;
        if !patched.sh_flags(LE).contains(elf::SHF_ALLOC) {
            continue;
        }
        any = true;
        let table = sections.symbol_table_by_index(LE, data, link)?;
        for relocation in relocations {
            use object::read::elf::Sym as _;
            let (symbol, in_section) = match relocation.symbol(LE, false) {
                Some(index) => {
                    let symbol = table.symbol(index)?;
                    let value = Some(symbol.st_value(LE)).filter(|_| !symbol.is_undefined(LE));
                    if symbol.st_type() == elf::STT_SECTION { (None, value) } else { (value, None) }
                }
                None => (None, None),
            };
            kept.push(KeptRelocation {
                address: relocation.r_offset(LE),
                kind: relocation.r_type(LE, false).0,
                symbol,
                in_section,
            });
        }
    }
    kept.sort_by_key(|relocation| relocation.address);
    Ok(any.then_some(kept))
}

pub(crate) fn section_data<'a>(elf: &Elf<'a>, name: &str) -> Option<&'a [u8]> {
    let section: ElfSection64<'a, '_, _> = elf.section_by_name(name)?;
    section.data().ok()
}
