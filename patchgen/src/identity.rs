//! Functions and variables that have the name of others.
//!
//! Names make most pairs of the two builds. But a fix may rename a function and give its name to another one, and a
//! static variable that goes from one function may come to another: compilers know it by the same symbol. Live data that
//! holds the old function's address would call the other one, and the new variable would begin with the value of the old one.

use crate::code::{Program, stores_address};
use crate::diff::{Matching, Pair, Sameness, data_pointers, is_constant};
use crate::dwarf::{DebugInfo, Declared, Surroundings, UnitId};
use crate::emit::Change;
use crate::image::{Access, FunctionId, Image, ObjectId, Pointer, Referent, is_rust, stem};
use crate::report::{Refusal, RefusalKind};
use patchfile::{Patch, Place};
use std::collections::{BTreeMap, BTreeSet};

/// The debugging information of both builds, if both have any.
type Debug<'d, 's> = Option<(&'d DebugInfo<'s>, &'d DebugInfo<'s>)>;

/// Refuses changed functions that another file has under their name, if code or data that stays may call the old one.
pub(crate) fn refuse_functions(
    pair: &Pair<'_, '_>,
    matching: &Matching,
    changes: &[Change],
    surroundings: &Surroundings,
    debug: Debug<'_, '_>,
) -> Vec<Refusal> {
    let mut found = Vec::new();
    for change in changes {
        let (was, is) = (pair.old.image.function(change.old), pair.new.image.function(change.new));
        let exported = |image: &Image<'_>, name: &String| image.exports.contains(name);
        let fixed = exported(&pair.old.image, &was.name) && exported(&pair.new.image, &is.name);
        if fixed || is_rust(&was.name) || surroundings.called_alike.contains(&was.address()) {
            continue;
        }
        let detail = match renamed(pair, matching, change) {
            Some(other) => format!(
                "its code is that of `{}` in the new build, and live data that holds its address would call the new `{}`",
                pair.new.image.function(other).name,
                is.name
            ),
            None => match units(change, pair, debug) {
                Some((from, to)) if !is_held_alike(pair, matching, change) => format!(
                    "{from} has no such function any more, {to} has one, and code or data that stays as it is may call \
                     the old one"
                ),
                _ => continue,
            },
        };
        found.push(Refusal {
            kind: RefusalKind::AmbiguousFunction,
            subject: was.name.clone(),
            detail,
            functions: vec![was.name.clone()],
        });
    }
    found
}

/// A function that only the new build has, and that does what the changed one did.
fn renamed(pair: &Pair<'_, '_>, matching: &Matching, change: &Change) -> Option<FunctionId> {
    let same = Sameness::by_key(pair, matching);
    let mut others = pair.new.image.function_ids().filter(|new| matching.old_function(*new).is_none());
    others.find(|new| same.functions(change.old, *new))
}

/// The units in which a changed function is, if these are two; the files that the symbol table names where no debugging
/// information tells.
fn units(change: &Change, pair: &Pair<'_, '_>, debug: Debug<'_, '_>) -> Option<(String, String)> {
    let (was, is) = (pair.old.image.function(change.old), pair.new.image.function(change.new));
    let Some((old, new)) = debug else {
        let (from, to) = (was.source.as_deref()?, is.source.as_deref()?);
        let files = |image| -> BTreeSet<&str> { sources(image).collect() };
        let moved = are_apart(from, to, &files(&pair.old.image), &files(&pair.new.image));
        return moved.then(|| (from.to_owned(), to.to_owned()));
    };
    let (olds, news) = (old.declaring_units(was.address()).ok()?, new.declaring_units(is.address()).ok()?);
    let (from, to) = (olds.first()?, news.first()?);
    let moved = olds.is_disjoint(&news) && are_others(from, to, (old, new));
    moved.then(|| (from.clone(), to.clone()))
}

/// The files that the symbol table names.
fn sources<'i>(image: &'i Image<'_>) -> impl Iterator<Item = &'i str> {
    let functions = image.functions.iter().filter_map(|function| function.source.as_deref());
    functions.chain(image.objects.iter().filter_map(|object| object.source.as_deref()))
}

/// True if a variable of both builds has the old function's address where it has the new one's.
fn is_held_alike(pair: &Pair<'_, '_>, matching: &Matching, change: &Change) -> bool {
    let (was, is) = (pair.old.image.function(change.old), pair.new.image.function(change.new));
    data_pointers(&pair.old.image, 0..u64::MAX).into_iter().any(|(at, pointer)| {
        if !matches!(pointer, Pointer::Address(to) if to == was.address()) {
            return false;
        }
        let Referent::Object { id, offset, .. } = pair.old.image.resolve(at, None) else { return false };
        matching.new_object(id).is_some_and(|new| {
            let there = pair.new.image.object(new).range.start.wrapping_add_signed(offset);
            let held = data_pointers(&pair.new.image, there..there + 8);
            held.iter().any(|(_, pointer)| matches!(pointer, Pointer::Address(to) if *to == is.address()))
        })
    })
}

/// Refuses a patch for a program that goes on calling a function which is gone, since its address is stored, and warns
/// where it is only passed on, or stands in constants or in an object of C++.
pub(crate) fn removed(
    pair: &Pair<'_, '_>,
    matching: &Matching,
    changes: &[Change],
) -> (Vec<Refusal>, Vec<String>) {
    let (mut refusals, mut warnings) = (Vec::new(), Vec::new());
    if changes.is_empty() {
        return (refusals, warnings);
    }
    let image = &pair.old.image;
    let addressed = &matching.callers(pair).addressed;
    for id in addressed.iter().filter(|id| matching.new_function(**id).is_none()) {
        let function = image.function(*id);
        if is_rust(&function.name) {
            continue;
        }
        let name = function.name.clone();
        let what =
            "the new build has no such function, and live data that holds its address goes on in the old one";
        if !name.starts_with("_Z") && is_stored(pair.old, *id) {
            refusals.push(Refusal {
                kind: RefusalKind::AmbiguousFunction,
                subject: name.clone(),
                detail: what.to_owned(),
                functions: vec![name],
            });
        } else {
            warnings.push(format!("`{name}`: {what}, if there is any"));
        }
    }
    (refusals, warnings)
}

/// True if code stores the address of a function, or a variable begins with it.
fn is_stored(program: &Program<'_>, id: FunctionId) -> bool {
    let image = &program.image;
    let range = image.function(id).parts[0].clone();
    let in_variable = data_pointers(image, 0..u64::MAX).into_iter().any(|(at, pointer)| {
        let writable = || image.section_at(at).is_some_and(|section| section.access == Access::Write);
        matches!(pointer, Pointer::Address(to) if to == range.start) && writable()
    });
    in_variable || image.function_ids().any(|user| stores_address(program, user, &range))
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
        let stays: Vec<&str> = old_users
            .iter()
            .filter(|old| matching.new_function(**old).is_some_and(|new| new_users.contains(&new)))
            .map(|old| pair.old.image.function(*old).name.as_str())
            .collect();
        let both = declared.as_mut().and_then(|(olds, news)| {
            let was = olds.at(&pair.old.image, old, old_users.iter().copied().chain(also_old))?;
            Some((was, news.at(&pair.new.image, new, new_users.iter().copied().chain(also_new))?))
        });
        let detail = match (both, debug) {
            (Some((was, is)), Some(debug)) => other_declaration(&was, &is, debug, &stays),
            _ if stays.is_empty() => other_users(pair, (old, old_users), (new, new_users)),
            _ => None,
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
        let exported = |image: &Image<'_>, name: &String| image.exports.contains(name);
        let fixed = exported(old_image, &was.name) && exported(new_image, &is.name);
        // These names say which function a variable is in, or what a pointer leads to.
        let whole = is_rust(&was.name)
            || ["_ZZ", "_ZGV", "DW.ref."].iter().any(|prefix| was.name.starts_with(prefix));
        if !fixed && !whole && !is_constant(old_image, old) && was.name != "__dso_handle" {
            found.insert((old, new));
        }
    }
    found.into_iter().collect()
}

/// Why two declarations are not of one variable. `users` are the functions that use it in both builds.
fn other_declaration(
    was: &Declared,
    is: &Declared,
    debug: (&DebugInfo<'_>, &DebugInfo<'_>),
    users: &[&str],
) -> Option<String> {
    let place = |declared: &Declared| match &declared.function {
        Some(function) => format!("{} in {}", function, declared.unit),
        None => declared.unit.clone(),
    };
    if was.bits_before != is.bits_before {
        return Some("the target keeps another member of it in this place".to_owned());
    }
    let moved = are_others(&was.unit, &is.unit, debug) && !(was.external && is.external && !users.is_empty());
    let same_scope = match (&was.function, &is.function) {
        (None, None) => true,
        (Some(a), Some(b)) => a == b && was.is_in_place_of(is),
        // It came out of its function, or went into one.
        (Some(function), None) | (None, Some(function)) => users.iter().any(|user| stem(user) == *function),
    };
    (moved || !same_scope || was.name != is.name).then(|| {
        format!(
            "the target's is declared in {}, the new build's in {}{}: it is not known whether one continues the other",
            place(was),
            place(is),
            if was.function == is.function { ", in another place" } else { "" }
        )
    })
}

/// Why two variables that no function uses in both builds are not one, where no declarations tell.
fn other_users(
    pair: &Pair<'_, '_>,
    (old, olds): (ObjectId, &BTreeSet<FunctionId>),
    (new, news): (ObjectId, &BTreeSet<FunctionId>),
) -> Option<String> {
    // A name without a number is that of a file, not of a function in it.
    let (was, is) = (pair.old.image.object(old), pair.new.image.object(new));
    let of_file = was.name == is.name && stem(&was.name) == was.name && was.source == is.source;
    let name = |image: &Image<'_>, users: &BTreeSet<FunctionId>| {
        users.first().map_or("data".to_owned(), |user| image.function(*user).name.clone())
    };
    (!of_file).then(|| {
        format!(
            "{} uses the target's, {} that of the new build, and nothing tells whether they are one",
            name(&pair.old.image, olds),
            name(&pair.new.image, news)
        )
    })
}

/// True if units of two names are not one that was renamed, or compiled in another directory.
fn are_others(old: &str, new: &str, debug: (&DebugInfo<'_>, &DebugInfo<'_>)) -> bool {
    // Names of all units are only read where they are needed.
    if old == new {
        return false;
    }
    let (Ok(olds), Ok(news)) = (debug.0.unit_names(), debug.1.unit_names()) else { return false };
    are_apart(old, new, &olds, &news)
}

/// The same of names out of those of both builds.
fn are_apart(old: &str, new: &str, olds: &BTreeSet<&str>, news: &BTreeSet<&str>) -> bool {
    let of_old = counterpart(old, olds, news);
    let of_new = counterpart(new, news, olds);
    old != new && (of_old.is_some_and(|other| other != new) || of_new.is_some_and(|other| other != old))
}

/// The unit of the other build that is the same one: of the same name or, if builds are made in different directories, the
/// one whose name ends as no other does, seen from both.
fn counterpart<'n>(name: &str, own: &BTreeSet<&str>, others: &BTreeSet<&'n str>) -> Option<&'n str> {
    if let Some(same) = others.get(name) {
        return Some(same);
    }
    let there = alike(name, others)?;
    (!own.contains(there) && alike(there, own) == Some(name)).then_some(there)
}

/// The only one of the names with the most components at the end in common.
fn alike<'n>(name: &str, names: &BTreeSet<&'n str>) -> Option<&'n str> {
    let shared = |other: &str| {
        let components = name.rsplit('/').zip(other.rsplit('/'));
        components.take_while(|(a, b)| a == b).count()
    };
    let most = names.iter().map(|other| shared(other)).max().filter(|most| *most > 0)?;
    let mut best = names.iter().filter(|other| shared(other) == most);
    best.next().filter(|_| best.next().is_none()).copied()
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

#[cfg(test)]
mod tests {
    use super::counterpart;
    use std::collections::BTreeSet;

    #[test]
    fn units_are_found_in_another_directory() {
        let olds = BTreeSet::from(["/a/x/util.c", "/a/y/util.c", "/a/main.c", "/a/gone.c"]);
        let news = BTreeSet::from(["/b/x/util.c", "/b/y/util.c", "/b/main.c", "/b/new.c"]);
        let of = |name| counterpart(name, &olds, &news);
        assert_eq!(of("/a/x/util.c"), Some("/b/x/util.c"));
        assert_eq!(of("/a/main.c"), Some("/b/main.c"));
        assert_eq!(of("/a/gone.c"), None);
        assert_eq!(
            counterpart("x/a.c", &BTreeSet::from(["x/a.c", "y/a.c"]), &BTreeSet::from(["y/a.c"])),
            None
        );
    }
}
