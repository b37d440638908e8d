//! Names without the numbers that compilers give.

use cpp_demangle::Symbol;

/// A name without the numbers that compilers append: `f.isra.0.part.12` is `f.isra.part`, `count.3` is `count`.
pub fn stem(name: &str) -> String {
    let mut pieces = name.split('.');
    let mut out = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        if piece.is_empty() || !piece.bytes().all(|byte| byte.is_ascii_digit()) {
            out.push('.');
            out.push_str(piece);
        }
    }
    out
}

/// What a name has in common with others that may stand for the same thing in another build: its stem, and for
/// what is local to a C++ function (lambdas, local types, static variables of equal names) the name without its
/// number in that function (Itanium C++ ABI, section 5.1.7, "Scope Encoding").
pub fn family(name: &str) -> String {
    if let Some(family) = super::rust_names::family(name) {
        return family;
    }
    let stem = stem(name);
    let clone = stem.find('.').unwrap_or(stem.len());
    if !has_local_scope(&stem[..clone]) {
        return stem;
    }
    let demangled = Symbol::new(&stem[..clone]).ok().and_then(|symbol| symbol.demangle().ok());
    match demangled {
        Some(text) => {
            format!("{}{}{}", without_ordinals(&text), variants(&stem[..clone]), &stem[clone..])
        }
        None => stem,
    }
}

/// True if a name without suffixes is mangled and holds something that is local to a function, a lambda or a type
/// without a name. One too many does no harm.
fn has_local_scope(name: &str) -> bool {
    name.strip_prefix("_Z").is_some_and(|rest| {
        rest.contains('Z') || ["Ul", "Ut", "$_"].iter().any(|unnamed| rest.contains(unnamed))
    })
}

/// Which constructors and destructors a mangled name tells of: complete, base and deleting ones read alike.
fn variants(name: &str) -> String {
    let kind = |bytes: &[u8]| matches!(bytes, [b'C' | b'D', b'0'..=b'5', b'E']);
    let found = (0..name.len().saturating_sub(2)).filter(|at| kind(&name.as_bytes()[*at..*at + 3]));
    found.flat_map(|at| [" ", &name[at..at + 2]]).collect()
}

/// `{lambda(int)#2}` is `{lambda(int)#}`, and clang's `$_2` is `$_`.
fn without_ordinals(text: &str) -> String {
    without_numbers(&without_numbers(text, "#"), "$_")
}

/// `text` without the numbers right behind each `mark`.
pub(crate) fn without_numbers(text: &str, mark: &str) -> String {
    let mut pieces = text.split(mark);
    let mut out = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        out.push_str(mark);
        out.push_str(piece.trim_start_matches(|digit: char| digit.is_ascii_digit()));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_clones_and_statics() {
        assert_eq!(stem("f.isra.0.part.12"), "f.isra.part");
        assert_eq!(family("count.3"), "count");
        assert_eq!(family("_ZN3foo3barEv.part.0"), "_ZN3foo3barEv.part");
        assert_eq!(family("item_1"), "item_1");
    }

    #[test]
    fn numbers_in_mangled_names() {
        let lambda = family("_ZZ4pickiiENUliE_4_FUNEi");
        assert_eq!(lambda, family("_ZZ4pickiiENUliE12_4_FUNEi"));
        assert_ne!(lambda, family("_ZZ4pickiiENUllE_4_FUNEl"));
        assert_eq!(family("_ZZ4pickiiEN3$_08__invokeEi"), family("_ZZ4pickiiEN3$_18__invokeEi"));
        assert_eq!(family("_ZNK3$_0clEi"), family("_ZNK4$_12clEi"));
        assert_eq!(family("_ZZ1fiiE5count"), family("_ZZ1fiiE5count_0"));
        assert_eq!(family("_ZZ1fiiE5count"), family("_ZZ1fiiE5count__12_"));
        assert_ne!(family("_ZZ1fiiE5count"), family("_ZZ1giiE5count"));
        assert_ne!(family("_ZZ1fiiE5count"), family("_ZGVZ1fiiE5count"));
        assert_eq!(family("_ZZ1fvENKUlvE_clEv"), family("_ZZ1fvENKUlvE0_clEv"));
        assert_eq!(family("_ZZ1fvENKUlvE_clEv.part.0"), family("_ZZ1fvENKUlvE0_clEv.part.3"));
        assert_ne!(family("_ZN3FooC1Ev"), family("_ZN3FooC2Ev"));
        assert_ne!(family("_ZZ1fvEN3FooC1Ev"), family("_ZZ1fvEN3FooC2Ev"));
    }
}
