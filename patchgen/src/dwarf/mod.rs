//! What the compiler wrote about the source: lines, static locals, inlining, and the layout of types.

mod address_index;
mod debug_info;
mod error;
mod functions;
mod layout;
mod layout_check;
mod layout_diff;
mod lines;
mod node;
mod placement;
mod reach;
mod report;
mod sections;
mod type_names;
mod unit;
mod unit_pair;
mod unit_types;
mod variables;

pub use debug_info::DebugInfo;
pub use error::DwarfError;
pub use functions::InlinedFunction;
pub use layout_check::compare_layouts;
pub use layout_diff::LayoutChangeKind;
pub use lines::{LineTable, SourceLine};
pub use report::{LayoutChange, LayoutReport, PrototypeChange, VariableChange};
pub use sections::DebugSections;
pub use unit::UnitId;
pub use variables::{StaticLocal, StaticLocation};
