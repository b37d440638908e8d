//! The data that the code of changed functions refers to, as the layout check needs to know it.

use std::collections::HashSet;
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

/// What is known of the code around the given functions.
#[derive(Debug, Clone, Default)]
pub struct Surroundings {
    /// The data that the functions of the new build use.
    pub used: Vec<UsedData>,
    /// The code of the old build that does not run while the patch is applied, and is not what it was afterwards: that of
    /// changed functions, and of others that only these call.
    pub replaced: Vec<Range<u64>>,
    /// Whether the old build has code of Rust that no debugging information covers.
    pub undescribed: bool,
    /// Addresses of those of the functions that nothing but replaced code refers to.
    pub inner: HashSet<u64>,
    /// Addresses of those of the functions that nothing refers to but calls by functions which both builds have, and by
    /// replaced code: whoever calls them was compiled for what they are now.
    pub called_alike: HashSet<u64>,
}
