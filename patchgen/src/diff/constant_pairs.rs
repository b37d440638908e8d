//! Which unnamed constant of a Rust program is which of the other build, by who refers to them: what lies side by side
//! in one build and apart in the other is not one constant.

use super::{Matching, Pair, Sameness, data_pointers};
use crate::code::Use;
use crate::image::{FunctionId, Pointer, Referent};
use rayon::prelude::*;
use std::collections::{HashMap, HashSet};

/// Pairs of addresses to which the same places of both builds refer.
#[derive(Default)]
pub(super) struct ConstantPairs {
    to_new: HashMap<u64, Vec<u64>>,
    to_old: HashMap<u64, Vec<u64>>,
}

/// Rounds in which pointers in constants are followed to further constants.
const MAX_DEPTH: usize = 4;

impl ConstantPairs {
    /// Pairs what matched functions of the same shape, matched variables, and paired constants refer to.
    pub(super) fn find(pair: &Pair<'_, '_>, matching: &Matching) -> Self {
        let same = Sameness::strict(pair, matching);
        let ids: Vec<_> = pair.old.image.function_ids().collect();
        let by_code = ids.par_iter().flat_map_iter(|old| {
            let new = matching.new_function(*old).filter(|new| same.same_shape(*old, *new));
            new.map(|new| taken_by(pair, *old, new)).unwrap_or_default()
        });
        let mut found: HashSet<(u64, u64)> = by_code.collect();
        for old in pair.old.image.object_ids() {
            let Some(new) = matching.new_object(old) else { continue };
            let (a, b) = (pair.old.image.object(old).range.clone(), pair.new.image.object(new).range.clone());
            if a.end - a.start == b.end - b.start {
                found.extend(pointed_to(pair, a, b));
            }
        }
        let mut last: Vec<(u64, u64)> = found.iter().copied().collect();
        for _ in 0..MAX_DEPTH {
            let mut next = Vec::new();
            for (a, b) in last {
                let (Some(a_end), Some(b_end)) = (pair.old.piece_end(a), pair.new.piece_end(b)) else {
                    continue;
                };
                let len = (a_end - a).min(b_end - b);
                next.extend(pointed_to(pair, a..a + len, b..b + len).filter(|pair| !found.contains(pair)));
            }
            found.extend(next.iter().copied());
            last = next;
        }
        let mut pairs = ConstantPairs::default();
        for (old, new) in found {
            pairs.to_new.entry(old).or_default().push(new);
            pairs.to_old.entry(new).or_default().push(old);
        }
        pairs
    }

    /// True if what begins at one of two addresses is known to lie elsewhere in the other build.
    pub(super) fn are_apart(&self, old: u64, new: u64) -> bool {
        let elsewhere = |pairs: Option<&Vec<u64>>, other: u64| pairs.is_some_and(|at| !at.contains(&other));
        elsewhere(self.to_new.get(&old), new) || elsewhere(self.to_old.get(&new), old)
    }
}

/// The unnamed constants of which two functions of the same shape take the addresses, and what tables of distances
/// among them lead to.
fn taken_by(pair: &Pair<'_, '_>, old: FunctionId, new: FunctionId) -> Vec<(u64, u64)> {
    let (old_code, new_code) = (pair.old.code(old), pair.new.code(new));
    let mut found = Vec::new();
    for (a, b) in old_code.references.iter().zip(&new_code.references) {
        let constants =
            matches!((a.referent, b.referent), (Referent::Constant { .. }, Referent::Constant { .. }));
        if !constants || a.usage != Use::Address || b.usage != Use::Address {
            continue;
        }
        found.push((a.target, b.target));
        if old_code.distances.contains(&a.target) && new_code.distances.contains(&b.target) {
            found.extend(pair.old.distances(a.target).into_iter().zip(pair.new.distances(b.target)));
        }
    }
    found
}

/// What pointers at the same distance in two stretches of data lead to.
fn pointed_to(
    pair: &Pair<'_, '_>,
    old: std::ops::Range<u64>,
    new: std::ops::Range<u64>,
) -> impl Iterator<Item = (u64, u64)> + use<> {
    let (starts, olds) = ((old.start, new.start), data_pointers(&pair.old.image, old));
    let news: HashMap<u64, Pointer> =
        data_pointers(&pair.new.image, new).into_iter().map(|(at, to)| (at - starts.1, to)).collect();
    olds.into_iter().filter_map(move |(at, to)| match (to, news.get(&(at - starts.0))) {
        (Pointer::Address(a), Some(Pointer::Address(b))) => Some((a, *b)),
        _ => None,
    })
}
