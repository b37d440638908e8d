//! An entry of the debug information: its relatives, its attributes, and what it refers to.

use std::borrow::Cow;

use gimli::{AttributeValue, DwAt};

use super::DwarfError;
use super::debug_info::DebugInfo;
use super::unit::{Die, DieId, Slice, Unit, UnitId};

/// How many links from an entry to what it completes are followed: out-of-line or inlined code to its
/// abstract instance to its declaration, with room to spare.
const MAX_ORIGINS: usize = 8;

/// How many enclosing entries a qualified name is looked for in.
const MAX_SCOPES: usize = 256;

/// A handle of one entry; cheap to copy.
#[derive(Clone, Copy)]
pub(super) struct Node<'d, 's> {
    debug: &'d DebugInfo<'s>,
    unit: &'d Unit<'s>,
    index: usize,
}

impl<'d, 's> Node<'d, 's> {
    pub(super) fn new(debug: &'d DebugInfo<'s>, unit: &'d Unit<'s>, index: usize) -> Self {
        Self { debug, unit, index }
    }

    pub(super) fn id(self) -> DieId {
        DieId { unit: self.unit.id(), index: self.index as u32 }
    }

    pub(super) fn unit(self) -> &'d Unit<'s> {
        self.unit
    }

    pub(super) fn tag(self) -> gimli::DwTag {
        self.dies()[self.index].tag
    }

    /// Whether any of the types may be in type units.
    pub(super) fn has_type_units(self) -> bool {
        self.debug.has_type_units()
    }

    /// `None` for the root of the unit.
    pub(super) fn parent(self) -> Option<Self> {
        (self.index != 0).then(|| Self { index: self.dies()[self.index].parent as usize, ..self })
    }

    pub(super) fn children(self) -> impl Iterator<Item = Self> + use<'d, 's> {
        let dies = self.dies();
        let end = dies[self.index].end as usize;
        let first = Some(self.index + 1).filter(|&first| first < end);
        std::iter::successors(first, move |&child| Some(dies[child].end as usize).filter(|&next| next < end))
            .map(move |index| Self { index, ..self })
    }

    /// The entry itself and all below it, in file order.
    pub(super) fn subtree(self) -> impl Iterator<Item = Self> + use<'d, 's> {
        (self.index..self.dies()[self.index].end as usize).map(move |index| Self { index, ..self })
    }

    pub(super) fn attributes(self) -> Result<Attributes<'d, 's>, DwarfError> {
        let offset = gimli::UnitOffset(self.dies()[self.index].offset);
        let entry = self.unit.gimli().entry(offset).map_err(|cause| self.debug.error("debug_info", cause))?;
        Ok(Attributes { node: self, entry })
    }

    /// This entry and those that it completes, nearest first: the abstract instance of inlined or cloned
    /// code, the declaration of a member.
    pub(super) fn origins(self) -> Result<Vec<Attributes<'d, 's>>, DwarfError> {
        let mut chain = vec![self.attributes()?];
        while chain.len() < MAX_ORIGINS {
            let Some(next) = chain[chain.len() - 1].origin()? else { break };
            chain.push(next.attributes()?);
        }
        Ok(chain)
    }

    /// The last of [`Self::origins`]: where the source declares it first.
    pub(super) fn declaration(self) -> Result<Self, DwarfError> {
        Ok(self.origins()?.last().map_or(self, |attributes| attributes.node))
    }

    /// The name, its own or that of what it completes.
    pub(super) fn name(self) -> Result<Option<Cow<'s, str>>, DwarfError> {
        for attributes in self.origins()? {
            if let Some(name) = attributes.name()? {
                return Ok(Some(name));
            }
        }
        Ok(None)
    }

    /// The source file of the declaration nearest to this entry.
    pub(super) fn decl_file(self) -> Result<Option<String>, DwarfError> {
        for attributes in self.origins()? {
            if attributes.entry.has_attr(gimli::DW_AT_decl_file) {
                return attributes.file(gimli::DW_AT_decl_file);
            }
        }
        Ok(None)
    }

    /// The source file of the functions beside a type: rustc does not say where a type is declared.
    pub(super) fn file_of_module(self) -> Result<Option<String>, DwarfError> {
        let is_namespace = |node: &Self| node.tag() == gimli::DW_TAG_namespace;
        let scopes = std::iter::successors(self.parent(), |node| node.parent());
        for scope in scopes.filter(is_namespace).take(MAX_SCOPES) {
            for child in scope.children() {
                let is_impl =
                    is_namespace(&child) && child.name()?.is_some_and(|name| name.starts_with("{impl#"));
                let inner = is_impl.then(|| child.children()).into_iter().flatten();
                for function in std::iter::once(child).chain(inner) {
                    if function.tag() == gimli::DW_TAG_subprogram
                        && let Some(file) = function.decl_file()?
                    {
                        return Ok(Some(file));
                    }
                }
            }
        }
        Ok(None)
    }

    /// The line of the declaration nearest to this entry.
    pub(super) fn decl_line(self) -> Result<Option<u32>, DwarfError> {
        let lines = self.origins()?.into_iter();
        Ok(lines
            .filter_map(|attributes| attributes.unsigned(gimli::DW_AT_decl_line))
            .map(|line| line as u32)
            .next())
    }

    /// The type, its own or that of what it completes.
    pub(super) fn type_node(self) -> Result<Option<Self>, DwarfError> {
        for attributes in self.origins()? {
            if let Some(target) = attributes.reference(gimli::DW_AT_type)? {
                return Ok(Some(target));
            }
        }
        Ok(None)
    }

    /// Name with the namespaces, classes and functions around it, `a::b::name`.
    pub(super) fn qualified_name(self) -> Result<Option<String>, DwarfError> {
        let Some(name) = self.name()? else { return Ok(None) };
        Ok(Some(match self.declaration()?.scope()? {
            scope if scope.is_empty() => name.into_owned(),
            scope => format!("{scope}::{name}"),
        }))
    }

    /// Qualified name of what encloses this entry; empty at file level.
    pub(super) fn scope(self) -> Result<String, DwarfError> {
        let mut parts = Vec::new();
        let mut node = self;
        for _ in 0..MAX_SCOPES {
            let Some(parent) = node.parent() else { break };
            node = parent;
            match parent.tag() {
                gimli::DW_TAG_namespace => parts.push(parent.part_name("(anonymous namespace)")?),
                gimli::DW_TAG_structure_type
                | gimli::DW_TAG_class_type
                | gimli::DW_TAG_union_type
                | gimli::DW_TAG_enumeration_type
                | gimli::DW_TAG_interface_type => parts.push(parent.part_name("(anonymous)")?),
                gimli::DW_TAG_subprogram | gimli::DW_TAG_inlined_subroutine => {
                    parts.push(parent.part_name("(unnamed function)")?);
                    node = parent.declaration()?;
                }
                _ => {}
            }
        }
        parts.reverse();
        Ok(parts.join("::"))
    }

    fn part_name(self, unnamed: &str) -> Result<String, DwarfError> {
        Ok(self.name()?.map_or_else(|| unnamed.to_owned(), Cow::into_owned))
    }

    /// The unit's entries. They have been parsed, else this handle would not exist.
    fn dies(self) -> &'d [Die] {
        self.unit.dies(self.debug).unwrap_or_default()
    }
}

/// The attributes of one entry.
pub(super) struct Attributes<'d, 's> {
    node: Node<'d, 's>,
    entry: gimli::DebuggingInformationEntry<Slice<'s>>,
}

impl<'d, 's> Attributes<'d, 's> {
    pub(super) fn node(&self) -> Node<'d, 's> {
        self.node
    }

    pub(super) fn name(&self) -> Result<Option<Cow<'s, str>>, DwarfError> {
        self.text(gimli::DW_AT_name)
    }

    /// The value of an attribute that is a string.
    pub(super) fn text(&self, name: DwAt) -> Result<Option<Cow<'s, str>>, DwarfError> {
        let Some(value) = self.entry.attr_value(name) else { return Ok(None) };
        let debug = self.node.debug;
        if let AttributeValue::DebugStrRefSup(_) = value {
            return Err(DwarfError::SupplementaryFile);
        }
        let text = self.node.unit.dwarf(debug).attr_string(self.node.unit.gimli(), value);
        text.map(|text| Some(text.to_string_lossy())).map_err(|cause| debug.error("debug_str", cause))
    }

    pub(super) fn flag(&self, name: DwAt) -> bool {
        matches!(self.entry.attr_value(name), Some(AttributeValue::Flag(true)))
    }

    pub(super) fn has(&self, name: DwAt) -> bool {
        self.entry.has_attr(name)
    }

    pub(super) fn unsigned(&self, name: DwAt) -> Option<u64> {
        self.entry.attr_value(name)?.udata_value()
    }

    pub(super) fn value(&self, name: DwAt) -> Option<AttributeValue<Slice<'s>>> {
        self.entry.attr_value(name)
    }

    /// The entry that an attribute refers to: for the stub of a type in a type unit, the type.
    pub(super) fn reference(&self, name: DwAt) -> Result<Option<Node<'d, 's>>, DwarfError> {
        let found = self.plain_reference(name)?;
        match found {
            Some(node) if node.debug.has_type_units() => {
                let whole = node.attributes()?.plain_reference(gimli::DW_AT_signature)?;
                Ok(whole.or(found))
            }
            _ => Ok(found),
        }
    }

    fn plain_reference(&self, name: DwAt) -> Result<Option<Node<'d, 's>>, DwarfError> {
        let Node { debug, unit, .. } = self.node;
        match self.entry.attr_value(name) {
            Some(AttributeValue::UnitRef(offset)) => {
                let start = unit.gimli().header.offset().0;
                let dangling = DwarfError::DanglingReference { offset: start + offset.0 };
                let index = unit.index_of(debug, offset.0)?.ok_or(dangling)?;
                Ok(Some(Node { index, ..self.node }))
            }
            Some(AttributeValue::DebugInfoRef(offset)) => debug.node_at(unit.file(), offset.0).map(Some),
            Some(AttributeValue::DebugInfoRefSup(_)) => Err(DwarfError::SupplementaryFile),
            Some(AttributeValue::DebugTypesRef(signature)) => {
                debug.type_at(unit.file(), signature.0).map(Some)
            }
            _ => Ok(None),
        }
    }

    /// The type units that the entry refers to.
    pub(super) fn type_units(&self) -> Result<Vec<UnitId>, DwarfError> {
        let Node { debug, unit, .. } = self.node;
        let signatures = self.entry.attrs().iter().filter_map(|attribute| match attribute.value() {
            AttributeValue::DebugTypesRef(signature) => Some(signature.0),
            _ => None,
        });
        signatures.map(|signature| Ok(debug.type_at(unit.file(), signature)?.id().unit)).collect()
    }

    /// The entry that this one completes.
    pub(super) fn origin(&self) -> Result<Option<Node<'d, 's>>, DwarfError> {
        let specification = match self.reference(gimli::DW_AT_abstract_origin)? {
            Some(origin) => return Ok(Some(origin)),
            None => self.reference(gimli::DW_AT_specification)?,
        };
        match specification {
            Some(specification) => Ok(Some(specification)),
            None if self.node.debug.has_type_units() => self.reference(gimli::DW_AT_signature),
            None => Ok(None),
        }
    }

    /// The source file that an attribute names.
    pub(super) fn file(&self, name: DwAt) -> Result<Option<String>, DwarfError> {
        let index = match self.entry.attr_value(name) {
            Some(AttributeValue::FileIndex(index)) => index,
            Some(value) => match value.udata_value() {
                Some(index) => index,
                None => return Ok(None),
            },
            None => return Ok(None),
        };
        let unit = self.node.unit.with_lines(self.node.debug)?;
        let Some(program) = &unit.gimli().line_program else { return Ok(None) };
        unit.source_file(self.node.debug, program.header(), index)
    }

    /// The code that belongs to the entry, without what the linker dropped.
    pub(super) fn ranges(&self) -> Result<Vec<gimli::Range>, DwarfError> {
        let debug = self.node.debug;
        let error = |cause| debug.error("debug_ranges", cause);
        let mut ranges =
            self.node.unit.dwarf(debug).die_ranges(self.node.unit.gimli(), &self.entry).map_err(error)?;
        let mut found = Vec::new();
        while let Some(range) = ranges.next().map_err(error)? {
            if range.begin != 0 && range.begin < range.end {
                found.push(range);
            }
        }
        Ok(found)
    }

    /// An index into `.debug_addr`, resolved.
    pub(super) fn indexed_address(&self, index: gimli::DebugAddrIndex) -> Result<u64, DwarfError> {
        let debug = self.node.debug;
        let address = self.node.unit.dwarf(debug).address(self.node.unit.gimli(), index);
        address.map_err(|cause| debug.error("debug_addr", cause))
    }
}
