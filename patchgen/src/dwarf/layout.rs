//! The layout of one type as the debug information states it, in a form that two builds can be compared by.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use super::DwarfError;
use super::node::{Attributes, Node};
use super::placement::{Position, byte_size, position};
use super::type_names::{TypeNames, integer, is_aggregate, keyword};
use super::unit::Slice;

/// A struct, class, union, enum or base type with its definition.
///
/// Equality is that of the layout: where the type is declared does not count.
#[derive(Debug, Clone)]
pub(super) struct TypeLayout {
    /// `struct`, `union`, `enum`, `variant` (of an enum), `base type` or [`CONSTANT`].
    pub(super) keyword: &'static str,
    pub(super) size: Option<u64>,
    /// Only where the source asks for one.
    pub(super) alignment: Option<u64>,
    /// What an enum's values are stored as, or how a base type's bits are read.
    pub(super) representation: Option<String>,
    pub(super) members: Vec<Member>,
    pub(super) enumerators: Vec<Enumerator>,
    /// Source file of the declaration.
    pub(super) file: Option<String>,
}

impl PartialEq for TypeLayout {
    fn eq(&self, other: &Self) -> bool {
        self.keyword == other.keyword
            && self.size == other.size
            && self.alignment == other.alignment
            && self.representation == other.representation
            && self.members == other.members
            && self.enumerators == other.enumerators
    }
}

/// A part of an aggregate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Member {
    pub(super) role: Role,
    /// Name; members of unnamed structs and unions have the path to them, `outer.inner` or `outer[].inner`.
    pub(super) name: String,
    pub(super) type_name: Arc<str>,
    pub(super) position: Position,
    /// Width in bits; `None` for flexible arrays.
    pub(super) bits: Option<u64>,
    /// For an array of an unnamed aggregate, the width of one element in bits.
    pub(super) element_bits: Option<u64>,
}

/// What kind of part it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Role {
    /// Data of its own.
    Field,
    /// A member whose type has no name; its parts follow as members of their own.
    Container,
    /// The part that a base class makes up.
    Base,
    /// A slot of the virtual table; its position is the slot's number.
    Virtual,
    /// What tells the variants of a tagged union apart.
    Discriminant,
    /// What one variant of a tagged union holds: a type of its own.
    Variant,
}

/// A named value: of an enum, or the one that selects a variant of a tagged union.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Enumerator {
    pub(super) name: String,
    /// `None` for the variant that all other values select.
    pub(super) value: Option<i128>,
}

/// Reads the layout that an entry states. `None` if it only declares the type.
pub(super) fn read<'d, 's>(
    node: Node<'d, 's>,
    names: &mut TypeNames<'d, 's>,
) -> Result<Option<TypeLayout>, DwarfError> {
    let attributes = node.attributes()?;
    if attributes.flag(gimli::DW_AT_declaration) || attributes.has(gimli::DW_AT_signature) {
        return Ok(None);
    }
    let representation = match node.tag() {
        gimli::DW_TAG_base_type => {
            attributes.value(gimli::DW_AT_encoding).map(|encoding| format!("{encoding:?}"))
        }
        gimli::DW_TAG_enumeration_type => match attributes.reference(gimli::DW_AT_type)? {
            Some(target) => Some(names.name(Some(target))?.to_string()),
            None => None,
        },
        _ => None,
    };
    let mut parts = Parts { names, members: Vec::new(), enumerators: Vec::new() };
    parts.collect(node, "", &Position::Bit(0), 0)?;
    let Parts { members, mut enumerators, .. } = parts;
    for child in node.children().filter(|child| child.tag() == gimli::DW_TAG_enumerator) {
        let enumerator = child.attributes()?;
        let name = enumerator.name()?.unwrap_or_default().into_owned();
        let value = enumerator.value(gimli::DW_AT_const_value).and_then(integer);
        enumerators.push(Enumerator { name, value });
    }
    Ok(Some(TypeLayout {
        keyword: if is_variant(node) { "variant" } else { keyword(node) },
        size: byte_size(node)?,
        alignment: attributes.unsigned(gimli::DW_AT_alignment),
        representation,
        members,
        enumerators,
        file: attributes.file(gimli::DW_AT_decl_file)?,
    }))
}

/// An enumerator of an enum without a name, alone.
pub(super) fn constant(enumerator: Node<'_, '_>, of: Node<'_, '_>) -> Result<TypeLayout, DwarfError> {
    let attributes = enumerator.attributes()?;
    let name = attributes.name()?.unwrap_or_default().into_owned();
    let value = attributes.value(gimli::DW_AT_const_value).and_then(integer);
    Ok(one_constant(name, value, of.attributes()?.file(gimli::DW_AT_decl_file)?))
}

/// A constant that is not of an enum.
pub(super) fn named_value(node: Node<'_, '_>, value: i128) -> Result<TypeLayout, DwarfError> {
    Ok(one_constant(node.name()?.unwrap_or_default().into_owned(), Some(value), node.decl_file()?))
}

fn one_constant(name: String, value: Option<i128>, file: Option<String>) -> TypeLayout {
    TypeLayout {
        keyword: CONSTANT,
        size: None,
        alignment: None,
        representation: None,
        members: Vec::new(),
        enumerators: vec![Enumerator { name, value }],
        file,
    }
}

/// The keyword of constants.
pub(super) const CONSTANT: &str = "constant";

/// Whether an entry can state a layout of its own.
pub(super) fn states_layout(node: Node<'_, '_>) -> bool {
    is_aggregate(node.tag()) || node.tag() == gimli::DW_TAG_base_type
}

/// Whether a struct is what a variant of a tagged union holds.
fn is_variant(node: Node<'_, '_>) -> bool {
    node.tag() == gimli::DW_TAG_structure_type
        && node.parent().is_some_and(|parent| keyword(parent) == "enum")
}

/// A number for the values and ranges of values that select a variant (DWARF 5, section 5.7.10): equal if they are.
fn list_of_values(list: &gimli::AttributeValue<Slice<'_>>) -> i128 {
    let mut hasher = DefaultHasher::new();
    match list {
        gimli::AttributeValue::Block(block) => block.slice().hash(&mut hasher),
        other => format!("{other:?}").hash(&mut hasher),
    }
    hasher.finish().into()
}

/// Nesting of unnamed members that no compiler's output reaches.
const MAX_DEPTH: usize = 64;

/// The members of an aggregate while they are collected.
struct Parts<'n, 'd, 's> {
    names: &'n mut TypeNames<'d, 's>,
    members: Vec<Member>,
    enumerators: Vec<Enumerator>,
}

impl<'d, 's> Parts<'_, 'd, 's> {
    /// Adds what an aggregate consists of, with `prefix` before the names and seen from `start`.
    fn collect(
        &mut self,
        aggregate: Node<'d, 's>,
        prefix: &str,
        start: &Position,
        depth: usize,
    ) -> Result<(), DwarfError> {
        if depth > MAX_DEPTH {
            return Err(DwarfError::TooDeep { unit: aggregate.unit().name().to_owned() });
        }
        for child in aggregate.children() {
            let attributes = child.attributes()?;
            match child.tag() {
                gimli::DW_TAG_member => self.member(&attributes, prefix, start, depth)?,
                gimli::DW_TAG_inheritance => {
                    let target = attributes.reference(gimli::DW_AT_type)?;
                    let name = format!("{prefix}{}", self.names.name(target)?);
                    self.add(Role::Base, name, &attributes, target, start)?;
                }
                gimli::DW_TAG_subprogram => self.virtual_function(&attributes, prefix)?,
                gimli::DW_TAG_variant_part => {
                    let discriminant = attributes.reference(gimli::DW_AT_discr)?.map(Node::id);
                    for part in child.children() {
                        let part_attributes = part.attributes()?;
                        match part.tag() {
                            gimli::DW_TAG_member if Some(part.id()) == discriminant => {
                                let target = part_attributes.reference(gimli::DW_AT_type)?;
                                let name = format!("{prefix}(discriminant)");
                                self.add(Role::Discriminant, name, &part_attributes, target, start)?;
                            }
                            gimli::DW_TAG_variant => {
                                self.variant(part, &part_attributes, prefix, start, depth)?;
                            }
                            _ => {}
                        }
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Adds a variant and the value that selects it.
    fn variant(
        &mut self,
        variant: Node<'d, 's>,
        attributes: &Attributes<'d, 's>,
        prefix: &str,
        start: &Position,
        depth: usize,
    ) -> Result<(), DwarfError> {
        let members = variant.children().filter(|child| child.tag() == gimli::DW_TAG_member);
        let members: Vec<_> = members.collect();
        let value = match attributes.value(gimli::DW_AT_discr_list) {
            Some(list) => Some(list_of_values(&list)),
            None => attributes.value(gimli::DW_AT_discr_value).and_then(integer),
        };
        let name = if let [member] = members[..] {
            let member = member.attributes()?;
            let target = member.reference(gimli::DW_AT_type)?;
            let name = member.name()?.unwrap_or_default();
            // The states of a future have numbers; their types have names.
            let number = name.starts_with(|c: char| c.is_ascii_digit());
            let of_type = target.filter(|_| number).map_or(Ok(None), Node::name)?;
            let name = format!("{prefix}{}", of_type.unwrap_or(name));
            self.members.push(Member {
                role: Role::Variant,
                name: name.clone(),
                // What it holds is a type of its own, of this name.
                type_name: Arc::from(""),
                position: position(&member, None)?.within(start),
                bits: None,
                element_bits: None,
            });
            name
        } else {
            let name = members.first().map_or(Ok(None), |member| member.name())?.unwrap_or_default();
            let name = format!("{prefix}variant {name}");
            self.collect(variant, &format!("{name} "), start, depth + 1)?;
            name
        };
        self.enumerators.push(Enumerator { name, value });
        Ok(())
    }

    fn member(
        &mut self,
        attributes: &Attributes<'d, 's>,
        prefix: &str,
        start: &Position,
        depth: usize,
    ) -> Result<(), DwarfError> {
        // Static data members are variables elsewhere.
        if attributes.flag(gimli::DW_AT_external) || attributes.flag(gimli::DW_AT_declaration) {
            return Ok(());
        }
        let target = attributes.reference(gimli::DW_AT_type)?;
        let name = attributes.name()?;
        let Some((nested, array)) = self.names.unnamed_aggregate(target)? else {
            let name = format!("{prefix}{}", name.as_deref().unwrap_or("(unnamed)"));
            return self.add(Role::Field, name, attributes, target, start);
        };
        let place = position(attributes, None)?.within(start);
        let Some(name) = name else { return self.collect(nested, prefix, &place, depth + 1) };
        let suffix = if array { "[]" } else { "" };
        self.members.push(Member {
            role: Role::Container,
            name: format!("{prefix}{name}"),
            // Its parts are compared one by one.
            type_name: format!("{} {{...}}{suffix}", keyword(nested)).into(),
            position: place.clone(),
            bits: target.map_or(Ok(None), byte_size)?.and_then(|size| size.checked_mul(8)),
            element_bits: if array { byte_size(nested)?.and_then(|size| size.checked_mul(8)) } else { None },
        });
        self.collect(nested, &format!("{prefix}{name}{suffix}."), &place, depth + 1)
    }

    fn add(
        &mut self,
        role: Role,
        name: String,
        attributes: &Attributes<'d, 's>,
        target: Option<Node<'d, 's>>,
        start: &Position,
    ) -> Result<(), DwarfError> {
        let size = target.map_or(Ok(None), byte_size)?;
        let width = attributes.unsigned(gimli::DW_AT_bit_size);
        self.members.push(Member {
            role,
            name,
            type_name: self.names.name(target)?,
            position: position(attributes, size)?.within(start),
            bits: width.or_else(|| size.and_then(|size| size.checked_mul(8))),
            element_bits: None,
        });
        Ok(())
    }

    fn virtual_function(&mut self, attributes: &Attributes<'d, 's>, prefix: &str) -> Result<(), DwarfError> {
        let Some(slot) = attributes.value(gimli::DW_AT_vtable_elem_location) else { return Ok(()) };
        let name = attributes.name()?.unwrap_or_default();
        let position = match slot.exprloc_value() {
            Some(expression) => {
                let mut operations = expression.operations(attributes.node().unit().gimli().encoding());
                match operations.next() {
                    Ok(Some(gimli::Operation::UnsignedConstant { value })) => Position::Bit(value),
                    _ => Position::Computed(expression.0.slice().to_vec()),
                }
            }
            None => Position::Bit(slot.udata_value().unwrap_or(0)),
        };
        let type_name = self.names.prototype(attributes.node(), "")?.into();
        let name = format!("{prefix}{name}");
        self.members.push(Member {
            role: Role::Virtual,
            name,
            type_name,
            position,
            bits: None,
            element_bits: None,
        });
        Ok(())
    }
}
