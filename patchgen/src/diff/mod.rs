//! Comparing two builds: which functions correspond, which are the same.

mod callsites;
mod compare;
mod constant_pairs;
mod data;
mod exceptions;
mod initial;
mod kept_names;
mod key_groups;
mod lines;
mod matching;
mod merged;
mod namesakes;
mod passed;
mod pieces;
mod same;
mod thread_locals;
mod undecided;
mod votes;

pub use compare::{FunctionChange, compare_functions};
pub use data::{DataChange, compare_data};
pub(crate) use exceptions::is_known;
pub use exceptions::{ExceptionTables, caught_by_address};
pub use initial::changed_thread_locals;
pub use lines::{LineNumbers, Parameter};
pub(crate) use matching::is_constant;
pub use matching::{Matching, Units};
pub use same::Sameness;
pub(crate) use same::{data_pointers, describe};
pub use thread_locals::{NoCounterpart, ThreadLocals};
pub(crate) use thread_locals::{local_slot, used_places};

use crate::code::Program;

/// Two builds side by side.
pub struct Pair<'p, 'a> {
    /// The build that runs.
    pub old: &'p Program<'a>,
    /// The build with the fix.
    pub new: &'p Program<'a>,
}
