//! What the dynamic linker settled when the process started, and would settle otherwise for the new build: a patch
//! must not depend on it.

use crate::diff::{Matching, Pair};
use crate::image::{FunctionId, Image, Pointer};
use crate::report::{Refusal, RefusalKind};
use patchfile::Patch;
use std::collections::BTreeSet;

/// Libraries whose symbols all have versions: none of these is taken from another library by mistake.
const VERSIONED: [&str; 8] = [
    "libc.so.",
    "libm.so.",
    "libpthread.so.",
    "libdl.so.",
    "librt.so.",
    "ld-linux",
    "libgcc_s.so.",
    "libstdc++.so.",
];

/// Why `patch` does not do in the process what the new build would do with its libraries. `is_changed` says which of the
/// target's functions changed.
pub(crate) fn refusals(
    pair: &Pair<'_, '_>,
    matching: &Matching,
    is_changed: &dyn Fn(FunctionId) -> bool,
    patch: &Patch,
) -> Vec<Refusal> {
    let mut found = interposed(pair, matching, is_changed, patch);
    if may_bind_otherwise(&pair.old.image.needed, &pair.new.image.needed) {
        let detail = format!(
            "the new build is linked with {} instead of {}, so that another library may define it than the one that \
             the process has it from",
            pair.new.image.needed.join(", "),
            pair.old.image.needed.join(", ")
        );
        let names = unversioned_imports(&pair.new.image, patch);
        found.extend(
            names.into_iter().map(|name| Refusal::new(RefusalKind::BoundOtherwise, name, detail.clone())),
        );
    }
    found
}

/// The names that only one of the builds defines for other images, without the variables of libraries of which it has
/// a copy.
pub(crate) fn exports_of_one<'i>(one: &'i Image<'_>, other: &'i Image<'_>) -> BTreeSet<&'i str> {
    let copied = |image: &Image<'_>, name: &str| {
        image
            .linkage
            .pointers
            .iter()
            .any(|(_, pointer)| matches!(pointer, Pointer::Copied(copy) if copy == name))
    };
    let only = one.exports.difference(&other.exports).map(String::as_str);
    only.filter(|name| !copied(one, name)).collect()
}

/// True for an executable that uses libraries. Libraries look symbols up in it first.
pub(crate) fn is_program(image: &Image<'_>) -> bool {
    image.sections.iter().any(|section| section.name == ".interp")
}

/// Functions and variables that libraries would take from the new build's executable, or would not any more. Unless all
/// global symbols are exported (ld, "--export-dynamic"), the linker exports what a library asks for.
fn interposed(
    pair: &Pair<'_, '_>,
    matching: &Matching,
    is_changed: &dyn Fn(FunctionId) -> bool,
    patch: &Patch,
) -> Vec<Refusal> {
    let (old, new) = (&pair.old.image, &pair.new.image);
    if !is_program(new) {
        return Vec::new();
    }
    let exports_all = new.exports.contains("main");
    let brought = |name: &str| exports_all && patch.exports.iter().any(|export| export == name);
    let mut found = Vec::new();
    for name in exports_of_one(new, old) {
        let function = function_of(new, name);
        let is_new = match function {
            Some(id) => matching.old_function(id).is_none(),
            None => new.object_ids().any(|id| {
                let object = new.object(id);
                let own = object.source.is_none() && object.name == name && !object.is_mark();
                own && matching.old_object(id).is_none()
            }),
        };
        let changed = function.and_then(|id| matching.old_function(id)).is_some_and(is_changed);
        if (is_new && !brought(name)) || changed {
            let detail = "the new build defines it for its libraries, and those of the process keep what they have found";
            found.push(Refusal::new(RefusalKind::BoundOtherwise, name, detail));
        }
    }
    for name in exports_of_one(old, new) {
        if function_of(old, name).is_some_and(is_changed) {
            let detail = "the new build does not define it for its libraries any more, and those of the process would call the \
                 new version";
            found.push(Refusal::new(RefusalKind::BoundOtherwise, name, detail));
        }
    }
    found
}

fn function_of(image: &Image<'_>, name: &str) -> Option<FunctionId> {
    image.function_ids().find(|id| {
        let function = image.function(*id);
        function.source.is_none()
            && (function.name == name || function.aliases.iter().any(|alias| alias == name))
    })
}

/// True if a symbol that both lists of libraries define may be another one's: the order changed, or a library came
/// before one that was there.
fn may_bind_otherwise(old: &[String], new: &[String]) -> bool {
    let kept: Vec<&String> = new.iter().filter(|library| old.contains(library)).collect();
    if !kept.iter().copied().eq(old.iter()) {
        return true;
    }
    let versioned = |library: &str| VERSIONED.iter().any(|prefix| library.starts_with(prefix));
    let last = new.iter().rposition(|library| old.contains(library) && !versioned(library));
    last.is_some_and(|last| new[..last].iter().any(|library| !old.contains(library)))
}

/// The imports without a version that code of the patch uses.
fn unversioned_imports(new: &Image<'_>, patch: &Patch) -> BTreeSet<String> {
    let unversioned: BTreeSet<&str> = new
        .linkage
        .pointers
        .iter()
        .filter_map(|(_, pointer)| match pointer {
            Pointer::Symbol { name, version, .. } if version.is_empty() && !new.exports.contains(name) => {
                Some(name.as_str())
            }
            _ => None,
        })
        .collect();
    let used = patch.sections.iter().flat_map(|section| &section.relocations);
    let names =
        used.map(|relocation| patch.symbols[relocation.symbol].name.split('@').next().unwrap_or_default());
    names.filter(|name| unversioned.contains(name)).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::may_bind_otherwise;

    #[test]
    fn lists_of_libraries() {
        let differs = |old: &[&str], new: &[&str]| {
            let [old, new] =
                [old, new].map(|list| list.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>());
            may_bind_otherwise(&old, &new)
        };
        assert!(!differs(&["libA.so", "libc.so.6"], &["libA.so", "libc.so.6"]));
        assert!(!differs(&["libA.so", "libc.so.6"], &["libA.so", "libB.so", "libc.so.6"]));
        assert!(differs(&["libA.so", "libc.so.6"], &["libB.so", "libA.so", "libc.so.6"]));
        assert!(differs(&["libA.so", "libB.so"], &["libB.so", "libA.so"]));
        assert!(differs(&["libA.so", "libB.so"], &["libB.so"]));
    }
}
