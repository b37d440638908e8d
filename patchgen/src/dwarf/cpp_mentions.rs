//! What the debugging information of C++ says about where values of a lambda's class may be.
//!
//! A value can outlive the function that makes it only if live data know code that was made for its class: a virtual table,
//! or the address of a function, as `std::function` keeps them beside a `void *`. So every function that mentions the class,
//! one that holds it, or one that is made for it, has to be replaced, and nothing but replaced code may refer to it. Of the
//! function in which the lambda stands only the first is asked. Pointers are taken for lent only where they are `this`.

use std::collections::HashSet;

use super::DwarfError;
use super::closures::{lambda_behind, mentions_lambda, template_parameters};
use super::node::Node;
use super::transient::{Mention, Mentions};
use super::type_names::{is_aggregate, is_qualifier};
use super::unit::DieId;
use super::variables::{static_addresses, static_location};

/// What is followed from one class on.
#[derive(Default)]
pub(super) struct Search {
    /// The functions in which its lambdas stand.
    makers: HashSet<DieId>,
    /// The entries of pointers among those that lead to it.
    pointers: HashSet<DieId>,
}

impl Search {
    /// Adds an entry of the class; false if nothing can be said about it.
    pub(super) fn begin<'d, 's>(
        &mut self,
        mentions: &Mentions<'_, 'd, 's>,
        class: Node<'d, 's>,
    ) -> Result<bool, DwarfError> {
        let mut lambdas: Vec<Node<'d, 's>> = Vec::new();
        if class.name()?.is_none_or(|name| name.starts_with('<')) {
            lambdas.push(class);
        } else {
            for parameter in template_parameters(class) {
                lambdas.extend(lambda_behind(parameter)?);
            }
        }
        for lambda in &lambdas {
            let mut outer = std::iter::successors(lambda.parent(), |node| node.parent());
            let Some(maker) = outer.find(|node| node.tag() == gimli::DW_TAG_subprogram) else {
                return Ok(false);
            };
            self.makers.insert(maker.declaration()?.id());
        }
        Ok(!lambdas.is_empty() && self.methods_stay(mentions, class)?)
    }

    /// What an entry that refers to `target` means for the class that `target` is, holds or leads to.
    pub(super) fn mention<'d, 's>(
        &mut self,
        mentions: &Mentions<'_, 'd, 's>,
        node: Node<'d, 's>,
        target: DieId,
    ) -> Result<Mention, DwarfError> {
        let through_pointer = self.pointers.contains(&target);
        let outer = around(node);
        let tag = node.tag();
        match tag {
            gimli::DW_TAG_pointer_type if !through_pointer => {
                self.pointers.insert(node.id());
                return Ok(Mention::Holder(node.id()));
            }
            gimli::DW_TAG_reference_type
            | gimli::DW_TAG_rvalue_reference_type
            | gimli::DW_TAG_array_type
            | gimli::DW_TAG_typedef => return Ok(self.link(node, through_pointer)),
            tag if is_qualifier(tag) => return Ok(self.link(node, through_pointer)),
            _ => {}
        }
        let stays = match (tag, outer) {
            (gimli::DW_TAG_formal_parameter | gimli::DW_TAG_variable, Some(outer)) => {
                let attributes = node.attributes()?;
                let has_place =
                    static_location(&attributes)?.is_some() || !static_addresses(&attributes)?.is_empty();
                let in_prototype =
                    tag == gimli::DW_TAG_formal_parameter && outer.tag() == gimli::DW_TAG_subprogram;
                !has_place
                    && (!through_pointer || is_this(node)?)
                    && outer.tag() != gimli::DW_TAG_subroutine_type
                    && self.function_stays(mentions, outer, in_prototype)?
            }
            _ if through_pointer => false,
            (gimli::DW_TAG_member | gimli::DW_TAG_template_type_parameter, Some(outer))
                if is_aggregate(outer.tag()) =>
            {
                let attributes = node.attributes()?;
                let is_static =
                    attributes.flag(gimli::DW_AT_external) || attributes.flag(gimli::DW_AT_declaration);
                if !is_static && self.methods_stay(mentions, outer)? {
                    return Ok(Mention::Holder(outer.id()));
                }
                false
            }
            (gimli::DW_TAG_template_type_parameter, Some(outer)) => {
                outer.tag() == gimli::DW_TAG_subprogram && self.function_stays(mentions, outer, true)?
            }
            (gimli::DW_TAG_subprogram, _) => self.function_stays(mentions, node, true)?,
            (gimli::DW_TAG_inlined_subroutine, _) => self.function_stays(mentions, node, false)?,
            _ => false,
        };
        Ok(if stays { Mention::Nothing } else { Mention::Anywhere })
    }

    fn link(&mut self, node: Node<'_, '_>, through_pointer: bool) -> Mention {
        if through_pointer {
            self.pointers.insert(node.id());
        }
        Mention::Holder(node.id())
    }

    fn methods_stay<'d, 's>(
        &self,
        mentions: &Mentions<'_, 'd, 's>,
        class: Node<'d, 's>,
    ) -> Result<bool, DwarfError> {
        for method in class.children().filter(|child| child.tag() == gimli::DW_TAG_subprogram) {
            if !self.function_stays(mentions, method, true)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Whether the code of the function that an entry lies in, wherever it is, is replaced, and nothing else leads to it.
    fn function_stays<'d, 's>(
        &self,
        mentions: &Mentions<'_, 'd, 's>,
        node: Node<'d, 's>,
        in_prototype: bool,
    ) -> Result<bool, DwarfError> {
        let mut made_here = false;
        let mut function = Some(node);
        while let Some(outer) = function {
            if matches!(outer.tag(), gimli::DW_TAG_subprogram | gimli::DW_TAG_inlined_subroutine) {
                made_here |= self.makers.contains(&outer.declaration()?.id());
            }
            if outer.tag() == gimli::DW_TAG_subprogram {
                break;
            }
            function = outer.parent();
        }
        let Some(function) = function else { return Ok(false) };
        let in_prototype = in_prototype && function.id() == node.id();
        let ranges = function.attributes()?.ranges()?;
        if !ranges.iter().all(|range| mentions.is_replaced(range.begin)) {
            return Ok(false);
        }
        let is_inner = ranges.is_empty() || ranges.iter().any(|range| mentions.is_inner(range.begin));
        if !is_inner && (in_prototype || !made_here) {
            return Ok(false);
        }
        // Whoever completes it, or has it inlined.
        for referrer in mentions.referrers(function.id()) {
            let referrer = mentions.node(*referrer)?;
            let stays = match referrer.tag() {
                gimli::DW_TAG_subprogram => self.function_stays(mentions, referrer, in_prototype)?,
                gimli::DW_TAG_inlined_subroutine => self.function_stays(mentions, referrer, false)?,
                _ => true,
            };
            if !stays {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// Whether a class is named after a lambda and does not say what it is made for.
pub(super) fn is_opaque(node: Node<'_, '_>) -> Result<bool, DwarfError> {
    let Some(name) = node.name()? else { return Ok(false) };
    let is_instance = name.find('<').is_some_and(|at| at > 0 && mentions_lambda(&name[at..]));
    Ok(is_instance && template_parameters(node).next().is_none())
}

/// What is around an entry, apart from the packs of variadic templates.
fn around<'d, 's>(node: Node<'d, 's>) -> Option<Node<'d, 's>> {
    let is_pack = |node: &Node<'_, '_>| {
        matches!(
            node.tag(),
            gimli::DW_TAG_GNU_template_parameter_pack | gimli::DW_TAG_GNU_formal_parameter_pack
        )
    };
    std::iter::successors(node.parent(), |node| node.parent()).find(|outer| !is_pack(outer))
}

/// Whether a parameter is the object of a method.
fn is_this(node: Node<'_, '_>) -> Result<bool, DwarfError> {
    Ok(node.origins()?.iter().any(|attributes| attributes.flag(gimli::DW_AT_artificial)))
}
