//! Which function and which variable of the replacement is which of the target.
//!
//! Names come first: source file and name without the numbers that compilers append. Where several share such a
//! key (clones, numbered statics), bodies decide for functions and the functions that use them for variables. What
//! stays open is left unmatched.

use super::constant_pairs::ConstantPairs;
use super::same::data_pointers;
use super::votes::Votes;
use super::{Pair, Sameness, ThreadLocals};
use crate::callers::Callers;
use crate::code::{Code, Program, Use};
use crate::image::{
    Access, FunctionId, Image, ObjectId, Pointer, Referent, family, is_codegen_unit, is_rust,
};
use rayon::prelude::*;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, OnceLock};

/// Functions or objects of one key: the target's, and the replacement's.
pub(super) type Group = (Vec<u32>, Vec<u32>);

/// Number of a key; equal numbers mean equal file and stem of the name.
pub(super) type Key = u32;

/// Tells which compilation unit a function came from.
pub trait Units: Sync {
    /// The unit of the target's function at this address, if it is known.
    fn old_unit(&self, address: u64) -> Option<String>;
    /// The unit of the replacement's function at this address, if it is known.
    fn new_unit(&self, address: u64) -> Option<String>;
    /// The path in the source of the target's function at this address with the types that it is made for, if it is
    /// known.
    fn old_path(&self, address: u64) -> Option<String>;
    /// The same of the replacement.
    fn new_path(&self, address: u64) -> Option<String>;
    /// The names of the target's thread-local variables, with what they are declared in, by their places.
    fn old_thread_locals(&self) -> BTreeMap<u64, BTreeSet<String>>;
    /// The same of the replacement.
    fn new_thread_locals(&self) -> BTreeMap<u64, BTreeSet<String>>;
}

/// Without debugging information units are not known.
impl Units for () {
    fn old_unit(&self, _: u64) -> Option<String> {
        None
    }

    fn new_unit(&self, _: u64) -> Option<String> {
        None
    }

    fn old_path(&self, _: u64) -> Option<String> {
        None
    }

    fn new_path(&self, _: u64) -> Option<String> {
        None
    }

    fn old_thread_locals(&self) -> BTreeMap<u64, BTreeSet<String>> {
        BTreeMap::new()
    }

    fn new_thread_locals(&self) -> BTreeMap<u64, BTreeSet<String>> {
        BTreeMap::new()
    }
}

/// The correspondence between two builds.
pub struct Matching {
    /// Key of each old function.
    pub old_function_keys: Vec<Key>,
    /// Key of each new function.
    pub new_function_keys: Vec<Key>,
    /// Key of each old object.
    pub old_object_keys: Vec<Key>,
    /// Key of each new object.
    pub new_object_keys: Vec<Key>,
    functions_to_new: Vec<Option<FunctionId>>,
    functions_to_old: Vec<Option<FunctionId>>,
    objects_to_new: Vec<Option<ObjectId>>,
    objects_to_old: Vec<Option<ObjectId>>,
    /// New objects whose key several objects share and that are left unmatched.
    ambiguous: BTreeSet<ObjectId>,
    /// New functions of which several share file and name, paired by their order only.
    pub(super) by_order: BTreeSet<FunctionId>,
    /// Old functions of Rust that share their path with others, and were told from them by bodies or numbers.
    pub(super) grouped: BTreeSet<FunctionId>,
    /// Old functions of Rust whose addresses data or code hold, and of which nothing tells which new one they are.
    pub(super) uncertain: BTreeSet<FunctionId>,
    /// Of the target, once anybody asks.
    callers: OnceLock<Callers>,
    /// Unnamed constants of Rust programs.
    pub(super) constants: ConstantPairs,
    /// The correspondence of thread-local variables.
    pub thread_locals: ThreadLocals,
}

#[derive(Default)]
struct Interner(HashMap<(Option<Arc<str>>, String), Key>);

impl Interner {
    /// `family` is that of the name.
    fn key(&mut self, source: Option<&Arc<str>>, family: String) -> Key {
        let next = self.0.len() as Key;
        *self.0.entry((source.cloned(), family)).or_insert(next)
    }
}

impl Matching {
    /// Matches the functions and objects of two builds. `units` tells files of the same name apart.
    pub fn new(pair: &Pair<'_, '_>, units: &dyn Units) -> Self {
        let (old, new) = (&pair.old.image, &pair.new.image);
        let mut functions = Interner::default();
        let mut function_keys = |image: &Image<'_>| -> Vec<Key> {
            let families: Vec<String> = image.functions.par_iter().map(|f| family(&f.name)).collect();
            let named = image.functions.iter().zip(families);
            named.map(|(f, family)| functions.key(file_of(&f.name, f.source.as_ref()), family)).collect()
        };
        let (old_function_keys, new_function_keys) = (function_keys(old), function_keys(new));
        let mut objects = Interner::default();
        let families = |image: &Image<'_>| -> Vec<String> {
            image.objects.par_iter().map(|o| family(&o.name)).collect()
        };
        let (old_families, new_families) = (families(old), families(new));
        let mut object_keys = |image: &Image<'_>, families: &[String]| -> Vec<Key> {
            let named = image.objects.iter().zip(families);
            named
                .map(|(o, family)| objects.key(file_of(&o.name, o.source.as_ref()), family.clone()))
                .collect()
        };
        let (old_object_keys, new_object_keys) =
            (object_keys(old, &old_families), object_keys(new, &new_families));
        let mut matching = Matching {
            functions_to_new: vec![None; old.functions.len()],
            functions_to_old: vec![None; new.functions.len()],
            objects_to_new: vec![None; old.objects.len()],
            objects_to_old: vec![None; new.objects.len()],
            ambiguous: BTreeSet::new(),
            by_order: BTreeSet::new(),
            grouped: BTreeSet::new(),
            uncertain: BTreeSet::new(),
            callers: OnceLock::new(),
            constants: ConstantPairs::default(),
            thread_locals: ThreadLocals::new(&old.tls, &new.tls, units),
            old_function_keys,
            new_function_keys,
            old_object_keys,
            new_object_keys,
        };
        matching.match_functions(pair, units);
        matching.match_objects(pair);
        matching.note_users_of_namesakes(pair);
        matching.match_moved_objects(pair, &old_families, &new_families);
        if old.is_rust && new.is_rust {
            matching.constants = ConstantPairs::find(pair, &matching);
        }
        matching
    }

    /// Who calls the functions of the target.
    pub(crate) fn callers(&self, pair: &Pair<'_, '_>) -> &Callers {
        self.callers.get_or_init(|| Callers::of(pair.old))
    }

    /// The new function that corresponds to an old one.
    pub fn new_function(&self, old: FunctionId) -> Option<FunctionId> {
        self.functions_to_new[old.0 as usize]
    }

    /// The old function that corresponds to a new one.
    pub fn old_function(&self, new: FunctionId) -> Option<FunctionId> {
        self.functions_to_old[new.0 as usize]
    }

    /// The new object that corresponds to an old one.
    pub fn new_object(&self, old: ObjectId) -> Option<ObjectId> {
        self.objects_to_new[old.0 as usize]
    }

    /// The old object that corresponds to a new one.
    pub fn old_object(&self, new: ObjectId) -> Option<ObjectId> {
        self.objects_to_old[new.0 as usize]
    }

    /// True if namesakes of this new object exist and it is not known which one it is.
    pub fn is_ambiguous(&self, new: ObjectId) -> bool {
        self.ambiguous.contains(&new)
    }

    /// True if namesakes of this new function exist in its file and only their order tells which one it is.
    pub fn is_by_order(&self, new: FunctionId) -> bool {
        self.by_order.contains(&new)
    }

    /// Old functions of Rust that share their path, whose addresses live data may hold, and of which nothing tells
    /// which new one they are.
    pub fn uncertain_functions(&self) -> impl Iterator<Item = FunctionId> {
        self.uncertain.iter().copied()
    }

    /// Number of matched functions.
    pub fn matched_functions(&self) -> usize {
        self.functions_to_new.iter().flatten().count()
    }

    pub(super) fn pair_functions(&mut self, old: FunctionId, new: FunctionId) {
        self.functions_to_new[old.0 as usize] = Some(new);
        self.functions_to_old[new.0 as usize] = Some(old);
    }

    /// Takes pairs back.
    pub(super) fn part_functions(&mut self, olds: &[u32]) {
        for old in olds {
            if let Some(new) = self.functions_to_new[*old as usize].take() {
                self.functions_to_old[new.0 as usize] = None;
            }
        }
    }

    pub(super) fn pair_objects(&mut self, old: ObjectId, new: ObjectId) {
        self.objects_to_new[old.0 as usize] = Some(new);
        self.objects_to_old[new.0 as usize] = Some(old);
    }

    fn match_functions(&mut self, pair: &Pair<'_, '_>, units: &dyn Units) {
        let groups = groups(&self.old_function_keys, &self.new_function_keys);
        let mut open = Vec::new();
        for (olds, news) in groups.into_values() {
            match (olds.as_slice(), news.as_slice()) {
                ([old], [new]) => self.pair_functions(FunctionId(*old), FunctionId(*new)),
                ([], _) | (_, []) => {}
                _ => open.push((olds, news)),
            }
        }
        let alone = self.match_namesakes(pair, units, &mut open);
        // Bodies that call functions of another open group are told apart once that group is settled.
        loop {
            let keys: BTreeSet<Key> =
                open.iter().map(|(olds, _)| self.old_function_keys[olds[0] as usize]).collect();
            let (waiting, ready): (Vec<_>, Vec<_>) = std::mem::take(&mut open)
                .into_iter()
                .partition(|(olds, news)| self.leads_to_other(pair, &keys, olds, news));
            let stuck = ready.is_empty();
            open = waiting;
            let now = if stuck { std::mem::take(&mut open) } else { ready };
            if now.is_empty() {
                break;
            }
            for (olds, news) in now {
                self.match_group(pair, units, &olds, &news, stuck);
            }
        }
        self.match_merged(pair, units, &alone);
        self.match_moved_functions(pair);
    }

    /// Matches functions that became global or local, or whose file was renamed, if their name is the only one of
    /// its kind on both sides.
    fn match_moved_functions(&mut self, pair: &Pair<'_, '_>) {
        let olds = sole_names(pair.old.image.functions.iter().map(|function| function.name.as_str()));
        let news = sole_names(pair.new.image.functions.iter().map(|function| function.name.as_str()));
        for (name, old) in olds {
            if let Some(new) = news.get(name) {
                let (old, new) = (FunctionId(old), FunctionId(*new));
                if self.new_function(old).is_none() && self.old_function(new).is_none() {
                    self.pair_functions(old, new);
                }
            }
        }
    }

    /// Matches variables that became global or local and whose name is the only one of its kind on both sides. One
    /// whose file was renamed may be another variable: whoever uses it is refused.
    fn match_moved_objects(&mut self, pair: &Pair<'_, '_>, old_families: &[String], new_families: &[String]) {
        let olds = sole_names(old_families.iter().map(String::as_str));
        let news = sole_names(new_families.iter().map(String::as_str));
        for (name, old) in olds {
            let Some(new) = news.get(name) else { continue };
            let (old, new) = (ObjectId(old), ObjectId(*new));
            if self.new_object(old).is_some() || self.old_object(new).is_some() {
                continue;
            }
            let local = |image: &Image<'_>, id: ObjectId| image.object(id).source.is_some();
            if local(&pair.old.image, old) && local(&pair.new.image, new) {
                if !is_constant(&pair.new.image, new) {
                    self.ambiguous.insert(new);
                }
            } else {
                self.pair_objects(old, new);
            }
        }
    }

    fn match_objects(&mut self, pair: &Pair<'_, '_>) {
        let groups = groups(&self.old_object_keys, &self.new_object_keys);
        let mut open: Vec<Group> = Vec::new();
        for (olds, news) in groups.into_values() {
            match (olds.as_slice(), news.as_slice()) {
                ([old], [new]) => self.pair_objects(ObjectId(*old), ObjectId(*new)),
                ([], _) | (_, []) => {}
                _ => open.push((olds, news)),
            }
        }
        if open.is_empty() {
            return;
        }
        let shared: BTreeSet<Key> =
            open.iter().map(|(olds, _)| self.old_object_keys[olds[0] as usize]).collect();
        let old_uses = uses_of(pair.old, &self.old_object_keys, &shared);
        let new_uses = uses_of(pair.new, &self.new_object_keys, &shared);
        for (olds, news) in &open {
            self.match_kept_constants(pair, olds, news);
        }
        // What code settles, data may settle further, and then code again. Each pair's data are read once.
        let mut from_data = Votes::default();
        let mut unread: Vec<_> =
            pair.old.image.object_ids().filter_map(|old| Some((old, self.new_object(old)?))).collect();
        loop {
            let mut votes = self.code_votes(pair, &old_uses, &new_uses).agreed();
            if votes.is_empty() {
                self.data_votes(pair, &std::mem::take(&mut unread), &mut from_data);
                from_data.keep(|old, new| self.new_object(old).is_none() && self.old_object(new).is_none());
                votes = from_data.agreed();
            }
            if votes.is_empty() {
                break;
            }
            for (old, new) in votes {
                self.pair_objects(old, new);
                unread.push((old, new));
            }
        }
        for (olds, news) in open {
            let left_old = |matching: &Self| -> Vec<u32> {
                olds.iter().copied().filter(|old| matching.new_object(ObjectId(*old)).is_none()).collect()
            };
            let left_new = |matching: &Self| -> Vec<u32> {
                news.iter().copied().filter(|new| matching.old_object(ObjectId(*new)).is_none()).collect()
            };
            // Constants have no state: any of the same contents will do.
            for new in left_new(self) {
                let new = ObjectId(new);
                if !is_constant(&pair.new.image, new) {
                    continue;
                }
                let same = Sameness::by_key(pair, self);
                let old = left_old(self).into_iter().map(ObjectId).find(|old| {
                    is_constant(&pair.old.image, *old) && same.object_contents(*old, new).is_ok()
                });
                if let Some(old) = old {
                    self.pair_objects(old, new);
                }
            }
            let (rest_old, rest_new) = (left_old(self), left_new(self));
            if rest_old.is_empty() {
                continue;
            }
            self.pair_by_contents(pair, &rest_old, &rest_new);
            let (rest_old, rest_new) = (left_old(self), left_new(self));
            self.pair_kept_objects(pair, (&olds, &news), (&rest_old, &rest_new));
            self.ambiguous
                .extend(rest_new.into_iter().map(ObjectId).filter(|id| !is_constant(&pair.new.image, *id)));
        }
    }

    /// Pairs of variables at the same place of functions that are the same but for the names of variables.
    fn code_votes(
        &self,
        pair: &Pair<'_, '_>,
        old_uses: &[Vec<ObjectId>],
        new_uses: &[Vec<ObjectId>],
    ) -> Votes {
        let weak = Sameness::by_key(pair, self);
        let mut votes = Votes::default();
        // Functions that may be each other tell nothing of their variables.
        for old in pair.old.image.function_ids().filter(|old| !self.grouped.contains(old)) {
            let Some(new) = self.new_function(old) else { continue };
            let left = |ids: &[ObjectId], done: &[Option<ObjectId>]| -> Vec<ObjectId> {
                ids.iter().copied().filter(|id| done[id.0 as usize].is_none()).collect()
            };
            let olds = left(&old_uses[old.0 as usize], &self.objects_to_new);
            if olds.is_empty() {
                continue;
            }
            let news = left(&new_uses[new.0 as usize], &self.objects_to_old);
            if olds.len() != news.len() {
                continue;
            }
            let pairs = || {
                let all = olds.iter().copied().zip(news.iter().copied());
                // Constants are matched by contents.
                all.filter(|(_, new)| !is_constant(&pair.new.image, *new))
            };
            if !pairs().all(|(old, new)| self.same_key(old, new)) {
                continue;
            }
            // In a changed function the same variables in the same order are good evidence only when there is one
            // of each key.
            let one_each = distinct(&olds, &self.old_object_keys) && distinct(&news, &self.new_object_keys);
            if one_each || weak.functions(old, new) {
                pairs().for_each(|(old, new)| votes.add(old, new));
            }
        }
        votes
    }

    /// Adds the pairs of variables to which the matched variables `read` point at the same place.
    fn data_votes(&self, pair: &Pair<'_, '_>, read: &[(ObjectId, ObjectId)], votes: &mut Votes) {
        let (old_image, new_image) = (&pair.old.image, &pair.new.image);
        let pointees = |(old, new): &(ObjectId, ObjectId)| {
            let (a, b) = (&old_image.object(*old).range, &new_image.object(*new).range);
            let mut found = Vec::new();
            if a.end - a.start != b.end - b.start {
                return found;
            }
            let olds = data_pointers(old_image, a.clone());
            let news = data_pointers(new_image, b.clone());
            for ((a_at, a_to), (b_at, b_to)) in olds.iter().zip(&news) {
                let (Pointer::Address(a_to), Pointer::Address(b_to)) = (a_to, b_to) else { continue };
                if a_at - a.start != b_at - b.start {
                    break;
                }
                let (a_to, b_to) = (old_image.resolve(*a_to, None), new_image.resolve(*b_to, None));
                if let (
                    Referent::Object { id: old, offset: a_offset, .. },
                    Referent::Object { id: new, offset: b_offset, .. },
                ) = (a_to, b_to)
                {
                    let open = self.new_object(old).is_none() && self.old_object(new).is_none();
                    if open && a_offset == b_offset && self.same_key(old, new) {
                        found.push((old, new));
                    }
                }
            }
            found
        };
        let found: Vec<_> = read.par_iter().flat_map_iter(pointees).collect();
        for (old, new) in found {
            votes.add(old, new);
        }
    }

    fn same_key(&self, old: ObjectId, new: ObjectId) -> bool {
        self.old_object_keys[old.0 as usize] == self.new_object_keys[new.0 as usize]
    }
}

/// For each function the objects it refers to whose keys are in `shared`, in order.
fn uses_of(program: &Program<'_>, keys: &[Key], shared: &BTreeSet<Key>) -> Vec<Vec<ObjectId>> {
    let uses = |code: &Code| {
        let references = code.references.iter().filter(|reference| reference.usage != Use::Execute);
        let objects = references.filter_map(|r| match r.referent {
            Referent::Object { id, .. } if shared.contains(&keys[id.0 as usize]) => Some(id),
            _ => None,
        });
        objects.collect()
    };
    program.code.par_iter().map(uses).collect()
}

/// True if no two different objects in `ids` share a key.
fn distinct(ids: &[ObjectId], keys: &[Key]) -> bool {
    let objects: BTreeSet<_> = ids.iter().collect();
    let keys: BTreeSet<_> = ids.iter().map(|id| keys[id.0 as usize]).collect();
    objects.len() == keys.len()
}

/// The names that only one item has, with its number.
fn sole_names<'n>(names: impl Iterator<Item = &'n str>) -> HashMap<&'n str, u32> {
    let mut found: HashMap<&str, Option<u32>> = HashMap::new();
    for (index, name) in names.enumerate() {
        found.entry(name).and_modify(|sole| *sole = None).or_insert(Some(index as u32));
    }
    found.into_iter().filter_map(|(name, sole)| Some((name, sole?))).collect()
}

/// True if the object is never written after the image has been relocated.
pub(crate) fn is_constant(image: &Image<'_>, id: ObjectId) -> bool {
    let access = image.sections[image.object(id).section].access;
    matches!(access, Access::Read | Access::ReadAfterRelocation)
}

/// The file by which local namesakes are told apart. Names of Rust are paths, and what stands for the file in symbol
/// tables, a codegen unit, is another one in another build.
pub(super) fn file_of<'s>(name: &str, source: Option<&'s Arc<str>>) -> Option<&'s Arc<str>> {
    source.filter(|source| !is_rust(name) && !is_codegen_unit(source))
}

fn groups(olds: &[Key], news: &[Key]) -> BTreeMap<Key, Group> {
    let mut groups: BTreeMap<Key, Group> = BTreeMap::new();
    for (index, key) in olds.iter().enumerate() {
        groups.entry(*key).or_default().0.push(index as u32);
    }
    for (index, key) in news.iter().enumerate() {
        groups.entry(*key).or_default().1.push(index as u32);
    }
    groups
}
