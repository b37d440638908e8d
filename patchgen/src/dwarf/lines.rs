//! Line tables: which source line an instruction belongs to.

use std::ops::Range;

use super::DwarfError;
use super::debug_info::DebugInfo;
use super::unit::Unit;

/// The line table of one unit.
///
/// Tells a `__LINE__` that became an immediate from a real constant: the former equals the line of the
/// instruction, or of a neighbour in the same statement, in each build.
#[derive(Debug, Default)]
pub struct LineTable {
    files: Vec<String>,
    /// Sorted by address; each row holds up to the next one's address.
    rows: Vec<Row>,
}

#[derive(Debug, Clone, Copy)]
struct Row {
    address: u64,
    /// `None` ends a sequence: nothing is known of the addresses up to the next row.
    place: Option<Place>,
}

#[derive(Debug, Clone, Copy)]
struct Place {
    file: u32,
    line: u32,
}

/// A line of a source file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SourceLine<'t> {
    /// Path as the compiler was given it, without the build directory; may be empty if it is not recorded.
    pub file: &'t str,
    /// Line number, from 1.
    pub line: u32,
}

impl LineTable {
    /// The line that the instruction at a link address belongs to. `None` outside of the unit's code and for
    /// instructions that belong to no line.
    pub fn line_at(&self, address: u64) -> Option<SourceLine<'_>> {
        let after = self.rows.partition_point(|row| row.address <= address);
        self.resolve(self.rows[..after].last()?)
    }

    /// All lines, with the address where each begins, of the code in a range; in order of address.
    pub fn lines_in(&self, range: Range<u64>) -> impl Iterator<Item = (u64, SourceLine<'_>)> {
        let first = self.rows.partition_point(|row| row.address <= range.start).saturating_sub(1);
        let rows = self.rows[first..].iter().take_while(move |row| row.address < range.end);
        rows.filter_map(move |row| Some((row.address.max(range.start), self.resolve(row)?)))
    }

    fn resolve(&self, row: &Row) -> Option<SourceLine<'_>> {
        let place = row.place?;
        let file = self.files.get(place.file as usize).map_or("", String::as_str);
        Some(SourceLine { file, line: place.line })
    }

    /// Runs the unit's line number program.
    pub(super) fn parse<'s>(debug: &DebugInfo<'s>, unit: &Unit<'s>) -> Result<Self, DwarfError> {
        let error = |cause| debug.error("debug_line", cause);
        let Some(program) = unit.gimli().line_program.clone() else { return Ok(Self::default()) };
        let mut table = Vec::new();
        let mut sequence = Vec::new();
        let mut rows = program.rows();
        while let Some((_, row)) = rows.next_row().map_err(error)? {
            let place =
                row.line().map(|line| Place { file: row.file_index() as u32, line: line.get() as u32 });
            let ends = row.end_sequence();
            sequence.push(Row { address: row.address(), place: place.filter(|_| !ends) });
            if ends {
                // ld sets the addresses of code that it dropped to 0.
                if sequence[0].address != 0 {
                    table.append(&mut sequence);
                }
                sequence.clear();
            }
        }
        // Where sequences touch, the end of one must not hide the start of the other. Of several rows at one
        // address in a sequence the last counts: the others cover no code.
        table.sort_by_key(|row: &Row| (row.address, row.place.is_some()));
        let mut unique: Vec<Row> = Vec::with_capacity(table.len());
        for row in table {
            match unique.last_mut() {
                Some(last) if last.address == row.address => *last = row,
                _ => unique.push(row),
            }
        }
        let header = rows.header();
        let count = header.file_names().len() as u64;
        let files = (0..=count)
            .map(|index| unit.source_file(debug, header, index).map(Option::unwrap_or_default))
            .collect::<Result<_, _>>()?;
        Ok(Self { files, rows: unique })
    }
}
