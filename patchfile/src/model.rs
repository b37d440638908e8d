//! The patch as a value.

use crate::Sha256;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

/// An address as the linker assigned it; the runtime address is this plus the image's load bias.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LinkAddr(pub u64);

impl LinkAddr {
    /// The address `bytes` further on, wrapping as addresses do.
    #[must_use]
    pub fn offset(self, bytes: u64) -> Self {
        LinkAddr(self.0.wrapping_add(bytes))
    }
}

impl fmt::Display for LinkAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}

/// The descriptor of an image's `NT_GNU_BUILD_ID` note.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BuildId(pub Vec<u8>);

impl fmt::Display for BuildId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(&self.0))
    }
}

impl fmt::Debug for BuildId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BuildId({self})")
    }
}

impl Serialize for BuildId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for BuildId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        hex::decode(&text).map(BuildId).map_err(serde::de::Error::custom)
    }
}

/// Identifies a patch: the SHA-256 digest of its file.
///
/// Shown as the first 16 hex digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PatchId(pub [u8; 32]);

impl fmt::Display for PatchId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(&self.0[..8]))
    }
}

impl fmt::Debug for PatchId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PatchId({self})")
    }
}

/// One of the two builds that a patch was made from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageRef {
    /// File name without its directory.
    pub name: String,
    /// Its build ID.
    pub build_id: BuildId,
}

/// A patch for one target image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Patch {
    /// The build that runs now.
    pub target: ImageRef,
    /// The build with the fix.
    pub replacement: ImageRef,
    /// Name and version of the generator.
    pub generator: String,
    /// Replaced and new functions, in the order of their target address, new ones last by name.
    pub functions: Vec<Function>,
    /// Everything that is loaded into the process.
    pub sections: Vec<Section>,
    /// Symbols, imports last; relocations and functions name them by index.
    pub symbols: Vec<Symbol>,
    /// Index of the symbol [`crate::format::GATE_SYMBOL`].
    pub gate: usize,
    /// Exported symbols that are new in the patch, sorted: if another image of the process defines one of them, the
    /// replacement itself might use that one.
    pub exports: Vec<String>,
    /// Unwind tables of the patch's code, if the target unwinds.
    pub unwinding: Option<Unwinding>,
}

/// Unwind tables of the patch's code, and how the target's unwinder gets to know them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Unwinding {
    /// Index of the symbol of the tables, in the form of an `.eh_frame` section with its end.
    pub frames: usize,
    /// Index of the symbol of the code that hands them to the unwinder, once; it ends with rt_sigreturn(2).
    pub stub: usize,
    /// Index of the symbol of the byte that says how far that got, one of [`crate::format::registration`].
    pub state: usize,
    /// The target's own unwind tables, if its program headers do not lead to them.
    pub target_frames: Option<Extent>,
    /// Code of the target that takes the locks which the stub needs: no thread runs the stub that is inside.
    pub avoid: Vec<Extent>,
}

/// A range of the target's code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Extent {
    /// First byte.
    pub address: LinkAddr,
    /// Length in bytes.
    pub size: u64,
}

/// What happened to a function between the two builds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Change {
    /// The target has it too; calls are redirected.
    Changed,
    /// Only the replacement has it; reached from other patched code.
    New,
}

/// A function of the patch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Function {
    /// Symbol name.
    pub name: String,
    /// Source file as the symbol table or DWARF names it, if known.
    pub source: Option<String>,
    /// What a compiler saw at once, the function among it, if that is known: functions of other units do not depend on
    /// its code.
    #[serde(default)]
    pub unit: Option<String>,
    /// Changed or new.
    pub change: Change,
    /// Why it is in the patch, for people.
    pub reasons: Vec<String>,
    /// Index of the symbol of the new code.
    pub symbol: usize,
    /// Size of the new code in bytes, all parts.
    pub new_size: u64,
    /// The old code: the function's body first, then its `.cold` and other parts. Empty for a new function.
    pub old: Vec<CodeRange>,
    /// Where and how calls are redirected. None for a new function.
    pub redirect: Option<Redirect>,
}

/// A range of code in the target, with the digest of the bytes that must be there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CodeRange {
    /// First byte.
    pub address: LinkAddr,
    /// Length in bytes.
    pub size: u64,
    /// SHA-256 of the bytes in memory, unrelocated text being position independent.
    pub sha256: Sha256,
}

/// The jump written at a function's entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Redirect {
    /// Address of the first byte that is overwritten.
    pub site: LinkAddr,
    /// What is written there.
    pub kind: RedirectKind,
    /// The bytes at `site` before; as many as the jump is long.
    #[serde(with = "hex")]
    pub original: Vec<u8>,
    /// Index of the trampoline's symbol: tests the gate, then leads to the new code, or through the re-encoded
    /// entry instructions back into the old code.
    pub trampoline: usize,
    /// A branch of the old code leads back to `site`. Such a branch is not a call, so this function may only be
    /// redirected while no activation of it is live.
    pub back_edge: bool,
}

/// Form of a redirect.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "form")]
pub enum RedirectKind {
    /// `jmp rel32` at the site, five bytes within one page.
    Near,
    /// `jmp rel8` at the site to `jmp rel32` in the padding between functions.
    Short {
        /// Address of the five padding bytes that take the near jump.
        island: LinkAddr,
        /// The padding as it was.
        #[serde(with = "hex")]
        original: Vec<u8>,
    },
}

/// What a section holds and how it is mapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SectionKind {
    /// Code, mapped readable and executable.
    Text,
    /// Constants, mapped readable (and executable, beside the code).
    ReadOnly,
    /// Variables, mapped readable and writable.
    Data,
}

/// Contents of a section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SectionContents {
    /// These bytes.
    Bytes(Vec<u8>),
    /// That many zero bytes.
    Zero(u64),
    /// Made by the loader from the target's own memory.
    Delta(Delta),
}

impl SectionContents {
    /// Length in the process.
    pub fn len(&self) -> u64 {
        match self {
            SectionContents::Bytes(bytes) => bytes.len() as u64,
            SectionContents::Zero(len) => *len,
            SectionContents::Delta(delta) => delta.len,
        }
    }

    /// True if there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A read-only section of the replacement told as a difference to the target's memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delta {
    /// Length of the result.
    pub len: u64,
    /// SHA-256 of the result, before relocations of the section are applied.
    pub sha256: Sha256,
    /// Pieces of the result, in order.
    pub ops: Vec<DeltaOp>,
}

/// One piece of a delta.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DeltaOp {
    /// Bytes copied from the target's memory.
    Copy {
        /// Where they are in the target.
        from: LinkAddr,
        /// How many.
        len: u64,
    },
    /// Bytes taken from the patch.
    Literal(#[serde(with = "hex")] Vec<u8>),
}

/// A section that is loaded into the process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Section {
    /// Section name, such as `.text.FUNCTION`.
    pub name: String,
    /// How it is mapped.
    pub kind: SectionKind,
    /// Alignment in bytes, a power of two of at most a page.
    pub align: u64,
    /// What it holds.
    pub contents: SectionContents,
    /// Places to fill in, by ascending offset.
    pub relocations: Vec<Relocation>,
}

/// Relocation types that a patch uses, as the x86-64 psABI (section 4.4) defines them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RelocationKind {
    /// `R_X86_64_PC32`: S + A - P, 32 bits, signed.
    Pc32,
    /// `R_X86_64_64`: S + A, 64 bits.
    Abs64,
    /// `R_X86_64_32`: S + A, 32 bits, zero-extended.
    Abs32,
    /// `R_X86_64_32S`: S + A, 32 bits, sign-extended.
    Abs32S,
    /// `R_X86_64_PC64`: S + A - P, 64 bits.
    Pc64,
}

impl RelocationKind {
    /// Width of the relocated field in bytes.
    pub fn width(self) -> u64 {
        match self {
            RelocationKind::Abs64 | RelocationKind::Pc64 => 8,
            RelocationKind::Pc32 | RelocationKind::Abs32 | RelocationKind::Abs32S => 4,
        }
    }

    /// The value to store, or None if it does not fit the field.
    ///
    /// `symbol`, `place` are runtime addresses (S and P of the psABI), `addend` is A.
    pub fn value(self, symbol: u64, addend: i64, place: u64) -> Option<[u8; 8]> {
        let absolute = symbol.wrapping_add_signed(addend);
        let relative = absolute.wrapping_sub(place);
        let (value, fits) = match self {
            RelocationKind::Abs64 => (absolute, true),
            RelocationKind::Pc64 => (relative, true),
            RelocationKind::Abs32 => (absolute, u32::try_from(absolute).is_ok()),
            RelocationKind::Abs32S => (absolute, i32::try_from(absolute as i64).is_ok()),
            RelocationKind::Pc32 => (relative, i32::try_from(relative as i64).is_ok()),
        };
        fits.then(|| value.to_le_bytes())
    }
}

/// A place in a section that depends on a symbol's address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Relocation {
    /// Offset in the section.
    pub offset: u64,
    /// How the field is computed.
    pub kind: RelocationKind,
    /// Index of the symbol.
    pub symbol: usize,
    /// Constant part.
    pub addend: i64,
}

/// Where a symbol is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Place {
    /// In a section of the patch.
    Patch {
        /// Index of the section.
        section: usize,
        /// Offset in it.
        offset: u64,
    },
    /// In the target image.
    Target(LinkAddr),
    /// In whichever image of the process defines the symbol. Its name is that of the dynamic symbol table, with
    /// `@VERSION` behind it if a version is asked for.
    Import,
}

/// ELF symbol type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SymbolKind {
    /// `STT_NOTYPE`.
    None,
    /// `STT_FUNC`.
    Function,
    /// `STT_OBJECT`.
    Object,
}

/// A symbol of the patch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Symbol {
    /// Name; a place in the target that is a linker-made slot carries `@plt` or `@got`, an import its version.
    pub name: String,
    /// Where it is.
    pub place: Place,
    /// Size in bytes, 0 if unknown.
    pub size: u64,
    /// What it is.
    pub kind: SymbolKind,
}
