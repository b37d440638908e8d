//! One name for each type, the same in both builds if it is the same type.
//!
//! Typedefs are replaced by what they stand for, `const`, `volatile` and `restrict` are dropped (they change no
//! layout and no calling convention), `class` reads `struct`. Named aggregates are given by name only: their
//! layout is compared on its own. Unnamed ones go by the typedef that names them, else by their text.

use std::collections::{BTreeSet, HashMap};
use std::fmt::Write;
use std::sync::Arc;

use gimli::AttributeValue;

use super::DwarfError;
use super::closures::is_lambda;
use super::debug_info::DebugInfo;
use super::node::{Attributes, Node};
use super::placement::{array_lengths, byte_size, position};
use super::unit::{DieId, UnitId};

/// Nesting of unnamed types and pointers that no compiler's output reaches.
const MAX_DEPTH: usize = 100;

/// Names of the types of one build, made on demand.
pub(super) struct TypeNames<'d, 's> {
    debug: &'d DebugInfo<'s>,
    names: HashMap<DieId, Arc<str>>,
    /// Unnamed aggregates and enums, and the typedefs that lead to each; those that name it first.
    typedefs: HashMap<DieId, Vec<TypeKey>>,
    units: BTreeSet<UnitId>,
    depth: usize,
}

/// Whether the tag is that of a type with members or enumerators.
pub(super) fn is_aggregate(tag: gimli::DwTag) -> bool {
    matches!(
        tag,
        gimli::DW_TAG_structure_type
            | gimli::DW_TAG_class_type
            | gimli::DW_TAG_union_type
            | gimli::DW_TAG_interface_type
            | gimli::DW_TAG_enumeration_type
    )
}

/// The entries of what a function takes, `...` among them. Out-of-line instances may lack parameters that nothing uses; the
/// last link of the chain has all.
pub(super) fn parameters_of<'d, 's>(function: Node<'d, 's>) -> Result<Vec<Node<'d, 's>>, DwarfError> {
    for instance in function.origins()?.iter().rev() {
        let is_parameter = |node: &Node<'d, 's>| {
            matches!(node.tag(), gimli::DW_TAG_formal_parameter | gimli::DW_TAG_unspecified_parameters)
        };
        let found: Vec<_> = instance.node().children().filter(is_parameter).collect();
        if !found.is_empty() {
            return Ok(found);
        }
    }
    Ok(Vec::new())
}

/// Entries from one type to the next that are followed.
const MAX_LINKS: usize = 64;

/// A type, what it leads to through entries that only give it another name or quality, and the first that is no such
/// entry.
pub(super) fn links<'d, 's>(
    of: Option<Node<'d, 's>>,
    is_link: impl Fn(gimli::DwTag) -> bool,
) -> Result<Vec<Node<'d, 's>>, DwarfError> {
    let mut found = Vec::new();
    let mut next = of;
    while let Some(node) = next.filter(|_| found.len() < MAX_LINKS) {
        found.push(node);
        next = if is_link(node.tag()) { node.attributes()?.reference(gimli::DW_AT_type)? } else { None };
    }
    Ok(found)
}

/// Whether the tag adds a qualifier that names, sizes and layouts do not depend on.
pub(super) fn is_qualifier(tag: gimli::DwTag) -> bool {
    matches!(
        tag,
        gimli::DW_TAG_const_type
            | gimli::DW_TAG_volatile_type
            | gimli::DW_TAG_restrict_type
            | gimli::DW_TAG_packed_type
            | gimli::DW_TAG_immutable_type
            | gimli::DW_TAG_shared_type
    )
}

impl<'d, 's> TypeNames<'d, 's> {
    pub(super) fn new(debug: &'d DebugInfo<'s>) -> Self {
        let (names, typedefs) = (HashMap::new(), HashMap::new());
        Self { debug, names, typedefs, units: BTreeSet::new(), depth: 0 }
    }

    /// Every unit that a type named so far is described in.
    pub(super) fn units(&self) -> &BTreeSet<UnitId> {
        &self.units
    }

    /// The canonical name of a type; `None` is `void`.
    pub(super) fn name(&mut self, node: Option<Node<'d, 's>>) -> Result<Arc<str>, DwarfError> {
        let Some(node) = node else { return Ok(Arc::from("void")) };
        if let Some(name) = self.names.get(&node.id()) {
            return Ok(Arc::clone(name));
        }
        if self.depth >= MAX_DEPTH {
            return Err(DwarfError::TooDeep { unit: node.unit().name().to_owned() });
        }
        self.depth += 1;
        let name = self.compose(node);
        self.depth -= 1;
        let name: Arc<str> = name?.into();
        self.names.insert(node.id(), Arc::clone(&name));
        Ok(name)
    }

    /// What a struct, union or enum goes by in the source: its tag, or the typedef that names it.
    pub(super) fn type_key(&mut self, node: Node<'d, 's>) -> Result<Option<TypeKey>, DwarfError> {
        Ok(self.type_keys(node)?.into_iter().next())
    }

    /// All that a type with a layout goes by. Compilers leave out typedefs that a unit does not use, so that
    /// `typedef struct { ... } t, *p` may be seen as the target of `p` alone: such a type has several keys.
    pub(super) fn type_keys(&mut self, node: Node<'d, 's>) -> Result<Vec<TypeKey>, DwarfError> {
        self.visit(node.unit().id())?;
        if let Some(typedefs) = self.typedefs.get(&node.id()) {
            return Ok(typedefs.clone());
        }
        let key = if is_aggregate(node.tag()) { TypeKey::Tag } else { TypeKey::Base };
        Ok(node.qualified_name()?.map(key).into_iter().collect())
    }

    /// The aggregate without a name that a type is, or is an array of. The flag tells that it is an array.
    pub(super) fn unnamed_aggregate(
        &mut self,
        of: Option<Node<'d, 's>>,
    ) -> Result<Option<(Node<'d, 's>, bool)>, DwarfError> {
        let mut array = false;
        let mut next = of;
        for _ in 0..MAX_DEPTH {
            let Some(node) = next else { return Ok(None) };
            match node.tag() {
                gimli::DW_TAG_enumeration_type => return Ok(None),
                tag if is_aggregate(tag) => {
                    let unnamed = self.type_key(node)?.is_none();
                    return Ok(unnamed.then_some((node, array)));
                }
                gimli::DW_TAG_array_type => array = true,
                gimli::DW_TAG_typedef | gimli::DW_TAG_template_alias => {}
                tag if is_qualifier(tag) => {}
                _ => return Ok(None),
            }
            next = node.attributes()?.reference(gimli::DW_AT_type)?;
        }
        Ok(None)
    }

    /// Return type and parameters, around `middle`: `int {middle}(char *, int)`.
    pub(super) fn prototype(&mut self, function: Node<'d, 's>, middle: &str) -> Result<String, DwarfError> {
        let result = self.name(function.type_node()?)?;
        let mut parameters = Vec::new();
        for node in parameters_of(function)? {
            parameters.push(match node.tag() {
                gimli::DW_TAG_unspecified_parameters => Arc::from("..."),
                _ => self.name(node.type_node()?)?,
            });
        }
        Ok(format!("{result} {middle}({})", parameters.join(", ")))
    }

    /// What a closure of Rust is given besides its parameters: the debugging information has its captures as variables.
    pub(super) fn captured(&mut self, function: Node<'d, 's>) -> Result<String, DwarfError> {
        let declaration = function.declaration()?;
        let Some(name) = declaration.name()?.filter(|name| name.starts_with("{closure#")) else {
            return Ok(String::new());
        };
        let wanted = name.replacen("{closure#", "{closure_env#", 1);
        for sibling in declaration.parent().into_iter().flat_map(Node::children) {
            if is_aggregate(sibling.tag()) && sibling.name()?.is_some_and(|name| name == wanted) {
                return Ok(format!(" of {}", self.name(Some(sibling))?));
            }
        }
        Ok(String::new())
    }

    fn compose(&mut self, node: Node<'d, 's>) -> Result<String, DwarfError> {
        self.visit(node.unit().id())?;
        let attributes = node.attributes()?;
        let target = attributes.reference(gimli::DW_AT_type)?;
        Ok(match node.tag() {
            gimli::DW_TAG_typedef | gimli::DW_TAG_template_alias => self.name(target)?.to_string(),
            tag if is_qualifier(tag) => self.name(target)?.to_string(),
            gimli::DW_TAG_atomic_type => format!("_Atomic {}", self.name(target)?),
            gimli::DW_TAG_pointer_type => match target {
                Some(function) if function.tag() == gimli::DW_TAG_subroutine_type => {
                    self.prototype(function, "(*)")?
                }
                // Rust's owning pointers are told from those that are lent.
                _ if attributes.name()?.is_some_and(|name| name.starts_with("alloc::boxed::Box<")) => {
                    format!("Box<{}>", self.name(target)?)
                }
                _ => format!("{} *", self.name(target)?),
            },
            gimli::DW_TAG_reference_type => format!("{} &", self.name(target)?),
            gimli::DW_TAG_rvalue_reference_type => format!("{} &&", self.name(target)?),
            gimli::DW_TAG_ptr_to_member_type => {
                let class = self.name(attributes.reference(gimli::DW_AT_containing_type)?)?;
                format!("{} {class}::*", self.name(target)?)
            }
            gimli::DW_TAG_array_type => self.array(node, &attributes, target)?,
            gimli::DW_TAG_subroutine_type => self.prototype(node, "")?,
            tag if is_aggregate(tag) => self.aggregate(node, &attributes)?,
            tag => {
                let name = attributes.name()?;
                match (tag, name) {
                    (gimli::DW_TAG_base_type | gimli::DW_TAG_unspecified_type, Some(name)) => {
                        // gcc's scalar_storage_order makes types of the same name.
                        let order = attributes.value(gimli::DW_AT_endianity);
                        let order = order.map(|order| format!(" in byte order {order:?}"));
                        name.into_owned() + &order.unwrap_or_default()
                    }
                    (tag, name) => {
                        let (name, size) = (name.unwrap_or_default(), byte_size(node)?.unwrap_or(0));
                        let encoding = attributes.value(gimli::DW_AT_encoding);
                        let target = self.name(target)?;
                        format!("{tag} {name} of {target} ({size} bytes, {encoding:?})")
                    }
                }
            }
        })
    }

    fn array(
        &mut self,
        node: Node<'d, 's>,
        attributes: &Attributes<'d, 's>,
        element: Option<Node<'d, 's>>,
    ) -> Result<String, DwarfError> {
        let mut text = self.name(element)?.to_string();
        if attributes.flag(gimli::DW_AT_GNU_vector) {
            text.insert_str(0, "vector ");
        }
        let lengths: String = array_lengths(node)?
            .into_iter()
            .map(|length| length.map_or("[]".to_owned(), |length| format!("[{length}]")))
            .collect();
        // C writes the outer dimension first, also where a typedef hides the inner ones.
        let at = text.find('[').filter(|_| !text.contains(['(', '{', '<'])).unwrap_or(text.len());
        text.insert_str(at, &lengths);
        if let Some(stride) = attributes.unsigned(gimli::DW_AT_byte_stride) {
            let _ = write!(text, " stride {stride}");
        }
        Ok(text)
    }

    fn aggregate(
        &mut self,
        node: Node<'d, 's>,
        attributes: &Attributes<'d, 's>,
    ) -> Result<String, DwarfError> {
        let keyword = keyword(node);
        match self.type_key(node)? {
            Some(TypeKey::Tag(name)) => return Ok(format!("{keyword} {name}")),
            Some(key) => return Ok(key.text()),
            None => {}
        }
        if attributes.has(gimli::DW_AT_signature) {
            return Ok(self.name(attributes.reference(gimli::DW_AT_signature)?)?.to_string());
        }
        let mut parts = Vec::new();
        for child in node.children() {
            let member = child.attributes()?;
            let name = member.name()?.unwrap_or_default();
            match child.tag() {
                gimli::DW_TAG_member | gimli::DW_TAG_inheritance => {
                    let target = member.reference(gimli::DW_AT_type)?;
                    let size = target.map_or(Ok(None), byte_size)?;
                    let place = position(&member, size)?.text();
                    let width = member
                        .unsigned(gimli::DW_AT_bit_size)
                        .map_or(String::new(), |bits| format!(" : {bits}"));
                    parts.push(format!("{} {name}{width} @ {place};", self.name(target)?));
                }
                gimli::DW_TAG_enumerator => {
                    let value = member.value(gimli::DW_AT_const_value).and_then(integer);
                    parts.push(format!(
                        "{name} = {},",
                        value.map_or("?".to_owned(), |value| value.to_string())
                    ));
                }
                gimli::DW_TAG_variant_part => parts.push(format!("{} variants;", child.children().count())),
                _ => {}
            }
        }
        let size = byte_size(node)?.map_or("?".to_owned(), |size| size.to_string());
        Ok(format!("{keyword} {{ {} {size} bytes }}", parts.join(" ")))
    }

    /// Notes the typedefs of a unit that lead to unnamed types.
    pub(super) fn visit(&mut self, unit: UnitId) -> Result<(), DwarfError> {
        if !self.units.insert(unit) {
            return Ok(());
        }
        for node in self.debug.root(unit)?.subtree().filter(|node| node.tag() == gimli::DW_TAG_typedef) {
            let mut indirections = String::new();
            let mut target = node.attributes()?.reference(gimli::DW_AT_type)?;
            for _ in 0..MAX_DEPTH {
                let Some(link) = target else { break };
                match link.tag() {
                    gimli::DW_TAG_pointer_type => indirections.push('*'),
                    gimli::DW_TAG_array_type => indirections.push_str("[]"),
                    tag if is_qualifier(tag) => {}
                    _ => break,
                }
                target = link.attributes()?.reference(gimli::DW_AT_type)?;
            }
            let Some(target) = target.filter(|target| is_aggregate(target.tag())) else { continue };
            // Templates have typedefs of the lambdas that they are made for.
            if !target.attributes()?.has(gimli::DW_AT_name)
                && !is_lambda(target)?
                && let Some(name) = node.qualified_name()?
            {
                let key = match indirections.as_str() {
                    "" => TypeKey::Typedef(name),
                    _ => TypeKey::Target { name, indirections },
                };
                self.typedefs.entry(target.id()).or_default().push(key);
            }
        }
        self.typedefs.values_mut().for_each(|keys| keys.sort_unstable());
        Ok(())
    }
}

/// What a type with a layout goes by. C keeps tags and typedefs apart: both can have the same name.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum TypeKey {
    /// `struct name`.
    Tag(String),
    /// `typedef struct { ... } name`.
    Typedef(String),
    /// `typedef struct { ... } *name`, where no typedef names the struct itself.
    Target {
        /// Name of the typedef.
        name: String,
        /// The pointers and arrays between, outermost first.
        indirections: String,
    },
    /// `int` and its like.
    Base(String),
    /// An enumerator of an enum that has no name: a constant that live data may hold.
    Constant(String),
    /// Classes of C++ without a name: all lambdas of one function.
    Unnamed(String),
}

impl TypeKey {
    /// The crate that a type of Rust is of: the beginning of its path.
    pub(super) fn crate_name(&self) -> Option<String> {
        let Self::Tag(name) = self else { return None };
        let (path, _) = name.split_once("::")?;
        let start = path.rfind(|c: char| !c.is_alphanumeric() && c != '_').map_or(0, |at| at + 1);
        Some(path[start..].to_owned()).filter(|name| !name.is_empty())
    }

    /// The name, without a keyword.
    pub(super) fn text(&self) -> String {
        match self {
            Self::Tag(name)
            | Self::Typedef(name)
            | Self::Base(name)
            | Self::Constant(name)
            | Self::Unnamed(name) => name.clone(),
            Self::Target { name, indirections } => format!("target of {name} ({indirections})"),
        }
    }
}

/// The keyword that a type is written with; C++ structs and classes are the same. Rust's enums with data are described
/// as structs with variants.
pub(super) fn keyword(node: Node<'_, '_>) -> &'static str {
    match node.tag() {
        gimli::DW_TAG_structure_type
            if node.children().any(|child| child.tag() == gimli::DW_TAG_variant_part) =>
        {
            "enum"
        }
        gimli::DW_TAG_union_type => "union",
        gimli::DW_TAG_enumeration_type => "enum",
        gimli::DW_TAG_base_type => "base type",
        _ => "struct",
    }
}

/// The value of an enumerator or discriminant.
pub(super) fn integer(value: AttributeValue<super::unit::Slice<'_>>) -> Option<i128> {
    match value {
        AttributeValue::Sdata(value) => Some(value.into()),
        // One number for each value is all that matters.
        AttributeValue::Data16(value) => Some(value.cast_signed()),
        value => value.udata_value().map(i128::from),
    }
}
