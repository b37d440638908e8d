//! What the compiler wrote about the source: lines, static locals, inlining, and the layout of types.
//!
//! [`DebugSections`] finds the sections of a file, [`DebugInfo`] answers questions about one build, and
//! [`compare_layouts`] compares the types around changed functions in two builds. Compilation units are parsed
//! when a question first needs them and kept; the answers can be asked for from many threads.
//!
//! Errs towards too much: a function that may touch a type is taken to touch it, a definition that differs in
//! any way is reported. What cannot be read is an error, never an empty answer. DWARF 2 to 5 of gcc, clang and
//! rustc are read, with type units and split debug files; the supplementary files of dwz are refused.
//!
//! The modules build on each other in this order: `sections`, `split`, `debug_info` with `unit`, `address_index` and `node`;
//! `lines`, `functions`, `variables` and `declared`; `placement`, `type_names`, `layout` and `passing`; `closures`; `layout_diff`;
//! `crates`, `unit_types` and `rust_names`, `unit_pair`, `vtables` and `reach`; `attribution`, `transient` with
//! `cpp_mentions`, `layout_check`.

mod address_index;
mod attribution;
mod closures;
mod compiled;
mod cpp_mentions;
mod crates;
mod debug_info;
mod declared;
mod error;
mod functions;
mod layout;
mod layout_check;
mod layout_diff;
mod lines;
mod node;
mod objects;
mod passing;
mod placement;
mod reach;
mod report;
mod rust_names;
mod sections;
mod split;
mod transient;
mod type_names;
mod unit;
mod unit_pair;
mod unit_types;
mod used_data;
mod variables;
mod vtables;

pub(crate) use compiled::label;
pub use debug_info::DebugInfo;
pub use declared::Declared;
pub use error::DwarfError;
pub use functions::{InlinedCode, InlinedFunction};
pub use layout_check::compare_layouts;
pub use layout_diff::LayoutChangeKind;
pub use lines::{LineTable, SourceLine};
pub use objects::ObjectsOf;
pub use report::{LayoutChange, LayoutReport, PrototypeChange, UndescribedUse, VariableChange};
pub use sections::DebugSections;
pub use unit::UnitId;
pub use used_data::{Surroundings, UsedData};
pub use variables::{StaticLocal, StaticLocation};
pub use vtables::{TablePlace, VirtualTable};
