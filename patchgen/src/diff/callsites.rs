//! What the macros of crate tracing keep of a place in the source that logs: statics `__CALLSITE` and, in them,
//! `tracing_core::Metadata` with the place's file and line. A running program keeps those that it has, so that what they
//! tell of a line may be old; they are the same if nothing else differs.

use super::same::{Difference, Sameness};
use crate::code::Program;
use crate::image::{MAX_LINE, ObjectId, is_metadata};
use std::ops::Range;

/// Where a place's metadata tell its line, as offsets.
struct Lines {
    /// The number, in an `Option<u32>`.
    line: u64,
    /// Pointer and length of the name, `event FILE:LINE`; spans have names of their own.
    name: Option<u64>,
}

/// Largest metadata that are believed, in bytes.
const MAX_SIZE: u64 = 256;

impl Sameness<'_, '_, '_> {
    /// Compares the metadata of two places that log; None if that is not what they are. Lines may differ.
    pub(super) fn metadata(&self, old: ObjectId, new: ObjectId) -> Option<Result<(), Difference>> {
        let (old_image, new_image) = (&self.pair.old.image, &self.pair.new.image);
        let (a, b) = (old_image.object(old), new_image.object(new));
        if !is_metadata(&a.name) || !is_metadata(&b.name) {
            return None;
        }
        let (a, b) = (a.range.clone(), b.range.clone());
        let size = a.end - a.start;
        if size != b.end - b.start || size > MAX_SIZE || !size.is_multiple_of(8) {
            return None;
        }
        let lines = self.lines(a.start..a.end, b.start..b.end)?;
        let mut different: Vec<(u64, u64)> = lines.name.map(|name| (name, name + 16)).into_iter().collect();
        different.push((lines.line, lines.line + 4));
        different.sort_unstable();
        different.push((size, size));
        let mut from = 0;
        for (start, end) in different {
            let same = self.data(a.start + from..a.start + start, b.start + from..b.start + start);
            if same.is_err() {
                return Some(same);
            }
            from = end;
        }
        Some(Ok(()))
    }

    /// Where the lines stand in the metadata `old` and `new` of one file, if they are not the same.
    fn lines(&self, old: Range<u64>, new: Range<u64>) -> Option<Lines> {
        let (old_program, new_program) = (self.pair.old, self.pair.new);
        let size = old.end - old.start;
        let text = |program: &'_ Program<'_>, start: u64, offset: u64| {
            program.image.name_at(start + offset).map(<[u8]>::to_vec)
        };
        let texts = (0..size - 8).step_by(8).filter_map(|offset| {
            Some((offset, text(old_program, old.start, offset)?, text(new_program, new.start, offset)?))
        });
        let texts: Vec<_> = texts.collect();
        let mut files = texts.iter().filter(|(_, old, new)| old.ends_with(b".rs") && old == new);
        let (_, file, _) = files.next()?;
        let number = |program: &Program<'_>, at: u64| {
            let bytes = program.image.bytes(at..at + 4)?.try_into().ok()?;
            Some(u32::from_le_bytes(bytes))
        };
        // The discriminant of `Some`, then the line.
        let line_at = |offset: u64| {
            let numbers =
                |at: u64| Some((number(old_program, old.start + at)?, number(new_program, new.start + at)?));
            let line = numbers(offset).filter(|(old, new)| {
                old != new && (1..=MAX_LINE).contains(old) && (1..=MAX_LINE).contains(new)
            })?;
            (numbers(offset - 4)? == (1, 1)).then_some(line)
        };
        let is_text = |offset: u64| texts.iter().any(|(at, ..)| (*at..*at + 16).contains(&offset));
        let (line, numbers) = (4..size)
            .step_by(4)
            .filter(|offset| !is_text(*offset))
            .find_map(|offset| Some((offset, line_at(offset)?)))?;
        let name = |line: u32| [b"event ", file.as_slice(), format!(":{line}").as_bytes()].concat();
        let names = (name(numbers.0), name(numbers.1));
        let name = texts.iter().find(|(_, old, new)| (old, new) == (&names.0, &names.1));
        Some(Lines { line, name: name.map(|(offset, ..)| *offset) })
    }
}
