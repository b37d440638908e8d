//! All types and static variables that one compilation unit knows.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};
use std::ops::Range;

use super::DwarfError;
use super::closures::{self, Place};
use super::debug_info::DebugInfo;
use super::layout::{self, TypeLayout};
use super::node::Node;
use super::placement::byte_size;
use super::rust_names::RustNames;
use super::type_names::{TypeKey, TypeNames, integer, is_aggregate, is_qualifier, links};
use super::unit::{DieId, UnitId};
use super::variables::{StaticLocation, block_path, kept_as, static_addresses, static_location};

/// What a unit, or several of one name, say about types.
#[derive(Debug, Default)]
pub(super) struct UnitTypes {
    /// Definitions by name: several where one name means different things in different scopes.
    pub(super) layouts: HashMap<TypeKey, Vec<TypeLayout>>,
    /// All entries of types of a name; declarations too.
    pub(super) dies: HashMap<TypeKey, Vec<DieId>>,
    /// Variables with static storage by name, with the functions and blocks around them.
    pub(super) variables: HashMap<String, Vec<StaticVariable>>,
    /// Compilation units that types of this one are described in (link-time optimisation does that).
    pub(super) referred: BTreeSet<UnitId>,
    /// Where lambdas stand, and in which function.
    pub(super) lambdas: Vec<(Place, String)>,
}

/// A variable with static storage, or the declaration of one elsewhere. Variables of files and namespaces without a
/// place are among them: the compiler took them apart, or the place stands at another entry.
#[derive(Debug, Clone)]
pub(super) struct StaticVariable {
    /// Its type; `None` if that is not stated.
    pub(super) target: Option<DieId>,
    /// What symbols for it may be called.
    pub(super) symbols: Vec<String>,
    /// The addresses that it takes up, piece by piece.
    pub(super) ranges: Vec<Range<u64>>,
    pub(super) type_name: String,
    pub(super) constant: bool,
    /// `None` for declarations, and for variables without one fixed place.
    pub(super) location: Option<StaticLocation>,
    pub(super) file: Option<String>,
}

impl UnitTypes {
    /// Reads a compilation unit, with the partial units that it imports or refers to.
    pub(super) fn collect(debug: &DebugInfo<'_>, unit: UnitId) -> Result<Self, DwarfError> {
        let mut types = Self::default();
        let mut names = TypeNames::new(debug);
        let mut queue = vec![unit];
        let mut seen = BTreeSet::from([unit]);
        while let Some(id) = queue.pop() {
            let mut linked = types.read_unit(debug.root(id)?, &mut names)?;
            linked.extend(names.units());
            for link in linked {
                if seen.insert(link) {
                    match debug.root(link)?.tag() {
                        gimli::DW_TAG_partial_unit | gimli::DW_TAG_type_unit => queue.push(link),
                        _ => {
                            types.referred.insert(link);
                        }
                    }
                }
            }
        }
        Ok(types)
    }

    /// Adds what another unit of the same name says.
    pub(super) fn merge(&mut self, other: Self) {
        for (key, layouts) in other.layouts {
            for layout in layouts {
                self.add_layout(key.clone(), layout);
            }
        }
        for (key, dies) in other.dies {
            self.dies.entry(key).or_default().extend(dies);
        }
        for (name, variables) in other.variables {
            self.variables.entry(name).or_default().extend(variables);
        }
        self.referred.extend(other.referred);
        self.lambdas.extend(other.lambdas);
    }

    /// Takes the numbers out of names that rustc made up.
    pub(super) fn rename(&mut self, names: &RustNames) {
        let rename = |text: &mut String| {
            if let Some(name) = names.text(text) {
                *text = name;
            }
        };
        for (key, mut layouts) in std::mem::take(&mut self.layouts) {
            for member in layouts.iter_mut().flat_map(|layout| &mut layout.members) {
                if let Some(name) = names.text(&member.type_name) {
                    member.type_name = name.into();
                }
                // A base class goes by its type.
                rename(&mut member.name);
            }
            let key = names.key(&key).unwrap_or(key);
            for layout in layouts {
                self.add_layout(key.clone(), layout);
            }
        }
        for (key, dies) in std::mem::take(&mut self.dies) {
            self.dies.entry(names.key(&key).unwrap_or(key)).or_default().extend(dies);
        }
        for (mut name, mut variables) in std::mem::take(&mut self.variables) {
            rename(&mut name);
            for variable in &mut variables {
                rename(&mut variable.type_name);
            }
            self.variables.entry(name).or_default().extend(variables);
        }
    }

    /// Reads the entries of one unit; gives the units that it imports.
    fn read_unit<'d, 's>(
        &mut self,
        root: Node<'d, 's>,
        names: &mut TypeNames<'d, 's>,
    ) -> Result<Vec<UnitId>, DwarfError> {
        let has_type_units = root.has_type_units();
        let producer = root.attributes()?.text(gimli::DW_AT_producer)?;
        let of_clang = producer.is_some_and(|producer| producer.contains("clang"));
        let mut imports = Vec::new();
        // Typedefs of this unit name types of type units.
        names.visit(root.id().unit)?;
        for node in root.subtree() {
            if has_type_units {
                imports.extend(node.attributes()?.type_units()?);
            }
            match node.tag() {
                gimli::DW_TAG_variable => {
                    self.read_variable(node, names, of_clang)?;
                    self.read_named_value(node)?;
                }
                gimli::DW_TAG_member => self.read_named_value(node)?,
                gimli::DW_TAG_imported_unit => {
                    let target = node.attributes()?.reference(gimli::DW_AT_import)?;
                    imports.extend(target.map(|target| target.id().unit));
                }
                // The stub of a type in a type unit.
                _ if has_type_units && node.attributes()?.has(gimli::DW_AT_signature) => {}
                _ if layout::states_layout(node) => {
                    let mut keys = names.type_keys(node)?;
                    if keys.is_empty() {
                        keys.extend(closures::key(node)?);
                        self.note_lambda(node)?;
                    }
                    if keys.is_empty() {
                        self.read_constants(node)?;
                        continue;
                    }
                    let layout = layout::read(node, names)?;
                    for key in keys {
                        self.dies.entry(key.clone()).or_default().push(node.id());
                        if let Some(layout) = &layout {
                            self.add_layout(key, layout.clone());
                        }
                    }
                }
                _ => {}
            }
        }
        Ok(imports)
    }

    fn note_lambda(&mut self, node: Node<'_, '_>) -> Result<(), DwarfError> {
        if closures::is_lambda(node)?
            && let Some(place) = closures::place(node)?
        {
            let function = node.scope()?;
            self.lambdas.extend((!function.is_empty()).then_some((place, function)));
        }
        Ok(())
    }

    /// The enumerators of an enum without a name are known by their own.
    fn read_constants(&mut self, node: Node<'_, '_>) -> Result<(), DwarfError> {
        for child in node.children().filter(|child| child.tag() == gimli::DW_TAG_enumerator) {
            let Some(name) = child.name()? else { continue };
            let key = TypeKey::Constant(match node.scope()? {
                scope if scope.is_empty() => name.into_owned(),
                scope => format!("{scope}::{name}"),
            });
            self.dies.entry(key.clone()).or_default().push(node.id());
            self.add_layout(key, layout::constant(child, node)?);
        }
        Ok(())
    }

    /// A constant of a class that has a value and no place is like an enumerator without an enum. What is true or false is
    /// no code for anything that data hold.
    fn read_named_value(&mut self, node: Node<'_, '_>) -> Result<(), DwarfError> {
        let attributes = node.attributes()?;
        let Some(value) = attributes.value(gimli::DW_AT_const_value).and_then(integer) else {
            return Ok(());
        };
        let of_class = node.parent().is_some_and(|outer| is_aggregate(outer.tag()));
        if attributes.has(gimli::DW_AT_location) || !of_class || !is_named_number(node.type_node()?)? {
            return Ok(());
        }
        let Some(name) = node.qualified_name()? else { return Ok(()) };
        let key = TypeKey::Constant(name);
        self.dies.entry(key.clone()).or_default().push(node.id());
        self.add_layout(key, layout::named_value(node, value)?);
        Ok(())
    }

    fn add_layout(&mut self, key: TypeKey, layout: TypeLayout) {
        let known = self.layouts.entry(key).or_default();
        if !known.contains(&layout) {
            known.push(layout);
        }
    }

    fn read_variable<'d, 's>(
        &mut self,
        node: Node<'d, 's>,
        names: &mut TypeNames<'d, 's>,
        of_clang: bool,
    ) -> Result<(), DwarfError> {
        let attributes = node.attributes()?;
        let location = static_location(&attributes)?;
        let addresses = static_addresses(&attributes)?;
        let declared = attributes.flag(gimli::DW_AT_declaration);
        if attributes.flag(gimli::DW_AT_artificial) {
            return Ok(());
        }
        // clang keeps what a pointer leads to in the stead of a static one: only a symbol tells it from an automatic one.
        let maybe_static =
            of_clang && attributes.has(gimli::DW_AT_name) && !attributes.has(gimli::DW_AT_location);
        let somewhere = location.is_some() || !addresses.is_empty() || declared || is_at_file_level(node);
        if !(somewhere || maybe_static && is_pointer(node.type_node()?)?) {
            return Ok(());
        }
        let Some(own_name) = node.name()? else { return Ok(()) };
        let declaration = node.declaration()?;
        let mut symbols = vec![own_name.to_string()];
        for origin in node.origins()? {
            symbols.extend(origin.text(gimli::DW_AT_linkage_name)?.map(Cow::into_owned));
        }
        // The function is part of the scope already.
        let blocks = block_path(declaration)?;
        if !somewhere {
            let function = blocks.first().map_or("", String::as_str);
            symbols = vec![format!("{function}.{own_name}"), format!("E{}{own_name}", own_name.len())];
        }
        let scope = declaration.scope()?;
        let parts = std::iter::once(scope.as_str()).chain(blocks.iter().skip(1).map(String::as_str));
        let parts: Vec<_> = parts.filter(|part| !part.is_empty()).chain([own_name.as_ref()]).collect();
        let name = parts.join("::");
        let target = node.type_node()?;
        let size = target.map_or(Ok(None), byte_size)?.unwrap_or(0).max(1);
        let variable = StaticVariable {
            target: target.map(Node::id),
            symbols,
            ranges: addresses.into_iter().map(|start| start..start.saturating_add(size)).collect(),
            type_name: format!("{}{}", names.name(target)?, kept_as(&attributes)?),
            constant: is_constant(target)?,
            location,
            file: node.decl_file()?,
        };
        self.variables.entry(name).or_default().push(variable);
        Ok(())
    }
}

/// Whether an entry lies in no function and no type.
fn is_at_file_level(node: Node<'_, '_>) -> bool {
    std::iter::successors(node.parent(), |node| node.parent()).all(|outer| {
        matches!(
            outer.tag(),
            gimli::DW_TAG_compile_unit | gimli::DW_TAG_partial_unit | gimli::DW_TAG_namespace
        )
    })
}

fn is_alias(tag: gimli::DwTag) -> bool {
    tag == gimli::DW_TAG_typedef || is_qualifier(tag)
}

fn is_pointer(of: Option<Node<'_, '_>>) -> Result<bool, DwarfError> {
    Ok(links(of, is_alias)?.last().is_some_and(|last| last.tag() == gimli::DW_TAG_pointer_type))
}

/// Whether a type is that of a constant number: `const`, and neither `bool` nor an address.
fn is_named_number(of: Option<Node<'_, '_>>) -> Result<bool, DwarfError> {
    let links = links(of, is_alias)?;
    let constant = links.iter().any(|node| node.tag() == gimli::DW_TAG_const_type);
    let Some(last) = links.last().filter(|_| constant) else { return Ok(false) };
    Ok(match last.tag() {
        gimli::DW_TAG_base_type => {
            let encoding = last.attributes()?.value(gimli::DW_AT_encoding);
            encoding != Some(gimli::AttributeValue::Encoding(gimli::DW_ATE_boolean))
        }
        tag => tag == gimli::DW_TAG_enumeration_type,
    })
}

/// Whether a type, or the element of an array, is `const`.
fn is_constant(of: Option<Node<'_, '_>>) -> Result<bool, DwarfError> {
    let links = links(of, |tag| is_alias(tag) || tag == gimli::DW_TAG_array_type)?;
    Ok(links.iter().any(|node| node.tag() == gimli::DW_TAG_const_type))
}
