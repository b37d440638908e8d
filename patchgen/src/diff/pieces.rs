//! Comparing unnamed constants of Rust programs.
//!
//! Nothing ends them: strings have no NUL, and of tables only the start is known. What anything refers to divides
//! constant data into pieces, and each constant begins a piece, since the linker keeps none to which nothing refers. A
//! constant is one piece, or several if something refers into its middle. So pieces are compared one after the other up
//! to where both builds tell that the constant ends.

use super::same::{Sameness, Trail};
use crate::code::template_len;
use crate::code::{Program, Use};
use crate::image::{Extent, FunctionId};

/// Bytes up to which a constant is followed if nothing tells its end.
const MAX_FOLLOWED: u64 = 4096;

/// Zeros between a constant and the next one, which is aligned, in bytes; at most one less than this.
const MAX_PADDING: usize = 64;

/// Bytes of what drops an object, its size and its alignment, with which a trait object's table begins.
const VTABLE_HEADER: u64 = 24;

impl Sameness<'_, '_, '_> {
    /// Compares what begins at two addresses: what is not the same, if anything.
    pub(super) fn pieces(&self, old: u64, new: u64, trail: Option<&Trail>) -> Result<(), String> {
        let (old_program, new_program) = (self.pair.old, self.pair.new);
        if let (Some(a), Some(b)) = (old_program.image.location_at(old), new_program.image.location_at(new)) {
            return if a.names == b.names {
                Ok(())
            } else {
                Err("a place in the source is in another file".to_owned())
            };
        }
        let changed =
            || Err(self.changed_text(old, new).unwrap_or_else(|| "an unnamed constant changed".to_owned()));
        let mut done = 0;
        while done < MAX_FOLLOWED {
            let (a, b) = (old + done, new + done);
            let (Some(a_end), Some(b_end)) = (old_program.piece_end(a), new_program.piece_end(b)) else {
                // The section ends in one build or both.
                return if done > 0 { Ok(()) } else { Err("refers to data that cannot be read".to_owned()) };
            };
            let len = (a_end - a).min(b_end - b);
            if self.data_on(a..a + len, b..b + len, trail).is_err() {
                return changed();
            }
            done += len;
            let (a_end, b_end) = (old + done, new + done);
            // Who only looks for candidates is content with the first piece.
            if self.by_key {
                return Ok(());
            }
            let goes_on = old_program.may_go_on(old, done) && new_program.may_go_on(new, done);
            let told = old_program.ends(old, done) && new_program.ends(new, done);
            if !goes_on
                && (told
                    || self.matching.constants.are_apart(a_end, b_end)
                    || (old_program.is_described(a_end) && new_program.is_described(b_end)))
            {
                return Ok(());
            }
        }
        Ok(())
    }

    /// True if functions with the same references tell of other lines or columns when they panic.
    pub(super) fn moves_lines(&self, old: FunctionId, new: FunctionId) -> bool {
        let (old_program, new_program) = (self.pair.old, self.pair.new);
        let references = old_program.code(old).references.iter().zip(&new_program.code(new).references);
        let mut taken = references.filter(|(a, b)| a.usage == Use::Address && b.usage == Use::Address);
        new_program.image.is_rust
            && taken.any(|(a, b)| {
                let (a, b) =
                    (old_program.image.location_at(a.target), new_program.image.location_at(b.target));
                a.is_some() && b.is_some() && a != b
            })
    }

    /// What to say of two texts that differ.
    fn changed_text(&self, old: u64, new: u64) -> Option<String> {
        let text = |program: &Program<'_>, at: u64| {
            let end = program.lengths(at).find(|len| program.ends(at, *len)).map(|len| at + len);
            let bytes = program.image.bytes(at..end.or_else(|| program.piece_end(at))?)?;
            String::from_utf8(crate::code::without_padding(bytes).to_vec())
                .ok()
                .filter(|text| !text.is_empty())
        };
        let (a, b) = (text(self.pair.old, old)?, text(self.pair.new, new)?);
        let plain = |text: &str| !text.chars().any(|c| c.is_control() && !c.is_whitespace());
        (plain(&a) && plain(&b) && a != b).then(|| super::same::text_instead(b.as_bytes(), a.as_bytes()))
    }
}

/// The lengths in bytes that `told`, a number beside an address, may mean for a text: itself, or as
/// `core::fmt::Arguments` keeps it, twice and one more.
fn text_lengths(told: u64) -> impl Iterator<Item = u64> {
    [told, if told % 2 == 1 { told / 2 } else { 0 }].into_iter().filter(|len| *len > 0)
}

impl Program<'_> {
    /// The end of the piece of constant data that holds `address`.
    pub(crate) fn piece_end(&self, address: u64) -> Option<u64> {
        let section = self.image.section_at(address)?;
        let end = section.range.start + section.data.len() as u64;
        let end = self.next_boundary(address).map_or(end, |next| next.min(end));
        (end > address).then_some(end)
    }

    /// True if the constant at `start` is known to end `len` bytes behind it, or with zeros before that.
    pub(crate) fn ends(&self, start: u64, len: u64) -> bool {
        let end = start + len;
        let Some(section) = self.image.section_at(start) else { return true };
        if end >= section.range.start + section.data.len() as u64
            || self.image.object_at(end).is_some_and(|(_, offset)| offset == 0)
            || self.is_padding_of_object(end)
            || self.is_table(end)
            || self.image.location_at(end).is_some()
            || self.image.location_at(start).is_some_and(|location| location.size() == len)
            || self.template_at(start) == Some(len)
        {
            return true;
        }
        if matches!(self.constant(start), Some((Extent::Text(text), _)) if text == len) {
            return true;
        }
        self.lengths(start).any(|told| self.tells_end(start, told, len)) || self.is_vtable(start, len)
    }

    /// True if `told`, a number beside the address `start`, shows that the constant there ends `len` bytes behind it or
    /// with zeros before that: as the length of a text, or as a number of elements of 1, 2, 4, 8 or 16 bytes. Where it
    /// fits several sizes, the largest counts: the others may lead to a place inside.
    fn tells_end(&self, start: u64, told: u64, len: u64) -> bool {
        let is_text = |len: &u64| self.text(start, *len).is_some();
        let mut texts = text_lengths(told).filter(is_text).peekable();
        if texts.peek().is_some() {
            return texts.any(|text| self.is_end(start, text, len));
        }
        let fits = |size: &u64| {
            let aligned = start.is_multiple_of(8.min(*size)) && (told > 1 || *size == 1);
            told.checked_mul(*size).is_some_and(|all| aligned && self.end_of_piece(start + all).is_some())
        };
        let size = [16, 8, 4, 2, 1].into_iter().find(fits);
        size.is_some_and(|size| self.is_end(start, told * size, len))
    }

    /// True if what begins `len` bytes behind `start` may be the middle of the constant there: only operands with an
    /// index lead to it, or code checks that an index is below a length that leads to a later end.
    fn may_go_on(&self, start: u64, len: u64) -> bool {
        let larger = |all: u64| all > len && all <= MAX_FOLLOWED && self.end_of_piece(start + all).is_some();
        let shows = |told: u64| {
            let fits = |size: &u64| start.is_multiple_of(8.min(*size)) && told > 1 && larger(told * size);
            // Elements have at least one byte.
            (told > len && told <= MAX_FOLLOWED) || [16, 8, 4, 2].iter().any(fits)
        };
        self.is_indexed(start + len) || self.checked(start).any(shows)
    }

    /// True if `len` bytes behind `start` are `told` bytes and zeros up to where something else may begin.
    fn is_end(&self, start: u64, told: u64, len: u64) -> bool {
        told <= len && self.end_of_piece(start + told).is_some_and(|end| start + len <= end)
    }

    /// The end of the piece that ends at `end`, or with few zeros behind it.
    fn end_of_piece(&self, end: u64) -> Option<u64> {
        let whole = self.piece_end(end.checked_sub(1)?)?;
        let zeros = self.image.bytes(end..whole)?;
        let is_padding = zeros.len() < MAX_PADDING
            && zeros.iter().all(|byte| *byte == 0)
            && self.image.linkage.pointers_in(end..whole).is_empty();
        is_padding.then_some(whole)
    }

    /// True if nothing but zeros that align it lies between `end` and a named object.
    fn is_padding_of_object(&self, end: u64) -> bool {
        const ALIGN: u64 = 16;
        self.end_of_piece(end).is_some_and(|whole| {
            let object = self.image.object_at(whole);
            whole.is_multiple_of(ALIGN)
                && whole - end < ALIGN
                && object.is_some_and(|(_, offset)| offset == 0)
        })
    }

    /// The `len` bytes at `start` if they are a text.
    fn text(&self, start: u64, len: u64) -> Option<&str> {
        let bytes = self.image.bytes(start..start.checked_add(len)?)?;
        std::str::from_utf8(bytes).ok().filter(|text| !text.contains('\0'))
    }

    /// The length of the formatting template at `start`, if all of it reads as one.
    fn template_at(&self, start: u64) -> Option<u64> {
        let section = self.image.section_at(start)?;
        let bytes = section.data.get((start - section.range.start) as usize..)?;
        template_len(bytes).map(|len| len as u64)
    }

    /// True if what begins at `start` describes itself as one constant: a formatting template, or a text of which the
    /// length is told.
    fn is_described(&self, start: u64) -> bool {
        let is_whole = |len: u64| {
            let mut end = start;
            while end < start + len {
                match self.piece_end(end) {
                    Some(next) => end = next,
                    None => return true,
                }
            }
            end == start + len || self.ends(start, end - start)
        };
        let is_text = |len: &u64| self.text(start, *len).is_some();
        self.template_at(start).is_some_and(is_whole)
            || self.lengths(start).flat_map(text_lengths).filter(is_text).any(|len| len > 1 && is_whole(len))
    }

    /// True if a constant is known to begin at `start`: it looks like one, what is before it ends there, or somebody
    /// tells its length.
    pub(crate) fn begins(&self, start: u64) -> bool {
        let Some(section) = self.image.section_at(start) else { return false };
        let known = self.image.location_at(start).is_some()
            || self.image.object_ending_at(start).is_some()
            || start == section.range.start
            || self.piece_end(start).is_some_and(|end| self.is_vtable(start, end - start));
        known || self.piece_before(start).is_some_and(|before| self.ends(before, start - before))
    }

    /// True if the data looks like all of a trait object's table: what drops it, size, alignment, then functions and the
    /// tables of traits that the trait includes (rustc, `rustc_middle::ty::vtable`).
    fn is_vtable(&self, start: u64, len: u64) -> bool {
        let entries = || (start + VTABLE_HEADER..start + len).step_by(8);
        len > VTABLE_HEADER
            && len.is_multiple_of(8)
            && self.is_taken(start + len)
            && self.begins_vtable(start)
            && entries().all(|at| {
                self.leads_to_code(at) || self.pointer_at(at).is_some_and(|to| self.begins_vtable(to))
            })
    }

    /// True if the data begins as such a table does.
    fn begins_vtable(&self, start: u64) -> bool {
        let Some(bytes) = self.image.bytes(start..start + VTABLE_HEADER) else { return false };
        let word = |at: usize| bytes[at..at + 8].try_into().ok().map_or(0, u64::from_le_bytes);
        let (drop, align) = (word(0), word(16));
        let pointers = self.image.linkage.pointers_in(start..start + VTABLE_HEADER);
        start.is_multiple_of(8)
            && pointers.iter().all(|(at, _)| *at == start)
            && (self.leads_to_code(start) || (pointers.is_empty() && drop == 0))
            && align.is_power_of_two()
            && align <= 4096
            && word(8).is_multiple_of(align)
    }

    fn pointer_at(&self, at: u64) -> Option<u64> {
        match self.image.linkage.pointer_at(at) {
            Some(crate::image::Pointer::Address(to)) => Some(*to),
            _ => None,
        }
    }

    fn leads_to_code(&self, at: u64) -> bool {
        let function = self.pointer_at(at).and_then(|to| self.image.function_at(to));
        function.is_some_and(|(_, part, offset)| (part, offset) == (0, 0))
    }
}
