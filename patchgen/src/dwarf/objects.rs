//! Where the objects of a type are, as far as the whole program declares them.

use std::ops::Range;

use super::DwarfError;
use super::debug_info::DebugInfo;
use super::node::Node;
use super::placement::byte_size;
use super::type_names::{TypeNames, is_aggregate, is_qualifier};
use super::variables::static_addresses;

/// The objects of a type.
#[derive(Debug, Default)]
pub struct ObjectsOf {
    /// The variables with static storage that are one.
    pub variables: Vec<(String, Range<u64>)>,
    /// Something through which there may be others: a pointer, a local variable, an array, a member of another type.
    pub other: Option<String>,
}

impl DebugInfo<'_> {
    /// Looks for objects of the type with this canonical name in all units, and for whatever else mentions it.
    pub fn objects_of(&self, type_name: &str) -> Result<ObjectsOf, DwarfError> {
        let mut found = ObjectsOf::default();
        let mut names = TypeNames::new(self);
        for unit in self.unit_ids()? {
            let unit = self.full_unit(unit)?;
            for node in self.root(unit)?.subtree() {
                let tag = node.tag();
                let harmless = matches!(
                    tag,
                    gimli::DW_TAG_typedef | gimli::DW_TAG_array_type | gimli::DW_TAG_subrange_type
                );
                if harmless || is_qualifier(tag) || is_aggregate(tag) {
                    continue;
                }
                let target = match tag {
                    // A definition may leave its type to the declaration.
                    gimli::DW_TAG_variable => node.type_node()?,
                    _ => node.attributes()?.reference(gimli::DW_AT_type)?,
                };
                let Some(target) = target else { continue };
                let name = names.name(Some(target))?;
                if !name.contains(type_name) {
                    continue;
                }
                let is_object = tag == gimli::DW_TAG_variable && *name == *type_name;
                if is_object && found.variable(node, target)? {
                    continue;
                }
                if found.other.is_none() {
                    let called = node.name()?.map(|name| format!(" `{name}`")).unwrap_or_default();
                    let what = tag.static_string().unwrap_or("entry").trim_start_matches("DW_TAG_");
                    found.other = Some(format!("{}{called}", what.replace('_', " ")));
                }
            }
        }
        found.variables.sort_by(|a, b| (a.1.start, &a.0).cmp(&(b.1.start, &b.0)));
        found.variables.dedup();
        Ok(found)
    }
}

impl ObjectsOf {
    /// Adds a variable if it has static storage, or only declares one.
    fn variable(&mut self, node: Node<'_, '_>, target: Node<'_, '_>) -> Result<bool, DwarfError> {
        let attributes = node.attributes()?;
        let addresses = static_addresses(&attributes)?;
        let size = byte_size(target)?.unwrap_or(0);
        let name = node.name()?.unwrap_or_default().into_owned();
        let known = size > 0 && (!addresses.is_empty() || attributes.flag(gimli::DW_AT_declaration));
        self.variables.extend(addresses.into_iter().map(|start| (name.clone(), start..start + size)));
        Ok(known)
    }
}
