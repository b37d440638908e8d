//! Instances of a generic function that the compiler merged into one: it has the name and the types of any of them.

use super::matching::{Group, Matching, Units};
use super::{Pair, Sameness};
use crate::image::FunctionId;
use rayon::prelude::*;
use std::collections::BTreeSet;
use std::sync::LazyLock;

impl Matching {
    /// Pairs functions of Rust that have another path and do the same, and those that are left alone of their name if
    /// the types of both are used in both builds: the instances for them were there, too, merged into one. `alone` has
    /// functions of which only one build has the path.
    pub(super) fn match_merged(&mut self, pair: &Pair<'_, '_>, units: &dyn Units, alone: &[Group]) {
        let old_path = |id: FunctionId| units.old_path(pair.old.image.function(id).address());
        let new_path = |id: FunctionId| units.new_path(pair.new.image.function(id).address());
        let (used_in_old, used_in_new) = (
            LazyLock::new(|| used_types(pair.old.image.functions.len(), &old_path)),
            LazyLock::new(|| used_types(pair.new.image.functions.len(), &new_path)),
        );
        for (olds, news) in alone {
            let mut left_old: Vec<FunctionId> = olds.iter().map(|old| FunctionId(*old)).collect();
            let mut left_new: Vec<FunctionId> = news.iter().map(|new| FunctionId(*new)).collect();
            left_old.retain(|old| {
                let same = Sameness::by_key(pair, self);
                let Some(at) = left_new.iter().position(|new| same.functions(*old, *new)) else {
                    return true;
                };
                self.pair_functions(*old, left_new.swap_remove(at));
                false
            });
            let ([old], [new]) = (left_old.as_slice(), left_new.as_slice()) else { continue };
            let types =
                (old_path(*old).as_deref().and_then(types_of), new_path(*new).as_deref().and_then(types_of));
            let (Some(old_types), Some(new_types)) = types else { continue };
            if used_in_new.contains(&old_types) && used_in_old.contains(&new_types) {
                // What is known is that code for the one will do for the other's objects only if both were merged.
                if self.callers(pair).addressed.contains(old) {
                    self.uncertain.insert(*old);
                }
                self.pair_functions(*old, *new);
            }
        }
    }
}

/// The types for which there are instances of generic functions.
fn used_types(functions: usize, path: &(dyn Fn(FunctionId) -> Option<String> + Sync)) -> BTreeSet<String> {
    (0..functions as u32).into_par_iter().filter_map(|id| types_of(&path(FunctionId(id))?)).collect()
}

/// What stands in the angle brackets at the end of a path.
fn types_of(path: &str) -> Option<String> {
    let mut depth = 0;
    let start = path.char_indices().rev().find(|(at, sign)| {
        match sign {
            '>' if !path[..*at].ends_with('-') => depth += 1,
            '<' => depth -= 1,
            _ => {}
        }
        depth == 0
    });
    start.filter(|(at, _)| *at + 1 < path.len()).map(|(at, _)| path[at..].to_owned())
}

#[cfg(test)]
mod tests {
    use super::types_of;

    #[test]
    fn types_end_a_path() {
        assert_eq!(
            types_of("a::f<b::C<u8>, fn(u8) -> D<u16>>").as_deref(),
            Some("<b::C<u8>, fn(u8) -> D<u16>>")
        );
        assert_eq!(types_of("a::{impl#0}<u8>::f"), None);
        assert_eq!(types_of("f"), None);
    }
}
