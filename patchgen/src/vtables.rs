//! Tables of methods that live trait objects have: new code must find the same methods in them.

use crate::diff::{Matching, Pair, Sameness};
use crate::dwarf::{DebugInfo, DwarfError, TablePlace, VirtualTable};
use crate::image::{FunctionId, Image, Pointer, Referent};
use crate::report::{Refusal, RefusalKind};
use std::collections::BTreeSet;

/// The entries in front of the methods: drop glue, size and alignment of the type.
const HEADER: u64 = 3;

/// Bytes of an entry.
const ENTRY: u64 = 8;

/// A build: its image and what describes it.
pub(crate) type Build<'b, 'i, 'd> = (&'b Image<'i>, &'b DebugInfo<'d>);

/// What the entries of tables lead to.
pub(crate) struct Entries<'e, 'p, 'a> {
    pair: &'e Pair<'p, 'a>,
    matching: &'e Matching,
    same: Sameness<'e, 'p, 'a>,
}

impl<'e, 'p, 'a> Entries<'e, 'p, 'a> {
    /// Of two builds.
    pub(crate) fn new(pair: &'e Pair<'p, 'a>, matching: &'e Matching) -> Self {
        Entries { pair, matching, same: Sameness::strict(pair, matching) }
    }

    /// True if an entry of the target and one of the replacement lead to the same function or, merged ones, to functions
    /// that do the same.
    fn are_same(&self, old: u64, new: u64) -> bool {
        let (old_image, new_image) = (&self.pair.old.image, &self.pair.new.image);
        match (function_at(old, old_image), function_at(new, new_image)) {
            (Some(was), Some(is)) => self.are_same_functions(was, is),
            (None, None) => match (address_at(old, old_image), address_at(new, new_image)) {
                (Some(old), Some(new)) if old != 0 && new != 0 => self.are_same_tables(old, new),
                (old, new) => old == new,
            },
            _ => false,
        }
    }

    /// Compares the methods in the tables of two supertraits, which the tables of some traits lead to. Nothing tells where
    /// they end, but no table ends behind what begins next.
    fn are_same_tables(&self, old: u64, new: u64) -> bool {
        let ends = self.pair.old.piece_end(old).zip(self.pair.new.piece_end(new));
        let len = ends.map_or(0, |(old_end, new_end)| (old_end - old).min(new_end - new));
        let entries = (HEADER..len / ENTRY).map(|entry| (old + entry * ENTRY, new + entry * ENTRY));
        let mut methods = entries.map_while(|(was, is)| {
            Some((function_at(was, &self.pair.old.image)?, function_at(is, &self.pair.new.image)?))
        });
        methods.all(|(was, is)| self.are_same_functions(was, is))
    }

    fn are_same_functions(&self, was: FunctionId, is: FunctionId) -> bool {
        self.matching.new_function(was) == Some(is) || self.same.functions(was, is)
    }

    /// True if an entry of the target leads to a function that the replacement does not have.
    fn is_gone(&self, entry: u64) -> bool {
        let function = function_at(entry, &self.pair.old.image);
        function.is_some_and(|function| self.matching.new_function(function).is_none())
    }
}

/// Refuses a table whose methods are others, or in another order, and one that begins or ends to have drop glue.
pub(crate) fn check(
    table: &VirtualTable,
    old: Build<'_, '_, '_>,
    new: Build<'_, '_, '_>,
    entries: &Entries<'_, '_, '_>,
) -> Result<Option<Refusal>, DwarfError> {
    let subject = format!("vtable of {}", table.name);
    let dropped = |places: &[TablePlace], image: &Image<'_>| -> BTreeSet<bool> {
        places.iter().map(|place| has_drop_glue(*place, image)).collect()
    };
    let (was, is) = (dropped(&table.old, old.0), dropped(&table.new, new.0));
    if was != is {
        let what = if is.contains(&true) { "begins" } else { "ceases" };
        let detail = format!(
            "its type {what} to run code when a value is dropped, and live objects have the old table, which says \
             otherwise"
        );
        return Ok(Some(Refusal::new(RefusalKind::TypeLayout, subject, detail)));
    }
    for before in &table.old {
        // Several types may share the name, and closures have none.
        let mut difference = None;
        for after in &table.new {
            match self::difference(*before, *after, old, new, entries)? {
                None => {
                    difference = None;
                    break;
                }
                Some(what) => difference = difference.or(Some(what)),
            }
        }
        // A closure that is gone goes on as it was; its name is that of the others.
        let is_gone = table.name.contains("_env}") && before.methods().any(|entry| entries.is_gone(entry));
        if let Some(what) = difference.filter(|_| !is_gone) {
            let detail = format!("its table of methods changes and live objects have the old one: {what}");
            return Ok(Some(Refusal::new(RefusalKind::TypeLayout, subject, detail)));
        }
    }
    Ok(None)
}

fn difference(
    before: TablePlace,
    after: TablePlace,
    old: Build<'_, '_, '_>,
    new: Build<'_, '_, '_>,
    entries: &Entries<'_, '_, '_>,
) -> Result<Option<String>, DwarfError> {
    let (was, is) = (before.methods().count(), after.methods().count());
    if was != is {
        return Ok(Some(format!("{is} methods instead of {was}")));
    }
    for (number, (before, after)) in before.methods().zip(after.methods()).enumerate() {
        if !entries.are_same(before, after) {
            let unnamed = || "another function".to_owned();
            let was = method_at(before, old)?.unwrap_or_else(unnamed);
            let is = method_at(after, new)?.unwrap_or_else(unnamed);
            return Ok(Some(if was == is {
                format!("method {number}, `{is}`, is another one of that name")
            } else {
                format!("method {number} is `{is}` instead of `{was}`")
            }));
        }
    }
    Ok(None)
}

/// Where an entry leads, if that is in the image.
fn address_at(entry: u64, image: &Image<'_>) -> Option<u64> {
    match image.linkage.pointer_at(entry) {
        Some(Pointer::Address(address)) => Some(*address),
        Some(_) => None,
        None => Some(u64::from_le_bytes(image.bytes(entry..entry + ENTRY)?.try_into().ok()?)),
    }
}

fn function_at(entry: u64, image: &Image<'_>) -> Option<FunctionId> {
    match image.resolve(address_at(entry, image)?, None) {
        Referent::Code { function, part: 0, offset: 0 } => Some(function),
        _ => None,
    }
}

fn has_drop_glue(table: TablePlace, image: &Image<'_>) -> bool {
    let entry = table.drop_glue();
    image.linkage.pointer_at(entry).is_some() || address_at(entry, image).is_some_and(|address| address != 0)
}

/// The name of the method that an entry holds, without that of the type. Those of the standard library have none, and
/// are the same in both builds.
fn method_at(entry: u64, (image, debug): Build<'_, '_, '_>) -> Result<Option<String>, DwarfError> {
    let Some(address) = address_at(entry, image) else { return Ok(None) };
    let name = debug.source_name(address)?;
    // Generic arguments may have paths too.
    let name = name.as_deref().map(|name| name.split('<').next().unwrap_or(name));
    let last = name.and_then(|name| name.rsplit("::").next());
    // Closures are numbered.
    Ok(last.map(|name| name.split('#').next().unwrap_or(name).to_owned()))
}
