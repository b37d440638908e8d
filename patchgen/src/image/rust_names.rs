//! Names that rustc gives: paths with a hash behind them ("legacy"), or with numbers that tell crates, `impl` blocks
//! and closures apart ("v0", RFC 2603). Both occur in one program, and the numbers move from build to build.

use std::fmt::Write as _;

/// Length of a legacy name's last component, `17h` and 16 hexadecimal digits, with the `E` behind it.
const HASH: usize = 20;

/// The suffix that `ThinLTO` gives to what it makes visible to other units.
const PROMOTED: &str = ".llvm.";

/// The mangled name without the suffixes of clones, if it is one of rustc's.
fn mangled(name: &str) -> Option<&str> {
    if let Some(rest) = name.strip_prefix("_R") {
        // The path begins with a production of the grammar in capitals.
        return rest.starts_with(|first: char| first.is_ascii_uppercase()).then(|| without_suffix(name));
    }
    let base = without_suffix(name);
    let hash = base.strip_prefix("_ZN").and_then(|rest| rest.get(rest.len().checked_sub(HASH)?..))?;
    let digits = hash.strip_prefix("17h")?.strip_suffix('E')?;
    digits.bytes().all(|byte| byte.is_ascii_hexdigit()).then_some(base)
}

/// `name` up to the suffixes that the compiler appends to whole names (`.llvm.123`, `.cold`); legacy names hold points
/// of their own, which stand in pairs or between `$`.
fn without_suffix(name: &str) -> &str {
    let end = name.rfind('E').filter(|_| name.starts_with("_ZN")).map(|last| last + 1);
    match end {
        Some(end) => &name[..end],
        None => name.split('.').next().unwrap_or(name),
    }
}

/// True for a name that rustc made.
pub(crate) fn is_rust(name: &str) -> bool {
    mangled(name).is_some()
}

/// The path that a name of rustc tells, without hashes and without the numbers of crates, closures and `impl` blocks:
/// what it has in common with the same item of another build. Types of a generic function's instance are part of it
/// in v0 names and mostly not in legacy names.
pub(crate) fn family(name: &str) -> Option<String> {
    let base = mangled(name)?;
    let demangled = rustc_demangle::try_demangle(base).ok()?;
    let mut text = String::new();
    write!(text, "{demangled:#}").ok()?;
    // `{closure#2}` is `{closure#}`.
    let mut family = super::names::without_numbers(&text, "#");
    // `f.cold` is no `f`, but `f.llvm.123` is.
    let rest = &name[base.len()..];
    let kept = rest.split_once(PROMOTED).map_or(rest, |(before, _)| before);
    family.push_str(&super::stem(kept));
    Some(family)
}

/// True for the statics in which the macros of crate tracing keep what is known of a place that logs.
pub(crate) fn is_callsite(name: &str) -> bool {
    is_metadata(name) || ends_with(name, "::__CALLSITE")
}

/// True for what crate tracing tells of a place that logs (`tracing_core::Metadata`).
pub(crate) fn is_metadata(name: &str) -> bool {
    ends_with(name, "::__CALLSITE::META")
}

fn ends_with(name: &str, path: &str) -> bool {
    name.contains("__CALLSITE") && family(name).is_some_and(|family| family.ends_with(path))
}

/// True if what stands for the source file of a function is a piece of a crate, with a hash and a number (rustc's codegen
/// units).
pub(crate) fn is_codegen_unit(source: &str) -> bool {
    source.rsplit('.').skip(1).any(|piece| piece.ends_with("-cgu"))
}

/// True if the numbers in a name of rustc depend on what else stands in the source: those of closures, and of other
/// items without names. Equal names of two builds need not be the same item.
pub(crate) fn is_numbered(name: &str) -> bool {
    rustc_demangle::demangle(name).to_string().contains('{')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statics_of_places_that_log() {
        let legacy = "_ZN1a3log28_$u7b$$u7b$closure$u7d$$u7d$10__CALLSITE17h04b1d02d973a1a0cE";
        let metadata = "_ZN1a3log10__CALLSITE4META17h04b1d02d973a1a0cE";
        assert!(is_callsite(legacy) && !is_metadata(legacy));
        assert!(is_callsite(metadata) && is_metadata(metadata));
        assert!(is_metadata("_RNvNvNvCs1234_1a3log10___CALLSITE4META"));
        assert!(!is_callsite("_ZN1a3log12MY__CALLSITE17h04b1d02d973a1a0cE"));
        assert!(!is_callsite("__CALLSITE"));
    }

    #[test]
    fn hashes_and_numbers_are_no_part_of_a_family() {
        let legacy = "_ZN1a5check17h04b1d02d973a1a0cE";
        assert_eq!(family(legacy).as_deref(), Some("a::check"));
        assert_eq!(family(legacy), family("_ZN1a5check17hffffffffffffffffE"));
        assert_eq!(family(legacy), family("_ZN1a5check17h04b1d02d973a1a0cE.llvm.8761230"));
        assert_ne!(family(legacy), family("_ZN1a5check17h04b1d02d973a1a0cE.cold"));
        let v0 = "_RNCNvMs4_NtCsgY6Mt91CT9J_14rustc_demangle2v0NtB7_7Printer10print_type0B9_";
        assert_eq!(family(v0).as_deref(), Some("<rustc_demangle::v0::Printer>::print_type::{closure#}"));
        assert!(is_numbered(v0) && !is_numbered(legacy));
    }

    #[test]
    fn names_of_other_languages_are_left_alone() {
        for name in ["main", "_ZN3foo3barEv", "_Restore", "_ZN3foo3barE", "_ZNSs4_Rep20_S_empty_rep_storageE"]
        {
            assert_eq!(family(name), None, "{name}");
        }
    }
}
