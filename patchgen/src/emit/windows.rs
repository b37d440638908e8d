//! Unnamed constants with pointers in them that come along: the stretch of the section that a function may reach from
//! the addresses that it takes.

use super::builder::Builder;
use super::data::alignment_of;
use super::place::{NoPlace, Placed, User};
use crate::code::Use;
use crate::diff::data_pointers;
use crate::report::RefusalKind;
use patchfile::{Relocation, RelocationKind};
use std::ops::Range;

/// Bytes that come along behind an address that may lie before the constant which it means.
const MAX_BEFORE: u64 = super::place::MAX_BEFORE;

/// Largest stretch that is taken along, in bytes.
const MAX_WINDOW: u64 = 1 << 20;

impl Builder<'_, '_, '_> {
    /// A place in unnamed constant data with pointers. What the same user refers to side by side stays side by side, so
    /// that an address means the same as the end of one constant and as the start of the next.
    pub(super) fn place_in_window(&mut self, user: User, address: u64) -> Result<Placed, NoPlace> {
        let window = self.window(user, address);
        let placed = |symbol| Placed { symbol, offset: (address - window.start) as i64 };
        if let Some(symbol) = self.windows.get(&(window.start, window.end)) {
            return Ok(placed(*symbol));
        }
        let image = &self.input.pair.new.image;
        let name = format!("pointers_{:x}", window.start);
        let too_large = window.end - window.start > MAX_WINDOW;
        let Some(bytes) = image.bytes(window.clone()).filter(|_| !too_large) else {
            let detail = "it holds pointers and its extent is not known".to_owned();
            return Err(NoPlace { kind: RefusalKind::UnknownReference, subject: name, detail });
        };
        let (mut bytes, align) = (bytes.to_vec(), alignment_of(window.start).max(8));
        let pointers = data_pointers(image, window.clone());
        for (at, _) in &pointers {
            let offset = (at - window.start) as usize;
            if let Some(field) = bytes.get_mut(offset..offset + 8) {
                field.fill(0);
            }
        }
        let symbol = self.read_only(".rodata.pointers".to_owned(), name.clone(), bytes, align, Vec::new());
        let section = self.sections.len() - 1;
        // Known before its pointers are followed: they may lead back.
        self.windows.insert((window.start, window.end), symbol);
        let mut relocations = Vec::new();
        for (at, pointer) in &pointers {
            let to = self.place_pointer(&name, pointer)?;
            let (offset, kind) = (at - window.start, RelocationKind::Abs64);
            relocations.push(Relocation { offset, kind, symbol: to.symbol, addend: to.offset });
        }
        self.sections[section].relocations = relocations;
        Ok(placed(symbol))
    }

    /// The stretch that comes along for a user of `address`.
    fn window(&self, user: User, address: u64) -> Range<u64> {
        let program = self.input.pair.new;
        let section =
            program.image.section_at(address).map_or(address..address, |section| section.range.clone());
        let taken = user.into_iter().flat_map(|user| &program.code(user).references);
        let taken =
            taken.filter(|reference| reference.usage == Use::Address).map(|reference| reference.target);
        let mut starts: Vec<u64> = taken.filter(|target| section.contains(target)).collect();
        starts.push(address);
        starts.sort_unstable();
        let mut window = 0..0;
        for start in starts {
            let reach = start..self.reach(start);
            if start > window.end || window.is_empty() {
                if window.contains(&address) {
                    break;
                }
                window = reach;
            } else {
                window.end = window.end.max(reach.end);
            }
        }
        window
    }

    /// How far what begins at `start` may reach. What does not look like a beginning may be an address before a table.
    fn reach(&self, start: u64) -> u64 {
        let program = self.input.pair.new;
        let at_least = if program.begins(start) { 0 } else { MAX_BEFORE };
        let mut end = start;
        while let Some(next) = program.piece_end(end) {
            end = next;
            if end - start >= at_least && (program.ends(start, end - start) || end - start > MAX_WINDOW) {
                break;
            }
        }
        end
    }
}
