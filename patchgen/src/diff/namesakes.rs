//! Functions and variables of Rust that share a path: instances of a generic function, closures of one function, items of one name in
//! one function (macros make such).
//!
//! Their symbols differ in a hash or in a number. The hash of a generic instance stands for its types; that of a closure
//! or local item for how many of its path come before it, so that an edit in front of it makes it the hash of another
//! one. Which of the two it is, only debugging information tells, and it is asked where something speaks against the
//! names: names that come or go, and several changed functions of one path. What is left is told by bodies. Calls do
//! not depend on which one is which, since all changed functions are replaced together; addresses in live data do.

use super::matching::{Group, Key, Matching, Units};
use super::thread_locals::used_places;
use super::votes::Votes;
use super::{Pair, Sameness};
use crate::image::{FunctionId, Image, ObjectId, Referent, is_numbered, is_rust, without_numbers};
use rayon::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

/// A pair of functions of one path, as it was found.
#[derive(Clone, Copy, Debug)]
pub(super) struct Found {
    /// Of the target.
    pub(super) old: u32,
    /// Of the replacement.
    pub(super) new: u32,
    /// The bodies are the same.
    pub(super) same_body: bool,
}

impl Matching {
    /// Takes the groups of functions of Rust out of `open` that names or paths settle, and splits the others by paths.
    /// What only merged functions can be is left over.
    pub(super) fn match_namesakes(
        &mut self,
        pair: &Pair<'_, '_>,
        units: &dyn Units,
        open: &mut Vec<Group>,
    ) -> Vec<Group> {
        let mut alone = Vec::new();
        let of_rust = |(olds, _): &Group| is_rust(&pair.old.image.function(FunctionId(olds[0])).name);
        let (groups, others): (Vec<Group>, Vec<Group>) = std::mem::take(open).into_iter().partition(of_rust);
        *open = others;
        let (named, moved): (Vec<_>, Vec<_>) =
            groups.into_iter().partition(|group| has_same_names(pair, group));
        for (olds, news) in &named {
            let by_name: BTreeMap<&str, u32> =
                news.iter().map(|new| (name_of(&pair.new.image, *new), *new)).collect();
            for old in olds {
                self.pair_functions(FunctionId(*old), FunctionId(by_name[name_of(&pair.old.image, *old)]));
            }
        }
        let doubted = self.doubted(pair, &named);
        for (olds, _) in &doubted {
            self.part_functions(olds);
        }
        self.match_paths(pair, units, moved.into_iter().chain(doubted).collect(), open, &mut alone);
        // Bodies that are the same but for what is not settled yet are no evidence.
        let shared = self.shared_objects(pair);
        let mut settled = named;
        loop {
            let keys: BTreeSet<_> =
                open.iter().map(|(olds, _)| self.old_function_keys[olds[0] as usize]).collect();
            let leads = |(olds, news): &Group| {
                self.leads_to_other(pair, &keys, olds, news)
                    || olds.iter().any(|old| self.uses_shared(pair, FunctionId(*old), &shared))
            };
            let (leading, rest): (Vec<_>, Vec<_>) = settled.into_iter().partition(leads);
            if leading.is_empty() {
                break;
            }
            settled = rest;
            for (olds, _) in &leading {
                self.part_functions(olds);
            }
            let mut again = Vec::new();
            for (olds, news) in leading {
                let news = news.into_iter().filter(|new| self.old_function(FunctionId(*new)).is_none());
                again.push((olds, news.collect()));
            }
            self.match_paths(pair, units, again, open, &mut alone);
        }
        let of_rust = |(olds, _): &&Group| is_rust(name_of(&pair.old.image, olds[0]));
        self.grouped =
            open.iter().filter(of_rust).flat_map(|(olds, _)| olds.iter().copied()).map(FunctionId).collect();
        alone
    }

    /// The keys of Rust's variables of which there are several.
    fn shared_objects(&self, pair: &Pair<'_, '_>) -> BTreeSet<Key> {
        let mut found = BTreeSet::new();
        let builds = [(&pair.old.image, &self.old_object_keys), (&pair.new.image, &self.new_object_keys)];
        for (image, keys) in builds {
            let mut seen = BTreeSet::new();
            let of_rust = image.objects.iter().zip(keys).filter(|(object, _)| is_rust(&object.name));
            found.extend(of_rust.map(|(_, key)| *key).filter(|key| !seen.insert(*key)));
        }
        found
    }

    /// True if a function of the target refers to one of several variables of one path.
    fn uses_shared(&self, pair: &Pair<'_, '_>, id: FunctionId, shared: &BTreeSet<Key>) -> bool {
        let object = |referent: &Referent| match referent {
            Referent::Object { id, .. } => shared.contains(&self.old_object_keys[id.0 as usize]),
            _ => false,
        };
        pair.old.code(id).references.iter().any(|reference| object(&reference.referent))
            || self.thread_locals.uses_counted(&used_places(pair.old, id))
    }

    /// Pairs variables of Rust that begin as no other one of their path does.
    pub(super) fn pair_by_contents(&mut self, pair: &Pair<'_, '_>, olds: &[u32], news: &[u32]) {
        let of_rust = |id: &u32| is_rust(&pair.old.image.object(ObjectId(*id)).name);
        let mut votes = Votes::default();
        let same = Sameness::by_key(pair, self);
        for old in olds.iter().filter(|old| of_rust(old)).map(|old| ObjectId(*old)) {
            for new in news.iter().map(|new| ObjectId(*new)) {
                if same.object_contents(old, new).is_ok() {
                    votes.add(old, new);
                }
            }
        }
        for (old, new) in votes.agreed() {
            self.pair_objects(old, new);
        }
    }

    /// Pairs variables of Rust of one path by their whole names if these are the same in both builds: a guess, which
    /// does for functions that did not change.
    pub(super) fn pair_kept_objects(
        &mut self,
        pair: &Pair<'_, '_>,
        (olds, news): (&[u32], &[u32]),
        (rest_old, rest_new): (&[u32], &[u32]),
    ) {
        let names = |image: &Image<'_>, ids: &[u32]| -> BTreeMap<String, ObjectId> {
            ids.iter().map(|id| (image.object(ObjectId(*id)).name.clone(), ObjectId(*id))).collect()
        };
        let (old_image, new_image) = (&pair.old.image, &pair.new.image);
        if !names(old_image, olds).keys().eq(names(new_image, news).keys()) {
            return;
        }
        let news = names(new_image, rest_new);
        for (name, old) in names(old_image, rest_old) {
            if let Some(new) = news.get(&name).filter(|_| is_rust(&name)) {
                self.pair_objects(old, *new);
            }
        }
    }

    /// Notes the functions of which nothing but order tells which one they are, since they differ in nothing but a
    /// variable of which it is not known which one it is.
    pub(super) fn note_users_of_namesakes(&mut self, pair: &Pair<'_, '_>) {
        loop {
            let open = |old: FunctionId, new: FunctionId| {
                let referents = pair.new.code(new).references.iter().map(|reference| reference.referent);
                let mut open = referents.filter(|referent| match *referent {
                    Referent::Object { id, .. } => self.is_ambiguous(id),
                    Referent::Code { function, .. } => self.is_by_order(function),
                    _ => false,
                });
                open.next().is_some() || self.thread_locals.uses_counted(&used_places(pair.old, old))
            };
            let pairs = self.grouped.iter().filter_map(|old| Some((*old, self.new_function(*old)?)));
            let found: Vec<FunctionId> = pairs
                .filter(|(old, new)| !self.is_by_order(*new) && open(*old, *new))
                .map(|(_, new)| new)
                .collect();
            if found.is_empty() {
                break;
            }
            self.by_order.extend(found);
        }
    }

    /// Of each group in which several bodies changed, the functions that did: they may have changed places.
    fn doubted(&self, pair: &Pair<'_, '_>, named: &[Group]) -> Vec<Group> {
        let weak = Sameness::by_key(pair, self);
        let changed = |(olds, _): &Group| {
            let pairs = olds.iter().filter_map(|old| Some((*old, self.new_function(FunctionId(*old))?)));
            let changed = pairs.filter(|(old, new)| !weak.functions(FunctionId(*old), *new));
            let (olds, news): Group = changed.map(|(old, new)| (old, new.0)).unzip();
            (olds.len() > 1).then_some((olds, news))
        };
        named.par_iter().filter_map(changed).collect()
    }

    /// Pairs functions that are the only ones of their path and types. Others of one path go to `open`, and those whose
    /// path only one build has to `alone`.
    fn match_paths(
        &mut self,
        pair: &Pair<'_, '_>,
        units: &dyn Units,
        groups: Vec<Group>,
        open: &mut Vec<Group>,
        alone: &mut Vec<Group>,
    ) {
        let old_path = |id: &u32| units.old_path(pair.old.image.function(FunctionId(*id)).address());
        let new_path = |id: &u32| units.new_path(pair.new.image.function(FunctionId(*id)).address());
        let without = |path: Option<String>| path.map(|path| without_numbers(&path, "#"));
        let read = |(olds, news): Group| {
            let mut paths: BTreeMap<Option<String>, Group> = BTreeMap::new();
            for old in olds {
                paths.entry(without(old_path(&old))).or_default().0.push(old);
            }
            for new in news {
                paths.entry(without(new_path(&new))).or_default().1.push(new);
            }
            paths
        };
        let read: Vec<_> = groups.into_par_iter().map(read).collect();
        for paths in read {
            let (mut rest_old, mut rest_new) = (Vec::new(), Vec::new());
            let any_unknown = paths.contains_key(&None);
            for (path, (mut olds, mut news)) in paths {
                match (olds.as_slice(), news.as_slice()) {
                    ([old], [new]) if path.is_some() => {
                        self.pair_functions(FunctionId(*old), FunctionId(*new));
                    }
                    ([_, ..], [_, ..]) if path.is_some() => open.push((olds, news)),
                    _ => {
                        rest_old.append(&mut olds);
                        rest_new.append(&mut news);
                    }
                }
            }
            if !rest_old.is_empty() && !rest_new.is_empty() {
                // Any may be one of which the path is not known.
                let list = if any_unknown { &mut *open } else { &mut *alone };
                list.push((rest_old, rest_new));
            }
        }
    }

    /// Notes which pairs of a group of one path are not certain, as far as live data may hold addresses of the
    /// functions.
    pub(super) fn note_doubts(
        &mut self,
        pair: &Pair<'_, '_>,
        units: &dyn Units,
        (olds, news): (&[u32], &[u32]),
        found: &[Found],
    ) {
        let numbers = Numbers::of(pair, units, olds, news);
        let same_number = |found: &Found| numbers.as_ref().is_some_and(|numbers| numbers.are_same(*found));
        let all_same = found.iter().all(same_number);
        let mut doubts: Vec<u32> = Vec::new();
        if numbers.is_some() && !all_same {
            // As many as before, and their bodies changed places.
            doubts.extend(found.iter().filter(|found| !same_number(found)).map(|found| found.old));
        }
        let changed = found.iter().filter(|found| !found.same_body).count();
        let (left_old, left_new) = (olds.len() - found.len(), news.len() - found.len());
        let certain = match changed {
            0 => left_old == 0 || left_new == 0,
            1 => left_old == 0 && left_new == 0,
            _ => false,
        };
        let kept = all_same && left_old == 0 && left_new == 0;
        if !certain && !kept {
            let paired: BTreeSet<u32> =
                found.iter().filter(|found| found.same_body).map(|found| found.old).collect();
            doubts.extend(olds.iter().filter(|old| !paired.contains(old)));
        }
        if doubts.is_empty() {
            return;
        }
        let doubts = doubts.into_iter().map(FunctionId);
        let doubts: Vec<FunctionId> =
            doubts.filter(|old| self.callers(pair).addressed.contains(old)).collect();
        self.uncertain.extend(doubts);
    }
}

/// What is told of each function of a group by its number: the whole name or, if all of these changed (another version
/// of the crate), the path with the numbers of closures.
struct Numbers {
    olds: BTreeMap<u32, String>,
    news: BTreeMap<u32, String>,
}

impl Numbers {
    /// None if they are not the same set in both builds.
    fn of(pair: &Pair<'_, '_>, units: &dyn Units, olds: &[u32], news: &[u32]) -> Option<Self> {
        if olds.len() != news.len() {
            return None;
        }
        let names = Numbers {
            olds: olds.iter().map(|id| (*id, name_of(&pair.old.image, *id).to_owned())).collect(),
            news: news.iter().map(|id| (*id, name_of(&pair.new.image, *id).to_owned())).collect(),
        };
        if names.are_one_set() && has_same_aliases(pair, olds, news) {
            return Some(names);
        }
        // `impl` blocks are numbered too, all over the crate.
        let path = |path: Option<String>| path.map(|path| without_numbers(&path, "{impl#"));
        let old =
            |id: &u32| Some((*id, path(units.old_path(pair.old.image.function(FunctionId(*id)).address()))?));
        let new =
            |id: &u32| Some((*id, path(units.new_path(pair.new.image.function(FunctionId(*id)).address()))?));
        let paths = Numbers {
            olds: olds.iter().map(old).collect::<Option<_>>()?,
            news: news.iter().map(new).collect::<Option<_>>()?,
        };
        paths.are_one_set().then_some(paths)
    }

    fn are_one_set(&self) -> bool {
        let (olds, news): (BTreeSet<_>, BTreeSet<_>) =
            (self.olds.values().collect(), self.news.values().collect());
        olds.len() == self.olds.len() && olds == news
    }

    fn are_same(&self, found: Found) -> bool {
        self.olds[&found.old] == self.news[&found.new]
    }
}

fn name_of<'i>(image: &'i Image<'_>, id: u32) -> &'i str {
    &image.function(FunctionId(id)).name
}

/// True if as many names were merged into the functions in both builds.
fn has_same_aliases(pair: &Pair<'_, '_>, olds: &[u32], news: &[u32]) -> bool {
    let count = |image: &Image<'_>, ids: &[u32]| -> usize {
        ids.iter().map(|id| image.function(FunctionId(*id)).aliases.len()).sum()
    };
    count(&pair.old.image, olds) == count(&pair.new.image, news)
}

/// True if the functions of a group have the same whole names in both builds, without numbers of closures.
fn has_same_names(pair: &Pair<'_, '_>, (olds, news): &Group) -> bool {
    let names = |image, ids: &[u32]| -> BTreeSet<String> {
        ids.iter().map(|id| name_of(image, *id).to_owned()).collect()
    };
    let (old_names, new_names) = (names(&pair.old.image, olds), names(&pair.new.image, news));
    has_same_aliases(pair, olds, news)
        && old_names.len() == olds.len()
        && news.len() == olds.len()
        && old_names == new_names
        && !old_names.iter().any(|name| is_numbered(name))
}
