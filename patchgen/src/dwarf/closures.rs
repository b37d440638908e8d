//! Classes that C++ source gives no name: lambdas, and unnamed classes in functions.
//!
//! What a lambda captures is the layout of its class. Nothing but its place tells one lambda from another: gcc writes
//! `f(int)::<lambda(int)>` for all of a function with the same parameters, clang `(lambda at a.cc:7:3)`. So all lambdas
//! of a function go by one key and are compared as a set, and a place in the source within another type's name gives way to
//! the function's name.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::fmt::Write;

use super::DwarfError;
use super::node::{Attributes, Node};
use super::type_names::{TypeKey, TypeNames, is_aggregate, is_qualifier};

/// How clang begins the name of a lambda's class within other names.
const PLACE: &str = "(lambda at ";

/// Lambdas within lambdas whose functions are named.
const MAX_NESTING: usize = 8;

/// File, without directories, and line of a lambda.
pub(super) type Place = (String, u64);

/// The key of a class without a name, if it is one of these.
pub(super) fn key(node: Node<'_, '_>) -> Result<Option<TypeKey>, DwarfError> {
    let is_class = matches!(node.tag(), gimli::DW_TAG_structure_type | gimli::DW_TAG_class_type);
    if !is_class || node.attributes()?.has(gimli::DW_AT_name) {
        return Ok(None);
    }
    let what = if is_lambda(node)? {
        "lambda"
    } else if node.unit().is_cpp() && is_in_function(node) {
        "unnamed class"
    } else {
        return Ok(None);
    };
    Ok(Some(TypeKey::Unnamed(match node.scope()? {
        scope if scope.is_empty() => what.to_owned(),
        scope => format!("{what} in {scope}"),
    })))
}

/// Whether a class without a name is that of a lambda.
pub(super) fn is_lambda(node: Node<'_, '_>) -> Result<bool, DwarfError> {
    if !is_aggregate(node.tag()) || node.attributes()?.has(gimli::DW_AT_name) {
        return Ok(false);
    }
    for child in node.children().filter(|child| child.tag() == gimli::DW_TAG_subprogram) {
        if child.name()?.is_some_and(|name| name.starts_with("operator()")) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Directly, not as a part of another class.
fn is_in_function(node: Node<'_, '_>) -> bool {
    let mut outer = std::iter::successors(node.parent(), |node| node.parent());
    outer.find(|outer| outer.tag() != gimli::DW_TAG_lexical_block).is_some_and(|outer| {
        matches!(outer.tag(), gimli::DW_TAG_subprogram | gimli::DW_TAG_inlined_subroutine)
    })
}

/// The lambdas that a function, or the class that it is a method of, is made for: what they capture.
pub(super) fn lambdas_of<'d, 's>(
    function: Node<'d, 's>,
    names: &mut TypeNames<'d, 's>,
) -> Result<String, DwarfError> {
    let mut found = String::new();
    let mut makers: Vec<Node<'d, 's>> = function.origins()?.iter().map(Attributes::node).collect();
    makers.extend(function.declaration()?.parent().filter(|class| is_aggregate(class.tag())));
    let mut seen = HashSet::new();
    for maker in makers {
        if is_lambda(maker)? && seen.insert(maker.id()) {
            let _ = write!(found, " of {}", names.name(Some(maker))?);
        }
        for parameter in template_parameters(maker) {
            if let Some(class) = lambda_behind(parameter)?
                && seen.insert(class.id())
            {
                let _ = write!(found, " for {}", names.name(Some(class))?);
            }
        }
    }
    Ok(found)
}

/// The types that a class or function is made for.
pub(super) fn template_parameters<'d, 's>(of: Node<'d, 's>) -> impl Iterator<Item = Node<'d, 's>> {
    let packs = of.children().filter(|child| child.tag() == gimli::DW_TAG_GNU_template_parameter_pack);
    let parameters = of.children().chain(packs.flat_map(Node::children));
    parameters.filter(|child| child.tag() == gimli::DW_TAG_template_type_parameter)
}

/// The lambda that an entry's type is, or refers to.
pub(super) fn lambda_behind<'d, 's>(entry: Node<'d, 's>) -> Result<Option<Node<'d, 's>>, DwarfError> {
    let mut next = entry.type_node()?;
    for _ in 0..MAX_NESTING {
        let Some(node) = next else { break };
        if is_lambda(node)? {
            return Ok(Some(node));
        }
        let is_link = matches!(
            node.tag(),
            gimli::DW_TAG_pointer_type
                | gimli::DW_TAG_reference_type
                | gimli::DW_TAG_rvalue_reference_type
                | gimli::DW_TAG_typedef
        );
        next = if is_link || is_qualifier(node.tag()) { node.type_node()? } else { None };
    }
    Ok(None)
}

/// Where a lambda stands in the source.
pub(super) fn place(node: Node<'_, '_>) -> Result<Option<Place>, DwarfError> {
    let attributes = node.attributes()?;
    let file = attributes.file(gimli::DW_AT_decl_file)?;
    let line = attributes.unsigned(gimli::DW_AT_decl_line);
    Ok(file.zip(line).map(|(file, line)| (last_part(&file).to_owned(), line)))
}

fn last_part(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// Whether a name mentions a lambda.
pub(super) fn mentions_lambda(name: &str) -> bool {
    name.contains("<lambda") || name.contains("(lambda")
}

/// The functions that lambdas stand in, by their place.
#[derive(Debug, Default)]
pub(super) struct LambdaNames {
    functions: HashMap<Place, BTreeSet<String>>,
}

impl LambdaNames {
    pub(super) fn read<'p>(places: impl Iterator<Item = &'p (Place, String)>) -> Self {
        let mut functions: HashMap<Place, BTreeSet<String>> = HashMap::new();
        for (place, function) in places {
            functions.entry(place.clone()).or_default().insert(function.clone());
        }
        Self { functions }
    }

    /// The text of a name without places of lambdas; `None` if it has none.
    pub(super) fn text(&self, text: &str) -> Option<String> {
        text.contains(PLACE).then(|| self.rewrite(text, 0))
    }

    fn rewrite(&self, text: &str, depth: usize) -> String {
        let mut out = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once(PLACE) {
            out.push_str(before);
            let (place, after) = after.split_once(')').unwrap_or((after, ""));
            rest = after;
            let functions = parse(place).and_then(|place| self.functions.get(&place));
            let known = functions.filter(|_| depth < MAX_NESTING).into_iter().flatten();
            let known: BTreeSet<String> = known.map(|name| self.rewrite(name, depth + 1)).collect();
            let known: Vec<String> = known.into_iter().collect();
            match known.as_slice() {
                [] => out.push_str("(lambda)"),
                known => out.extend(["(lambda in ", &known.join(" or "), ")"]),
            }
        }
        out + rest
    }
}

/// `directory/file:line:column`.
fn parse(place: &str) -> Option<Place> {
    let (place, _column) = place.rsplit_once(':')?;
    let (file, line) = place.rsplit_once(':')?;
    Some((last_part(file).to_owned(), line.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_give_way_to_functions() {
        let places = [
            (("a.cc".to_owned(), 7), "outer".to_owned()),
            (("a.cc".to_owned(), 9), "each<(lambda at src/a.cc:7:3)>".to_owned()),
        ];
        let names = LambdaNames::read(places.iter());
        let text = |text| names.text(text);
        assert_eq!(text("Impl<(lambda at src/a.cc:7:3)>").as_deref(), Some("Impl<(lambda in outer)>"));
        assert_eq!(
            text("Impl<(lambda at /b/a.cc:9:1), int>").as_deref(),
            Some("Impl<(lambda in each<(lambda in outer)>), int>")
        );
        assert_eq!(text("Impl<(lambda at a.cc:8:3)>").as_deref(), Some("Impl<(lambda)>"));
        assert_eq!(text("Impl<int>"), None);
    }
}
