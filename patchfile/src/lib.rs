//! The patch file (`.tgp`): what the generator writes and the loader reads.
//!
//! A patch is an ELF relocatable object for exactly one target image. Code, data, relocations and symbols
//! are ordinary ELF; everything else sits in one section, [`format::META_SECTION`]. The layout is described
//! in `docs/patch-format.md`.
//!
//! The reader treats a file as hostile input: every offset, index and size is checked before use, and a
//! [`Patch`] that [`Patch::parse`] returns upholds the invariants listed there.
#![forbid(unsafe_code)]

pub mod decode;
pub mod digest;
mod error;
mod file;
pub mod format;
mod hash;
mod model;
mod read;
mod validate;
mod write;

pub use error::PatchFileError;
pub use file::read_file;
pub use hash::Sha256;
pub use model::{
    BuildId, Change, CodeRange, Delta, DeltaOp, Extent, Function, ImageRef, LinkAddr, Patch, PatchId, Place,
    Redirect, RedirectKind, Relocation, RelocationKind, Section, SectionContents, SectionKind, Symbol,
    SymbolKind, Unwinding,
};
