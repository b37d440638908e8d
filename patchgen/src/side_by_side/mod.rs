//! Old and new code of changed functions side by side: what a reviewer wants to see of a patch.
//!
//! Lines are aligned by their text, in which addresses are symbolic; padding is left out. Errs towards too much
//! difference: what is not shown to be the same in both is marked.

mod align;
mod lines;

use crate::code::Program;
use crate::error::InputError;
use crate::image::FunctionId;
use crate::references::part_sections;
pub(crate) use lines::{Line, image_lines};
use patchfile::{Change, Function, Patch, Sha256};
use serde::Serialize;
use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;

/// A changed function.
#[derive(Clone, Debug, Serialize)]
pub struct Comparison {
    /// Its name.
    pub name: String,
    /// Its source file, if known.
    pub source: Option<String>,
    /// Its code.
    pub rows: Vec<Row>,
}

/// One line of the comparison.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Row {
    /// How the two sides differ.
    pub mark: Mark,
    /// The old instruction.
    pub old: Option<String>,
    /// The new instruction.
    pub new: Option<String>,
}

/// How an old and a new instruction differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Mark {
    /// Not at all.
    Same,
    /// Both sides have another one.
    Changed,
    /// Only the old code has it.
    Removed,
    /// Only the new code has it.
    Added,
}

/// What the marks mean.
pub const LEGEND: &str = "\
old code on the left, new code on the right: | differs, < only old, > only new; padding is left out; new:NAME is in the patch
";

/// Compares the changed functions of `patch` with `old`, the target's image, which was read from `path`.
pub fn compare(patch: &Patch, old: &Program<'_>, path: &Path) -> Result<Vec<Comparison>, InputError> {
    let image = &old.image;
    if image.build_id != patch.target.build_id {
        return Err(InputError::NotTheTarget {
            path: path.to_owned(),
            found: image.build_id.to_string(),
            expected: patch.target.build_id.to_string(),
        });
    }
    let changed = patch.functions.iter().filter(|function| function.change == Change::Changed);
    changed
        .map(|function| {
            let id = old_function(function, old).ok_or_else(|| InputError::OtherCode {
                path: path.to_owned(),
                function: function.name.clone(),
            })?;
            let rows = rows(&lines::image_lines(old, id), &lines::new_lines(patch, function, old));
            Ok(Comparison { name: function.name.clone(), source: function.source.clone(), rows })
        })
        .collect()
}

/// The sections of `patch` that hold the new code of changed functions.
pub fn compared_sections(patch: &Patch) -> BTreeSet<usize> {
    let changed = patch.functions.iter().filter(|function| function.change == Change::Changed);
    changed.flat_map(|function| part_sections(patch, function)).collect()
}

/// The target's function with exactly the code that the patch replaces.
fn old_function(function: &Function, old: &Program<'_>) -> Option<FunctionId> {
    let (id, 0, 0) = old.image.function_at(function.old.first()?.address.0)? else { return None };
    let parts = &old.image.function(id).parts;
    let same = parts.len() == function.old.len()
        && parts.iter().zip(&function.old).all(|(part, range)| {
            let place = (range.address.0, range.address.0.checked_add(range.size));
            let bytes = old.image.bytes(part.clone()).unwrap_or_default();
            place == (part.start, Some(part.end)) && Sha256::of(bytes) == range.sha256
        });
    same.then_some(id)
}

/// Pairs of lines with the same text, wherever their branches lead.
pub(crate) fn align_lines(old: &[Line], new: &[Line]) -> Vec<(usize, usize)> {
    let text = |line: &Line| format!("{}{}", line.text, if line.target.is_some() { " ->" } else { "" });
    let texts = |lines: &[Line]| lines.iter().map(text).collect::<Vec<String>>();
    align::align(&texts(old), &texts(new))
}

fn rows(old: &[Line], new: &[Line]) -> Vec<Row> {
    let pairs = align_lines(old, new);
    let mut new_of: Vec<Option<usize>> = vec![None; old.len()];
    for (a, b) in &pairs {
        new_of[*a] = Some(*b);
    }
    // Where a branch leads: the first instruction at its target or behind padding there.
    let index = |lines: &[Line], target| lines.iter().position(|line| line.position >= target);
    let same_target = |a: &Line, b: &Line| match (a.target, b.target) {
        (Some(a), Some(b)) => match (index(old, a), index(new, b)) {
            (Some(a), Some(b)) => new_of[a] == Some(b),
            _ => false,
        },
        (None, None) => true,
        _ => false,
    };
    let mut rows = Vec::new();
    let mut done = (0, 0);
    for (a, b) in pairs.iter().copied().chain([(old.len(), new.len())]) {
        differing(&old[done.0..a], &new[done.1..b], &mut rows);
        done = (a + 1, b + 1);
        if let (Some(a), Some(b)) = (old.get(a), new.get(b)) {
            let mark = if same_target(a, b) { Mark::Same } else { Mark::Changed };
            rows.push(Row { mark, old: Some(a.shown()), new: Some(b.shown()) });
        }
    }
    rows
}

/// Lines of both sides between two that are the same.
fn differing(old: &[Line], new: &[Line], rows: &mut Vec<Row>) {
    for index in 0..old.len().max(new.len()) {
        let (old, new) = (old.get(index).map(Line::shown), new.get(index).map(Line::shown));
        let mark = match (&old, &new) {
            (Some(_), Some(_)) => Mark::Changed,
            (Some(_), None) => Mark::Removed,
            _ => Mark::Added,
        };
        rows.push(Row { mark, old, new });
    }
}

/// Widest column of old code; what is longer is cut.
const WIDEST: usize = 68;

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let source = self.source.as_ref().map(|source| format!(" ({source})")).unwrap_or_default();
        let with = |side: fn(&Row) -> bool| {
            self.rows.iter().filter(|row| row.mark != Mark::Same && side(row)).count()
        };
        writeln!(
            f,
            "{}{source}: of {} instructions {} differ or are gone, {} of {} differ or are new",
            self.name,
            self.rows.iter().filter(|row| row.old.is_some()).count(),
            with(|row| row.old.is_some()),
            with(|row| row.new.is_some()),
            self.rows.iter().filter(|row| row.new.is_some()).count(),
        )?;
        let lengths = self.rows.iter().filter_map(|row| row.old.as_ref()).map(|old| old.chars().count());
        let width = lengths.max().unwrap_or(0).min(WIDEST);
        for row in &self.rows {
            let mark = match row.mark {
                Mark::Same => ' ',
                Mark::Changed => '|',
                Mark::Removed => '<',
                Mark::Added => '>',
            };
            let old = cut(row.old.as_deref().unwrap_or_default(), width);
            let line = format!("{old:<width$} {mark} {}", row.new.as_deref().unwrap_or_default());
            writeln!(f, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    text.chars().take(width.saturating_sub(3)).chain("...".chars()).collect()
}
