//! Who touches the types that differ: functions by their description, variables by the code that uses them.

use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::ops::Range;

use super::debug_info::DebugInfo;
use super::reach::{TypeGraph, body_types};
use super::unit::DieId;
use super::unit_pair::{Difference, Groups};
use super::unit_types::StaticVariable;
use super::{DwarfError, UndescribedUse, UsedData};

/// Adds the functions and variables of one build to the types that they lead to.
///
/// A type may be described in another unit than the function or variable that leads to it: link-time optimisation
/// does that, and so do type units.
pub(super) fn attribute<'d, 's>(
    debug: &'d DebugInfo<'s>,
    groups: &Groups<'d, 's>,
    used: &[UsedData],
    different: &mut [Difference<'_>],
) -> Result<(), DwarfError> {
    let mut graph = TypeGraph::new(debug, groups);
    let mut described: HashMap<(&str, DieId), Vec<DieId>> = HashMap::new();
    let mut opaque: Vec<(&str, BTreeSet<&str>)> = Vec::new();
    for (group_name, group) in groups {
        for function in &group.functions {
            match function.node {
                Some(node) if function.has_body => {
                    // It is in the group of each unit that it refers to.
                    if let Entry::Vacant(entry) = described.entry((&function.name, node.id())) {
                        let types = entry.insert(body_types(node)?);
                        graph.explore(types)?;
                    }
                }
                _ => opaque.push((&function.name, connected(debug, groups, group_name)?)),
            }
        }
    }
    let variables = || {
        let all = groups.values().flat_map(|group| &group.types.variables);
        all.flat_map(|(name, variables)| variables.iter().map(move |variable| (name, variable)))
    };
    for (_, variable) in variables() {
        graph.explore(variable.target.as_slice())?;
    }
    let uses = Uses::new(used);
    let undescribed = uses.undescribed(debug, groups, variables().map(|(_, variable)| variable))?;
    for difference in different {
        let dies = groups.get(difference.group).and_then(|group| group.types.dies.get(difference.key));
        let leading = graph.leading_to(dies.map_or(&[], Vec::as_slice));
        let touching = described.iter().filter(|(_, types)| types.iter().any(|die| leading.contains(die)));
        difference.functions.extend(touching.map(|((name, _), _)| (*name).to_owned()));
        // A cast leaves no trace in the description of a function: whoever is compiled where the type is complete may
        // use it.
        let beside = groups.get(difference.group).into_iter().flat_map(|group| &group.functions);
        difference.beside.extend(beside.map(|function| function.name.clone()));
        let near = opaque.iter().filter(|(_, near)| near.contains(difference.group));
        difference.functions.extend(near.map(|(name, _)| (*name).to_owned()));
        for (name, variable) in variables() {
            if variable.target.is_some_and(|target| leading.contains(&target)) {
                difference.variables.push(name.clone());
                if !uses.of(variable).is_empty() {
                    difference.used_variables.push(name.clone());
                }
            }
        }
        let near = undescribed.iter().filter(|(_, near)| near.contains(difference.group));
        difference.undescribed.extend(near.map(|(undescribed, _)| undescribed.clone()));
    }
    Ok(())
}

/// The names of the units that units of one name refer to, and their own.
fn connected<'g>(
    debug: &DebugInfo<'_>,
    groups: &'g Groups<'_, '_>,
    name: &str,
) -> Result<BTreeSet<&'g str>, DwarfError> {
    let mut found = BTreeSet::new();
    let mut queue = vec![name];
    while let Some(name) = queue.pop() {
        let Some((name, group)) = groups.get_key_value(name) else { continue };
        if found.insert(name.as_str()) {
            for unit in &group.types.referred {
                queue.push(debug.unit(*unit)?.group());
            }
        }
    }
    Ok(found)
}

/// The data that changed functions use, to look up by name and by address.
struct Uses<'u> {
    all: &'u [UsedData],
    by_name: HashMap<&'u str, Vec<usize>>,
    /// Positions in `all`, sorted by the begin of the range.
    by_address: Vec<(Range<u64>, usize)>,
    /// For each of these, the greatest end of it and of those before it: how far a search has to look back.
    reach: Vec<u64>,
}

impl<'u> Uses<'u> {
    fn new(all: &'u [UsedData]) -> Self {
        let mut by_name: HashMap<&str, Vec<usize>> = HashMap::new();
        let mut by_address = Vec::new();
        for (index, data) in all.iter().enumerate() {
            for name in &data.names {
                by_name.entry(name).or_default().push(index);
            }
            by_address.extend(data.range.clone().map(|range| (range, index)));
        }
        by_address.sort_unstable_by_key(|(range, index)| (range.start, *index));
        let mut reach = Vec::new();
        for (range, _) in &by_address {
            reach.push(reach.last().copied().unwrap_or(0).max(range.end));
        }
        Self { all, by_name, by_address, reach }
    }

    /// The uses of a variable.
    fn of(&self, variable: &StaticVariable) -> Vec<usize> {
        let mut found = Vec::new();
        for name in &variable.symbols {
            found.extend(self.by_name.get(name.as_str()).into_iter().flatten());
        }
        for range in &variable.ranges {
            let after = self.by_address.partition_point(|(used, _)| used.start < range.end);
            let near = (0..after).rev().take_while(|&at| self.reach[at] > range.start);
            let overlapping = near.map(|at| &self.by_address[at]).filter(|(used, _)| used.end > range.start);
            found.extend(overlapping.map(|(_, index)| *index));
        }
        found
    }

    /// The uses of writable data that is none of the variables, with the names of the units that may describe it.
    fn undescribed<'g, 'v>(
        &self,
        debug: &DebugInfo<'_>,
        groups: &'g Groups<'_, '_>,
        variables: impl Iterator<Item = &'v StaticVariable>,
    ) -> Result<Vec<(UndescribedUse, BTreeSet<&'g str>)>, DwarfError> {
        let described: HashSet<usize> = variables.flat_map(|variable| self.of(variable)).collect();
        let mut users: HashMap<u64, (&str, BTreeSet<&str>)> = HashMap::new();
        for (group_name, group) in groups {
            for function in &group.functions {
                let user = users.entry(function.address).or_insert((&function.name, BTreeSet::new()));
                if !user.1.contains(group_name.as_str()) {
                    user.1.append(&mut connected(debug, groups, group_name)?);
                }
            }
        }
        let mut found = Vec::new();
        for (index, data) in self.all.iter().enumerate() {
            if data.writable
                && !described.contains(&index)
                && let Some((name, near)) = users.get(&data.function)
            {
                let undescribed = UndescribedUse { function: (*name).to_owned(), data: data.text.clone() };
                found.push((undescribed, near.clone()));
            }
        }
        Ok(found)
    }
}
