//! Which constant of a Rust program is which, by names that hold numbers of closures.

use super::matching::is_constant;
use super::{Matching, Pair, Sameness};
use crate::image::{Image, ObjectId, is_rust};
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
