//! Which constant and which instance of a generic function of a Rust program is which, by names of which not all parts are
//! stable.

use super::matching::{is_constant, sole_names};
use super::{Matching, Pair, Sameness};
use crate::image::{Image, ObjectId, is_rust, without_numbers};
use std::collections::BTreeMap;

impl Matching {
    /// Matches constants of Rust that share a key if all names are as before, hashes included, and all of the same name
    /// have the same contents: the numbers in the names did not move.
    pub(super) fn match_kept_constants(&mut self, pair: &Pair<'_, '_>, olds: &[u32], news: &[u32]) {
        let names = |image: &Image<'_>, ids: &[u32]| -> BTreeMap<String, ObjectId> {
            let constants = ids.iter().map(|id| ObjectId(*id)).filter(|id| is_constant(image, *id));
            let named = constants.map(|id| (image.object(id).name.clone(), id));
            named.filter(|(name, _)| is_rust(name)).collect()
        };
        let (old_names, new_names) = (names(&pair.old.image, olds), names(&pair.new.image, news));
        if old_names.len() != olds.len() || new_names.len() != news.len() || olds.len() != news.len() {
            return;
        }
        let pairs: Option<Vec<(ObjectId, ObjectId)>> =
            old_names.iter().map(|(name, old)| Some((*old, *new_names.get(name)?))).collect();
        let Some(pairs) = pairs else { return };
        let same = Sameness::by_key(pair, self);
        if pairs.iter().all(|(old, new)| same.object_contents(*old, *new).is_ok()) {
            for (old, new) in pairs {
                self.pair_objects(old, new);
            }
        }
    }
}

/// The names with types, without the numbers of closures, that only one of `count` functions has, with its index. None
/// if not all names are known.
pub(super) fn sole_instances(
    count: usize,
    name: impl Fn(usize) -> Option<String>,
) -> BTreeMap<String, usize> {
    let names: Option<Vec<String>> =
        (0..count).map(|index| Some(without_numbers(&name(index)?, "#"))).collect();
    let names = names.unwrap_or_default();
    let sole = sole_names(names.iter().map(String::as_str));
    let instances = sole.into_iter().filter(|(name, _)| name.contains('<'));
    instances.map(|(name, index)| (name.to_owned(), index as usize)).collect()
}
