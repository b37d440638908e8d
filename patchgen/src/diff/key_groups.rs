//! Functions that share a key, file and stem of the name: which one is which.

use super::matching::{Key, Matching, Units};
use super::namesakes::Found;
use super::{Pair, Sameness};
use crate::code::Program;
use crate::image::{FunctionId, Referent, family, is_rust};
use std::collections::BTreeSet;

impl Matching {
    /// True if a function of a group refers to one that is not matched and whose key is among `keys` and not the
    /// group's own.
    pub(super) fn leads_to_other(
        &self,
        pair: &Pair<'_, '_>,
        keys: &BTreeSet<Key>,
        olds: &[u32],
        news: &[u32],
    ) -> bool {
        let own = self.old_function_keys[olds[0] as usize];
        let leads = |program: &Program<'_>, all: &[Key], matched: &dyn Fn(FunctionId) -> bool, id: u32| {
            program.code(FunctionId(id)).references.iter().any(|reference| match reference.referent {
                Referent::Code { function, .. } => {
                    let key = all[function.0 as usize];
                    key != own && keys.contains(&key) && !matched(function)
                }
                _ => false,
            })
        };
        let (old, new) = (|id| self.new_function(id).is_some(), |id| self.old_function(id).is_some());
        olds.iter().any(|id| leads(pair.old, &self.old_function_keys, &old, *id))
            || news.iter().any(|id| leads(pair.new, &self.new_function_keys, &new, *id))
    }

    /// Matches functions that share a key: same unit, name and body; same unit and body; same unit and name. Pairs
    /// that are not the only ones at their step are noted as made by order, and so are pairs of changed functions
    /// that only a number in the name makes: a new clone or lambda before them takes their numbers. `uncertain` says
    /// that equal bodies may call functions which are not known to be the same.
    pub(super) fn match_group(
        &mut self,
        pair: &Pair<'_, '_>,
        units: &dyn Units,
        olds: &[u32],
        news: &[u32],
        uncertain: bool,
    ) {
        let name_old = |id: u32| &pair.old.image.function(FunctionId(id)).name;
        let name_new = |id: u32| &pair.new.image.function(FunctionId(id)).name;
        let unit_old = |id: u32| units.old_unit(pair.old.image.function(FunctionId(id)).address());
        let unit_new = |id: u32| units.new_unit(pair.new.image.function(FunctionId(id)).address());
        let old_units: Vec<_> = olds.iter().map(|id| unit_old(*id)).collect();
        let new_units: Vec<_> = news.iter().map(|id| unit_new(*id)).collect();
        let mut left_old: Vec<usize> = (0..olds.len()).collect();
        let mut left_new: Vec<usize> = (0..news.len()).collect();
        let mut found: Vec<(Found, bool)> = Vec::new();
        for step in 0..3 {
            let weak = Sameness::by_key(pair, self);
            let fits = |old: usize, new: usize| {
                let (old_unit, new_unit) = (&old_units[old], &new_units[new]);
                let (old, new) = (olds[old], news[new]);
                let same_unit = match (old_unit, new_unit) {
                    (Some(a), Some(b)) => a == b || is_rust(name_old(old)),
                    _ => true,
                };
                same_unit
                    && (step == 1 || name_old(old) == name_new(new))
                    && (step == 2 || weak.functions(FunctionId(old), FunctionId(new)))
            };
            // Copies of one function in several units of Rust are each like the other, but others refer to their own.
            let own_unit = |old: usize, new: usize| {
                // What makes names of a unit known to others changes with the unit.
                let plain = |name: &str| name.split(".llvm.").next().map(str::to_owned);
                let (was, is) = (name_old(olds[old]), name_new(news[new]));
                let copies = is_rust(was) && plain(was) == plain(is);
                copies && old_units[old].is_some() && old_units[old] == new_units[new]
            };
            let in_order = |own: bool| left_old.iter().map(move |old| (*old, own));
            for (old, own) in in_order(true).chain(in_order(false)).collect::<Vec<_>>() {
                let mut fitting = left_new.iter().copied().filter(|new| fits(old, *new));
                let fitting = fitting.find(|new| !own || own_unit(old, *new));
                let Some(new) = fitting.filter(|_| left_old.contains(&old)) else { continue };
                let by_number =
                    (step == 2 || uncertain) && family(name_old(olds[old])) != *name_old(olds[old]);
                let sole = left_new.iter().filter(|new| fits(old, **new)).count() == 1
                    && left_old.iter().filter(|old| fits(**old, new)).count() == 1
                    && (!by_number || (left_old.len() == 1 && left_new.len() == 1));
                // Calls of what is not settled are no evidence.
                let same_body = step == 0 || (step == 1 && !uncertain);
                found.push((Found { old: olds[old], new: news[new], same_body }, sole));
                left_old.retain(|left| *left != old);
                left_new.retain(|left| *left != new);
            }
        }
        // A clone that changed and was renumbered, when nothing else is left to be it.
        if let ([old], [new]) = (left_old.as_slice(), left_new.as_slice())
            && (old_units[*old].is_none()
                || new_units[*new].is_none()
                || old_units[*old] == new_units[*new]
                || is_rust(name_old(olds[*old])))
        {
            found.push((Found { old: olds[*old], new: news[*new], same_body: false }, true));
        }
        if is_rust(name_old(olds[0])) {
            let found: Vec<Found> = found.into_iter().map(|(found, _)| found).collect();
            for found in &found {
                self.pair_functions(FunctionId(found.old), FunctionId(found.new));
            }
            self.note_doubts(pair, units, (olds, news), &found);
            return;
        }
        // If one pair of a name and unit was made by order, so were all of that name and unit.
        let doubtful: BTreeSet<String> =
            found.iter().filter(|(_, sole)| !sole).map(|(found, _)| name_old(found.old).clone()).collect();
        for (Found { old, new, .. }, sole) in found {
            if !sole || (doubtful.contains(name_old(old)) && unit_old(old).is_none()) {
                self.by_order.insert(FunctionId(new));
            }
            self.pair_functions(FunctionId(old), FunctionId(new));
        }
    }
}
