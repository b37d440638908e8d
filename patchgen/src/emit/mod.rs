//! From the difference to a patch: extraction of changed code with all its references, redirects, trampolines.

mod alignment;
mod builder;
mod data;
mod delta;
mod ends;
mod functions;
mod imports;
mod place;
mod redirect;
mod registration;
mod texts;
mod thread_locals;
mod trampoline;
mod unwind;
mod windows;

pub use builder::{Change, Emission, Input, emit};
pub(crate) use place::{MAX_BEFORE, MAX_BIAS};
