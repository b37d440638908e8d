//! How the target's unwinder gets to know the patch's unwind tables: code of the patch that a thread of the target runs
//! once.
//!
//! ```text
//!     xor  %eax, %eax
//!     mov  $1, %ecx
//!     lock cmpxchg %cl, state(%rip)   one thread only, once
//!     jne  3f
//!     call *__errno_location          if the target has it: malloc may change errno
//!     mov  %rax, %rbx
//!     mov  (%rax), %r12d
//!     lea  code(%rip), %rdi           after a library was unloaded and loaded again the tables
//!     lea  bases(%rip), %rsi          may be known already
//!     call *_Unwind_Find_FDE
//!     test %rax, %rax
//!     jne  2f
//!     lea  frames(%rip), %rdi
//!     call *__register_frame
//! 2:  mov  %r12d, (%rbx)
//!     movb $2, state(%rip)
//! 3:  mov  $15, %eax                  rt_sigreturn(2): the thread goes where the frame on its stack says,
//!     syscall                         whether the loader is still there or not
//! ```
//!
//! It is entered with the stack pointer at a signal frame, a multiple of 16.

use super::builder::{Builder, pc_relative};
use super::place::Placed;
use crate::image::{Image, Pointer, stem};
use patchfile::format::registration::DONE;
use patchfile::{
    Extent, LinkAddr, Place, Relocation, RelocationKind, Section, SectionContents, SectionKind, SymbolKind,
    Unwinding,
};
use std::ops::Range;

/// Where the unwinder is that the target uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unwinder {
    /// libgcc_s, beside the target in the process.
    Shared,
    /// libgcc_eh, linked into the target.
    Inside,
}

/// Symbols that only images have which throw, catch or clean up behind exceptions, or that hold an unwinder.
const UNWINDERS: [&str; 6] = [
    "__gxx_personality_v0",
    "rust_eh_personality",
    "__gcc_personality_v0",
    "_Unwind_Resume",
    "__cxa_throw",
    "__cxa_rethrow",
];

/// libstdc++ throws in functions of its own for containers (`std::__throw_length_error` and the like).
fn unwinds(name: &str) -> bool {
    UNWINDERS.contains(&name) || (name.starts_with("_ZSt") && name.contains("__throw_"))
}

/// The symbol by which it shows that `image` unwinds through its frames.
pub(crate) fn sign_of_unwinding(image: &Image<'_>) -> Option<String> {
    let imported = image.linkage.pointers.iter().filter_map(|(_, pointer)| match pointer {
        Pointer::Symbol { name, .. } => Some(name.as_str()),
        _ => None,
    });
    imported.chain(names(image)).find(|name| unwinds(name)).map(str::to_owned)
}

fn names<'i>(image: &'i Image<'_>) -> impl Iterator<Item = &'i str> {
    image
        .functions
        .iter()
        .flat_map(|function| std::iter::once(&function.name).chain(&function.aliases))
        .map(String::as_str)
}

impl Unwinder {
    /// The unwinder that `target` uses. An error says why its tables cannot be added to.
    pub(crate) fn of(target: &Image<'_>) -> Result<Self, &'static str> {
        let has = |wanted: &str| names(target).any(|name| name == wanted);
        if has("__unw_add_dynamic_fde") || has("__unw_step") {
            return Err("its unwinder, LLVM's libunwind, is part of it, which takes no tables");
        }
        if has("_Unwind_RaiseException") || has("_Unwind_Resume") {
            let takes_tables = [REGISTER, FIND].iter().all(|name| has(name));
            let missing = "its unwinder is part of it, and has no function that takes unwind tables";
            return if takes_tables { Ok(Unwinder::Inside) } else { Err(missing) };
        }
        let needs = |name: &str| target.needed.iter().any(|needed| needed.starts_with(name));
        let of_gcc = |pointer: &Pointer| match pointer {
            Pointer::Symbol { name, version, .. } => {
                name.starts_with("_Unwind_") && version.starts_with("GCC_")
            }
            _ => false,
        };
        let imported = target.linkage.pointers.iter().any(|(_, pointer)| of_gcc(pointer));
        if imported || needs("libgcc_s.so") || (needs("libstdc++.so") && !needs("libunwind")) {
            return Ok(Unwinder::Shared);
        }
        Err(
            "which unwinder it uses is not known (gcc's libgcc_s takes unwind tables, LLVM's libunwind does not)",
        )
    }
}

const REGISTER: &str = "__register_frame";
const FIND: &str = "_Unwind_Find_FDE";
const ERRNO: &str = "__errno_location";
/// The version of glibc's first release for this processor.
const GLIBC: &str = "GLIBC_2.2.5";

/// Bytes of the state: the byte itself, and what `_Unwind_Find_FDE` writes (`struct dwarf_eh_bases`).
const STATE_LEN: u64 = 32;
const BASES: i64 = 8;

impl Builder<'_, '_, '_> {
    /// Adds everything that makes the tables `frames` known. `code` is a place that they are about.
    pub(super) fn registration(&mut self, unwinder: Unwinder, frames: usize, code: Placed) -> Unwinding {
        let find = self.routine(unwinder, FIND, "@GCC_3.0");
        let register = self.routine(unwinder, REGISTER, "@GCC_3.0");
        let errno = self.errno_location();
        let section = self.sections.len();
        self.sections.push(Section {
            name: ".data.unwinding".to_owned(),
            kind: SectionKind::Data,
            align: 8,
            contents: SectionContents::Zero(STATE_LEN),
            relocations: Vec::new(),
        });
        let place = Place::Patch { section, offset: 0 };
        let state = self.symbol("__tardigrade_unwinding".to_owned(), place, STATE_LEN, SymbolKind::Object);

        let at = |symbol: usize| Placed { symbol, offset: 0 };
        let mut stub = Stub::default();
        stub.push(&[0x31, 0xc0]);
        stub.push(&[0xb9, 1, 0, 0, 0]);
        stub.field(&[0xf0, 0x0f, 0xb0, 0x0d], at(state), &[]);
        let home = stub.jump(0x75);
        if let Some(errno) = errno {
            stub.field(&[0xff, 0x15], at(errno), &[]);
            stub.push(&[0x48, 0x89, 0xc3]);
            stub.push(&[0x44, 0x8b, 0x20]);
        }
        stub.field(&[0x48, 0x8d, 0x3d], code, &[]);
        stub.field(&[0x48, 0x8d, 0x35], Placed { symbol: state, offset: BASES }, &[]);
        stub.field(&[0xff, 0x15], at(find), &[]);
        stub.push(&[0x48, 0x85, 0xc0]);
        let known = stub.jump(0x75);
        stub.field(&[0x48, 0x8d, 0x3d], at(frames), &[]);
        stub.field(&[0xff, 0x15], at(register), &[]);
        stub.land(known);
        if errno.is_some() {
            stub.push(&[0x44, 0x89, 0x23]);
        }
        stub.field(&[0xc6, 0x05], at(state), &[DONE]);
        stub.land(home);
        stub.push(&[0xb8, 15, 0, 0, 0]);
        stub.push(&[0x0f, 0x05]);

        let section = self.sections.len();
        let size = stub.bytes.len() as u64;
        debug_assert!(self.reader.check(&stub.bytes, 0).is_ok());
        self.sections.push(Section {
            name: ".text.unwinding".to_owned(),
            kind: SectionKind::Text,
            align: 16,
            contents: SectionContents::Bytes(stub.bytes),
            relocations: stub.relocations,
        });
        let place = Place::Patch { section, offset: 0 };
        let stub = self.symbol("__tardigrade_register".to_owned(), place, size, SymbolKind::Function);
        let old = &self.input.pair.old.image;
        let section = |name: &str| old.sections.iter().find(|section| section.name == name);
        let untold = section(".eh_frame").filter(|_| section(".eh_frame_hdr").is_none());
        let target_frames = untold.map(|frames| extent(&frames.range));
        Unwinding { frames, stub, state, target_frames, avoid: avoided(old, unwinder) }
    }

    /// A slot with the address of a function of the unwinder.
    fn routine(&mut self, unwinder: Unwinder, name: &str, version: &str) -> usize {
        let to = match unwinder {
            Unwinder::Shared => self.imported(format!("{name}{version}")),
            Unwinder::Inside => self.own(name).unwrap_or_else(|| self.imported(name.to_owned())),
        };
        self.slot_to(name, to)
    }

    /// A slot with the address of the function that tells where errno is, if the process has it for certain.
    fn errno_location(&mut self) -> Option<usize> {
        let to = self.own(ERRNO).or_else(|| {
            let old = &self.input.pair.old.image;
            let versions = old.linkage.pointers.iter().filter_map(|(_, pointer)| match pointer {
                Pointer::Symbol { version, .. } => Some(version.as_str()),
                _ => None,
            });
            let glibc = versions.clone().any(|version| version.starts_with("GLIBC_"));
            glibc.then(|| self.imported(format!("{ERRNO}@{GLIBC}")))
        })?;
        Some(self.slot_to(ERRNO, to))
    }

    fn slot_to(&mut self, name: &str, symbol: usize) -> usize {
        let to = Relocation { offset: 0, kind: RelocationKind::Abs64, symbol, addend: 0 };
        self.read_only(format!(".rodata.ref.{name}"), format!("{name}@ref"), vec![0; 8], 8, vec![to])
    }

    /// A function of the target itself.
    fn own(&mut self, name: &str) -> Option<usize> {
        let old = &self.input.pair.old.image;
        let function = old.functions.iter().find(|function| {
            !function.ifunc && (function.name == name || function.aliases.iter().any(|alias| alias == name))
        })?;
        Some(self.target_symbol(name, function.address(), SymbolKind::Function))
    }

    fn imported(&mut self, full: String) -> usize {
        if let Some(symbol) = self.import_symbols.get(&full).or_else(|| self.own_imports.get(&full)) {
            return *symbol;
        }
        let symbol = self.symbol(full.clone(), Place::Import, 0, SymbolKind::None);
        self.own_imports.insert(full, symbol);
        symbol
    }
}

/// The code of the target that takes the locks of the allocator, of the dynamic linker and of the unwinder.
fn avoided(target: &Image<'_>, unwinder: Unwinder) -> Vec<Extent> {
    let is_static = !target.sections.iter().any(|section| section.name == ".dynamic");
    let takes_locks = |name: &str| {
        let name = stem(name);
        let begins = |with: &[&str]| with.iter().any(|with| name.starts_with(with));
        let allocates =
            ["malloc", "calloc", "realloc", "memalign", "valloc"].iter().any(|part| name.contains(part))
                || ["free", "cfree", "_int_free", "__libc_free"].contains(&name.as_str());
        let of_library = begins(&["_dl_", "dl_iterate", "__lll_lock_wait", "arena_get", "sysm", "systrim"])
            || begins(&["new_heap", "heap_trim", "tcache_", "mtrim", "_int_"]);
        let of_unwinder = begins(&["_Unwind_", "__register_frame", "__deregister_frame", "uw_"]);
        allocates || (is_static && of_library) || (unwinder == Unwinder::Inside && of_unwinder)
    };
    let found = target.functions.iter().filter(|function| {
        std::iter::once(&function.name).chain(&function.aliases).any(|name| takes_locks(name))
    });
    let parts = found.flat_map(|function| &function.parts);
    parts.map(extent).collect()
}

fn extent(range: &Range<u64>) -> Extent {
    Extent { address: LinkAddr(range.start), size: range.end - range.start }
}

#[derive(Default)]
struct Stub {
    bytes: Vec<u8>,
    relocations: Vec<Relocation>,
}

impl Stub {
    fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// An instruction with a rip-relative field and, behind it, an immediate.
    fn field(&mut self, opcode: &[u8], to: Placed, immediate: &[u8]) {
        self.push(opcode);
        let field = self.bytes.len();
        self.push(&[0; 4]);
        self.push(immediate);
        self.relocations.push(pc_relative(field as u64, self.bytes.len() as u64, to));
    }

    /// A short jump whose end comes later; returns where.
    fn jump(&mut self, opcode: u8) -> usize {
        self.push(&[opcode, 0]);
        self.bytes.len()
    }

    fn land(&mut self, from: usize) {
        self.bytes[from - 1] = (self.bytes.len() - from) as u8;
    }
}
