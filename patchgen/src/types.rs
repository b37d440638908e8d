//! What changed type layouts mean for live data.

use crate::callers::Callers;
use crate::code::{Obstacle, Program};
use crate::dwarf::{DebugInfo, LayoutChange, LayoutChangeKind, Surroundings, UsedData, compare_layouts};
use crate::image::{Access, FunctionId, Image, Object, Pointer, Referent, stem};
use crate::report::{Refusal, RefusalKind};
use crate::vtables;
use std::collections::{BTreeSet, HashSet};

/// The outcome of the layout check.
#[derive(Debug, Default)]
pub struct TypeCheck {
    /// True if all types around the changed functions could be compared.
    pub checked: bool,
    /// Layouts that live data has and new code would misread.
    pub refusals: Vec<Refusal>,
    /// What does not stand in the way but should be known.
    pub warnings: Vec<String>,
}

/// Compares the types that the given functions touch. A function has the same name in both lists. `zeroed` tells whether
/// all live objects of a type have zeros in the padding that new members take, else why that is not known. `entries` are
/// those of tables of methods.
#[allow(clippy::too_many_arguments, reason = "both builds, each with its functions, and what surrounds them")]
pub(crate) fn check(
    images: [&Image<'_>; 2],
    old: Option<&DebugInfo<'_>>,
    old_functions: &[(String, u64)],
    new: Option<&DebugInfo<'_>>,
    new_functions: &[(String, u64)],
    surroundings: &Surroundings,
    zeroed: &dyn Fn(&LayoutChange) -> Result<(), String>,
    entries: &vtables::Entries<'_, '_, '_>,
) -> TypeCheck {
    let (Some(old), Some(new)) = (old, new) else {
        let warning =
            "types were not checked: a build has no debugging information (compile with -g, Rust with debug = 2 in the \
             profile)"
                .to_owned();
        return TypeCheck { warnings: vec![warning], ..TypeCheck::default() };
    };
    let report = match compare_layouts(old, old_functions, new, new_functions, surroundings) {
        Ok(report) => report,
        Err(error) => {
            let warning = format!("types were not checked: {error}");
            return TypeCheck { warnings: vec![warning], ..TypeCheck::default() };
        }
    };
    let mut out = TypeCheck { checked: report.checked, ..TypeCheck::default() };
    if !report.checked {
        let names = report.unchecked_functions.join(", ");
        out.warnings.push(format!(
            "types were not checked for {names}: no debugging information describes them or their types \
             (compile with -g, Rust with debug = 2 in the profile)"
        ));
    }
    for change in &report.changes {
        out.judge(change, zeroed);
    }
    for variable in report.variables.iter().filter(|variable| !variable.constant) {
        let detail = format!(
            "the live variable{} changes its type from {} to {}",
            in_file(variable.file.as_deref()),
            variable.old_type,
            variable.new_type
        );
        out.refusals.push(Refusal::new(RefusalKind::TypeLayout, &variable.name, detail));
    }
    for table in &report.tables {
        match vtables::check(table, (images[0], old), (images[1], new), entries) {
            Ok(refusal) => out.refusals.extend(refusal),
            Err(error) => {
                out.checked = false;
                out.warnings.push(format!("the methods of {} were not compared: {error}", table.name));
            }
        }
    }
    for prototype in &report.prototypes {
        if prototype.called_otherwise {
            let detail = format!(
                "its prototype{} changes from {} to {}, and code that stays as it is calls it",
                in_file(prototype.file.as_deref()),
                prototype.old,
                prototype.new
            );
            out.refusals.push(Refusal::new(RefusalKind::TypeLayout, &prototype.function, detail));
            continue;
        }
        out.warnings.push(format!(
            "the prototype of {} changed from {} to {}",
            prototype.function, prototype.old, prototype.new
        ));
    }
    out
}

fn in_file(file: Option<&str>) -> String {
    file.map(|file| format!(" in {file}")).unwrap_or_default()
}

/// Where a type is declared.
fn place(change: &LayoutChange) -> String {
    let file = in_file(change.file.as_deref());
    match &change.crate_name {
        Some(name) => format!("{file} (crate {name})"),
        None => file,
    }
}

impl TypeCheck {
    fn judge(&mut self, change: &LayoutChange, zeroed: &dyn Fn(&LayoutChange) -> Result<(), String>) {
        let live = !change.functions.is_empty() || !change.used_variables.is_empty();
        let in_file = place(change);
        let text = format!("{}{in_file}: {}", change.type_name, change.detail);
        let only_filled =
            change.kinds.iter().all(|kind| kind.keeps_old_members()) && !change.filled.is_empty();
        let unknown = match only_filled.then(|| zeroed(change)) {
            None => String::new(),
            Some(Ok(())) => {
                self.warnings.push(format!(
                    "{text}; all live objects of it are variables that have zeros there, so that it begins as zero"
                ));
                return;
            }
            Some(Err(reason)) => {
                format!(
                    "; that would be safe if all live objects had zeros there, which is not known: {reason}"
                )
            }
        };
        let harmless = change.kinds.iter().all(|kind| matches!(kind, LayoutChangeKind::EnumeratorAdded));
        let (detail, functions) = if harmless && (live || !change.undescribed.is_empty()) {
            self.warnings.push(text);
            return;
        } else if live {
            let detail = format!(
                "its layout{in_file} changes and live objects have the old one: {}{unknown}",
                change.detail
            );
            (detail, change.functions.clone())
        } else if let Some(first) = change.undescribed.first() {
            let detail = format!(
                "its layout{in_file} changes, and it is not known whether live objects of it are used: nothing \
                 describes the type of {}, which {} uses: {}",
                first.data, first.function, change.detail
            );
            let mut functions: Vec<_> =
                change.undescribed.iter().map(|undescribed| undescribed.function.clone()).collect();
            functions.dedup();
            (detail, functions)
        } else if let (Some(first), [LayoutChangeKind::EnumValueChanged]) =
            (change.beside.first(), change.kinds.as_slice())
        {
            let detail = format!(
                "its value{in_file} changes, {first} is compiled where it is defined, and any live number may hold the \
                 old one: {}",
                change.detail
            );
            (detail, change.beside.clone())
        } else if let (Some(first), false) = (change.beside.first(), harmless) {
            let detail = format!(
                "its layout{in_file} changes, and {first} is compiled where it is complete: a cast to it would leave no \
                 trace in the debugging information: {}{unknown}",
                change.detail
            );
            (detail, change.beside.clone())
        } else {
            let whose = if self.checked { "" } else { " whose types are known" };
            self.warnings.push(format!("{text}; no changed function{whose} touches it"));
            return;
        };
        let subject = change.type_name.clone();
        self.refusals.push(Refusal { kind: RefusalKind::TypeLayout, subject, detail, functions });
    }
}

/// What is around the changed functions, which are given with their counterparts, and the new ones. `removed` are those
/// of the old build that have no counterpart.
pub(crate) fn surroundings(
    old: &Program<'_>,
    callers: &Callers,
    changed: impl Iterator<Item = FunctionId>,
    removed: impl Iterator<Item = FunctionId>,
    new: &Program<'_>,
    functions: impl Iterator<Item = FunctionId>,
    old_debug: Option<&DebugInfo<'_>>,
) -> Surroundings {
    let changed: BTreeSet<FunctionId> = changed.collect();
    let removed: BTreeSet<FunctionId> = removed.collect();
    // A removed function may run on if anything else refers to it.
    let mut replaced: BTreeSet<FunctionId> = changed.union(&removed).copied().collect();
    loop {
        let stays = |id: &FunctionId| changed.contains(id) || callers.is_inner(old, *id, &replaced);
        let (kept, gone): (BTreeSet<_>, BTreeSet<_>) = replaced.iter().copied().partition(stays);
        if gone.is_empty() {
            break;
        }
        replaced = kept;
    }
    // What only these call never runs without them, and is the same in both builds.
    loop {
        let called =
            callers.branches.iter().filter(|(id, by)| !replaced.contains(id) && by.is_subset(&replaced));
        let more: Vec<FunctionId> =
            called.map(|(id, _)| *id).filter(|id| callers.is_inner(old, *id, &replaced)).collect();
        if more.is_empty() {
            break;
        }
        replaced.extend(more);
    }
    let inner = replaced.iter().filter(|id| callers.is_inner(old, **id, &replaced));
    let gone: BTreeSet<FunctionId> = removed.difference(&replaced).copied().collect();
    let alike = changed.iter().filter(|id| callers.only_called(old, **id) && !callers.are_any(**id, &gone));
    Surroundings {
        used: used_data(new, functions),
        undescribed: old.image.functions.iter().any(|function| {
            let units = || old_debug.and_then(|debug| debug.units_at(function.address()).ok());
            is_of_rust(&function.name) && units().is_none_or(|units| units.is_empty())
        }),
        inner: inner.map(|id| old.image.function(*id).address()).collect(),
        called_alike: alike.map(|id| old.image.function(*id).address()).collect(),
        replaced: replaced.iter().flat_map(|id| old.image.function(*id).parts.clone()).collect(),
    }
}

/// Whether a symbol is mangled as rustc does it: `_RNvCs...`, or `_ZN...17h0123456789abcdefE`.
fn is_of_rust(symbol: &str) -> bool {
    let hash = |end: &str| end.starts_with("17h") && end[3..].bytes().all(|byte| byte.is_ascii_hexdigit());
    let symbol = symbol.split('.').next().unwrap_or(symbol);
    let legacy = symbol.strip_prefix("_ZN").and_then(|rest| rest.strip_suffix('E'));
    let hashed = legacy.and_then(|rest| rest.get(rest.len().checked_sub(19)?..)).is_some_and(hash);
    symbol.starts_with("_R") || hashed
}

/// The data that the given functions use, each once.
fn used_data(program: &Program<'_>, functions: impl Iterator<Item = FunctionId>) -> Vec<UsedData> {
    let image = &program.image;
    let mut found = HashSet::new();
    for id in functions {
        let function = image.function(id).address();
        let code = program.code(id);
        for reference in &code.references {
            found.extend(used_at(image, function, &reference.referent));
        }
        let uses = &code.thread_locals;
        let unknown = code.obstacles.iter().any(|obstacle| matches!(obstacle, Obstacle::ThreadLocal { .. }));
        if unknown || uses.uncertain.is_some() || !uses.fields.is_empty() {
            found.insert(thread_locals(image, function));
        }
    }
    let mut found: Vec<_> = found.into_iter().collect();
    found.sort_unstable_by(|a, b| (a.function, &a.text).cmp(&(b.function, &b.text)));
    found
}

fn used_at(image: &Image<'_>, function: u64, referent: &Referent) -> Option<UsedData> {
    let named = |name: &str| UsedData {
        function,
        text: format!("`{name}`"),
        names: names_of(name),
        range: None,
        writable: false,
    };
    match *referent {
        Referent::Object { id, .. } => {
            let object = image.object(id);
            let range = object.range.start..object.range.end.max(object.range.start + 1);
            let writable = image.sections[object.section].access == Access::Write && !is_made_up(object);
            Some(UsedData { range: Some(range), writable, ..named(&object.name) })
        }
        Referent::Unnamed { address } => {
            let section = image.section_at(address)?;
            let writable = section.access == Access::Write;
            writable.then(|| UsedData {
                function,
                text: format!("the data at {address:#x} in {}", section.name),
                names: Vec::new(),
                range: Some(address..address + 1),
                writable,
            })
        }
        Referent::Slot { address } => match image.linkage.pointer_at(address) {
            Some(Pointer::Address(to)) => used_at(image, function, &image.resolve(*to, None)),
            Some(Pointer::ThreadLocal { name, .. }) if name.is_empty() => {
                Some(thread_locals(image, function))
            }
            Some(
                Pointer::Symbol { name, .. } | Pointer::ThreadLocal { name, .. } | Pointer::Copied(name),
            ) => Some(named(name)),
            _ => None,
        },
        _ => None,
    }
}

/// All thread-local variables: which of them a function uses is not looked up.
fn thread_locals(image: &Image<'_>, function: u64) -> UsedData {
    UsedData {
        function,
        text: "thread-local storage".to_owned(),
        names: image.tls.variables.iter().flat_map(|variable| names_of(&variable.name)).collect(),
        range: None,
        writable: false,
    }
}

/// What the variable of a symbol may be called: compilers number variables of one name, put the function's name
/// before it, and split variables into `NAME.body` and `NAME.init`.
fn names_of(symbol: &str) -> Vec<String> {
    let plain = stem(symbol);
    let whole = plain.strip_suffix(".body").or_else(|| plain.strip_suffix(".init")).unwrap_or(&plain);
    let last = whole.rsplit('.').next().unwrap_or(whole);
    let mut names = vec![symbol.to_owned(), plain.clone(), whole.to_owned(), last.to_owned()];
    names.extend(local_part(whole).map(str::to_owned));
    names.sort_unstable();
    names.dedup();
    names
}

/// `E5count` of the mangled name of a variable in a function, `_ZZ1fvE5count`.
fn local_part(symbol: &str) -> Option<&str> {
    let inner = symbol.strip_prefix("_ZZ")?;
    let mut starts = inner.match_indices('E').map(|(at, _)| at);
    let start = starts.rfind(|at| inner[at + 1..].starts_with(|c: char| c.is_ascii_digit()))?;
    let part = &inner[start..];
    let number = part.rsplit_once('_').filter(|(_, number)| number.bytes().all(|byte| byte.is_ascii_digit()));
    Some(number.map_or(part, |(part, _)| part))
}

/// True for data that compilers and linkers make for themselves: no type of the source describes it.
fn is_made_up(object: &Object) -> bool {
    const TABLES: [&str; 7] = ["_ZGV", "_ZTV", "_ZTI", "_ZTS", "_ZTT", "CSWTCH.", "switch.table."];
    object.is_mark()
        || object.name == "__dso_handle"
        || TABLES.iter().any(|prefix| object.name.starts_with(prefix))
}
