//! ELF images in a process, read from its memory: files may have been replaced on disk since.

use crate::address::{AddressRange, LoadBias, PAGE, RuntimeAddr};
use crate::error::{LoaderError, Result};
use crate::maps::{Backing, Mapping, MemoryMap};
use crate::memory::RemoteMemory;
use goblin::container::{Container, Ctx};
use goblin::elf::header::header64::{Header, SIZEOF_EHDR};
use goblin::elf::note::{NT_GNU_BUILD_ID, NoteDataIterator};
use goblin::elf::program_header::{PF_X, PT_DYNAMIC, PT_GNU_EH_FRAME, PT_LOAD, PT_NOTE, ProgramHeader};
use nix::unistd::Pid;
use patchfile::{BuildId, ImageRef};
use std::path::PathBuf;

/// Notes longer than this are not looked at.
const MAX_NOTES: u64 = 64 * 1024;
/// More program headers than any real image has.
const MAX_PROGRAM_HEADERS: usize = 512;

/// An ELF file that is mapped in a process.
#[derive(Clone, Debug)]
pub struct Image {
    /// File name without directory, `[vdso]` for the kernel's.
    pub name: String,
    /// Path as the kernel reports it, None for the kernel's own.
    pub path: Option<PathBuf>,
    /// Runtime minus link-time addresses.
    pub bias: LoadBias,
    /// Build ID, if the image has one.
    pub build_id: Option<BuildId>,
    headers: Vec<ProgramHeader>,
}

/// A loadable segment at its place.
#[derive(Clone, Copy, Debug)]
pub struct Segment {
    /// The bytes that come from the file.
    pub file_bytes: AddressRange,
    /// All bytes.
    pub memory: AddressRange,
    /// It holds code.
    pub execute: bool,
}

impl Image {
    /// All images of a process.
    pub fn all(map: &MemoryMap, memory: &RemoteMemory) -> Vec<Image> {
        let mut images: Vec<Image> = Vec::new();
        for mapping in map {
            let Some(image) = Image::at(mapping, memory).filter(|image| !image.is_only_read(mapping, map))
            else {
                continue;
            };
            // In a file of less than a page, the writable segment begins with the same bytes as the first one.
            let again = images
                .iter()
                .any(|other| other.path == image.path && other.extent().contains(image.extent().start));
            if !again {
                images.push(image);
            }
        }
        images
    }

    /// The image whose ELF header is at the start of `mapping`.
    fn at(mapping: &Mapping, memory: &RemoteMemory) -> Option<Image> {
        let (name, path) = match &mapping.backing {
            Backing::File { path, .. } if mapping.offset == 0 => (mapping.file_name()?, Some(path.clone())),
            Backing::Special(name) if name == "[vdso]" => (name.clone(), None),
            _ => return None,
        };
        if !mapping.read || path.as_ref().is_some_and(|path| path.starts_with("/dev")) {
            return None;
        }
        let start = mapping.range.start;
        let mut bytes = [0; SIZEOF_EHDR];
        memory.read(start, &mut bytes).ok()?;
        let header = Header::from_bytes(&bytes);
        let is_image = bytes.starts_with(goblin::elf::header::ELFMAG)
            && header.e_machine == goblin::elf::header::EM_X86_64
            && usize::from(header.e_phentsize) == goblin::elf::program_header::program_header64::SIZEOF_PHDR
            && usize::from(header.e_phnum) <= MAX_PROGRAM_HEADERS;
        if !is_image {
            return None;
        }
        let len = u64::from(header.e_phnum) * u64::from(header.e_phentsize);
        let table = memory.read_vec(start.plus(header.e_phoff), len).ok()?;
        let context = Ctx::new(Container::Big, scroll_little());
        let headers = ProgramHeader::parse(&table, 0, usize::from(header.e_phnum), context).ok()?;
        let first = headers.iter().find(|header| header.p_type == PT_LOAD && header.p_offset < PAGE)?;
        let bias = LoadBias(start.0.wrapping_sub(first.p_vaddr & !(PAGE - 1)));
        let build_id = headers.iter().find_map(|header| read_build_id(header, bias, memory));
        Some(Image { name, path, bias, build_id, headers })
    }

    /// True if `mapping`, where the image begins, is a file that somebody reads, as Rust's backtraces read the program's
    /// symbols: it has the code at its place in the file, and nothing can be executed where the image would have it.
    fn is_only_read(&self, mapping: &Mapping, map: &MemoryMap) -> bool {
        let len = mapping.range.end.0 - mapping.range.start.0;
        let is_code = |header: &&ProgramHeader| header.p_type == PT_LOAD && header.p_flags & PF_X != 0;
        let mut code = self.headers.iter().filter(is_code).peekable();
        let runs = |header: &ProgramHeader| {
            map.find(self.runtime(header.p_vaddr)).is_some_and(|mapping| mapping.execute)
        };
        code.peek().is_some()
            && code.all(|header| header.p_offset.saturating_add(header.p_filesz) <= len && !runs(header))
    }

    /// The one image of the process that `wanted` names.
    pub fn find<'a>(images: &'a [Image], wanted: &ImageRef, pid: Pid) -> Result<&'a Image> {
        let mut fitting = images.iter().filter(|image| image.build_id.as_ref() == Some(&wanted.build_id));
        let count = fitting.clone().count();
        match (fitting.next(), count) {
            (Some(image), 1) => Ok(image),
            (Some(_), _) => Err(LoaderError::SeveralImages { pid, build_id: wanted.build_id.clone(), count }),
            (None, _) => Err(LoaderError::WrongBuild {
                pid,
                name: wanted.name.clone(),
                wanted: wanted.build_id.clone(),
                found: images
                    .iter()
                    .filter(|image| image.name == wanted.name)
                    .filter_map(|image| image.build_id.clone())
                    .collect(),
            }),
        }
    }

    /// True if the image is in memory where it was found.
    pub fn is_loaded(&self, memory: &RemoteMemory) -> bool {
        self.headers.iter().find_map(|header| read_build_id(header, self.bias, memory)) == self.build_id
    }

    /// Its loadable segments at their runtime addresses.
    pub fn segments(&self) -> impl Iterator<Item = Segment> {
        self.headers.iter().filter(|header| header.p_type == PT_LOAD).map(|header| {
            let start = self.runtime(header.p_vaddr);
            Segment {
                file_bytes: AddressRange::sized(start, header.p_filesz),
                memory: AddressRange::sized(start, header.p_memsz),
                execute: header.p_flags & PF_X != 0,
            }
        })
    }

    /// Where the image lies, from its first to its last segment.
    pub fn extent(&self) -> AddressRange {
        let start = self.segments().map(|segment| segment.memory.start).min().unwrap_or_default();
        let end = self.segments().map(|segment| segment.memory.end).max().unwrap_or_default();
        AddressRange { start, end }
    }

    /// Place of the `.eh_frame_hdr` section, if the image has one.
    pub fn unwind_header(&self) -> Option<AddressRange> {
        let header = self.headers.iter().find(|header| header.p_type == PT_GNU_EH_FRAME)?;
        Some(AddressRange::sized(self.runtime(header.p_vaddr), header.p_memsz))
    }

    /// Place of the dynamic section, if the image has one.
    pub fn dynamic_section(&self) -> Option<AddressRange> {
        let header = self.headers.iter().find(|header| header.p_type == PT_DYNAMIC)?;
        Some(AddressRange::sized(self.runtime(header.p_vaddr), header.p_memsz))
    }

    fn runtime(&self, address: u64) -> RuntimeAddr {
        self.bias.at(patchfile::LinkAddr(address))
    }
}

fn scroll_little() -> goblin::container::Endian {
    goblin::container::Endian::Little
}

fn read_build_id(header: &ProgramHeader, bias: LoadBias, memory: &RemoteMemory) -> Option<BuildId> {
    if header.p_type != PT_NOTE || header.p_memsz > MAX_NOTES {
        return None;
    }
    let notes = memory.read_vec(bias.at(patchfile::LinkAddr(header.p_vaddr)), header.p_memsz).ok()?;
    let alignment = if header.p_align == 8 { 8 } else { 4 };
    let context = (alignment, Ctx::new(Container::Big, scroll_little()));
    let notes = NoteDataIterator { data: &notes, size: notes.len(), offset: 0, ctx: context };
    notes
        .map_while(std::result::Result::ok)
        .find(|note| note.n_type == NT_GNU_BUILD_ID && note.name == "GNU" && !note.desc.is_empty())
        .map(|note| BuildId(note.desc.to_vec()))
}
