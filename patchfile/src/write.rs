//! Writing a patch. The same patch gives the same bytes.

use crate::digest::{self, NOTE_LEN};
use crate::format::{DIGEST_SECTION, META_SECTION, SCHEMA, SHN_TARGET};
use crate::{
    Delta, DeltaOp, Function, ImageRef, Patch, PatchFileError, PatchId, Place, RelocationKind,
    SectionContents, SectionKind, Sha256, SymbolKind, Unwinding,
};
use object::elf;
use object::write::elf::{FileHeader, Rel, SectionHeader, SectionIndex, Sym, Writer};
use serde::{Deserialize, Serialize};

/// The JSON document of the metadata section. Symbol and section numbers are those of the ELF tables.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Metadata {
    pub(crate) schema: String,
    pub(crate) generator: String,
    pub(crate) target: ImageRef,
    pub(crate) replacement: ImageRef,
    pub(crate) gate: usize,
    pub(crate) exports: Vec<String>,
    pub(crate) unwinding: Option<Unwinding>,
    pub(crate) functions: Vec<Function>,
    pub(crate) deltas: Vec<SectionDelta>,
}

/// How the loader makes the contents of one section from the target's memory.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SectionDelta {
    pub(crate) section: usize,
    pub(crate) sha256: Sha256,
    pub(crate) ops: Vec<DeltaOp>,
}

/// Distance between an index of the model and the ELF table's, whose entry 0 is the null entry.
pub(crate) const ELF_INDEX_BIAS: usize = 1;

pub(crate) fn shift_symbols(
    functions: &mut [Function],
    unwinding: Option<&mut Unwinding>,
    shift: impl Fn(usize) -> Option<usize>,
) -> Option<()> {
    for function in functions {
        function.symbol = shift(function.symbol)?;
        if let Some(redirect) = &mut function.redirect {
            redirect.trampoline = shift(redirect.trampoline)?;
        }
    }
    if let Some(unwinding) = unwinding {
        for symbol in [&mut unwinding.frames, &mut unwinding.stub, &mut unwinding.state] {
            *symbol = shift(*symbol)?;
        }
    }
    Some(())
}

impl Patch {
    /// The bytes of the patch file.
    pub fn to_bytes(&self) -> Result<Vec<u8>, PatchFileError> {
        self.validate()?;
        let metadata = self.metadata()?;
        let mut out = Vec::new();
        self.write_elf(&metadata, &mut out).map_err(|error| PatchFileError::Write(error.to_string()))?;
        if !digest::has_note(&out) {
            return Err(PatchFileError::Write("the note with the digest is not in its place".to_owned()));
        }
        digest::seal(&mut out);
        Ok(out)
    }

    fn metadata(&self) -> Result<Vec<u8>, PatchFileError> {
        let mut functions = self.functions.clone();
        let mut unwinding = self.unwinding.clone();
        shift_symbols(&mut functions, unwinding.as_mut(), |index| Some(index + ELF_INDEX_BIAS));
        let deltas =
            self.sections.iter().enumerate().filter_map(|(index, section)| match &section.contents {
                SectionContents::Delta(Delta { sha256, ops, .. }) => {
                    Some(SectionDelta { section: index + ELF_INDEX_BIAS, sha256: *sha256, ops: ops.clone() })
                }
                _ => None,
            });
        let metadata = Metadata {
            schema: SCHEMA.to_owned(),
            generator: self.generator.clone(),
            target: self.target.clone(),
            replacement: self.replacement.clone(),
            gate: self.gate + ELF_INDEX_BIAS,
            exports: self.exports.clone(),
            unwinding,
            functions,
            deltas: deltas.collect(),
        };
        let mut text =
            serde_json::to_vec_pretty(&metadata).map_err(|error| PatchFileError::Write(error.to_string()))?;
        text.push(b'\n');
        Ok(text)
    }

    fn write_elf(&self, metadata: &[u8], out: &mut Vec<u8>) -> object::write::Result<()> {
        let mut writer = Writer::new(object::Endianness::Little, true, out);
        let rela_names: Vec<String> =
            self.sections.iter().map(|section| format!(".rela{}", section.name)).collect();

        // First pass: names, indices and file offsets.
        writer.reserve_file_header();
        writer.reserve_null_section_index();
        let mut section_names = Vec::new();
        for section in &self.sections {
            section_names.push(writer.add_section_name(section.name.as_bytes()));
            writer.reserve_section_index();
        }
        let meta_name = writer.add_section_name(META_SECTION.as_bytes());
        writer.reserve_section_index();
        let digest_name = writer.add_section_name(DIGEST_SECTION.as_bytes());
        writer.reserve_section_index();
        let mut rela_sections = Vec::new();
        for (index, section) in self.sections.iter().enumerate() {
            if !section.relocations.is_empty() {
                rela_sections.push((index, writer.add_section_name(rela_names[index].as_bytes())));
                writer.reserve_section_index();
            }
        }
        let symtab = writer.reserve_symtab_section_index();
        writer.reserve_strtab_section_index();
        writer.reserve_shstrtab_section_index();

        writer.reserve_null_symbol_index();
        let mut symbol_names = Vec::new();
        for symbol in &self.symbols {
            symbol_names.push(writer.add_string(symbol.name.as_bytes()));
            writer.reserve_symbol_index(elf_section(symbol.place));
        }
        let digest_offset = writer.reserve(NOTE_LEN as u64, 4);
        let section_offsets: Vec<u64> = self
            .sections
            .iter()
            .map(|section| match &section.contents {
                SectionContents::Bytes(bytes) => writer.reserve(bytes.len() as u64, section.align),
                _ => writer.reserve(0, 1),
            })
            .collect();
        let meta_offset = writer.reserve(metadata.len() as u64, 1);
        let rela_offsets: Vec<u64> = rela_sections
            .iter()
            .map(|(index, _)| writer.reserve_relocations(self.sections[*index].relocations.len(), true))
            .collect();
        writer.reserve_symtab();
        writer.reserve_symtab_shndx();
        writer.reserve_strtab()?;
        writer.reserve_shstrtab()?;
        writer.reserve_section_headers();

        // Second pass: contents.
        writer.write_file_header(&FileHeader {
            os_abi: elf::ELFOSABI_NONE,
            abi_version: 0,
            e_type: elf::ET_REL,
            e_machine: elf::EM_X86_64,
            e_entry: 0,
            e_flags: elf::FileFlags(0),
        })?;
        writer.pad_until(digest_offset);
        writer.write(&digest::empty_note());
        for (section, offset) in self.sections.iter().zip(&section_offsets) {
            if let SectionContents::Bytes(bytes) = &section.contents {
                writer.pad_until(*offset);
                writer.write(bytes);
            }
        }
        writer.pad_until(meta_offset);
        writer.write(metadata);
        for (index, _) in &rela_sections {
            writer.write_align_relocation();
            for relocation in &self.sections[*index].relocations {
                writer.write_relocation(
                    true,
                    &Rel {
                        r_offset: relocation.offset,
                        r_sym: (relocation.symbol + ELF_INDEX_BIAS) as u32,
                        r_type: elf_relocation(relocation.kind),
                        r_addend: relocation.addend,
                    },
                );
            }
        }
        writer.write_null_symbol();
        for (symbol, name) in self.symbols.iter().zip(&symbol_names) {
            let kind = match symbol.kind {
                SymbolKind::None => elf::STT_NOTYPE,
                SymbolKind::Function => elf::STT_FUNC,
                SymbolKind::Object => elf::STT_OBJECT,
            };
            let (st_shndx, st_value) = match symbol.place {
                Place::Patch { offset, .. } => (elf::SHN_UNDEF, offset),
                Place::Target(address) => (elf::SymbolSection(SHN_TARGET), address.0),
                Place::Import => (elf::SHN_UNDEF, 0),
            };
            // Only a global symbol can be undefined, and local ones come first (gABI, "Symbol Table").
            let binding = if symbol.place == Place::Import { elf::STB_GLOBAL } else { elf::STB_LOCAL };
            writer.write_symbol(&Sym {
                st_name: writer.string_offset(Some(*name)),
                section: elf_section(symbol.place).map(|section| section.0),
                st_info: elf::SymbolInfo::new(binding, kind),
                st_other: elf::SymbolOther(0),
                st_shndx,
                st_value,
                st_size: symbol.size,
            });
        }
        writer.write_symtab_shndx();
        writer.write_strtab();
        writer.write_shstrtab();

        writer.write_null_section_header();
        for ((section, name), offset) in self.sections.iter().zip(&section_names).zip(&section_offsets) {
            let (sh_flags, nobits) = match (&section.kind, &section.contents) {
                (SectionKind::Text, _) => (elf::SHF_ALLOC | elf::SHF_EXECINSTR, false),
                (SectionKind::ReadOnly, contents) => {
                    (elf::SHF_ALLOC, !matches!(contents, SectionContents::Bytes(_)))
                }
                (SectionKind::Data, contents) => {
                    (elf::SHF_ALLOC | elf::SHF_WRITE, !matches!(contents, SectionContents::Bytes(_)))
                }
            };
            writer.write_section_header(&SectionHeader {
                sh_name: writer.section_name_offset(Some(*name)),
                sh_type: if nobits { elf::SHT_NOBITS } else { elf::SHT_PROGBITS },
                sh_flags,
                sh_addr: 0,
                sh_offset: *offset,
                sh_size: section.contents.len(),
                sh_link: 0,
                sh_info: 0,
                sh_addralign: section.align,
                sh_entsize: 0,
            });
        }
        writer.write_section_header(&SectionHeader {
            sh_name: writer.section_name_offset(Some(meta_name)),
            sh_type: elf::SHT_PROGBITS,
            sh_flags: elf::SectionFlags(0),
            sh_addr: 0,
            sh_offset: meta_offset,
            sh_size: metadata.len() as u64,
            sh_link: 0,
            sh_info: 0,
            sh_addralign: 1,
            sh_entsize: 0,
        });
        writer.write_section_header(&SectionHeader {
            sh_name: writer.section_name_offset(Some(digest_name)),
            sh_type: elf::SHT_NOTE,
            sh_flags: elf::SectionFlags(0),
            sh_addr: 0,
            sh_offset: digest_offset,
            sh_size: NOTE_LEN as u64,
            sh_link: 0,
            sh_info: 0,
            sh_addralign: 4,
            sh_entsize: 0,
        });
        for ((index, name), offset) in rela_sections.iter().zip(&rela_offsets) {
            writer.write_relocation_section_header(
                *name,
                SectionIndex((index + ELF_INDEX_BIAS) as u32),
                symtab,
                *offset,
                self.sections[*index].relocations.len(),
                true,
            );
        }
        let local = self.symbols.iter().filter(|symbol| symbol.place != Place::Import).count();
        writer.write_symtab_section_header((local + ELF_INDEX_BIAS) as u32);
        writer.write_strtab_section_header();
        writer.write_shstrtab_section_header();
        Ok(())
    }
}

impl PatchId {
    /// The ID of the patch whose file has these bytes.
    pub fn of_file(bytes: &[u8]) -> Self {
        PatchId(Sha256::of(bytes).0)
    }
}

fn elf_section(place: Place) -> Option<SectionIndex> {
    match place {
        Place::Patch { section, .. } => Some(SectionIndex((section + ELF_INDEX_BIAS) as u32)),
        Place::Target(_) | Place::Import => None,
    }
}

fn elf_relocation(kind: RelocationKind) -> elf::RelocationType {
    match kind {
        RelocationKind::Pc32 => elf::R_X86_64_PC32,
        RelocationKind::Pc64 => elf::R_X86_64_PC64,
        RelocationKind::Abs64 => elf::R_X86_64_64,
        RelocationKind::Abs32 => elf::R_X86_64_32,
        RelocationKind::Abs32S => elf::R_X86_64_32S,
    }
}
