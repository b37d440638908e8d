//! Compares what one compilation unit says about types in one build with what it says in the other.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::closures::lambdas_of;
use super::debug_info::DebugInfo;
use super::layout::TypeLayout;
use super::layout_diff::{self, Differences};
use super::node::Node;
use super::passing::passing;
use super::rust_names::{RustNames, readable};
use super::type_names::{TypeKey, TypeNames};
use super::unit::DieId;
use super::unit_types::{StaticVariable, UnitTypes};
use super::{DwarfError, LayoutChange, PrototypeChange, Surroundings, UndescribedUse, VariableChange};

/// The definitions of each name in all units that were read of one build.
pub(super) type Pool<'p> = HashMap<&'p TypeKey, Vec<&'p TypeLayout>>;

/// The units that were read of one build, by name.
pub(super) type Groups<'d, 's> = BTreeMap<String, Group<'d, 's>>;

/// Units of one name. There are several if they were compiled from one source or crate, or by link-time
/// optimisation, which calls all its units `<artificial>`.
#[derive(Default)]
pub(super) struct Group<'d, 's> {
    pub(super) types: UnitTypes,
    /// Whether rustc made any of them.
    pub(super) is_rust: bool,
    /// Those of the given functions that lie in the units.
    pub(super) functions: Vec<Function<'d, 's>>,
}

/// One of the given functions.
pub(super) struct Function<'d, 's> {
    pub(super) name: String,
    /// Link address.
    pub(super) address: u64,
    /// What the debug information says of it, if anything.
    pub(super) node: Option<Node<'d, 's>>,
    /// Whether its code is described. That of thunks is not, nor that of copies which the compiler replaced
    /// by a jump to, or the body of, an identical function. These are taken to touch everything in their unit.
    pub(super) has_body: bool,
}

/// A group, and the build that it is of.
#[derive(Clone, Copy)]
pub(super) struct Build<'p, 'd, 's> {
    pub(super) debug: &'d DebugInfo<'s>,
    pub(super) group: &'p Group<'d, 's>,
    pub(super) names: &'p RustNames,
}

impl Build<'_, '_, '_> {
    fn first_die(&self, key: &TypeKey) -> Option<DieId> {
        self.group.types.dies.get(key)?.first().copied()
    }
}

/// The units of one name in both builds. A side is absent if none of the functions lies there.
pub(super) struct Pair<'p, 'd, 'o, 'n> {
    /// The name.
    pub(super) name: &'p str,
    pub(super) old: Option<Build<'p, 'd, 'o>>,
    pub(super) new: Option<Build<'p, 'd, 'n>>,
}

/// What differs between the units of one name.
pub(super) struct Differing<'p> {
    pub(super) types: Vec<Difference<'p>>,
    pub(super) variables: Vec<VariableChange>,
    pub(super) prototypes: Vec<PrototypeChange>,
}

/// A type whose definitions differ, and who touches it.
pub(super) struct Difference<'p> {
    /// Name of the units that define it.
    pub(super) group: &'p str,
    pub(super) key: &'p TypeKey,
    layout: &'p TypeLayout,
    file: Option<String>,
    pub(super) crate_name: Option<String>,
    differences: Differences,
    pub(super) functions: Vec<String>,
    pub(super) variables: Vec<String>,
    pub(super) used_variables: Vec<String>,
    pub(super) undescribed: Vec<UndescribedUse>,
    pub(super) beside: Vec<String>,
}

impl<'p> Pair<'p, '_, '_, '_> {
    /// Finds all differences. The pools serve types that one side does not define in these units.
    pub(super) fn compare(
        &self,
        old_pool: &Pool<'p>,
        new_pool: &Pool<'p>,
        surroundings: &Surroundings,
    ) -> Result<Differing<'p>, DwarfError> {
        let types = self.differing_types(old_pool, new_pool)?;
        let (variables, prototypes) =
            (self.differing_variables(surroundings), self.differing_prototypes(surroundings)?);
        Ok(Differing { types, variables, prototypes })
    }

    fn differing_types(
        &self,
        old_pool: &Pool<'p>,
        new_pool: &Pool<'p>,
    ) -> Result<Vec<Difference<'p>>, DwarfError> {
        let is_rust = self.old.is_some_and(|build| build.group.is_rust)
            || self.new.is_some_and(|build| build.group.is_rust);
        let elsewhere = |pool: &Pool<'p>, key, own: &[TypeLayout]| elsewhere(pool, key, own, is_rust);
        let old_layouts = self.old.map(|build| &build.group.types.layouts);
        let new_layouts = self.new.map(|build| &build.group.types.layouts);
        let keys: BTreeSet<&TypeKey> =
            old_layouts.iter().chain(&new_layouts).flat_map(|map| map.keys()).collect();
        let mut found = Vec::new();
        let mut seen = HashSet::new();
        for key in keys {
            let old_own = old_layouts.and_then(|map| map.get(key));
            let new_own = new_layouts.and_then(|map| map.get(key));
            let (old, new): (Vec<_>, Vec<_>) = match (old_own, new_own) {
                (Some(old), Some(new)) => (old.iter().collect(), new.iter().collect()),
                (Some(old), None) => (old.iter().collect(), elsewhere(new_pool, key, old)),
                (None, Some(new)) => (elsewhere(old_pool, key, new), new.iter().collect()),
                (None, None) => continue,
            };
            // Tables of methods are compared by what they hold.
            if matches!(key, TypeKey::Tag(name) if is_rust && name.ends_with("::{vtable_type}")) {
                continue;
            }
            for (layout, differences) in unequal(&old, &new) {
                // Each variant is as large as its enum.
                if layout.keyword == "variant" && differences.is_size_alone() {
                    continue;
                }
                // A type with several keys is reported once.
                let old_entry = self.old.and_then(|build| build.first_die(key));
                let new_entry = self.new.and_then(|build| build.first_die(key));
                if matches!(key, TypeKey::Tag(_) | TypeKey::Constant(_) | TypeKey::Unnamed(_))
                    || seen.insert((old_entry, new_entry))
                {
                    let mut file = layout.file.clone();
                    if let Some(die) = new_entry.filter(|_| is_rust && file.is_none())
                        && let Some(build) = self.new
                    {
                        file = build.debug.node(die)?.file_of_module()?;
                    }
                    found.push(Difference {
                        group: self.name,
                        key,
                        layout,
                        file,
                        crate_name: if is_rust { key.crate_name() } else { None },
                        differences,
                        functions: Vec::new(),
                        variables: Vec::new(),
                        used_variables: Vec::new(),
                        undescribed: Vec::new(),
                        beside: Vec::new(),
                    });
                }
            }
        }
        Ok(found)
    }

    fn differing_variables(&self, surroundings: &Surroundings) -> Vec<VariableChange> {
        let (Some(old), Some(new)) = (self.old, self.new) else { return Vec::new() };
        let used: HashSet<&str> =
            surroundings.used.iter().flat_map(|data| &data.names).map(String::as_str).collect();
        let mut found = Vec::new();
        for (name, before) in &old.group.types.variables {
            let Some(after) = new.group.types.variables.get(name) else { continue };
            // One that is kept in another form than its type's has a place, but no location; what clang keeps in a
            // pointer's stead has neither, but a symbol.
            let placed = |variable: &&StaticVariable| {
                variable.location.is_some()
                    || !variable.ranges.is_empty()
                    || variable.symbols.iter().any(|symbol| used.contains(symbol.as_str()))
            };
            let before: Vec<_> = before.iter().filter(placed).collect();
            let after: Vec<_> = after.iter().filter(placed).collect();
            let lost = before.iter().find(|old| after.iter().all(|new| new.type_name != old.type_name));
            let come = after.iter().find(|new| before.iter().all(|old| old.type_name != new.type_name));
            if let (Some(lost), Some(come)) = (lost, come) {
                found.push(VariableChange {
                    name: name.clone(),
                    file: come.file.clone(),
                    constant: lost.constant,
                    old_type: readable(&lost.type_name),
                    new_type: readable(&come.type_name),
                });
            }
        }
        found.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        found
    }

    fn differing_prototypes(&self, surroundings: &Surroundings) -> Result<Vec<PrototypeChange>, DwarfError> {
        let (Some(old), Some(new)) = (self.old, self.new) else { return Ok(Vec::new()) };
        let (mut old_names, mut new_names) = (TypeNames::new(old.debug), TypeNames::new(new.debug));
        let mut found = Vec::new();
        for function in &old.group.functions {
            let name = &function.name;
            let twin = new.group.functions.iter().find(|other| other.name == *name);
            let Some((before, after)) = function.node.zip(twin.and_then(|twin| twin.node)) else { continue };
            let was = old_names.prototype(before, "")? + &old_names.captured(before)?;
            let is = new_names.prototype(after, "")? + &new_names.captured(after)?;
            // Live data knows a lambda of C++ by the functions that are made for it.
            let lambdas = [lambdas_of(before, &mut old_names)?, lambdas_of(after, &mut new_names)?];
            let same_lambdas = lambdas[0] == lambdas[1];
            let [was, is] = if was == is { [was + &lambdas[0], is + &lambdas[1]] } else { [was, is] };
            let (was, is) = (old.names.text(&was).unwrap_or(was), new.names.text(&is).unwrap_or(is));
            if was != is {
                let (was, is) = (readable(&was), readable(&is));
                // Callers in C and C++ that both builds have were compiled with what it is now.
                let called_otherwise = if before.unit().is_rust() || !same_lambdas {
                    !surroundings.inner.contains(&function.address)
                } else {
                    !surroundings.called_alike.contains(&function.address)
                        && passing(before, &mut old_names)? != passing(after, &mut new_names)?
                };
                let file = after.decl_file()?;
                found.push(PrototypeChange {
                    function: name.clone(),
                    file,
                    old: was,
                    new: is,
                    called_otherwise,
                    of_lambda: !same_lambdas,
                });
            }
        }
        Ok(found)
    }
}

impl Difference<'_> {
    pub(super) fn into_change(self) -> LayoutChange {
        let kinds = self.differences.kinds();
        let type_name = match self.key {
            TypeKey::Tag(name) | TypeKey::Constant(name) => {
                readable(&format!("{} {name}", self.layout.keyword))
            }
            key => key.text(),
        };
        LayoutChange {
            type_name,
            kind: kinds[0],
            kinds,
            file: self.file,
            crate_name: self.crate_name,
            detail: readable(&self.differences.text()),
            filled: self.differences.filled,
            functions: self.functions,
            variables: self.variables,
            used_variables: self.used_variables,
            undescribed: self.undescribed,
            beside: self.beside,
        }
    }
}

/// The definitions in other units that the same source file gives, for a type that these units do not define.
/// A header's type is the same everywhere; a type that two source files define for themselves is not. rustc names no
/// files, but its names are whole paths.
fn elsewhere<'p>(pool: &Pool<'p>, key: &TypeKey, own: &[TypeLayout], is_rust: bool) -> Vec<&'p TypeLayout> {
    let same_file = |layout: &&&TypeLayout| {
        own.iter().any(|own| own.file == layout.file && (own.file.is_some() || is_rust))
    };
    pool.get(key).into_iter().flatten().filter(same_file).copied().collect()
}

/// Pairs the definitions that the other build does not have. Such a one without a partner is no difference:
/// the type is new or gone.
fn unequal<'p>(old: &[&'p TypeLayout], new: &[&'p TypeLayout]) -> Vec<(&'p TypeLayout, Differences)> {
    let lost = old.iter().filter(|old| !new.contains(old));
    let mut come: Vec<_> = new.iter().filter(|new| !old.contains(new)).collect();
    let mut found = Vec::new();
    for old in lost {
        if come.is_empty() {
            break;
        }
        let differences = |new: &TypeLayout| layout_diff::compare(old, new);
        let partner =
            (0..come.len()).min_by_key(|at| (come[*at].file != old.file, differences(come[*at]).len()));
        let new = come.remove(partner.unwrap_or(0));
        let differences = differences(new);
        // Equal apart from the order of members.
        if !differences.is_empty() {
            found.push((*new, differences));
        }
    }
    found
}
