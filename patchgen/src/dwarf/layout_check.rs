//! Compares the types that changed functions live with, between the two builds.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashSet};

use rayon::prelude::*;

use super::attribution::attribute;
use super::closures::mentions_lambda;
use super::debug_info::DebugInfo;
use super::node::Node;
use super::reach::units_of_body;
use super::rust_names::RustNames;
use super::transient::Mentions;
use super::type_names::TypeKey;
use super::unit::UnitId;
use super::unit_pair::{Build, Difference, Differing, Function, Groups, Pair, Pool};
use super::unit_types::UnitTypes;
use super::{DwarfError, LayoutChange, LayoutReport, Surroundings, vtables};

/// Compares all types that are defined in the units of the given functions, and the prototypes of those that
/// are in both builds.
///
/// Each function is a name and a link address: all changed functions of both builds, and the new ones. Units
/// are matched by name; a type of a header that only one of them defines is looked up in the other units that
/// were read. A type that is defined in one build only is no difference. Functions in a described unit which are
/// not described themselves are taken to touch all types of the unit. A function has the same
/// name in both lists.
pub fn compare_layouts(
    old: &DebugInfo<'_>,
    old_functions: &[(String, u64)],
    new: &DebugInfo<'_>,
    new_functions: &[(String, u64)],
    surroundings: &Surroundings,
) -> Result<LayoutReport, DwarfError> {
    let old = Side::read(old, old_functions)?;
    let new = Side::read(new, new_functions)?;
    let (old_pool, new_pool) = (old.pool(), new.pool());
    let groups: BTreeSet<&str> = old.groups.keys().chain(new.groups.keys()).map(String::as_str).collect();
    let parts: Vec<Differing<'_>> = groups
        .into_par_iter()
        .map(|name| {
            Pair { name, old: old.build(name), new: new.build(name) }.compare(
                &old_pool,
                &new_pool,
                surroundings,
            )
        })
        .collect::<Result<_, _>>()?;
    let mut report = LayoutReport::default();
    let mut different = Vec::new();
    for part in parts {
        different.extend(part.types);
        report.variables.extend(part.variables);
        report.prototypes.extend(part.prototypes);
    }
    if !different.is_empty() {
        attribute(old.debug, &old.groups, &[], &mut different)?;
        attribute(new.debug, &new.groups, &surroundings.used, &mut different)?;
        drop_transient(&old, surroundings, &mut different)?;
    }
    // The lambda itself says it best.
    if different.iter().any(|difference| matches!(difference.key, TypeKey::Unnamed(_))) {
        report.prototypes.retain(|prototype| !prototype.of_lambda);
    }
    let mut changes = BTreeMap::new();
    for change in different.into_iter().map(Difference::into_change) {
        let key = (change.type_name.clone(), change.file.clone(), change.detail.clone());
        match changes.entry(key) {
            Entry::Vacant(entry) => {
                entry.insert(change);
            }
            Entry::Occupied(mut entry) => {
                let known: &mut LayoutChange = entry.get_mut();
                known.functions.extend(change.functions);
                known.variables.extend(change.variables);
                known.used_variables.extend(change.used_variables);
                known.undescribed.extend(change.undescribed);
                known.beside.extend(change.beside);
            }
        }
    }
    report.changes = changes.into_values().collect();
    if new.groups.values().any(|group| group.is_rust) {
        report.tables = vtables::common((old.debug, &old.names), (new.debug, &new.names))?;
    }
    // A function may belong to several groups.
    report.prototypes.sort_unstable();
    report.prototypes.dedup();
    for change in &mut report.changes {
        sort(&mut change.functions);
        sort(&mut change.variables);
        sort(&mut change.used_variables);
        sort(&mut change.undescribed);
        sort(&mut change.beside);
    }
    report.unchecked_functions = [old.unchecked, new.unchecked].concat();
    sort(&mut report.unchecked_functions);
    report.checked = report.unchecked_functions.is_empty();
    Ok(report)
}

/// False for units that were compiled for backtraces only (`-g1`, `-gline-tables-only`), and for assembly.
pub(super) fn describes_types(debug: &DebugInfo<'_>, unit: UnitId) -> Result<bool, DwarfError> {
    let is_type = |tag| {
        [gimli::DW_TAG_base_type, gimli::DW_TAG_structure_type, gimli::DW_TAG_pointer_type].contains(&tag)
    };
    Ok(debug.root(unit)?.subtree().map(Node::tag).any(is_type))
}

/// Leaves out closures and lambdas, and types that hold them, of which no value can be alive when the patch is applied.
fn drop_transient(
    old: &Side<'_, '_>,
    surroundings: &Surroundings,
    different: &mut Vec<Difference<'_>>,
) -> Result<(), DwarfError> {
    let is_closure = |difference: &&Difference<'_>| match difference.key {
        TypeKey::Tag(name) if difference.crate_name.is_some() => name.contains("{closure_env}"),
        TypeKey::Tag(name) => mentions_lambda(name),
        key => matches!(key, TypeKey::Unnamed(_)),
    };
    let closures: HashSet<_> = different.iter().filter(is_closure).map(|difference| difference.key).collect();
    if closures.is_empty() || surroundings.replaced.is_empty() {
        return Ok(());
    }
    let mentions = Mentions::read(old.debug, surroundings, &old.names, &closures)?;
    let mut transient = HashSet::new();
    for key in closures {
        if mentions.is_transient(key)? {
            transient.insert(key);
        }
    }
    different.retain(|difference| !transient.contains(difference.key));
    Ok(())
}

fn sort<T: Ord>(names: &mut Vec<T>) {
    names.sort_unstable();
    names.dedup();
}

/// One build: its functions and the types of their units.
struct Side<'d, 's> {
    debug: &'d DebugInfo<'s>,
    /// Units of one name: link-time optimisation makes many that are all called `<artificial>`, rustc some of a crate.
    groups: Groups<'d, 's>,
    names: RustNames,
    unchecked: Vec<String>,
}

impl<'d, 's> Side<'d, 's> {
    fn read(debug: &'d DebugInfo<'s>, functions: &[(String, u64)]) -> Result<Self, DwarfError> {
        let mut side =
            Self { debug, groups: Groups::new(), names: RustNames::default(), unchecked: Vec::new() };
        let mut wanted = BTreeSet::new();
        for (name, address) in functions {
            let units = debug.units_at(*address)?;
            if units.is_empty() {
                side.unchecked.push(name.clone());
            }
            for unit in units {
                let described = debug.function_in(unit, *address)?;
                let node = match described {
                    Some(node) => Some(node),
                    None => debug.function_named(unit, name)?,
                };
                let homes = described.map_or(Ok(BTreeSet::from([unit])), units_of_body)?;
                let mut typed = homes.iter().map(|unit| describes_types(debug, *unit));
                if !typed.try_fold(false, |any, typed| typed.map(|typed| any || typed))? {
                    side.unchecked.push(name.clone());
                }
                for unit in homes {
                    wanted.insert(unit);
                    let home = debug.unit(unit)?;
                    let group = side.groups.entry(home.group().to_owned()).or_default();
                    let (name, has_body) = (name.clone(), described.is_some());
                    let function = Function { name, address: *address, node, has_body };
                    group.functions.push(function);
                }
            }
        }
        let mut done = BTreeSet::new();
        while !wanted.is_empty() {
            let collect = |&unit: &UnitId| Ok((unit, UnitTypes::collect(debug, unit)?));
            let read: Vec<_> = wanted.par_iter().map(collect).collect::<Result<_, DwarfError>>()?;
            done.append(&mut wanted);
            for (unit, types) in read {
                wanted.extend(types.referred.difference(&done));
                let unit = debug.unit(unit)?;
                let group = side.groups.entry(unit.group().to_owned()).or_default();
                group.is_rust |= unit.is_rust();
                group.types.merge(types);
            }
        }
        side.names = RustNames::read(side.groups.values().map(|group| &group.types));
        side.groups.values_mut().for_each(|group| group.types.rename(&side.names));
        Ok(side)
    }

    fn pool(&self) -> Pool<'_> {
        let mut pool = Pool::new();
        for (key, layouts) in self.groups.values().flat_map(|group| &group.types.layouts) {
            pool.entry(key).or_default().extend(layouts);
        }
        pool
    }

    fn build(&self, name: &str) -> Option<Build<'_, 'd, 's>> {
        self.groups.get(name).map(|group| Build { debug: self.debug, group, names: &self.names })
    }
}
