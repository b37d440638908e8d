//! Names of what Rust's source gives no name.
//!
//! rustc numbers the closures, futures and `impl` blocks of a scope, `a::{impl#0}::f::{closure_env#1}`, so that an edit
//! which adds one moves the numbers of those behind it. Here a closure or future goes by what it holds instead: a
//! digest of its layout stands for the number wherever another type or a prototype names it, and its own key has
//! neither, so that all closures of one function are compared as a set. `impl` blocks have no number at all.

use std::collections::{HashMap, HashSet};
use std::fmt::Write;
use std::hash::{DefaultHasher, Hash, Hasher};

use super::closures::LambdaNames;
use super::layout::TypeLayout;
use super::type_names::TypeKey;
use super::unit_types::UnitTypes;

/// What the closures and futures of one build hold.
#[derive(Debug, Default)]
pub(super) struct RustNames {
    /// By name with number.
    digests: HashMap<String, u64>,
    /// The same for C++.
    lambdas: LambdaNames,
}

impl RustNames {
    /// Reads the closures and futures among the types of some units.
    pub(super) fn read<'t>(types: impl Iterator<Item = &'t UnitTypes> + Clone) -> Self {
        let lambdas = LambdaNames::read(types.clone().flat_map(|types| &types.lambdas));
        let mut parts: HashMap<&str, Vec<(&str, &TypeLayout)>> = HashMap::new();
        for (key, layouts) in types.flat_map(|types| &types.layouts) {
            let TypeKey::Tag(name) = key else { continue };
            if let Some((environment, rest)) = environment_at(name) {
                let part = parts.entry(environment).or_default();
                part.extend(layouts.iter().map(|layout| (rest, layout)));
            }
        }
        let mut names: Vec<_> = parts.keys().copied().collect();
        names.sort_unstable();
        let mut reading = Reading { parts, digests: HashMap::new(), open: HashSet::new() };
        for name in names {
            reading.digest(name);
        }
        let digests = reading.digests.into_iter().map(|(name, digest)| (name.to_owned(), digest));
        Self { digests: digests.collect(), lambdas }
    }

    /// The text of a type without numbers.
    pub(super) fn text(&self, text: &str) -> Option<String> {
        self.lambdas.text(text).or_else(|| {
            text.contains('#').then(|| rewrite(text, false, &mut |name| self.digests.get(name).copied()))
        })
    }

    /// The key of a type without numbers; the same for all closures of a function.
    pub(super) fn key(&self, key: &TypeKey) -> Option<TypeKey> {
        match key {
            TypeKey::Tag(name) if name.contains("(lambda") => self.lambdas.text(name).map(TypeKey::Tag),
            TypeKey::Constant(name) => self.lambdas.text(name).map(TypeKey::Constant),
            TypeKey::Unnamed(name) => self.lambdas.text(name).map(TypeKey::Unnamed),
            TypeKey::Tag(name) if name.contains('#') => {
                let name = rewrite(name, true, &mut |name| self.digests.get(name).copied());
                Some(TypeKey::Tag(name))
            }
            _ => None,
        }
    }
}

/// The text for people: without the digests.
pub(super) fn readable(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("_env}[") {
        let (before, after) = rest.split_at(at + "_env}".len());
        out.push_str(before);
        rest = after.split_once(']').map_or("", |(_, after)| after);
    }
    out + rest
}

/// The closures and futures of a build while their digests are computed.
struct Reading<'t> {
    /// The layout of each, and of the variants of futures, which are types of their own.
    parts: HashMap<&'t str, Vec<(&'t str, &'t TypeLayout)>>,
    digests: HashMap<&'t str, u64>,
    /// Those that are being computed: the states of a future name the future.
    open: HashSet<&'t str>,
}

impl Reading<'_> {
    fn digest(&mut self, name: &str) -> Option<u64> {
        if let Some(digest) = self.digests.get(name) {
            return Some(*digest);
        }
        let (name, parts) = self.parts.get_key_value(name)?;
        let (name, parts) = (*name, parts.clone());
        if !self.open.insert(name) {
            return Some(0);
        }
        let mut texts = Vec::new();
        for (rest, layout) in parts {
            let mut text = format!("{rest} {} {:?} {:?}", layout.keyword, layout.size, layout.alignment);
            for member in &layout.members {
                let type_name = rewrite(&member.type_name, false, &mut |name| self.digest(name));
                let _ = write!(text, "; {type_name} {} {:?} {:?}", member.name, member.position, member.bits);
            }
            for enumerator in &layout.enumerators {
                let _ = write!(text, "; {} = {:?}", enumerator.name, enumerator.value);
            }
            texts.push(text);
        }
        texts.sort_unstable();
        texts.dedup();
        let mut hasher = DefaultHasher::new();
        texts.hash(&mut hasher);
        self.open.remove(name);
        let digest = hasher.finish();
        self.digests.insert(name, digest);
        Some(digest)
    }
}

/// Splits a name that begins with a closure or future, generic arguments included, behind it.
fn environment_at(name: &str) -> Option<(&str, &str)> {
    let path = &name[..path_length(name)];
    let end = end_of_environment(path)?;
    let end = end + if end == path.len() { arguments_length(&name[end..]) } else { 0 };
    Some(name.split_at(end))
}

/// The end of `{closure_env#0}` and its like in a path.
fn end_of_environment(path: &str) -> Option<usize> {
    let number = path.find("_env#")?;
    Some(number + path[number..].find('}')? + 1)
}

/// Length of the path at the start of a text.
fn path_length(text: &str) -> usize {
    let is_part = |c: char| c.is_alphanumeric() || matches!(c, '_' | ':' | '{' | '}' | '#');
    text.find(|c| !is_part(c)).unwrap_or(text.len())
}

/// Length of the generic arguments, `<...>`, at the start of a text.
fn arguments_length(text: &str) -> usize {
    let mut depth = 0_usize;
    let mut before = ' ';
    for (at, c) in text.char_indices() {
        match c {
            '<' => depth += 1,
            '>' if before == '-' => {}
            '>' if depth == 1 => return at + 1,
            '>' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth == 0 {
            return 0;
        }
        before = c;
    }
    0
}

/// Replaces the numbers in a text. `family` leaves out the digest of what the text itself names.
fn rewrite(text: &str, family: bool, digest: &mut dyn FnMut(&str) -> Option<u64>) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        if let Some((environment, after)) = environment_at(rest) {
            let path = &environment[..path_length(environment)];
            let own = family && rest.len() == text.len();
            match digest(environment) {
                Some(_) if own => out.push_str(&without_numbers(path)),
                Some(digest) => {
                    let _ = write!(out, "{}[{digest:016x}]", without_numbers(path));
                }
                // Not described: the number has to do.
                None => out.push_str(path),
            }
            out.push_str(&rewrite(&environment[path.len()..], false, digest));
            rest = after;
        } else {
            let (path, after) = rest.split_at(path_length(rest).max(first.len_utf8()));
            out.push_str(&without_numbers(path));
            rest = after;
        }
    }
    out
}

/// `a::{impl#0}::f` as `a::{impl}::f`.
fn without_numbers(path: &str) -> String {
    let mut out = String::new();
    let mut rest = path;
    while let Some((before, after)) = rest.split_once('#') {
        out.push_str(before);
        rest = after.trim_start_matches(|c: char| c.is_ascii_digit());
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_give_way_to_digests() {
        let mut digest = |name: &str| match name {
            "a::{impl#0}::f::{closure_env#1}<fn(u8) -> u8>" | "a::g::{async_fn_env#0}" => Some(7),
            _ => None,
        };
        let mut text = |text, family| rewrite(text, family, &mut digest);
        let seven = "[0000000000000007]";
        assert_eq!(
            text("struct Map<&mut a::{impl#0}::f::{closure_env#1}<fn(u8) -> u8>, B> *", false),
            format!("struct Map<&mut a::{{impl}}::f::{{closure_env}}{seven}<fn(u8) -> u8>, B> *")
        );
        assert_eq!(
            text("a::{impl#0}::f::{closure_env#1}<fn(u8) -> u8>", true),
            "a::{impl}::f::{closure_env}<fn(u8) -> u8>"
        );
        assert_eq!(text("a::g::{async_fn_env#0}::Suspend0", true), "a::g::{async_fn_env}::Suspend0");
        assert_eq!(
            text("a::g::{async_fn_env#0}::Suspend0", false),
            format!("a::g::{{async_fn_env}}{seven}::Suspend0")
        );
        // Nothing is known of it.
        assert_eq!(text("a::{impl#2}::h::{closure_env#1}", false), "a::{impl#2}::h::{closure_env#1}");
        assert_eq!(text("a::{impl#2}::h::Local", false), "a::{impl}::h::Local");
        assert_eq!(readable(&format!("Pin<a::{{closure_env}}{seven}<u8>>")), "Pin<a::{closure_env}<u8>>");
    }
}
