//! Copies functions of the replacement into the patch, with a relocation for every reference.

use super::alignment::Demands;
use super::builder::{Builder, pc_relative};
use super::data::alignment_of;
use super::place::{NoPlace, Placed, User};
use crate::code::{Form, JumpTable, Reference, Use};
use crate::image::FunctionId;
use crate::report::RefusalKind;
use object::elf;
use patchfile::format::NEAR_JUMP_LEN;
use patchfile::{Place, Relocation, RelocationKind, Section, SectionContents, SectionKind, SymbolKind};
use std::collections::HashMap;

/// Least alignment of copied code, that of functions under -O2 (gcc, "-falign-functions").
const MIN_CODE_ALIGN: u64 = 16;

impl Builder<'_, '_, '_> {
    /// Makes a section and a symbol for each part of a function. [`Builder::function`] fills them.
    pub(super) fn declare_parts(&mut self, id: FunctionId) {
        if self.function_symbols.contains_key(&(id, 0)) {
            return;
        }
        let function = self.input.pair.new.image.function(id).clone();
        for (part, range) in function.parts.iter().enumerate() {
            let name = if part == 0 { function.name.clone() } else { format!("{}.cold", function.name) };
            let section = self.sections.len();
            let size = range.end - range.start;
            self.sections.push(Section {
                name: format!(".text.{name}"),
                kind: SectionKind::Text,
                align: alignment_of(range.start).max(MIN_CODE_ALIGN),
                contents: SectionContents::Bytes(vec![0xcc; size as usize]),
                relocations: Vec::new(),
            });
            let symbol = self.symbol(name, Place::Patch { section, offset: 0 }, size, SymbolKind::Function);
            self.function_symbols.insert((id, part), symbol);
        }
    }

    /// Copies the code of a function.
    pub(super) fn function(&mut self, id: FunctionId) {
        self.declare_parts(id);
        let program = self.input.pair.new;
        let function = program.image.function(id).clone();
        let code = program.code(id);
        let demands = Demands::of(program, id);
        let mut tables: HashMap<u64, usize> = HashMap::new();
        for table in &code.tables {
            let symbol = self.jump_table(id, table);
            tables.insert(table.address, symbol);
        }
        for table in &code.distances {
            match self.table_of_distances(Some(id), *table, &format!("{}.distances", function.name)) {
                Ok(symbol) => drop(tables.insert(*table, symbol)),
                Err(no_place) => self.refuse_reference(no_place, *table, id),
            }
        }
        for table in &code.maybe_distances {
            let home = program.image.section_at(*table).map(|section| section.range.clone());
            let inside = |to: &u64| home.as_ref().is_some_and(|home| home.contains(to));
            if !program.distances(*table).iter().all(inside) {
                let detail = "it may hold distances to places outside its section".to_owned();
                self.refuse(RefusalKind::UnknownReference, &function.name, detail, id);
            }
        }
        for (part, range) in function.parts.iter().enumerate() {
            let Some(bytes) = program.image.bytes(range.clone()) else { continue };
            if let Err(disagreement) = self.reader.check(bytes, range.start) {
                self.refuse(RefusalKind::Undecodable, &function.name, disagreement.to_string(), id);
                continue;
            }
            let mut out =
                CodeCopy { bytes: bytes.to_vec(), relocations: Vec::new(), veneers: HashMap::new() };
            for reference in code.references.iter().filter(|reference| usize::from(reference.part) == part) {
                let placed = match tables.get(&reference.target) {
                    Some(table) => {
                        self.check_table(id, reference).map(|()| Placed { symbol: *table, offset: 0 })
                    }
                    None => match self.place_zero_slot(id, reference) {
                        Some(placed) => placed,
                        None => self
                            .check_biased(id, reference)
                            .and_then(|()| self.place(Some(id), &reference.referent, reference.usage)),
                    },
                };
                let aligned = placed.and_then(|placed| {
                    if let Place::Target(address) = self.symbols[placed.symbol].place {
                        demands.check(program, reference, address.0.wrapping_add_signed(placed.offset))?;
                    }
                    Ok(placed)
                });
                let result = aligned.and_then(|placed| out.relocate(reference, placed, &function.name));
                if let Err(no_place) = result {
                    self.refuse_reference(no_place, range.start + u64::from(reference.offset), id);
                }
            }
            for field in code.thread_locals.fields.iter().filter(|field| usize::from(field.part) == part) {
                match self.thread_local_number(id, field, &demands) {
                    Ok(number) => {
                        let at = field.offset as usize;
                        out.bytes[at..at + 4].copy_from_slice(&number.to_le_bytes());
                    }
                    Err(no_place) => {
                        self.refuse_reference(no_place, range.start + u64::from(field.offset), id);
                    }
                }
            }
            let symbol = self.function_symbols[&(id, part)];
            let Place::Patch { section, .. } = self.symbols[symbol].place else { continue };
            out.relocations.sort_by_key(|relocation| relocation.offset);
            self.symbols[symbol].size = out.bytes.len() as u64;
            self.sections[section].contents = SectionContents::Bytes(out.bytes);
            self.sections[section].relocations = out.relocations;
        }
        self.unwind_tables(id);
    }

    /// Copies a table of distances from its own start to data.
    fn table_of_distances(&mut self, user: User, table: u64, name: &str) -> Result<usize, NoPlace> {
        let relocations = self.distances(user, table)?;
        let bytes = vec![0; relocations.len() * 4];
        Ok(self.read_only(format!(".rodata.{name}"), name.to_owned(), bytes, 4, relocations))
    }

    /// The relocations for a copy of the table of distances at `table`.
    pub(super) fn distances(&mut self, user: User, table: u64) -> Result<Vec<Relocation>, NoPlace> {
        let mut relocations = Vec::new();
        for (index, target) in self.input.pair.new.distances(table).into_iter().enumerate() {
            let referent = self.input.pair.new.image.resolve(target, None);
            let to = self.place(user, &referent, Use::Address)?;
            let at = index as u64 * 4;
            // As in a jump table: target - table = target - entry + at.
            let addend = to.offset + at as i64;
            relocations.push(Relocation {
                offset: at,
                kind: RelocationKind::Pc32,
                symbol: to.symbol,
                addend,
            });
        }
        Ok(relocations)
    }

    /// Copies a jump table beside its function, leading to the copied code.
    fn jump_table(&mut self, id: FunctionId, table: &JumpTable) -> usize {
        let size = table.entry_size();
        let mut relocations = Vec::new();
        for (index, (part, offset)) in table.entries.iter().enumerate() {
            let at = index as u64 * size;
            let symbol = self.part_symbol(id, usize::from(*part));
            relocations.push(if table.absolute {
                Relocation { offset: at, kind: RelocationKind::Abs64, symbol, addend: i64::from(*offset) }
            } else {
                // An entry is the distance from the table's start: target - table = target - entry + at.
                let addend = i64::from(*offset) + at as i64;
                Relocation { offset: at, kind: RelocationKind::Pc32, symbol, addend }
            });
        }
        let name = self.input.pair.new.image.function(id).name.clone();
        let bytes = vec![0; table.entries.len() * size as usize];
        self.read_only(format!(".rodata.{name}.table"), format!("{name}.table"), bytes, size, relocations)
    }
}

struct CodeCopy {
    bytes: Vec<u8>,
    relocations: Vec<Relocation>,
    /// Near jumps behind the code, for short branches that leave it, by where they lead.
    veneers: HashMap<(usize, i64), u64>,
}

impl CodeCopy {
    fn relocate(&mut self, reference: &Reference, to: Placed, name: &str) -> Result<(), NoPlace> {
        let (offset, end) = (u64::from(reference.offset), u64::from(reference.end));
        match (reference.form, reference.width) {
            (Form::Branch { .. }, 1) => return self.short_branch(offset, end, to, name),
            (Form::Branch { .. } | Form::RipRelative, _) => {
                self.relocations.push(pc_relative(offset, end, to));
            }
            (Form::Absolute { kind, .. }, _) => {
                let kind = if kind == elf::R_X86_64_64.0 {
                    RelocationKind::Abs64
                } else if kind == elf::R_X86_64_32.0 {
                    RelocationKind::Abs32
                } else if kind == elf::R_X86_64_32S.0 {
                    RelocationKind::Abs32S
                } else {
                    return Err(NoPlace {
                        kind: RefusalKind::UnknownReference,
                        subject: name.to_owned(),
                        detail: format!("relocation type {kind} in code is not supported"),
                    });
                };
                self.relocations.push(Relocation { offset, kind, symbol: to.symbol, addend: to.offset });
            }
        }
        let field = offset as usize..offset as usize + usize::from(reference.width);
        self.bytes[field].fill(0);
        Ok(())
    }

    /// A two-byte branch that leaves the function cannot reach anything in the process: it goes to a near jump
    /// behind the code.
    fn short_branch(&mut self, offset: u64, end: u64, to: Placed, name: &str) -> Result<(), NoPlace> {
        let veneer = *self.veneers.entry((to.symbol, to.offset)).or_insert_with(|| {
            let veneer = self.bytes.len() as u64;
            self.bytes.extend_from_slice(&[0xe9, 0, 0, 0, 0]);
            self.relocations.push(pc_relative(veneer + 1, veneer + NEAR_JUMP_LEN as u64, to));
            veneer
        });
        match i8::try_from(veneer as i64 - end as i64) {
            Ok(distance) => {
                self.bytes[offset as usize] = distance.to_le_bytes()[0];
                Ok(())
            }
            Err(_) => Err(NoPlace {
                kind: RefusalKind::ShortBranch,
                subject: name.to_owned(),
                detail: "a short branch leaves the function too far from its end".to_owned(),
            }),
        }
    }
}
