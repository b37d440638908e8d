//! Closures of Rust, and lambdas of C++, of which no value is alive while none of the replaced functions runs.
//!
//! A fix often changes what a closure captures, and with it the types of the iterators that hold the closure. No source
//! can write the type of a closure, so no cast leads to one unseen. Values of such a type live in the frames of the functions that make them. If all of these are replaced, and none of them is
//! active when a patch is applied, then there is no value with the old layout.
//!
//! That is taken for certain only if every entry of the old build's debug information that mentions the type, or one
//! that holds it, belongs to a replaced function; if no prototype of a function that other code calls does so; and if
//! nothing says that a value may be kept elsewhere: no variable with static storage, no owning or raw pointer, no table
//! of virtual functions, no type that names it as a parameter without holding it. What C++ adds to that is in
//! `cpp_mentions`.

use std::collections::{HashMap, HashSet};

use rayon::prelude::*;

use super::closures;
use super::cpp_mentions;
use super::debug_info::DebugInfo;
use super::layout_check::describes_types;
use super::node::Node;
use super::rust_names::RustNames;
use super::type_names::{TypeKey, TypeNames, is_aggregate, is_qualifier};
use super::unit::{DieId, UnitId};
use super::variables::{static_addresses, static_location};
use super::{DwarfError, Surroundings};

/// Who mentions the types of the old build.
pub(super) struct Mentions<'m, 'd, 's> {
    debug: &'d DebugInfo<'s>,
    surroundings: &'m Surroundings,
    /// Whether all code of Rust is described with its types.
    complete: bool,
    /// Units with classes of C++ of which it is not known which lambdas they are for.
    opaque: HashSet<UnitId>,
    /// The entries that refer to each entry.
    referrers: HashMap<DieId, Vec<DieId>>,
    /// The entries of each of the types.
    types: HashMap<TypeKey, Vec<DieId>>,
}

/// What one entry means for the types that it refers to.
pub(super) enum Mention {
    /// None of its business.
    Nothing,
    /// Another entry that holds a value of the type, or lends one.
    Holder(DieId),
    /// A value may be anywhere.
    Anywhere,
}

impl<'m, 'd, 's> Mentions<'m, 'd, 's> {
    /// Reads all units of Rust and C++ for mentions of the given types.
    pub(super) fn read(
        debug: &'d DebugInfo<'s>,
        surroundings: &'m Surroundings,
        names: &RustNames,
        wanted: &HashSet<&TypeKey>,
    ) -> Result<Self, DwarfError> {
        let mut units = Vec::new();
        let mut complete = !surroundings.undescribed;
        for unit in debug.unit_ids()? {
            if debug.unit(unit)?.is_cpp() {
                units.push(unit);
            } else if debug.unit(unit)?.is_rust() {
                // The standard library comes without types. It has none of the program's, save in what is generic, and
                // that is compiled with the program.
                complete &= debug.unit(unit)?.is_of_toolchain() || describes_types(debug, unit)?;
                units.push(unit);
            }
        }
        let read = |unit: &UnitId| unit_mentions(debug, *unit, names, wanted);
        let units: Vec<_> = units.par_iter().map(read).collect::<Result<_, _>>()?;
        let (opaque, referrers, types) = (HashSet::new(), HashMap::new(), HashMap::new());
        let mut mentions = Self { debug, surroundings, complete, opaque, referrers, types };
        for found in units {
            for (target, referrer) in found.references {
                mentions.referrers.entry(target).or_default().push(referrer);
            }
            for (key, die) in found.types {
                mentions.types.entry(key).or_default().push(die);
            }
            mentions.opaque.extend(found.opaque);
        }
        Ok(mentions)
    }

    /// Whether no value of a type is alive while no replaced function runs.
    pub(super) fn is_transient(&self, key: &TypeKey) -> Result<bool, DwarfError> {
        let Some(dies) = self.types.get(key) else { return Ok(false) };
        let mut search = cpp_mentions::Search::default();
        for die in dies {
            let known = if self.debug.unit(die.unit)?.is_rust() {
                self.complete
            } else {
                !self.opaque.contains(&die.unit) && search.begin(self, self.debug.node(*die)?)?
            };
            if !known {
                return Ok(false);
            }
        }
        let mut queue = dies.clone();
        let mut holders = HashSet::new();
        let mut named = Vec::new();
        while let Some(id) = queue.pop() {
            if !holders.insert(id) {
                continue;
            }
            for referrer in self.referrers(id) {
                let referrer = self.debug.node(*referrer)?;
                let found = if referrer.unit().is_rust() {
                    self.mention(referrer, &mut named)?
                } else {
                    search.mention(self, referrer, id)?
                };
                match found {
                    Mention::Nothing => {}
                    Mention::Holder(holder) => queue.push(holder),
                    Mention::Anywhere => return Ok(false),
                }
            }
        }
        // A type that names another one as a parameter and has no member of it may own one behind an address.
        for aggregate in named {
            let mut members =
                self.debug.node(aggregate)?.subtree().filter(|node| node.tag() == gimli::DW_TAG_member);
            let holds = |member: Node<'_, '_>| -> Result<bool, DwarfError> {
                Ok(member.type_node()?.is_some_and(|target| holders.contains(&target.id())))
            };
            if !members.try_fold(false, |found, member| Ok::<_, DwarfError>(found || holds(member)?))? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    pub(super) fn node(&self, id: DieId) -> Result<Node<'d, 's>, DwarfError> {
        self.debug.node(id)
    }

    /// The entries that refer to one.
    pub(super) fn referrers(&self, id: DieId) -> &[DieId] {
        self.referrers.get(&id).map_or(&[], Vec::as_slice)
    }

    /// Whether code does not run while the patch is applied, and not afterwards.
    pub(super) fn is_replaced(&self, address: u64) -> bool {
        self.surroundings.replaced.iter().any(|range| range.contains(&address))
    }

    /// Whether nothing but replaced code refers to the function at an address.
    pub(super) fn is_inner(&self, address: u64) -> bool {
        self.surroundings.inner.contains(&address)
    }

    fn mention(&self, node: Node<'d, 's>, named: &mut Vec<DieId>) -> Result<Mention, DwarfError> {
        let tag = node.tag();
        let aggregate = || {
            std::iter::successors(node.parent(), |node| node.parent()).find(|outer| is_aggregate(outer.tag()))
        };
        Ok(match tag {
            gimli::DW_TAG_member => {
                aggregate().map_or(Mention::Anywhere, |outer| Mention::Holder(outer.id()))
            }
            gimli::DW_TAG_array_type => Mention::Holder(node.id()),
            tag if is_qualifier(tag) || tag == gimli::DW_TAG_typedef => Mention::Holder(node.id()),
            gimli::DW_TAG_pointer_type if node.name()?.is_some_and(|name| name.starts_with('&')) => {
                Mention::Holder(node.id())
            }
            gimli::DW_TAG_template_type_parameter => match node.parent() {
                Some(outer) if is_aggregate(outer.tag()) => {
                    named.push(outer.id());
                    Mention::Holder(outer.id())
                }
                // Without parameters it may ask for the memory of one.
                Some(outer)
                    if outer.tag() == gimli::DW_TAG_subprogram
                        && outer.children().any(|child| child.tag() == gimli::DW_TAG_formal_parameter) =>
                {
                    self.function(outer, true)?
                }
                _ => Mention::Anywhere,
            },
            gimli::DW_TAG_formal_parameter | gimli::DW_TAG_variable => {
                let attributes = node.attributes()?;
                if static_location(&attributes)?.is_some() || !static_addresses(&attributes)?.is_empty() {
                    return Ok(Mention::Anywhere);
                }
                let in_prototype = tag == gimli::DW_TAG_formal_parameter;
                match node.parent() {
                    Some(outer) if in_prototype && outer.tag() == gimli::DW_TAG_subprogram => {
                        self.function(outer, true)?
                    }
                    Some(outer) => self.function(outer, false)?,
                    None => Mention::Anywhere,
                }
            }
            gimli::DW_TAG_subprogram => self.function(node, true)?,
            gimli::DW_TAG_inlined_subroutine => self.function(node, false)?,
            _ => Mention::Anywhere,
        })
    }

    /// What it means that a function mentions a type, or the block of one.
    fn function(&self, node: Node<'d, 's>, in_prototype: bool) -> Result<Mention, DwarfError> {
        let mut outer = std::iter::successors(Some(node), |node| node.parent());
        let Some(function) = outer.find(|node| node.tag() == gimli::DW_TAG_subprogram) else {
            return Ok(Mention::Anywhere);
        };
        let in_prototype = in_prototype && function.id() == node.id();
        let ranges = function.attributes()?.ranges()?;
        if !ranges.iter().all(|range| self.is_replaced(range.begin)) {
            return Ok(Mention::Anywhere);
        }
        let is_inner = |range: &gimli::Range| self.is_inner(range.begin);
        if in_prototype && !ranges.is_empty() && !ranges.iter().any(is_inner) {
            return Ok(Mention::Anywhere);
        }
        // Whoever completes an abstract function, or inlined it, mentions the type too.
        for referrer in self.referrers(function.id()) {
            let referrer = self.debug.node(*referrer)?;
            let found = match referrer.tag() {
                gimli::DW_TAG_subprogram => self.function(referrer, in_prototype)?,
                gimli::DW_TAG_inlined_subroutine => self.function(referrer, false)?,
                _ => Mention::Nothing,
            };
            if matches!(found, Mention::Anywhere) {
                return Ok(Mention::Anywhere);
            }
        }
        Ok(Mention::Nothing)
    }
}

/// What one unit says.
#[derive(Default)]
struct UnitMentions {
    /// References, target first.
    references: Vec<(DieId, DieId)>,
    /// The entries of wanted types.
    types: Vec<(TypeKey, DieId)>,
    /// The unit, if it has classes of C++ of which it is not known which lambdas they are for.
    opaque: Option<UnitId>,
}

fn unit_mentions(
    debug: &DebugInfo<'_>,
    unit: UnitId,
    names: &RustNames,
    wanted: &HashSet<&TypeKey>,
) -> Result<UnitMentions, DwarfError> {
    let mut found = UnitMentions::default();
    let mut type_names = TypeNames::new(debug);
    for node in debug.root(unit)?.subtree() {
        let tag = node.tag();
        if matches!(tag, gimli::DW_TAG_namespace | gimli::DW_TAG_lexical_block | gimli::DW_TAG_enumerator) {
            continue;
        }
        let attributes = node.attributes()?;
        for name in [
            gimli::DW_AT_type,
            gimli::DW_AT_containing_type,
            gimli::DW_AT_specification,
            gimli::DW_AT_abstract_origin,
            gimli::DW_AT_call_origin,
            gimli::DW_AT_import,
        ] {
            if let Some(target) = attributes.reference(name)? {
                found.references.push((target.id(), node.id()));
            }
        }
        if !is_aggregate(tag) {
            continue;
        }
        let key = match type_names.type_key(node)? {
            Some(key) => Some(key),
            None => closures::key(node)?,
        };
        if let Some(key) = key {
            let key = names.key(&key).unwrap_or(key);
            if wanted.contains(&key) {
                found.types.push((key, node.id()));
            }
        }
        if cpp_mentions::is_opaque(node)? {
            found.opaque = Some(unit);
        }
    }
    Ok(found)
}
