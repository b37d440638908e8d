//! How arguments and results are passed, as far as callers of either build agree on it (System V psABI x86-64, 3.2.3).

use super::DwarfError;
use super::node::Node;
use super::placement::byte_size;
use super::type_names::{TypeNames, is_aggregate, is_qualifier, links, parameters_of};

/// What a function returns and takes, each told by where a caller puts or finds it: any pointer is like any other.
pub(super) fn passing<'d, 's>(
    function: Node<'d, 's>,
    names: &mut TypeNames<'d, 's>,
) -> Result<Vec<String>, DwarfError> {
    let mut found = vec![class(function.type_node()?, names)?];
    for node in parameters_of(function)? {
        found.push(match node.tag() {
            gimli::DW_TAG_unspecified_parameters => "...".to_owned(),
            _ => class(node.type_node()?, names)?,
        });
    }
    Ok(found)
}

fn class<'d, 's>(of: Option<Node<'d, 's>>, names: &mut TypeNames<'d, 's>) -> Result<String, DwarfError> {
    let is_link = |tag| is_qualifier(tag) || matches!(tag, gimli::DW_TAG_typedef | gimli::DW_TAG_atomic_type);
    let Some(node) = links(of, is_link)?.pop() else { return Ok("void".to_owned()) };
    let size = byte_size(node)?.unwrap_or_default();
    let attributes = node.attributes()?;
    Ok(match node.tag() {
        gimli::DW_TAG_pointer_type | gimli::DW_TAG_reference_type | gimli::DW_TAG_rvalue_reference_type => {
            "pointer".to_owned()
        }
        gimli::DW_TAG_enumeration_type if size >= 4 => format!("integer of {size}"),
        gimli::DW_TAG_base_type => match attributes.value(gimli::DW_AT_encoding) {
            // Some compilers leave it to the caller to extend narrow numbers, with the sign or with zeros.
            Some(gimli::AttributeValue::Encoding(
                gimli::DW_ATE_signed
                | gimli::DW_ATE_signed_char
                | gimli::DW_ATE_unsigned
                | gimli::DW_ATE_unsigned_char
                | gimli::DW_ATE_UTF,
            )) if size >= 4 => format!("integer of {size}"),
            _ => names.name(Some(node))?.to_string(),
        },
        tag if is_aggregate(tag) => format!("{} of {size}", names.name(Some(node))?),
        _ => names.name(Some(node))?.to_string(),
    })
}
