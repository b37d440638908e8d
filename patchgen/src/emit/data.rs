//! Data that the patch brings along.

use super::builder::Builder;
use super::delta;
use super::imports::Definition;
use super::place::{NoPlace, Placed};
use crate::image::{Access, ObjectId, Pointer};
use crate::report::RefusalKind;
use patchfile::{
    Delta, LinkAddr, Place, Relocation, RelocationKind, Section, SectionContents, SectionKind, Sha256,
    SymbolKind,
};

/// Largest alignment that is kept for copied data: a cache line, and the widest vector.
const MAX_ALIGN: u64 = 64;

/// The alignment that `address` shows, at most [`MAX_ALIGN`].
pub(super) fn alignment_of(address: u64) -> u64 {
    1 << address.trailing_zeros().min(MAX_ALIGN.trailing_zeros())
}

impl Builder<'_, '_, '_> {
    /// Adds a read-only section with one symbol.
    pub(super) fn read_only(
        &mut self,
        section_name: String,
        name: String,
        bytes: Vec<u8>,
        align: u64,
        relocations: Vec<Relocation>,
    ) -> usize {
        let section = self.sections.len();
        let size = bytes.len() as u64;
        self.sections.push(Section {
            name: section_name,
            kind: SectionKind::ReadOnly,
            align,
            contents: SectionContents::Bytes(bytes),
            relocations,
        });
        self.symbol(name, Place::Patch { section, offset: 0 }, size, SymbolKind::Object)
    }

    /// An unnamed constant of known extent; the same one is kept once.
    pub(super) fn constant(&mut self, bytes: Vec<u8>, align: u64) -> usize {
        let key = (bytes.clone(), align);
        if let Some(symbol) = self.constant_symbols.get(&key) {
            return *symbol;
        }
        let name = format!("constant_{}", self.constant_symbols.len());
        let section =
            if align == 1 { ".rodata.str".to_owned() } else { format!(".rodata.cst{}", bytes.len()) };
        let symbol = self.read_only(section, name, bytes, align, Vec::new());
        self.constant_symbols.insert(key, symbol);
        symbol
    }

    /// The new object with the new variables, or constants, right before and behind it, all of them without pointers. They
    /// stay side by side, so that an address means the same as one's end and as the next one's start.
    pub(super) fn neighbours(&self, id: ObjectId) -> Vec<ObjectId> {
        let image = &self.input.pair.new.image;
        let fits = |id: ObjectId| {
            let object = image.object(id);
            object.sized
                && !object.is_relative_table()
                && self.input.matching.old_object(id).is_none()
                && !self.input.matching.is_ambiguous(id)
                && crate::diff::data_pointers(image, object.range.clone()).is_empty()
        };
        let meet = |before: ObjectId, behind: ObjectId| {
            let (before, behind) = (image.object(before), image.object(behind));
            before.section == behind.section && before.range.end == behind.range.start
        };
        let mut found = vec![id];
        if !fits(id) {
            return found;
        }
        let last = image.objects.len() as u32;
        for next in (id.0 + 1..last).map(ObjectId) {
            if !fits(next) || !meet(found[found.len() - 1], next) {
                break;
            }
            found.push(next);
        }
        for before in (0..id.0).rev().map(ObjectId) {
            if !fits(before) || !meet(before, found[0]) {
                break;
            }
            found.insert(0, before);
        }
        found
    }

    /// The symbol of a new object whose contents come later.
    pub(super) fn declare_object(&mut self, id: ObjectId) -> usize {
        let image = &self.input.pair.new.image;
        let object = image.object(id);
        let together = self.neighbours(id);
        let first = image.object(together[0]).range.start;
        let last = image.object(together[together.len() - 1]).range.end;
        // Several keep their place relative to a cache line.
        let (align, lead) = match together.len() {
            1 => (alignment_of(first), 0),
            _ => (MAX_ALIGN, first % MAX_ALIGN),
        };
        let size = last - first + lead;
        let access = image.sections[object.section].access;
        let (prefix, kind) = match access {
            Access::Write => (".data", SectionKind::Data),
            _ => (".rodata", SectionKind::ReadOnly),
        };
        let contents = match image.bytes(first..last) {
            Some(bytes) => SectionContents::Bytes([&vec![0; lead as usize], bytes].concat()),
            None if kind == SectionKind::ReadOnly => SectionContents::Bytes(vec![0; size as usize]),
            None => SectionContents::Zero(size),
        };
        let section = self.sections.len();
        self.sections.push(Section {
            name: format!("{prefix}.{}", image.object(together[0]).name),
            kind,
            align,
            contents,
            relocations: Vec::new(),
        });
        for id in together {
            let object = image.object(id);
            let place = Place::Patch { section, offset: object.range.start - first + lead };
            let size = object.range.end - object.range.start;
            if object.source.is_none() && image.exports.contains(&object.name) {
                self.exports.insert(object.name.clone());
            }
            let symbol = self.symbol(object.name.clone(), place, size, SymbolKind::Object);
            self.object_symbols.insert(id, symbol);
        }
        self.object_symbols[&id]
    }

    /// Fills in the pointers of a declared object.
    pub(super) fn object(&mut self, id: ObjectId) {
        let image = &self.input.pair.new.image;
        let object = image.object(id).clone();
        let Place::Patch { section, .. } = self.symbols[self.object_symbols[&id]].place else { return };
        if !object.sized {
            let detail = "it has no size, so its extent is not known".to_owned();
            self.refuse_object(&object.name, RefusalKind::UnknownReference, detail);
            return;
        }
        if object.is_relative_table() {
            let size = object.range.end - object.range.start;
            match self.distances(None, object.range.start) {
                Ok(relocations) => {
                    let inside =
                        relocations.into_iter().filter(|relocation| relocation.offset < size).collect();
                    self.sections[section].contents = SectionContents::Bytes(vec![0; size as usize]);
                    self.sections[section].relocations = inside;
                }
                Err(NoPlace { kind, subject, detail }) => {
                    self.refuse_object(&object.name, kind, format!("its distance to {subject}: {detail}"));
                }
            }
            return;
        }
        if image.may_hide_pointers() && !crate::diff::data_pointers(image, object.range.clone()).is_empty() {
            let detail = "a number in it may be an address".to_owned();
            self.refuse_object(&object.name, RefusalKind::MaybeAddress, detail);
            return;
        }
        if let Err(NoPlace { kind, subject, detail }) = self.check_ends_in(object.range.clone()) {
            self.refuse_object(&object.name, kind, format!("its pointer to {subject}: {detail}"));
        }
        let mut relocations: Vec<Relocation> = Vec::new();
        for (address, pointer) in crate::diff::data_pointers(image, object.range.clone()) {
            match self.place_pointer(&object.name, &pointer) {
                Ok(to) => relocations.push(Relocation {
                    offset: address - object.range.start,
                    kind: RelocationKind::Abs64,
                    symbol: to.symbol,
                    addend: to.offset,
                }),
                Err(NoPlace { kind, subject, detail }) => {
                    self.refuse_object(&object.name, kind, format!("its pointer to {subject}: {detail}"));
                }
            }
        }
        if let SectionContents::Bytes(bytes) = &mut self.sections[section].contents {
            for relocation in &relocations {
                let at = relocation.offset as usize;
                bytes[at..at + 8].fill(0);
            }
        }
        self.sections[section].relocations = relocations;
    }

    pub(super) fn place_pointer(&mut self, name: &str, pointer: &Pointer) -> Result<Placed, NoPlace> {
        let refuse =
            |kind, detail: &str| Err(NoPlace { kind, subject: name.to_owned(), detail: detail.to_owned() });
        match pointer {
            Pointer::Address(address) => self.place_address(*address),
            Pointer::Symbol { addend, .. } => match self.definition(pointer)? {
                Definition::New(own) => self.place_address(own.wrapping_add_signed(*addend)),
                Definition::Import(symbol) => Ok(Placed { symbol, offset: *addend }),
            },
            Pointer::ThreadLocal { .. } => {
                refuse(RefusalKind::ThreadLocal, "thread-local storage in new data")
            }
            Pointer::Copied(_) => refuse(
                RefusalKind::NewImport,
                "the target does not use this variable of a library, and the new build has a copy of it; compile the \
                 file with -fPIC, which reaches it through a slot",
            ),
            _ => refuse(RefusalKind::UnknownReference, "its relocation type is not understood"),
        }
    }

    fn refuse_object(&mut self, name: &str, kind: RefusalKind, detail: String) {
        self.refusals.entry((kind, name.to_owned(), detail)).or_default();
    }

    /// A place in unnamed read-only data of unknown extent: the whole section comes along, as a difference to the
    /// target's section of the same name.
    pub(super) fn carry(&mut self, address: u64) -> Result<Placed, NoPlace> {
        let (old, new) = (&self.input.pair.old.image, &self.input.pair.new.image);
        let unknown = || NoPlace {
            kind: RefusalKind::UnknownReference,
            subject: format!("{address:#x}"),
            detail: "it lies in no section".to_owned(),
        };
        let section = new.section_at(address).ok_or_else(unknown)?;
        let start = section.range.start;
        // The copy keeps its place relative to a cache line, so that aligned accesses stay aligned.
        let lead = start % MAX_ALIGN;
        let placed = |symbol| Placed { symbol, offset: (address - start + lead) as i64 };
        if let Some(symbol) = self.carried.get(&start) {
            return Ok(placed(*symbol));
        }
        let base = old.sections.iter().find(|other| other.name == section.name);
        let (base_start, base_data) = base.map_or((0, &[][..]), |base| (base.range.start, base.data));
        let mut contents = vec![0; lead as usize];
        contents.extend_from_slice(section.data);
        let ops = delta::difference(LinkAddr(base_start), base_data, &contents);
        let len = contents.len() as u64;
        let name = section.name.clone();
        let index = self.sections.len();
        self.sections.push(Section {
            name: format!("{name}.image"),
            kind: SectionKind::ReadOnly,
            align: MAX_ALIGN,
            contents: SectionContents::Delta(Delta { len, sha256: Sha256::of(&contents), ops }),
            relocations: Vec::new(),
        });
        let place = Place::Patch { section: index, offset: 0 };
        let symbol = self.symbol(format!("{name}.image"), place, len, SymbolKind::Object);
        self.carried.insert(start, symbol);
        Ok(placed(symbol))
    }
}
