//! What the comparison of types finds.

use super::{LayoutChangeKind, VirtualTable};
use std::ops::Range;

/// What is known of the types around the changed functions.
#[derive(Debug, Clone, Default)]
pub struct LayoutReport {
    /// Whether all functions were found in the debug information of their build. If not, nothing is said about
    /// the types of [`Self::unchecked_functions`].
    pub checked: bool,
    /// Functions that no debug information describes, of either build.
    pub unchecked_functions: Vec<String>,
    /// Types whose definitions differ.
    pub changes: Vec<LayoutChange>,
    /// Variables with static storage whose types differ.
    pub variables: Vec<VariableChange>,
    /// Functions whose prototypes differ.
    pub prototypes: Vec<PrototypeChange>,
    /// The tables of methods of Rust's trait objects that are in both builds.
    pub tables: Vec<VirtualTable>,
}

/// A type that is defined in both builds, differently.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LayoutChange {
    /// Name with its keyword, `struct NBDClient`, or that of the typedef.
    pub type_name: String,
    /// The most harmful difference.
    pub kind: LayoutChangeKind,
    /// All kinds of differences, the most harmful first.
    pub kinds: Vec<LayoutChangeKind>,
    /// Source file of the declaration; for Rust, of the module's functions.
    pub file: Option<String>,
    /// The crate of a type of Rust.
    pub crate_name: Option<String>,
    /// What differs, for people.
    pub detail: String,
    /// The bytes of former padding that new members take.
    pub filled: Vec<Range<u64>>,
    /// Those of the given functions that can touch the type.
    pub functions: Vec<String>,
    /// Variables with static storage, visible to changed functions, that have or lead to the type. Debug
    /// information does not tell which of them a function uses.
    pub variables: Vec<String>,
    /// Those of the variables that the given functions use, by [`UsedData`](super::UsedData).
    pub used_variables: Vec<String>,
    /// Uses of data that nothing describes, near the type: it is not known whether they touch it.
    pub undescribed: Vec<UndescribedUse>,
    /// Those of the given functions that are compiled where the type is complete: a cast to it would leave no trace.
    pub beside: Vec<String>,
}

/// A function uses data that has no description, so that it is not known which types it touches.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct UndescribedUse {
    /// Name of the function as given.
    pub function: String,
    /// What the data is called.
    pub data: String,
}

/// A variable whose type differs: its contents do not mean the same in both builds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VariableChange {
    /// Name, with the functions and blocks around it.
    pub name: String,
    /// Source file of the declaration.
    pub file: Option<String>,
    /// Whether the old variable is `const`: then no live data is in question.
    pub constant: bool,
    /// Type in the old build.
    pub old_type: String,
    /// Type in the new build.
    pub new_type: String,
}

/// A function that callers which did not change would call in the wrong way.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct PrototypeChange {
    /// Name as given.
    pub function: String,
    /// Source file.
    pub file: Option<String>,
    /// Return type and parameters in the old build.
    pub old: String,
    /// Return type and parameters in the new build.
    pub new: String,
    /// It may be called by code which the patch does not replace, that hands over what the old prototype says: a function of
    /// Rust, one made for a lambda, or one of C and C++ that is passed other things than before.
    pub called_otherwise: bool,
    /// It is made for a lambda of C++ that captures other things.
    pub of_lambda: bool,
}
