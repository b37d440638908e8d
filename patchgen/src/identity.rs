//! Functions and variables that have the name of others.
//!
//! Names make most pairs of the two builds. But a fix may rename a function and give its name to another one, and a
//! static variable that goes from one function may come to another: compilers know it by the same symbol. Live data that
//! holds the old function's address would call the other one, and the new variable would begin with the value of the old one.

use crate::code::Program;
use crate::diff::{Matching, Pair, is_constant};
use crate::dwarf::{DebugInfo, Declared, Surroundings, UnitId};
use crate::emit::Change;
use crate::image::{FunctionId, Image, ObjectId, Referent, is_rust};
use crate::report::{Refusal, RefusalKind};
use patchfile::{Patch, Place};
use std::collections::{BTreeMap, BTreeSet};

/// The debugging information of both builds, if both have any.
type Debug<'d, 's> = Option<(&'d DebugInfo<'s>, &'d DebugInfo<'s>)>;

/// Refuses changed functions that another file has under their name, if code or data that stays may call the old one.
pub(crate) fn refuse_functions(
    pair: &Pair<'_, '_>,
    changes: &[Change],
    surroundings: &Surroundings,
    debug: Debug<'_, '_>,
) -> Vec<Refusal> {
    let Some((old, new)) = debug else { return Vec::new() };
    let mut found = Vec::new();
    for change in changes {
        let (was, is) = (pair.old.image.function(change.old), pair.new.image.function(change.new));
        let own = is_own(&was.name, was.local) || is_own(&is.name, is.local);
        if !own || is_rust(&was.name) || surroundings.called_alike.contains(&was.address()) {
            continue;
        }
        let units = (old.declaring_units(was.address()), new.declaring_units(is.address()));
        let (Ok(old_units), Ok(new_units)) = units else { continue };
        let (Some(from), Some(to)) = (old_units.first(), new_units.first()) else { continue };
        if old_units.is_disjoint(&new_units) && are_others(from, to, (old, new)) {
            let detail = format!(
                "{from} has no such function any more, {to} has one, and code or data that stays as it is may call the old one"
            );
            found.push(Refusal {
                kind: RefusalKind::AmbiguousFunction,
                subject: was.name.clone(),
                detail,
                functions: vec![was.name.clone()],
            });
        }
    }
    found
}

/// Refuses a patch for a program that may go on calling a function which is gone, through an address that is stored.
pub(crate) fn refuse_removed(pair: &Pair<'_, '_>, matching: &Matching, changes: &[Change]) -> Vec<Refusal> {
    if changes.is_empty() {
        return Vec::new();
    }
    let addressed = &matching.callers(pair).addressed;
    let gone = addressed.iter().filter(|id| matching.new_function(**id).is_none());
    let named = gone.map(|id| pair.old.image.function(*id).name.clone());
    named
        .filter(|name| !is_rust(name))
        .map(|name| Refusal {
            kind: RefusalKind::AmbiguousFunction,
            subject: name.clone(),
            detail: "the new build has no such function, and live data that holds its address goes on in the old one"
                .to_owned(),
            functions: vec![name],
        })
        .collect()
}

/// Refuses variables of the target that `patch` uses in place of other ones of their name.
pub(crate) fn refuse_variables(
    pair: &Pair<'_, '_>,
    matching: &Matching,
    patch: &Patch,
    debug: Debug<'_, '_>,
) -> Vec<Refusal> {
    let used = used_variables(pair, matching, patch);
    if used.is_empty() {
        return Vec::new();
    }
    let olds = users(pair.old, &used.iter().map(|(old, _)| *old).collect());
    let news = users(pair.new, &used.iter().map(|(_, new)| *new).collect());
    let mut declared = debug.map(|(old, new)| (Declarations::of(old), Declarations::of(new)));
    let mut found = Vec::new();
    for (old, new) in used {
        let (old_users, new_users) = (users_of(&olds, old), users_of(&news, new));
        // Where only data refers to it, those tell who use it in the other build.
        let also_old = new_users.iter().filter_map(|user| matching.old_function(*user));
        let also_new = old_users.iter().filter_map(|user| matching.new_function(*user));
        let both = declared.as_mut().and_then(|(olds, news)| {
            let was = olds.at(&pair.old.image, old, old_users.iter().copied().chain(also_old))?;
            Some((was, news.at(&pair.new.image, new, new_users.iter().copied().chain(also_new))?))
        });
        let detail = match (both, debug) {
            (Some((was, is)), Some(debug)) => other_declaration(&was, &is, debug),
            _ => other_users(pair, matching, old_users, new_users),
        };
        if let Some(detail) = detail {
            let subject = &pair.new.image.object(new).name;
            found.push(Refusal::new(RefusalKind::AmbiguousVariable, subject, detail));
        }
    }
    found
}

/// The variables of the target that a patch uses and whose names do not tell which ones they are, with their counterparts.
fn used_variables(pair: &Pair<'_, '_>, matching: &Matching, patch: &Patch) -> Vec<(ObjectId, ObjectId)> {
    let (old_image, new_image) = (&pair.old.image, &pair.new.image);
    let mut found = BTreeSet::new();
    for symbol in &patch.symbols {
        let Place::Target(address) = symbol.place else { continue };
        let Referent::Object { id: old, .. } = old_image.resolve(address.0, None) else { continue };
        let Some(new) = matching.new_object(old) else { continue };
        let (was, is) = (old_image.object(old), new_image.object(new));
        let own = is_own(&was.name, was.local) || is_own(&is.name, is.local);
        // These names say which function a variable is in, or what a pointer leads to.
        let whole = is_rust(&was.name)
            || ["_ZZ", "_ZGV", "DW.ref."].iter().any(|prefix| was.name.starts_with(prefix));
        if own && !whole && !is_constant(old_image, old) && was.name != "__dso_handle" {
            found.insert((old, new));
        }
    }
    found.into_iter().collect()
}

/// True for what only one file knows: local symbols, and those that link-time optimisation made visible to its other parts
/// (`.lto_priv.0` of gcc, `.llvm.123` of clang).
fn is_own(name: &str, local: bool) -> bool {
    local || name.contains(".lto_priv.") || name.contains(".llvm.")
}

/// Why two declarations are not of one variable.
fn other_declaration(
    was: &Declared,
    is: &Declared,
    debug: (&DebugInfo<'_>, &DebugInfo<'_>),
) -> Option<String> {
    let place = |declared: &Declared| match &declared.function {
        Some(function) => format!("{} in {}", function, declared.unit),
        None => declared.unit.clone(),
    };
    let moved = !(was.external && is.external) && are_others(&was.unit, &is.unit, debug);
    if was.bits_before != is.bits_before {
        return Some("the target keeps another member of it in this place".to_owned());
    }
    (moved || was.function != is.function || was.name != is.name).then(|| {
        format!(
            "the target's is declared in {}, the new build's in {}: it is not known whether one continues the other",
            place(was),
            place(is)
        )
    })
}

/// Without declarations, functions that use a variable in both builds tell that it is the same one.
fn other_users(
    pair: &Pair<'_, '_>,
    matching: &Matching,
    olds: &BTreeSet<FunctionId>,
    news: &BTreeSet<FunctionId>,
) -> Option<String> {
    let stays = olds.iter().any(|old| matching.new_function(*old).is_some_and(|new| news.contains(&new)));
    let name = |image: &Image<'_>, users: &BTreeSet<FunctionId>| {
        users.first().map_or("data".to_owned(), |user| image.function(*user).name.clone())
    };
    (!stays).then(|| {
        format!(
            "{} uses the target's, {} that of the new build, and nothing tells whether they are one",
            name(&pair.old.image, olds),
            name(&pair.new.image, news)
        )
    })
}

/// True if units of two names are not one that was renamed, or compiled in another directory.
fn are_others(old: &str, new: &str, debug: (&DebugInfo<'_>, &DebugInfo<'_>)) -> bool {
    let known =
        |debug: &DebugInfo<'_>, name: &str| debug.unit_names().is_ok_and(|names| names.contains(name));
    old != new && (known(debug.1, old) || known(debug.0, new))
}

/// The functions that refer to each of the objects.
fn users(program: &Program<'_>, objects: &BTreeSet<ObjectId>) -> BTreeMap<ObjectId, BTreeSet<FunctionId>> {
    let mut found: BTreeMap<ObjectId, BTreeSet<FunctionId>> = BTreeMap::new();
    for function in program.image.function_ids() {
        for reference in &program.code(function).references {
            if let Referent::Object { id, .. } = reference.referent
                && objects.contains(&id)
            {
                found.entry(id).or_default().insert(function);
            }
        }
    }
    found
}

fn users_of(users: &BTreeMap<ObjectId, BTreeSet<FunctionId>>, id: ObjectId) -> &BTreeSet<FunctionId> {
    static NONE: BTreeSet<FunctionId> = BTreeSet::new();
    users.get(&id).unwrap_or(&NONE)
}

/// What one build says about its variables, read unit by unit.
struct Declarations<'d, 's> {
    debug: &'d DebugInfo<'s>,
    read: BTreeMap<UnitId, BTreeMap<u64, Declared>>,
}

impl<'d, 's> Declarations<'d, 's> {
    fn of(debug: &'d DebugInfo<'s>) -> Self {
        Self { debug, read: BTreeMap::new() }
    }

    /// What the units of functions say about a variable.
    fn at(
        &mut self,
        image: &Image<'_>,
        id: ObjectId,
        users: impl Iterator<Item = FunctionId>,
    ) -> Option<Declared> {
        let address = image.object(id).range.start;
        for user in users {
            for unit in self.debug.units_at(image.function(user).address()).ok()? {
                let read = self.read.entry(unit);
                let declared =
                    read.or_insert_with(|| self.debug.declared_variables(unit).unwrap_or_default());
                if let Some(found) = declared.get(&address) {
                    return Some(found.clone());
                }
            }
        }
        None
    }
}
