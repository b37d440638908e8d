//! What the dynamic linker settled when the process started, and would settle otherwise for the new build.

use crate::diff::Pair;
use std::collections::BTreeSet;

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
    let is_program = new.sections.iter().any(|section| section.name == ".interp");
    let fresh: BTreeSet<&str> = new
        .exports
        .difference(&old.exports)
        .filter(|name| !brought.contains(name))
        .map(String::as_str)
        .collect();
    if is_program && !fresh.is_empty() {
        let names: Vec<&str> = fresh.into_iter().collect();
        warnings.push(format!(
            "the new build defines {} for its libraries too, which keep what they have found",
            names.join(", ")
        ));
    }
    warnings
}
