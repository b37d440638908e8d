//! The tables of methods behind Rust's trait objects, and which of them differ between the builds.

use std::collections::BTreeMap;

use super::DwarfError;
use super::debug_info::DebugInfo;
use super::placement::byte_size;
use super::rust_names::{RustNames, readable};
use super::variables::{StaticLocation, static_location};

/// The entries in front of the methods: drop glue, size and alignment of the type.
const HEADER: u64 = 3;

/// Bytes of an entry.
const ENTRY: u64 = 8;

/// A table of methods that both builds have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VirtualTable {
    /// `<type as trait>`.
    pub name: String,
    /// Where the copies of it in the old build are.
    pub old: Vec<TablePlace>,
    /// Where the copies of it in the new build are.
    pub new: Vec<TablePlace>,
}

/// One copy of a table of methods.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct TablePlace {
    /// Link address.
    pub address: u64,
    /// Size in bytes.
    pub size: u64,
}

impl TablePlace {
    /// Address of the entry that holds the drop glue, or nothing.
    pub fn drop_glue(self) -> u64 {
        self.address
    }

    /// Addresses of the entries that hold methods.
    pub fn methods(self) -> impl Iterator<Item = u64> {
        (HEADER..self.size / ENTRY).map(move |entry| self.address + entry * ENTRY)
    }
}

/// The tables that both builds have, by name.
pub(super) fn common(
    old: (&DebugInfo<'_>, &RustNames),
    new: (&DebugInfo<'_>, &RustNames),
) -> Result<Vec<VirtualTable>, DwarfError> {
    let (old, mut new) = (tables(old.0, old.1)?, tables(new.0, new.1)?);
    let both = old.into_iter().filter_map(|(name, old)| {
        let new = new.remove(&name)?;
        Some(VirtualTable { name: readable(&name), old, new })
    });
    Ok(both.collect())
}

fn tables(debug: &DebugInfo<'_>, names: &RustNames) -> Result<BTreeMap<String, Vec<TablePlace>>, DwarfError> {
    let mut found: BTreeMap<String, Vec<TablePlace>> = BTreeMap::new();
    for unit in debug.unit_ids()? {
        if !debug.unit(unit)?.is_rust() {
            continue;
        }
        // They stand outside all namespaces.
        let variables = debug.root(unit)?.children().filter(|node| node.tag() == gimli::DW_TAG_variable);
        for node in variables {
            let Some(name) = node.name()? else { continue };
            let Some(name) = name.strip_suffix("::{vtable}") else { continue };
            let place = static_location(&node.attributes()?)?;
            let size = node.type_node()?.map_or(Ok(None), byte_size)?;
            if let (Some(StaticLocation::Address(address)), Some(size)) = (place, size) {
                let name = names.text(name).unwrap_or_else(|| name.to_owned());
                found.entry(name).or_default().push(TablePlace { address, size });
            }
        }
    }
    Ok(found)
}
