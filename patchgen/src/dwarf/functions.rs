//! Functions with code: where their source is, and what was inlined into them.

use std::ops::Range;

use super::DwarfError;
use super::debug_info::DebugInfo;
use super::node::Node;
use super::unit::UnitId;

/// The functions of one unit that have code.
#[derive(Debug, Default)]
pub(super) struct FunctionIndex {
    /// Sorted by begin.
    ranges: Vec<FunctionRange>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct FunctionRange {
    begin: u64,
    end: u64,
    die: u32,
}

impl FunctionIndex {
    pub(super) fn build(debug: &DebugInfo<'_>, unit: UnitId) -> Result<Self, DwarfError> {
        let mut ranges = Vec::new();
        for node in debug.root(unit)?.subtree().filter(|node| node.tag() == gimli::DW_TAG_subprogram) {
            for range in node.attributes()?.ranges()? {
                ranges.push(FunctionRange { begin: range.begin, end: range.end, die: node.id().index });
            }
        }
        ranges.sort_unstable();
        Ok(Self { ranges })
    }

    fn die_at(&self, address: u64) -> Option<u32> {
        let after = self.ranges.partition_point(|range| range.begin <= address);
        self.ranges[..after].last().filter(|range| address < range.end).map(|range| range.die)
    }
}

/// A call that the compiler replaced by the called function's body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InlinedFunction {
    /// Name of the function whose body it is, with its namespaces and classes.
    pub name: String,
    /// Source file of that function.
    pub file: Option<String>,
    /// Line of its definition.
    pub line: Option<u32>,
    /// Source file of the call.
    pub call_file: Option<String>,
    /// Line of the call.
    pub call_line: Option<u32>,
    /// Levels of inlining above it: 0 for a call in the function itself.
    pub depth: usize,
}

/// What became of an inlined call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InlinedCode {
    /// The call.
    pub function: InlinedFunction,
    /// Its instructions, those of what was inlined into it among them; empty if none are left.
    pub ranges: Vec<Range<u64>>,
}

impl<'s> DebugInfo<'s> {
    /// Source file where the function at a link address is defined. `None` if nothing describes it.
    pub fn decl_file(&self, address: u64) -> Result<Option<String>, DwarfError> {
        self.functions_at(address)?.first().map_or(Ok(None), |node| node.decl_file())
    }

    /// Name of the function at a link address as the source has it: without the suffixes that compilers add
    /// to clones and parts, with namespaces and classes.
    pub fn source_name(&self, address: u64) -> Result<Option<String>, DwarfError> {
        self.functions_at(address)?.first().map_or(Ok(None), |node| node.qualified_name())
    }

    /// The same if all that describes the function agrees on it.
    pub fn sole_name(&self, address: u64) -> Result<Option<String>, DwarfError> {
        let functions = self.functions_at(address)?;
        let names: Vec<Option<String>> =
            functions.iter().map(|node| node.qualified_name()).collect::<Result<_, DwarfError>>()?;
        let first = names.first().cloned().flatten();
        Ok(first.filter(|first| names.iter().all(|name| name.as_ref() == Some(first))))
    }

    /// Names of the parameters of the function at a link address, in order; empty for one without a name. `None` if
    /// nothing describes it, or if what describes it does not agree.
    pub fn parameters(&self, address: u64) -> Result<Option<Vec<String>>, DwarfError> {
        let mut all = Vec::new();
        for function in self.functions_at(address)? {
            let named = function.children().filter(|node| node.tag() == gimli::DW_TAG_formal_parameter);
            let names: Vec<String> = named
                .map(|node| Ok(node.name()?.map(std::borrow::Cow::into_owned).unwrap_or_default()))
                .collect::<Result<_, DwarfError>>()?;
            all.push(names);
        }
        all.dedup();
        Ok(if all.len() == 1 { all.pop() } else { None })
    }

    /// Line where the function at a link address is defined. `None` if nothing describes it.
    pub fn decl_line(&self, address: u64) -> Result<Option<u32>, DwarfError> {
        self.functions_at(address)?.first().map_or(Ok(None), |node| node.decl_line())
    }

    /// Everything inlined into the function at a link address, in the order of the debug information:
    /// callers before what was inlined into them.
    pub fn inlined_functions(&self, function_address: u64) -> Result<Vec<InlinedFunction>, DwarfError> {
        Ok(self.inlined_code(function_address)?.into_iter().map(|inlined| inlined.function).collect())
    }

    /// The same as [`Self::inlined_functions`], each with the code that it became.
    pub fn inlined_code(&self, function_address: u64) -> Result<Vec<InlinedCode>, DwarfError> {
        let mut found = Vec::new();
        for function in self.functions_at(function_address)? {
            for node in function.subtree().filter(|node| node.tag() == gimli::DW_TAG_inlined_subroutine) {
                let attributes = node.attributes()?;
                let above = std::iter::successors(node.parent(), |node| node.parent())
                    .take_while(|node| node.id() != function.id());
                let ranges = attributes.ranges()?.into_iter().map(|range| range.begin..range.end).collect();
                let function = InlinedFunction {
                    name: node.qualified_name()?.unwrap_or_default(),
                    file: node.decl_file()?,
                    line: node.decl_line()?,
                    call_file: attributes.file(gimli::DW_AT_call_file)?,
                    call_line: attributes.unsigned(gimli::DW_AT_call_line).map(|line| line as u32),
                    depth: above.filter(|node| node.tag() == gimli::DW_TAG_inlined_subroutine).count(),
                };
                found.push(InlinedCode { function, ranges });
            }
        }
        Ok(found)
    }

    /// Name and file of each function that is defined on a line, in the units that have code at a link address.
    pub fn functions_on_line(
        &self,
        address: u64,
        line: u64,
    ) -> Result<Vec<(String, Option<String>)>, DwarfError> {
        let mut found = Vec::new();
        for unit in self.units_at(address)? {
            let functions = self.root(unit)?.subtree().filter(|node| node.tag() == gimli::DW_TAG_subprogram);
            for function in functions {
                if function.decl_line()?.map(u64::from) == Some(line) {
                    found.push((function.qualified_name()?.unwrap_or_default(), function.decl_file()?));
                }
            }
        }
        Ok(found)
    }

    /// True if no entry of a compiled language describes the function with code at a link address.
    pub fn is_assembly(&self, address: u64) -> Result<bool, DwarfError> {
        for function in self.functions_at(address)? {
            let language = self.root(function.id().unit)?.attributes()?.value(gimli::DW_AT_language);
            if language != Some(gimli::AttributeValue::Language(gimli::DW_LANG_Mips_Assembler)) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// True if an entry describes the function with code at a link address.
    pub fn is_described(&self, address: u64) -> Result<bool, DwarfError> {
        Ok(!self.functions_at(address)?.is_empty())
    }

    /// The entries of the functions with code at a link address: several where identical functions were
    /// folded.
    pub(super) fn functions_at(&self, address: u64) -> Result<Vec<Node<'_, 's>>, DwarfError> {
        let mut found = Vec::new();
        for unit in self.units_at(address)? {
            found.extend(self.function_in(unit, address)?);
        }
        Ok(found)
    }

    /// The entry of the function with code at a link address, in one unit.
    pub(super) fn function_in(&self, unit: UnitId, address: u64) -> Result<Option<Node<'_, 's>>, DwarfError> {
        let unit = self.unit(unit)?;
        let die = unit.functions(self)?.die_at(address);
        Ok(die.map(|die| Node::new(self, unit, die as usize)))
    }

    /// An entry of a unit for the function with the given symbol, with or without code.
    pub(super) fn function_named(
        &self,
        unit: UnitId,
        symbol: &str,
    ) -> Result<Option<Node<'_, 's>>, DwarfError> {
        // Compilers add what follows the first dot: `.part.0`, `.isra.0`, `.cold`.
        let plain = symbol.split('.').next().unwrap_or(symbol);
        for node in self.root(unit)?.subtree().filter(|node| node.tag() == gimli::DW_TAG_subprogram) {
            let attributes = node.attributes()?;
            let linkage_name = attributes.text(gimli::DW_AT_linkage_name)?;
            let name = attributes.name()?;
            if linkage_name.as_deref().or(name.as_deref()).is_some_and(|name| name == symbol || name == plain)
            {
                return Ok(Some(node));
            }
        }
        Ok(None)
    }
}
