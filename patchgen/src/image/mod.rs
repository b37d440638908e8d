//! The intermediate representation: an image is functions, data objects and references between them.
//!
//! Readers fill it; nothing behind this module knows which kind of file it came from.

mod debug_file;
mod frames;
mod linkage;
mod load;
mod locations;
mod lsda;
mod names;
mod resolve;
mod rust_names;
mod symbols;
mod thread_locals;

pub use debug_file::DebugFile;
pub use frames::{CommonRules, Frame, Frames, Rules, rules};
pub use linkage::{Linkage, Pointer, Slot};
pub(crate) use load::read_file;
pub use load::{ImageFile, load};
pub use locations::Location;
pub(crate) use locations::MAX_LINE;
pub use lsda::{Action, CallSite, Lsda, RawLsda, ViaAddress, raw_lsda, read_lsda};
pub(crate) use names::without_numbers;
pub use names::{family, stem};
pub use resolve::{Extent, Referent};
pub use thread_locals::{ThreadLocals, TlsObject};

pub(crate) use rust_names::{is_codegen_unit, is_metadata, is_numbered, is_rust};
pub(crate) use symbols::padding_len;

use patchfile::BuildId;
use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;

/// Index of a function in [`Image::functions`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FunctionId(pub u32);

/// Index of a data object in [`Image::objects`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectId(pub u32);

/// One build of a program or library. All addresses are link-time addresses.
pub struct Image<'a> {
    /// File name without its directory.
    pub name: String,
    /// Build ID of the image.
    pub build_id: BuildId,
    /// True for PIE and shared libraries: code holds no absolute addresses.
    pub position_independent: bool,
    /// Sections that are mapped, by ascending address.
    pub sections: Vec<Section<'a>>,
    /// Functions by ascending address; at most one for each address.
    pub functions: Vec<Function>,
    /// Named data objects by ascending address; objects may share an address.
    pub objects: Vec<Object>,
    /// Names that the dynamic linker fills in, and pointers in data.
    pub linkage: Linkage,
    /// Relocations of code and data that the linker kept (`--emit-relocs`), by ascending address.
    pub kept_relocations: Option<Vec<KeptRelocation>>,
    /// Labels inside functions, which other code may call.
    pub labels: Vec<u64>,
    /// Names of the symbols that other images can bind to.
    pub exports: HashSet<String>,
    /// Libraries that it is linked with (`DT_NEEDED`), in the order in which symbols are looked up.
    pub needed: Vec<String>,
    /// Thread-local storage.
    pub tls: ThreadLocals,
    /// True for executables, whose thread-local storage lies at a fixed distance from the thread pointer.
    pub tls_is_fixed: bool,
    /// Constants without a name in the source of which the symbol table tells the extent.
    pub unnamed: Vec<Range<u64>>,
    /// True if some of its functions are Rust's.
    pub is_rust: bool,
    /// End of the furthest-reaching object up to each index, so that enclosing objects are found quickly.
    pub(crate) object_reach: Vec<u64>,
    /// Symbols that mark the ends of linker sets, by ascending address.
    pub(crate) set_marks: Vec<(u64, ObjectId)>,
    /// Address of `_GLOBAL_OFFSET_TABLE_`.
    pub got: Option<u64>,
    /// Ends of the objects that are not empty, ascending.
    pub(crate) object_ends: Vec<(u64, ObjectId)>,
    /// Start addresses of `functions` and of their `.cold` and other parts, with owner and part number.
    pub(crate) code_index: Vec<(Range<u64>, FunctionId, usize)>,
}

/// A mapped section.
pub struct Section<'a> {
    /// Name.
    pub name: String,
    /// Addresses.
    pub range: Range<u64>,
    /// Contents; empty for `.bss`.
    pub data: &'a [u8],
    /// What it may be used for.
    pub access: Access,
}

/// How a section is mapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Code.
    Execute,
    /// Constants without relocations.
    Read,
    /// Constants that the dynamic linker relocates (`.data.rel.ro`, `.got`), then read-only.
    ReadAfterRelocation,
    /// Variables.
    Write,
}

/// A function: its body and its split-off parts.
#[derive(Clone, Debug)]
pub struct Function {
    /// Symbol name, the preferred one of several aliases.
    pub name: String,
    /// Other names of the same address.
    pub aliases: Vec<String>,
    /// Source file that the symbol table names; None for global symbols.
    pub source: Option<Arc<str>>,
    /// `STB_LOCAL`.
    pub local: bool,
    /// Body first, then `.cold` parts.
    pub parts: Vec<Range<u64>>,
    /// True if the symbol table gives the size; false for hand-written assembly without one.
    pub sized: bool,
    /// `STT_GNU_IFUNC`: the address is that of the resolver.
    pub ifunc: bool,
}

impl Function {
    /// Address of the entry.
    pub fn address(&self) -> u64 {
        self.parts[0].start
    }

    /// Bytes of all parts.
    pub fn size(&self) -> u64 {
        self.parts.iter().map(|part| part.end - part.start).sum()
    }

    /// The part that holds `address`, and the offset in it.
    pub fn locate(&self, address: u64) -> Option<(usize, u64)> {
        let part = self.parts.iter().position(|part| part.contains(&address))?;
        Some((part, address - self.parts[part].start))
    }
}

/// A named data object.
#[derive(Clone, Debug)]
pub struct Object {
    /// Symbol name without a version suffix.
    pub name: String,
    /// Source file that the symbol table names; None for global symbols.
    pub source: Option<Arc<str>>,
    /// Addresses; empty for linker-made symbols such as `__bss_start`.
    pub range: Range<u64>,
    /// Index of its section in [`Image::sections`].
    pub section: usize,
    /// True if the symbol table gives the size; otherwise the range reaches to the next symbol.
    pub sized: bool,
}

impl Object {
    /// True for the arrays behind `__func__` and its like, which hold the name of the function around them.
    pub fn names_function(&self) -> bool {
        ["__func__", "__FUNCTION__", "__PRETTY_FUNCTION__"].contains(&stem(&self.name).as_str())
    }

    /// True for the flags that say whether a static variable of a C++ function was made, for type information, type
    /// names and vtables (Itanium C++ ABI, sections 5.2.2 and 2.9.5), for the statics that the macros of Rust's crate
    /// tracing make, which only those name, and for the C library's mark in its start files. Nobody needs the address of such an object's end,
    /// or counts down to its start.
    pub fn is_guard(&self) -> bool {
        ["_ZGV", "_ZTI", "_ZTS", "_ZTV"].iter().any(|prefix| self.name.starts_with(prefix))
            || rust_names::is_callsite(&self.name)
            || self.name == "_IO_stdin_used"
    }

    /// True for clang's tables of distances from their own beginning, which nothing else marks
    /// (lib/Transforms/Utils/RelLookupTableConverter.cpp).
    pub fn is_relative_table(&self) -> bool {
        self.name.starts_with("reltable.")
    }

    /// True for symbols by which the linker marks a place: they name no data of their own.
    pub fn is_mark(&self) -> bool {
        is_mark(&self.name)
    }

    /// The section of which this symbol marks the start or end.
    pub fn marks(&self) -> Option<&str> {
        marked_section(&self.name)
    }
}

/// The section of which the symbol `name` marks the start or end.
fn marked_section(name: &str) -> Option<&str> {
    name.strip_prefix("__start_").or_else(|| name.strip_prefix("__stop_"))
}

/// True for names by which the linker marks a place.
fn is_mark(name: &str) -> bool {
    const MARKS: [&str; 21] = [
        "_end",
        "end",
        "_edata",
        "edata",
        "_etext",
        "etext",
        "__etext",
        "__bss_start",
        "__data_start",
        "data_start",
        "__TMC_END__",
        "__TMC_LIST__",
        "__FRAME_END__",
        "__EH_FRAME_BEGIN__",
        "__GNU_EH_FRAME_HDR",
        "_GLOBAL_OFFSET_TABLE_",
        "_DYNAMIC",
        "__ehdr_start",
        "__executable_start",
        "__rela_iplt_start",
        "__rela_iplt_end",
    ];
    let array = name.starts_with("__") && (name.ends_with("_array_start") || name.ends_with("_array_end"));
    array || marked_section(name).is_some() || MARKS.contains(&name)
}

/// A relocation that the linker applied and kept.
#[derive(Clone, Copy, Debug)]
pub struct KeptRelocation {
    /// Where it was applied.
    pub address: u64,
    /// `R_X86_64_*`.
    pub kind: u32,
    /// Address of the symbol if it is a named one; None for section symbols.
    pub symbol: Option<u64>,
    /// Address of the section if the symbol is a section's.
    pub in_section: Option<u64>,
}

impl<'a> Image<'a> {
    /// The section that holds `address`.
    pub fn section_at(&self, address: u64) -> Option<&Section<'a>> {
        let index = self.sections.partition_point(|section| section.range.start <= address).checked_sub(1)?;
        Some(&self.sections[index]).filter(|section| section.range.contains(&address))
    }

    /// Contents of `range` if it lies in one section; short or empty where the section has no file contents.
    pub fn bytes(&self, range: Range<u64>) -> Option<&'a [u8]> {
        let section = self.section_at(range.start)?;
        let start = (range.start - section.range.start) as usize;
        let end = (range.end.checked_sub(section.range.start)?) as usize;
        section.data.get(start..end)
    }

    /// The text that reaches up to `address`, from the NUL or the named object before it on; None if it is empty.
    pub fn text_before(&self, address: u64) -> Option<&'a [u8]> {
        let section = self.section_at(address).filter(|section| section.access == Access::Read)?;
        let at = (address - section.range.start) as usize;
        let nul = section.data.get(..at)?.iter().rposition(|byte| *byte == 0).map_or(0, |nul| nul + 1);
        let text = &section.data[nul..at];
        let named = (0..text.len())
            .rev()
            .find(|back| self.object_at(section.range.start + (nul + back) as u64).is_some());
        let text = &text[named.map_or(0, |named| named + 1)..];
        (!text.is_empty()).then_some(text)
    }

    /// The function by index.
    pub fn function(&self, id: FunctionId) -> &Function {
        &self.functions[id.0 as usize]
    }

    /// The object by index.
    pub fn object(&self, id: ObjectId) -> &Object {
        &self.objects[id.0 as usize]
    }

    /// All function indices.
    pub fn function_ids(&self) -> impl Iterator<Item = FunctionId> + use<> {
        (0..self.functions.len() as u32).map(FunctionId)
    }

    /// All object indices.
    pub fn object_ids(&self) -> impl Iterator<Item = ObjectId> + use<> {
        (0..self.objects.len() as u32).map(ObjectId)
    }

    /// The function whose code holds `address`, the part and the offset in it.
    pub fn function_at(&self, address: u64) -> Option<(FunctionId, usize, u64)> {
        let index = self.code_index.partition_point(|(range, ..)| range.start <= address).checked_sub(1)?;
        let (range, id, part) = &self.code_index[index];
        range.contains(&address).then(|| (*id, *part, address - range.start))
    }

    /// True if absolute addresses in data cannot be told from numbers: a fixed address, and no relocations kept.
    pub fn may_hide_pointers(&self) -> bool {
        !self.position_independent && self.kept_relocations.is_none()
    }

    /// Kept relocations whose field begins in `range`.
    pub fn kept_in(&self, range: Range<u64>) -> &[KeptRelocation] {
        let Some(all) = &self.kept_relocations else { return &[] };
        let from = all.partition_point(|relocation| relocation.address < range.start);
        let to = all.partition_point(|relocation| relocation.address < range.end);
        &all[from..to]
    }
}
