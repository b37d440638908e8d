//! Reading a patch: the file is hostile until [`Patch::parse`] has returned.

use crate::digest;
use crate::format::{MAX_TOTAL_BYTES, META_SECTION, SCHEMA, SHN_TARGET};
use crate::write::{ELF_INDEX_BIAS, Metadata, shift_symbols};
use crate::{
    Delta, LinkAddr, Patch, PatchFileError, Place, Relocation, RelocationKind, Section, SectionContents,
    SectionKind, Symbol, SymbolKind,
};
use object::elf;
use object::read::elf::{FileHeader as _, Rela as _, SectionHeader as _, Sym as _};
use object::{LittleEndian as LE, endian::LittleEndian};

type Header = elf::FileHeader64<LittleEndian>;

impl Patch {
    /// Reads a patch file and checks that its parts agree.
    pub fn parse(bytes: &[u8]) -> Result<Patch, PatchFileError> {
        // What carries the note is meant to be a patch: it is as it was written, or damaged.
        let sealed = digest::has_note(bytes);
        if sealed {
            digest::check(bytes)?;
        } else if !bytes.starts_with(&elf::ELFMAG) {
            let empty = bytes.is_empty();
            return Err(PatchFileError::NotAPatch(if empty {
                "an empty file"
            } else {
                "a file of another kind"
            }));
        }
        let bad = |error: object::read::Error| PatchFileError::Elf(error.to_string());
        let header = Header::parse(bytes).map_err(bad)?;
        match header.e_type(LE) {
            elf::ET_REL if header.e_machine(LE) == elf::EM_X86_64 => {}
            elf::ET_REL => return Err(PatchFileError::NotAPatch("an object file for another processor")),
            elf::ET_EXEC | elf::ET_DYN => {
                return Err(PatchFileError::NotAPatch("an executable or a shared library"));
            }
            _ => return Err(PatchFileError::NotAPatch("another kind of ELF file")),
        }
        let table = header.sections(LE, bytes).map_err(bad)?;
        let (meta_index, meta) = table
            .section_by_name(LE, META_SECTION.as_bytes())
            .ok_or(PatchFileError::NotAPatch("an object file"))?;
        let loaded = meta_index
            .0
            .checked_sub(ELF_INDEX_BIAS)
            .ok_or_else(|| inconsistent("the null section is the metadata".to_owned()))?;
        let metadata = parse_metadata(meta.data(LE, bytes).map_err(bad)?)?;
        if !sealed {
            return Err(PatchFileError::Damaged);
        }

        let mut sections = Vec::new();
        let mut total = 0_u64;
        for (index, section) in table.enumerate().skip(ELF_INDEX_BIAS).take(loaded) {
            let name = table.section_name(LE, section).map_err(bad)?;
            let name = String::from_utf8_lossy(name).into_owned();
            let flags = section.sh_flags(LE);
            if !flags.contains(elf::SHF_ALLOC) {
                return Err(inconsistent(format!(
                    "section {name} stands before the metadata but is not loaded"
                )));
            }
            let kind = match (flags.contains(elf::SHF_EXECINSTR), flags.contains(elf::SHF_WRITE)) {
                (true, true) => {
                    return Err(inconsistent(format!("section {name} is writable and executable")));
                }
                (true, false) => SectionKind::Text,
                (false, true) => SectionKind::Data,
                (false, false) => SectionKind::ReadOnly,
            };
            let len = section.sh_size(LE);
            total = total.saturating_add(len);
            if total > MAX_TOTAL_BYTES {
                return Err(inconsistent(format!("sections hold more than {MAX_TOTAL_BYTES} bytes")));
            }
            let contents = if section.sh_type(LE) == elf::SHT_NOBITS {
                match metadata.deltas.iter().find(|delta| delta.section == index.0) {
                    Some(delta) => {
                        SectionContents::Delta(Delta { len, sha256: delta.sha256, ops: delta.ops.clone() })
                    }
                    None => SectionContents::Zero(len),
                }
            } else {
                SectionContents::Bytes(section.data(LE, bytes).map_err(bad)?.to_vec())
            };
            let align = section.sh_addralign(LE);
            sections.push(Section { name, kind, align, contents, relocations: Vec::new() });
        }
        for delta in &metadata.deltas {
            let section = delta.section.checked_sub(ELF_INDEX_BIAS).and_then(|index| sections.get(index));
            if !matches!(section, Some(Section { contents: SectionContents::Delta(_), .. })) {
                return Err(inconsistent(format!("delta for section {}, which takes none", delta.section)));
            }
        }

        for section in table.iter() {
            let Some((relocations, _)) = section.rela(LE, bytes).map_err(bad)? else { continue };
            let patched = (section.sh_info(LE) as usize)
                .checked_sub(ELF_INDEX_BIAS)
                .and_then(|index| sections.get_mut(index))
                .ok_or_else(|| inconsistent("relocations for a section that is not loaded".to_owned()))?;
            for relocation in relocations {
                let symbol = relocation.r_sym(LE, false) as usize;
                patched.relocations.push(Relocation {
                    offset: relocation.r_offset(LE),
                    kind: relocation_kind(relocation.r_type(LE, false))?,
                    symbol: symbol
                        .checked_sub(ELF_INDEX_BIAS)
                        .ok_or_else(|| inconsistent("relocation without a symbol".to_owned()))?,
                    addend: relocation.r_addend(LE),
                });
            }
        }

        let symtab = table.symbols(LE, bytes, elf::SHT_SYMTAB).map_err(bad)?;
        let mut symbols = Vec::new();
        for (index, symbol) in symtab.enumerate().skip(ELF_INDEX_BIAS) {
            let name = String::from_utf8_lossy(symtab.symbol_name(LE, symbol).map_err(bad)?).into_owned();
            let place = if symbol.st_shndx(LE) == elf::SymbolSection(SHN_TARGET) {
                Place::Target(LinkAddr(symbol.st_value(LE)))
            } else if symbol.st_shndx(LE) == elf::SHN_UNDEF && symbol.st_bind() == elf::STB_GLOBAL {
                Place::Import
            } else {
                let section = symtab
                    .symbol_section(LE, symbol, index)
                    .map_err(bad)?
                    .and_then(|section| section.0.checked_sub(ELF_INDEX_BIAS))
                    .ok_or_else(|| inconsistent(format!("symbol {name} has no place")))?;
                Place::Patch { section, offset: symbol.st_value(LE) }
            };
            let kind = match symbol.st_type() {
                elf::STT_FUNC => SymbolKind::Function,
                elf::STT_OBJECT => SymbolKind::Object,
                _ => SymbolKind::None,
            };
            symbols.push(Symbol { name, place, size: symbol.st_size(LE), kind });
        }

        let unbias = |index: usize| index.checked_sub(ELF_INDEX_BIAS);
        let no_symbol = || inconsistent("symbol number 0 in the metadata".to_owned());
        let mut functions = metadata.functions;
        let mut unwinding = metadata.unwinding;
        shift_symbols(&mut functions, unwinding.as_mut(), unbias).ok_or_else(no_symbol)?;
        let patch = Patch {
            target: metadata.target,
            replacement: metadata.replacement,
            generator: metadata.generator,
            functions,
            sections,
            symbols,
            gate: unbias(metadata.gate).ok_or_else(no_symbol)?,
            exports: metadata.exports,
            unwinding,
        };
        patch.validate()?;
        Ok(patch)
    }
}

fn parse_metadata(bytes: &[u8]) -> Result<Metadata, PatchFileError> {
    #[derive(serde::Deserialize)]
    struct SchemaOnly {
        schema: String,
    }
    let bad = |error: serde_json::Error| PatchFileError::Metadata(error.to_string());
    let SchemaOnly { schema } = serde_json::from_slice(bytes).map_err(bad)?;
    if schema != SCHEMA {
        return Err(PatchFileError::Version { found: schema, supported: SCHEMA });
    }
    serde_json::from_slice(bytes).map_err(bad)
}

fn relocation_kind(kind: elf::RelocationType) -> Result<RelocationKind, PatchFileError> {
    Ok(match kind {
        elf::R_X86_64_PC32 => RelocationKind::Pc32,
        elf::R_X86_64_PC64 => RelocationKind::Pc64,
        elf::R_X86_64_64 => RelocationKind::Abs64,
        elf::R_X86_64_32 => RelocationKind::Abs32,
        elf::R_X86_64_32S => RelocationKind::Abs32S,
        other => return Err(inconsistent(format!("relocation type {}", other.0))),
    })
}

fn inconsistent(what: String) -> PatchFileError {
    PatchFileError::Inconsistent(what)
}
