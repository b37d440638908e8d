//! What the dynamic linker settled when the process started, and would settle otherwise for the new build.

use crate::binding::{exports_of_one, is_program};
use crate::diff::Pair;

/// Warnings about other libraries and other symbols for them; `brought` are exports that the patch brings along, which
/// the loader checks.
pub fn bound_otherwise(pair: &Pair<'_, '_>, brought: &[String]) -> Vec<String> {
    let (old, new) = (&pair.old.image, &pair.new.image);
    let mut warnings = Vec::new();
    if old.needed != new.needed {
        warnings.push(format!(
            "the new build is linked with {} instead of {}: the process keeps its libraries, and what it has found in them",
            new.needed.join(", "),
            old.needed.join(", ")
        ));
    }
    if !is_program(new) {
        return warnings;
    }
    let mut fresh: Vec<&str> = exports_of_one(new, old).into_iter().collect();
    fresh.retain(|name| !brought.iter().any(|export| export == name));
    if !fresh.is_empty() {
        warnings.push(format!(
            "the new build defines {} for its libraries too, which keep what they have found",
            fresh.join(", ")
        ));
    }
    let gone: Vec<&str> = exports_of_one(old, new).into_iter().collect();
    if !gone.is_empty() {
        warnings.push(format!(
            "the new build does not define {} for its libraries any more, which keep what they have found",
            gone.join(", ")
        ));
    }
    warnings
}
