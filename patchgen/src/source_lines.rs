//! Line numbers and source files of both builds from their debugging information.

use crate::diff::{LineNumbers, Parameter, Units};
use crate::dwarf::DebugInfo;
use crate::image::Function;
use std::collections::{BTreeMap, BTreeSet};

/// Lines that a statement may stretch over: `__LINE__` in a macro's argument is the line where the call ends or
/// begins, not always that of the instruction.
const STATEMENT_LINES: u64 = 8;

/// The debugging information of the two builds.
pub struct SourceLines<'d, 's> {
    /// Of the target.
    pub old: &'d DebugInfo<'s>,
    /// Of the replacement.
    pub new: &'d DebugInfo<'s>,
}

/// Code behind an instruction that may belong to the same statement: the compiler sets up arguments well before the
/// call, among instructions of other lines.
const STATEMENT_BYTES: u64 = 48;

impl LineNumbers for SourceLines<'_, '_> {
    /// True if both numbers lie beside the line of the same instruction, their own or one shortly behind it, and that
    /// line moved by as much as the number.
    fn are_lines(&self, old_address: u64, old_value: u64, new_address: u64, new_value: u64) -> bool {
        let moved = new_value as i64 - old_value as i64;
        let near = |line: i64| (old_value as i64 - line).unsigned_abs() <= STATEMENT_LINES;
        let olds = lines_from(self.old, old_address);
        let news = lines_from(self.new, new_address);
        let beside = moved != 0
            && olds.iter().any(|(distance, file, line)| {
                near(*line) && news.contains(&(*distance, *file, line + moved))
            });
        beside || self.are_inlined_lines(old_address, old_value, new_address, new_value)
    }

    /// The same file name, wherever the directory: it may be given in another way, or not at all (`__FILE_NAME__`).
    fn is_own_file(&self, address: u64, name: &str) -> bool {
        let base = |path: &str| path.rsplit('/').next().unwrap_or_default().to_owned();
        let name = base(name);
        lines_from(self.new, address).iter().any(|(_, file, _)| base(file) == name)
    }

    fn parameter(&self, callee: u64, position: Option<usize>) -> Parameter {
        let Ok(Some(names)) = self.new.parameters(callee) else { return Parameter::Unknown };
        let of = |name: &str| if is_line(name) { Parameter::Line } else { Parameter::Other };
        match position {
            Some(position) => names.get(position).map_or(Parameter::Unknown, |name| of(name)),
            None if names.iter().any(|name| is_line(name)) => Parameter::Line,
            None => Parameter::Other,
        }
    }
}

impl Units for SourceLines<'_, '_> {
    fn old_thread_locals(&self) -> BTreeMap<u64, BTreeSet<String>> {
        self.old.thread_locals().unwrap_or_default()
    }

    fn new_thread_locals(&self) -> BTreeMap<u64, BTreeSet<String>> {
        self.new.thread_locals().unwrap_or_default()
    }

    fn old_path(&self, address: u64) -> Option<String> {
        self.old.sole_name(address).ok().flatten()
    }

    fn new_path(&self, address: u64) -> Option<String> {
        self.new.sole_name(address).ok().flatten()
    }

    fn old_unit(&self, address: u64) -> Option<String> {
        unit_of(self.old, address)
    }

    fn new_unit(&self, address: u64) -> Option<String> {
        unit_of(self.new, address)
    }
}

/// True for what parameters are called that take a line number.
fn is_line(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    name.contains("line") || ["ln", "lno", "lnum"].contains(&name.trim_matches('_'))
}

fn unit_of(debug: &DebugInfo<'_>, address: u64) -> Option<String> {
    match debug.units_at(address).ok()?.as_slice() {
        [unit] => debug.unit_name(*unit).ok().map(str::to_owned),
        _ => None,
    }
}

/// Tells which source file a function is from.
pub trait Sources: Sync {
    /// The file of a function of the target, if it is known.
    fn old_source(&self, function: &Function) -> Option<String>;
    /// The file of a function of the replacement, if it is known.
    fn new_source(&self, function: &Function) -> Option<String>;
    /// What a function of the target was compiled with, if it is known.
    fn old_unit(&self, function: &Function) -> Option<String>;
    /// What a function of the replacement was compiled with, if it is known.
    fn new_unit(&self, function: &Function) -> Option<String>;
    /// The main file of the unit that a function of the replacement is in, if it is known.
    fn new_main_file(&self, function: &Function) -> Option<String>;
    /// True for a function of the target that no compiler made. Without debugging information none is known.
    fn is_assembly(&self, function: &Function) -> bool;
}

/// The debugging information of the target and of the replacement.
impl Sources for [Option<&DebugInfo<'_>>; 2] {
    fn old_source(&self, function: &Function) -> Option<String> {
        source_of(self[0], function)
    }

    fn new_source(&self, function: &Function) -> Option<String> {
        source_of(self[1], function)
    }

    fn old_unit(&self, function: &Function) -> Option<String> {
        compiled_with(self[0], function)
    }

    fn new_unit(&self, function: &Function) -> Option<String> {
        compiled_with(self[1], function)
    }

    fn new_main_file(&self, function: &Function) -> Option<String> {
        match self[1] {
            Some(debug) => unit_of(debug, function.address()),
            None => function.source.as_deref().map(str::to_owned),
        }
    }

    fn is_assembly(&self, function: &Function) -> bool {
        self[0].is_some_and(|debug| debug.is_assembly(function.address()).unwrap_or(false))
    }
}

/// What a function was compiled with: its unit, or the file that the symbol table names, which is that of the unit.
fn compiled_with(debug: Option<&DebugInfo<'_>>, function: &Function) -> Option<String> {
    match debug {
        Some(debug) => debug.compiled_with(function.address()).ok().flatten(),
        None => function.source.as_deref().map(crate::dwarf::label),
    }
}

/// The source file of a function, from debugging information if there is any, else from the symbol table.
fn source_of(debug: Option<&DebugInfo<'_>>, function: &Function) -> Option<String> {
    let described = debug.and_then(|debug| debug.decl_file(function.address()).ok().flatten());
    described.or_else(|| function.source.as_deref().map(str::to_owned))
}

impl SourceLines<'_, '_> {
    /// True if the numbers are the lines where one function that was inlined here is defined: functions that a macro
    /// defines lie on one line as a whole, and line tables need not show it.
    ///
    /// A function that the compiler made as a copy of another one (-fipa-icf) has no description, so that it is not
    /// known what was inlined: any function of its unit counts.
    fn are_inlined_lines(&self, old_address: u64, old_value: u64, new_address: u64, new_value: u64) -> bool {
        let olds = inlined_from(self.old, old_address, old_value);
        let news = inlined_from(self.new, new_address, new_value);
        olds.iter().any(|old| !old.0.is_empty() && news.contains(old))
    }
}

/// Name and file of the functions that are defined on `line` and may have been inlined at `address`.
fn inlined_from(debug: &DebugInfo<'_>, address: u64, line: u64) -> Vec<(String, Option<String>)> {
    if debug.is_described(address).unwrap_or(true) {
        let inlined = debug.inlined_functions(address).unwrap_or_default();
        let on_line = inlined.into_iter().filter(|function| function.line.map(u64::from) == Some(line));
        on_line.map(|function| (function.name, function.file)).collect()
    } else {
        debug.functions_on_line(address, line).unwrap_or_default()
    }
}

/// The lines from `address` on: distance of their first instruction, file and line.
fn lines_from<'d>(debug: &'d DebugInfo<'_>, address: u64) -> Vec<(u64, &'d str, i64)> {
    let units = debug.units_at(address).unwrap_or_default();
    let tables = units.into_iter().filter_map(|unit| debug.lines(unit).ok());
    tables
        .flat_map(|table| table.lines_in(address..address + STATEMENT_BYTES))
        .map(|(at, line)| (at - address, line.file, i64::from(line.line)))
        .collect()
}
