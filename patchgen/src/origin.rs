//! Which source each instruction of a function comes from: the function itself or one that was inlined.

use crate::dwarf::{DebugInfo, DwarfError, InlinedCode, InlinedFunction, LineTable};
use crate::image::Function;

/// A function of the source: name and file. None is the function itself, whose code is looked at.
pub(crate) type Frame = Option<(String, String)>;

/// Where an instruction comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Origin {
    /// Whose source it is.
    pub(crate) frame: Frame,
    /// Line in the file.
    pub(crate) line: u32,
    /// Lines behind the one where the frame's function begins.
    pub(crate) distance: i64,
}

/// The debugging information of one function.
pub(crate) struct Origins<'d> {
    lines: &'d LineTable,
    decl_line: u32,
    /// Its source file.
    pub(crate) file: String,
    inlined: Vec<InlinedCode>,
}

impl<'d> Origins<'d> {
    /// None if the function is not described, or several share its code.
    pub(crate) fn of(debug: &'d DebugInfo<'_>, function: &Function) -> Result<Option<Self>, DwarfError> {
        let address = function.address();
        let [unit] = debug.units_at(address)?[..] else { return Ok(None) };
        let (Some(decl_line), Some(file)) = (debug.decl_line(address)?, debug.decl_file(address)?) else {
            return Ok(None);
        };
        let inlined = debug.inlined_code(address)?;
        Ok(Some(Origins { lines: debug.lines(unit)?, decl_line, file, inlined }))
    }

    /// Where the instruction at a link address comes from.
    pub(crate) fn at(&self, address: u64) -> Option<Origin> {
        let line = self.lines.line_at(address)?;
        let (frame, start, file) = match self.innermost(address) {
            Some(inlined) => {
                let file = inlined.file.clone()?;
                (Some((inlined.name.clone(), file.clone())), inlined.line?, file)
            }
            None => (None, self.decl_line, self.file.clone()),
        };
        // A macro or a file that is included in the function's middle has other lines.
        (line.line >= start && line.file == file).then(|| Origin {
            frame,
            line: line.line,
            distance: i64::from(line.line) - i64::from(start),
        })
    }

    /// The inlined function that an instruction belongs to; callers stand before what was inlined into them.
    fn innermost(&self, address: u64) -> Option<&InlinedFunction> {
        let holding = |inlined: &&InlinedCode| inlined.ranges.iter().any(|range| range.contains(&address));
        self.inlined.iter().rev().find(holding).map(|inlined| &inlined.function)
    }

    /// The functions through which `frame` came here, outermost first, if it came only one way.
    pub(crate) fn way_to(&self, frame: &(String, String)) -> Option<Vec<String>> {
        let mut ways: Vec<Vec<String>> = Vec::new();
        let mut open: Vec<String> = Vec::new();
        for InlinedCode { function, .. } in &self.inlined {
            open.truncate(function.depth);
            if function.name == frame.0 && function.file.as_ref() == Some(&frame.1) && !ways.contains(&open) {
                ways.push(open.clone());
            }
            open.push(function.name.clone());
        }
        match ways.len() {
            1 => ways.pop(),
            _ => None,
        }
    }

    /// Name and file of everything that was inlined and has code.
    pub(crate) fn inlined_frames(&self) -> impl Iterator<Item = (String, String)> {
        let with_code = self.inlined.iter().filter(|inlined| !inlined.ranges.is_empty());
        with_code.filter_map(|inlined| Some((inlined.function.name.clone(), inlined.function.file.clone()?)))
    }
}
