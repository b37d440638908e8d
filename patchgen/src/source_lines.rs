//! Line numbers of both builds from their line tables.

use crate::diff::LineNumbers;
use crate::dwarf::DebugInfo;

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

/// Code around an instruction that may belong to the same statement: the compiler sets up arguments well before the
/// call, among instructions of other lines.
const STATEMENT_BYTES: u64 = 48;

impl LineNumbers for SourceLines<'_, '_> {
    /// True if both numbers lie beside a line of the code around their instruction, in the same file and at the
    /// same distance.
    fn are_lines(&self, old_address: u64, old_value: u64, new_address: u64, new_value: u64) -> bool {
        let near = |value: u64, line: i64| (value as i64 - line).unsigned_abs() <= STATEMENT_LINES;
        let news = lines_around(self.new, new_address);
        lines_around(self.old, old_address).into_iter().any(|(old_file, old_line)| {
            near(old_value, old_line)
                && news.iter().any(|(new_file, new_line)| {
                    *new_file == old_file && new_value as i64 - new_line == old_value as i64 - old_line
                })
        })
    }
}

/// Files and lines of the code around `address`.
fn lines_around<'d>(debug: &'d DebugInfo<'_>, address: u64) -> Vec<(&'d str, i64)> {
    let units = debug.units_at(address).unwrap_or_default();
    let tables = units.into_iter().filter_map(|unit| debug.lines(unit).ok());
    let range = address.saturating_sub(STATEMENT_BYTES)..address + STATEMENT_BYTES;
    tables
        .flat_map(|table| table.lines_in(range.clone()))
        .map(|(_, line)| (line.file, i64::from(line.line)))
        .collect()
}
