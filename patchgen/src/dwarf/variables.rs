//! Variables with static storage: where they are, and which function they are local to.

use super::DwarfError;
use super::debug_info::DebugInfo;
use super::node::{Attributes, Node};
use super::unit::UnitId;
use std::collections::{BTreeMap, BTreeSet};

/// A variable with static storage that is local to a function.
///
/// Compilers number such variables across the whole unit (`count.3`), so that their symbols change with
/// unrelated edits. Unit, path and name say which of the other build's variables is the same one. Variables
/// of one name in several blocks of one function differ in the ordinal of the block only, which shifts when
/// a block is added: match these only if both builds have the same number of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StaticLocal {
    /// Where it is.
    pub location: StaticLocation,
    /// The function that declares it, with namespaces and classes, then the blocks in it: `{0}` is the first
    /// block of what it stands in. Never the functions which that one was inlined into.
    pub path: Vec<String>,
    /// Name in the source, also of the arrays behind `__func__`.
    pub name: String,
    /// Source file of the declaration; compilers give none for `__func__`.
    pub file: Option<String>,
}

/// The place of a variable with static storage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StaticLocation {
    /// Link address.
    Address(u64),
    /// Offset in the thread-local storage of the image, the value that its symbol has.
    ThreadLocal(u64),
}

impl DebugInfo<'_> {
    /// True if a unit's source defines a variable `name` outside of functions which the compiler did not keep.
    pub fn lacks_variable(&self, unit: UnitId, name: &str) -> Result<bool, DwarfError> {
        for node in self.root(unit)?.children().filter(|node| node.tag() == gimli::DW_TAG_variable) {
            let attributes = node.attributes()?;
            let kept = attributes.has(gimli::DW_AT_location) || attributes.flag(gimli::DW_AT_declaration);
            if !kept && node.name()?.is_some_and(|found| found == name) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The function-local variables with static storage of a unit, each once, in order of location.
    ///
    /// Left out are variables that the compiler split into pieces or removed, which have no fixed location, and
    /// those whose function has no name.
    pub fn static_locals(&self, unit: UnitId) -> Result<Vec<StaticLocal>, DwarfError> {
        let mut found: Vec<StaticLocal> = Vec::new();
        for node in self.root(unit)?.subtree().filter(|node| node.tag() == gimli::DW_TAG_variable) {
            let Some(location) = static_location(&node.attributes()?)? else { continue };
            let path = block_path(node.declaration()?)?;
            if let (false, Some(name)) = (path.is_empty(), node.name()?) {
                let file = node.decl_file()?;
                found.push(StaticLocal { location, path, name: name.into_owned(), file });
            }
        }
        // One variable is described again in each place that its function was inlined into.
        found.sort_by(|a, b| (a.location, &a.path, &a.name).cmp(&(b.location, &b.path, &b.name)));
        found.dedup_by(|a, b| (a.location, &a.path, &a.name) == (b.location, &b.path, &b.name));
        Ok(found)
    }

    /// The names of all thread-local variables by their offset in the image's storage: unit, what they are declared in,
    /// and name.
    pub fn thread_locals(&self) -> Result<BTreeMap<u64, BTreeSet<String>>, DwarfError> {
        let mut found: BTreeMap<u64, BTreeSet<String>> = BTreeMap::new();
        for unit in self.unit_ids()? {
            for node in self.root(unit)?.subtree().filter(|node| node.tag() == gimli::DW_TAG_variable) {
                let Some(StaticLocation::ThreadLocal(offset)) = static_location(&node.attributes()?)? else {
                    continue;
                };
                let path = block_path(node.declaration()?)?.join("::");
                let name = node.name()?.unwrap_or_default();
                found.entry(offset).or_default().insert(format!("{}: {path}: {name}", self.unit_name(unit)?));
            }
        }
        Ok(found)
    }
}

/// The fixed place of a variable, if it has one.
pub(super) fn static_location(attributes: &Attributes<'_, '_>) -> Result<Option<StaticLocation>, DwarfError> {
    let Some(expression) =
        attributes.value(gimli::DW_AT_location).and_then(|location| location.exprloc_value())
    else {
        return Ok(None);
    };
    let encoding = attributes.node().unit().gimli().encoding();
    let error = |cause| DwarfError::Malformed { section: "variable location", cause };
    let mut operations = expression.operations(encoding);
    let (mut value, mut kind) = match operations.next().map_err(error)? {
        Some(gimli::Operation::Address { address }) => {
            (address, Some(StaticLocation::Address as fn(u64) -> _))
        }
        Some(gimli::Operation::AddressIndex { index }) => {
            (attributes.indexed_address(index)?, Some(StaticLocation::Address as fn(u64) -> _))
        }
        Some(gimli::Operation::UnsignedConstant { value }) => (value, None),
        Some(gimli::Operation::ConstantIndex { index }) => (attributes.indexed_address(index)?, None),
        _ => return Ok(None),
    };
    while let Some(operation) = operations.next().map_err(error)? {
        match operation {
            gimli::Operation::PlusConstant { value: addend } => value = value.wrapping_add(addend),
            gimli::Operation::TLS if kind.is_none() => kind = Some(StaticLocation::ThreadLocal),
            _ => return Ok(None),
        }
    }
    // ld sets the addresses of what it dropped to 0.
    Ok(kind.map(|kind| kind(value)).filter(|&location| location != StaticLocation::Address(0)))
}

/// The addresses that a variable has, also if the compiler took it apart: each piece then has its own.
pub(super) fn static_addresses(attributes: &Attributes<'_, '_>) -> Result<Vec<u64>, DwarfError> {
    Ok(static_pieces(attributes)?.into_iter().map(|(address, _)| address).collect())
}

/// The same with the bits of the variable that are before each piece.
pub(super) fn static_pieces(attributes: &Attributes<'_, '_>) -> Result<Vec<(u64, u64)>, DwarfError> {
    let value = attributes.value(gimli::DW_AT_location);
    let Some(expression) = value.and_then(|location| location.exprloc_value()) else { return Ok(Vec::new()) };
    let encoding = attributes.node().unit().gimli().encoding();
    let error = |cause| DwarfError::Malformed { section: "variable location", cause };
    let mut operations = expression.operations(encoding);
    let mut found: Vec<(u64, u64)> = Vec::new();
    let mut bits = 0;
    while let Some(operation) = operations.next().map_err(error)? {
        match operation {
            gimli::Operation::Address { address } => found.push((address, bits)),
            gimli::Operation::AddressIndex { index } => {
                found.push((attributes.indexed_address(index)?, bits));
            }
            gimli::Operation::PlusConstant { value } => {
                if let Some((last, _)) = found.last_mut() {
                    *last = last.wrapping_add(value);
                }
            }
            gimli::Operation::Piece { size_in_bits, .. } => bits += size_in_bits,
            _ => {}
        }
    }
    found.retain(|(address, _)| *address != 0);
    Ok(found)
}

/// How a variable is kept if not as its type alone says: its alignment, and what has to be computed from the bytes in
/// memory to get its value. (clang keeps a variable of two values as one bit.)
pub(super) fn kept_as(attributes: &Attributes<'_, '_>) -> Result<String, DwarfError> {
    let mut text = String::new();
    let alignment = attributes.value(gimli::DW_AT_alignment).and_then(|value| value.udata_value());
    if let Some(alignment) = alignment {
        text = format!(", aligned to {alignment} bytes");
    }
    let value = attributes.value(gimli::DW_AT_location);
    let Some(expression) = value.and_then(|location| location.exprloc_value()) else { return Ok(text) };
    let encoding = attributes.node().unit().gimli().encoding();
    let error = |cause| DwarfError::Malformed { section: "variable location", cause };
    let mut operations = expression.operations(encoding);
    let mut computed = Vec::new();
    while let Some(operation) = operations.next().map_err(error)? {
        match operation {
            gimli::Operation::Address { .. } | gimli::Operation::AddressIndex { .. } => {}
            other => computed.push(format!("{other:?}")),
        }
    }
    if computed.iter().any(|operation| operation.starts_with("StackValue")) {
        text.extend([", kept in another form (", &computed.join(" "), ")"]);
    }
    Ok(text)
}

/// The function and the blocks around an entry; empty outside of functions and in unnamed ones.
pub(super) fn block_path(node: Node<'_, '_>) -> Result<Vec<String>, DwarfError> {
    let mut path = Vec::new();
    let mut inner = node;
    while let Some(outer) = inner.parent() {
        match outer.tag() {
            gimli::DW_TAG_lexical_block => {
                let Some(around) = outer.parent() else { break };
                let blocks = around.children().filter(|child| child.tag() == gimli::DW_TAG_lexical_block);
                let ordinal = blocks.take_while(|block| block.id() != outer.id()).count();
                path.push(format!("{{{ordinal}}}"));
            }
            gimli::DW_TAG_subprogram | gimli::DW_TAG_inlined_subroutine => {
                // Some compilers leave variables of inlined functions in an entry that says nothing else.
                let Some(function) = outer.qualified_name()? else { break };
                path.push(function);
                path.reverse();
                return Ok(path);
            }
            _ => {}
        }
        inner = outer;
    }
    Ok(Vec::new())
}
