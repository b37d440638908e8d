//! Evidence of which variable is which.

use crate::image::ObjectId;
use std::collections::{BTreeMap, BTreeSet};

/// Evidence that an old object is a new one.
#[derive(Default)]
pub(super) struct Votes {
    to_new: BTreeMap<ObjectId, BTreeSet<ObjectId>>,
    to_old: BTreeMap<ObjectId, BTreeSet<ObjectId>>,
}

impl Votes {
    /// Adds a piece of evidence.
    pub(super) fn add(&mut self, old: ObjectId, new: ObjectId) {
        self.to_new.entry(old).or_default().insert(new);
        self.to_old.entry(new).or_default().insert(old);
    }

    /// Leaves only the pairs that `open` takes.
    pub(super) fn keep(&mut self, open: impl Fn(ObjectId, ObjectId) -> bool) {
        for (from, to) in [(&mut self.to_new, false), (&mut self.to_old, true)] {
            from.retain(|a, others| {
                others.retain(|b| if to { open(*b, *a) } else { open(*a, *b) });
                !others.is_empty()
            });
        }
    }

    /// The pairs that no evidence contradicts.
    pub(super) fn agreed(&self) -> Vec<(ObjectId, ObjectId)> {
        let pairs = self.to_new.iter().filter_map(|(old, news)| Some((*old, *news.first()?, news.len())));
        let sole = pairs.filter(|(_, new, count)| *count == 1 && self.to_old[new].len() == 1);
        sole.map(|(old, new, _)| (old, new)).collect()
    }
}
