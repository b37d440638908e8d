//! How much room a type takes, and where in its aggregate a member lies.

use gimli::AttributeValue;

use super::DwarfError;
use super::node::{Attributes, Node};

/// How many links from a type to what it is made of are followed when its size is wanted.
const MAX_LINKS: usize = 64;

/// Where a part of an aggregate lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Position {
    /// Bits from the start of the aggregate.
    Bit(u64),
    /// The program computes it, as for virtual base classes: the expression's bytes.
    Computed(Vec<u8>),
}

impl Position {
    /// The position as people write it, `24` or `24 bit 3`.
    pub(super) fn text(&self) -> String {
        match self {
            Self::Bit(bits) if bits % 8 == 0 => (bits / 8).to_string(),
            Self::Bit(bits) => format!("{} bit {}", bits / 8, bits % 8),
            Self::Computed(_) => "(computed at run time)".to_owned(),
        }
    }

    /// The position seen from an aggregate around this one.
    pub(super) fn within(self, outer: &Self) -> Self {
        match (self, outer) {
            (Self::Bit(inner), Self::Bit(outer)) => Self::Bit(outer.saturating_add(inner)),
            (Self::Computed(bytes), _) => Self::Computed(bytes),
            (_, Self::Computed(bytes)) => Self::Computed(bytes.clone()),
        }
    }
}

/// Size of a type in bytes. `None` for incomplete types, functions and arrays of unknown length.
pub(super) fn byte_size(of: Node<'_, '_>) -> Result<Option<u64>, DwarfError> {
    let mut factor = 1u64;
    let mut node = of;
    for _ in 0..MAX_LINKS {
        let attributes = node.attributes()?;
        if let Some(size) = attributes.unsigned(gimli::DW_AT_byte_size) {
            return Ok(size.checked_mul(factor));
        }
        match node.tag() {
            gimli::DW_TAG_pointer_type
            | gimli::DW_TAG_reference_type
            | gimli::DW_TAG_rvalue_reference_type => {
                return Ok(u64::from(node.unit().gimli().encoding().address_size).checked_mul(factor));
            }
            gimli::DW_TAG_array_type => {
                for length in array_lengths(node)? {
                    match length.and_then(|length| factor.checked_mul(length)) {
                        Some(product) => factor = product,
                        None => return Ok(None),
                    }
                }
            }
            gimli::DW_TAG_typedef
            | gimli::DW_TAG_template_alias
            | gimli::DW_TAG_const_type
            | gimli::DW_TAG_volatile_type
            | gimli::DW_TAG_restrict_type
            | gimli::DW_TAG_atomic_type
            | gimli::DW_TAG_enumeration_type => {}
            _ => return Ok(None),
        }
        match attributes.reference(gimli::DW_AT_type)? {
            Some(target) => node = target,
            None => return Ok(None),
        }
    }
    Ok(None)
}

/// Number of elements in each dimension of an array; `None` where it is not constant or not given.
pub(super) fn array_lengths(array: Node<'_, '_>) -> Result<Vec<Option<u64>>, DwarfError> {
    let mut lengths = Vec::new();
    for child in array.children() {
        let attributes = child.attributes()?;
        lengths.push(match child.tag() {
            gimli::DW_TAG_subrange_type => {
                let lower = attributes.unsigned(gimli::DW_AT_lower_bound).unwrap_or(0);
                attributes.unsigned(gimli::DW_AT_count).or_else(|| {
                    let upper = attributes.unsigned(gimli::DW_AT_upper_bound)?;
                    Some(upper.checked_sub(lower)?.saturating_add(1))
                })
            }
            gimli::DW_TAG_enumeration_type => None,
            _ => continue,
        });
    }
    Ok(lengths)
}

/// Where a member or base class lies. `size` is that of its type in bytes, which the bit-field encoding of
/// DWARF 3 needs.
pub(super) fn position(attributes: &Attributes<'_, '_>, size: Option<u64>) -> Result<Position, DwarfError> {
    if let Some(bits) = attributes.unsigned(gimli::DW_AT_data_bit_offset) {
        return Ok(Position::Bit(bits));
    }
    let bytes = match attributes.value(gimli::DW_AT_data_member_location) {
        // Members of unions have none.
        None => 0,
        Some(value) => match (value.udata_value(), value.exprloc_value()) {
            (Some(bytes), _) => bytes,
            (None, Some(expression)) => match constant_offset(attributes, expression)? {
                Some(bytes) => bytes,
                None => return Ok(Position::Computed(expression.0.slice().to_vec())),
            },
            // A location list, or a value of no class that belongs here.
            (None, None) => return Ok(Position::Computed(Vec::new())),
        },
    };
    let bits = bytes.saturating_mul(8);
    // DWARF 3, section 5.6.6: counted from the most significant bit of a storage unit.
    let storage = attributes.unsigned(gimli::DW_AT_byte_size).or(size);
    match (bit_offset(attributes), attributes.unsigned(gimli::DW_AT_bit_size), storage) {
        (Some(from_top), Some(width), Some(storage)) => {
            let from_bottom = (storage.saturating_mul(8) as i64) - from_top - (width as i64);
            Ok(Position::Bit(bits.saturating_add_signed(from_bottom)))
        }
        _ => Ok(Position::Bit(bits)),
    }
}

/// `DW_AT_bit_offset`, which is negative where a packed bit-field reaches beyond its storage unit.
fn bit_offset(attributes: &Attributes<'_, '_>) -> Option<i64> {
    match attributes.value(gimli::DW_AT_bit_offset)? {
        AttributeValue::Sdata(value) => Some(value),
        value => value.udata_value().map(|value| value as i64),
    }
}

/// The offset that the expressions `DW_OP_plus_uconst N` and `DW_OP_constu N; DW_OP_plus` add.
fn constant_offset(
    attributes: &Attributes<'_, '_>,
    expression: gimli::Expression<super::unit::Slice<'_>>,
) -> Result<Option<u64>, DwarfError> {
    let error = |cause| DwarfError::Malformed { section: "member location", cause };
    let mut operations = expression.operations(attributes.node().unit().gimli().encoding());
    let mut next = || operations.next().map_err(error);
    Ok(match (next()?, next()?, next()?) {
        (Some(gimli::Operation::PlusConstant { value }), None, None)
        | (Some(gimli::Operation::UnsignedConstant { value }), Some(gimli::Operation::Plus), None) => {
            Some(value)
        }
        _ => None,
    })
}
