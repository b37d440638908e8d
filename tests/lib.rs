//! Helpers for the tests that build real programs: two builds of one source ([`Pair`]), what the generator says
//! about them ([`Built::diff`]), and its result as text that depends on nothing but the code ([`golden`]).
//!
//! See `README.md` for how the tests are laid out and how a changed golden is reviewed.

mod case;
mod expect;
mod golden;
mod pair;
mod tool;

pub mod live;
pub mod snapshot;
pub mod vmm;

pub use case::{Case, Compiler, Configuration, Directives, Ending, RustCase, RustConfiguration};
pub use expect::Expect;
pub use golden::{MASKS, golden};
pub use pair::{Built, Form, Pair};
pub use tool::{Ran, patchgen, patchgen_command, run};
