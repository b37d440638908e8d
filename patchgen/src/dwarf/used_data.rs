//! The data that the code of changed functions refers to, as the layout check needs to know it.

use std::ops::Range;

/// Data with static storage that a function uses.
///
/// Debug information does not tell which variables a function uses; its code does.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct UsedData {
    /// Link address of the function.
    pub function: u64,
    /// What the data is called in messages.
    pub text: String,
    /// Names of variables that it may be.
    pub names: Vec<String>,
    /// Where it is, if that is known: variables there are the data, whatever their name.
    pub range: Option<Range<u64>>,
    /// Whether it is a live variable of which a description has to be found. Without one it is not known what
    /// types the function uses. False for constants, and for what compilers and linkers make for themselves.
    pub writable: bool,
}
