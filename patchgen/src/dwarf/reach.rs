//! Which types a function can touch, as far as its debug information tells.
//!
//! A function is taken to touch the types of its parameters and variables, of what is inlined into it and of the
//! functions that it calls by name, and all that these lead to through pointers, members, elements and
//! prototypes. That is too much rather than too little, with two gaps: casts leave no trace, and neither do
//! global variables that it names. The latter are found from its code, see [`UsedData`](super::UsedData).

use std::collections::{BTreeSet, HashMap, HashSet};

use super::DwarfError;
use super::debug_info::DebugInfo;
use super::node::Node;
use super::type_names::{TypeNames, is_aggregate};
use super::unit::{DieId, UnitId};
use super::unit_pair::Groups;

/// The links between the types of one build, as far as they were explored.
pub(super) struct TypeGraph<'g, 'd, 's> {
    debug: &'d DebugInfo<'s>,
    groups: &'g Groups<'d, 's>,
    names: TypeNames<'d, 's>,
    /// The entries that refer to each entry.
    referrers: HashMap<DieId, Vec<DieId>>,
    explored: HashSet<DieId>,
}

impl<'g, 'd, 's> TypeGraph<'g, 'd, 's> {
    pub(super) fn new(debug: &'d DebugInfo<'s>, groups: &'g Groups<'d, 's>) -> Self {
        let (referrers, explored) = (HashMap::new(), HashSet::new());
        Self { debug, groups, names: TypeNames::new(debug), referrers, explored }
    }

    /// Follows all links from some entries on.
    pub(super) fn explore(&mut self, roots: &[DieId]) -> Result<(), DwarfError> {
        let mut queue = roots.to_vec();
        while let Some(id) = queue.pop() {
            if self.explored.insert(id) {
                for link in self.links_of(id)? {
                    self.referrers.entry(link).or_default().push(id);
                    queue.push(link);
                }
            }
        }
        Ok(())
    }

    /// All explored entries that lead to one of the given ones, and these.
    pub(super) fn leading_to(&self, targets: &[DieId]) -> HashSet<DieId> {
        let mut found = HashSet::new();
        let mut queue = targets.to_vec();
        while let Some(id) = queue.pop() {
            if found.insert(id) {
                queue.extend(self.referrers.get(&id).into_iter().flatten());
            }
        }
        found
    }

    fn links_of(&mut self, id: DieId) -> Result<Vec<DieId>, DwarfError> {
        let node = self.debug.node(id)?;
        let attributes = node.attributes()?;
        let mut links = Vec::new();
        for name in [
            gimli::DW_AT_type,
            gimli::DW_AT_containing_type,
            gimli::DW_AT_specification,
            gimli::DW_AT_abstract_origin,
        ] {
            links.extend(attributes.reference(name)?.map(Node::id));
        }
        let parts = node.children().filter(|child| {
            matches!(
                child.tag(),
                gimli::DW_TAG_member
                    | gimli::DW_TAG_inheritance
                    | gimli::DW_TAG_variant_part
                    | gimli::DW_TAG_variant
                    | gimli::DW_TAG_formal_parameter
                    | gimli::DW_TAG_template_type_parameter
            )
        });
        links.extend(parts.map(Node::id));
        // The definition may be another entry than the declaration that others refer to.
        if is_aggregate(node.tag())
            && attributes.flag(gimli::DW_AT_declaration)
            && let Some(key) = self.names.type_key(node)?
        {
            let home = self.groups.get(node.unit().group());
            let groups = home.into_iter().chain(self.groups.values().filter(|_| home.is_none()));
            links.extend(groups.filter_map(|group| group.types.dies.get(&key)).flatten());
        }
        Ok(links)
    }
}

/// The units that a function's tree refers to: its own, and with link-time optimisation those of its source and
/// of the functions that were inlined into it.
pub(super) fn units_of_body(function: Node<'_, '_>) -> Result<BTreeSet<UnitId>, DwarfError> {
    let mut units = BTreeSet::from([function.id().unit]);
    for node in function.subtree() {
        let attributes = node.attributes()?;
        for name in [gimli::DW_AT_abstract_origin, gimli::DW_AT_specification, gimli::DW_AT_call_origin] {
            if let Some(target) = attributes.reference(name)? {
                units.insert(target.declaration()?.id().unit);
            }
        }
    }
    Ok(units)
}

/// The types that occur in a function's tree, in the abstract instances of it and of what is inlined into it,
/// and in the prototypes of what it calls.
pub(super) fn body_types(function: Node<'_, '_>) -> Result<Vec<DieId>, DwarfError> {
    let mut found = Vec::new();
    let mut bodies = vec![function];
    let mut seen = HashSet::new();
    while let Some(body) = bodies.pop() {
        if !seen.insert(body.id()) {
            continue;
        }
        for node in body.subtree() {
            match node.tag() {
                gimli::DW_TAG_call_site | gimli::DW_TAG_GNU_call_site => {
                    let attributes = node.attributes()?;
                    let called = match attributes.reference(gimli::DW_AT_call_origin)? {
                        Some(called) => Some(called),
                        None => attributes.reference(gimli::DW_AT_abstract_origin)?,
                    };
                    if let Some(called) = called {
                        found.extend(called.type_node()?.map(Node::id));
                        for instance in called.origins()? {
                            let parameters = instance.node().children();
                            found.extend(
                                parameters
                                    .filter(|child| child.tag() == gimli::DW_TAG_formal_parameter)
                                    .map(Node::id),
                            );
                        }
                    }
                }
                gimli::DW_TAG_subprogram | gimli::DW_TAG_inlined_subroutine => {
                    found.extend(node.type_node()?.map(Node::id));
                    bodies.extend(node.attributes()?.origin()?);
                }
                _ => found.extend(node.type_node()?.map(Node::id)),
            }
        }
    }
    Ok(found)
}
