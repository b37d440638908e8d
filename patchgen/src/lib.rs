//! Makes a hot patch from two builds of a program, or refuses with reasons.
//!
//! Errs towards too much change, never too little: what cannot be shown to be the same is reported as changed, and
//! a reference that cannot be accounted for is a refusal. The way of the data is the order of the modules:
//! [`image`] reads, [`code`] decodes, [`diff`] matches and compares, [`emit`] extracts and writes, [`report`]
//! tells.
#![forbid(unsafe_code)]

mod binding;
mod callers;
pub mod cli;
pub mod code;
mod constants;
pub mod diff;
pub mod dwarf;
pub mod emit;
pub mod error;
mod explain;
mod identity;
pub mod image;
pub mod listing;
mod origin;
mod padding;
pub mod references;
pub mod report;
pub mod side_by_side;
pub mod source_lines;
mod type_ids;
pub mod types;
pub mod verdict;
mod vtables;
pub mod warnings;
