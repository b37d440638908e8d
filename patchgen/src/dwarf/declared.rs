//! Where functions and variables with static storage are declared.

use super::DwarfError;
use super::debug_info::DebugInfo;
use super::node::Node;
use super::unit::UnitId;
use super::variables::{block_path, static_pieces};
use std::collections::{BTreeMap, BTreeSet};

/// What tells a variable from others of its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Declared {
    /// Name of the unit that declares it.
    pub unit: String,
    /// The function that it is local to, if any.
    pub function: Option<String>,
    /// The blocks of that function around it, by their numbers, and the lines from the function's first one to it.
    pub place: (Vec<String>, Option<i64>),
    /// Name in the source.
    pub name: String,
    /// Whether other units know it.
    pub external: bool,
    /// Bits of it that are before what is at the address, if the compiler took it apart.
    pub bits_before: u64,
}

impl Declared {
    /// True if both are in the same block of their function, or as many lines behind its first one.
    pub fn is_in_place_of(&self, other: &Self) -> bool {
        self.place.0 == other.place.0 || (self.place.1.is_some() && self.place.1 == other.place.1)
    }
}

/// The lines from the first one of the function around a declaration to it.
fn lines_into_function(declaration: Node<'_, '_>) -> Result<Option<i64>, DwarfError> {
    let mut outer = declaration.parent();
    while let Some(node) = outer.filter(|node| node.tag() != gimli::DW_TAG_subprogram) {
        outer = node.parent();
    }
    let Some(function) = outer else { return Ok(None) };
    let lines = declaration.decl_line()?.zip(function.decl_line()?);
    Ok(lines.map(|(line, first)| i64::from(line) - i64::from(first)))
}

impl DebugInfo<'_> {
    /// The variables with static storage of a unit by their link addresses.
    pub fn declared_variables(&self, unit: UnitId) -> Result<BTreeMap<u64, Declared>, DwarfError> {
        let mut found = BTreeMap::new();
        for node in self.root(unit)?.subtree().filter(|node| node.tag() == gimli::DW_TAG_variable) {
            let pieces = static_pieces(&node.attributes()?)?;
            if pieces.is_empty() {
                continue;
            }
            let source = node.declaration()?;
            let mut path = block_path(source)?.into_iter();
            let mut external = false;
            for entry in node.origins()? {
                external |= entry.flag(gimli::DW_AT_external);
            }
            // The unit that link-time optimisation makes completes what that of the source declares.
            let declared = Declared {
                unit: self.unit_name(source.unit().id())?.to_owned(),
                function: path.next(),
                place: (path.collect(), lines_into_function(source)?),
                name: node.name()?.unwrap_or_default().into_owned(),
                external,
                bits_before: 0,
            };
            let of_piece = |(address, bits_before)| (address, Declared { bits_before, ..declared.clone() });
            found.extend(pieces.into_iter().map(of_piece));
        }
        Ok(found)
    }

    /// The units in which the source of the function at a link address is.
    pub fn declaring_units(&self, address: u64) -> Result<BTreeSet<String>, DwarfError> {
        let functions = self.functions_at(address)?.into_iter();
        functions.map(|node| Ok(self.unit_name(node.declaration()?.unit().id())?.to_owned())).collect()
    }

    /// The names of all units.
    pub fn unit_names(&self) -> Result<BTreeSet<&str>, DwarfError> {
        self.unit_ids()?.map(|unit| self.unit_name(unit)).collect()
    }
}
