//! Where a reference of the replacement leads in the patched process: a place in the target or in the patch.

use super::builder::{Builder, pc_relative};
use super::ends::Start;
use super::imports::Definition;
use crate::code::{Form, Reference, Use};
use crate::diff::data_pointers;
use crate::image::{Access, Extent, FunctionId, Image, ObjectId, Pointer, Referent, Slot};
use crate::report::RefusalKind;
use patchfile::{Place, Relocation, RelocationKind, Section, SectionContents, SectionKind, SymbolKind};

/// A symbol of the patch and a distance from it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Placed {
    pub(super) symbol: usize,
    pub(super) offset: i64,
}

/// Why a reference has no certain place.
pub(super) struct NoPlace {
    pub(super) kind: RefusalKind,
    pub(super) subject: String,
    pub(super) detail: String,
}

fn no<T>(kind: RefusalKind, subject: impl Into<String>, detail: impl Into<String>) -> Result<T, NoPlace> {
    Err(NoPlace { kind, subject: subject.into(), detail: detail.into() })
}

/// How far before an array's start an indexed operand may lie, in bytes.
pub(crate) const MAX_BIAS: u64 = 1 << 20;

/// How far before an array's start a loop's end may lie: the largest element that is believed to exist, in bytes.
pub(crate) const MAX_BEFORE: u64 = 4096;

/// Whoever refers: the function that does, if one does; a data object has none.
pub(super) type User = Option<FunctionId>;

impl Builder<'_, '_, '_> {
    /// The place of `referent`, an address in the replacement. New functions and objects are taken into the patch.
    pub(super) fn place(&mut self, user: User, referent: &Referent, usage: Use) -> Result<Placed, NoPlace> {
        // Who reads or writes at an address means what is there, not the end of what is before it.
        let image = &self.input.pair.new.image;
        let end = |ends_here: &Option<ObjectId>| {
            ends_here.filter(|before| usage == Use::Address && !image.object(*before).is_guard())
        };
        match referent {
            Referent::Code { function, part, offset } => self.place_code(user, *function, *part, *offset),
            Referent::Stub { slot } => {
                self.check_stub_address(*slot, usage)?;
                self.place_stub(*slot)
            }
            Referent::Slot { address } => self.place_slot(*address),
            Referent::Object { id, offset, certain: false, .. }
                if usage != Use::Address && self.is_behind(*id, *offset) =>
            {
                let name = &self.input.pair.new.image.object(*id).name;
                let detail = format!("what lies behind `{name}` is read or written there, and has no name");
                no(RefusalKind::UnknownReference, name.clone(), detail)
            }
            Referent::Object { id, offset, ends_here, certain } => {
                self.check_neighbour(*id, *offset, usage, *certain)?;
                self.check_unsized(*id, *offset, usage)?;
                self.place_object(user, *id, *offset, end(ends_here))
            }
            Referent::Constant { address, ends_here } => {
                self.place_constant(user, *address, end(ends_here), usage)
            }
            Referent::Unnamed { address } => no(
                RefusalKind::UnknownReference,
                format!("{address:#x}"),
                "there is no named object at this address",
            ),
            Referent::Outside { address } => {
                no(RefusalKind::UnknownReference, format!("{address:#x}"), "this address is not in the image")
            }
        }
    }

    /// True if this is the end of an object that has a size.
    fn is_behind(&self, id: ObjectId, offset: i64) -> bool {
        let range = &self.input.pair.new.image.object(id).range;
        !range.is_empty() && offset >= (range.end - range.start) as i64
    }

    /// Refuses an access at a symbol without a size, an assembler's variable mostly, where the builds have different
    /// initial data.
    fn check_unsized(&self, id: ObjectId, offset: i64, usage: Use) -> Result<(), NoPlace> {
        let (old_image, new_image) = (&self.input.pair.old.image, &self.input.pair.new.image);
        let object = new_image.object(id);
        let Some(old) = self.input.matching.old_object(id).filter(|_| object.range.is_empty()) else {
            return Ok(());
        };
        let width = match usage {
            Use::Read(size) => u64::from(size),
            Use::Write => 1,
            Use::Address | Use::Execute => return Ok(()),
        };
        let bytes = |image: &Image<'_>, start: u64| {
            let start = start.wrapping_add_signed(offset);
            image.bytes(start..start.saturating_add(width)).map(<[u8]>::to_vec)
        };
        if bytes(old_image, old_image.object(old).range.start) == bytes(new_image, object.range.start) {
            return Ok(());
        }
        let detail = format!("its initial value changed, {offset} bytes from the symbol, which has no size");
        no(RefusalKind::DataChanged, object.name.clone(), detail)
    }

    fn place_code(
        &mut self,
        user: User,
        id: FunctionId,
        part: usize,
        offset: u64,
    ) -> Result<Placed, NoPlace> {
        let image = &self.input.pair.new.image;
        if user == Some(id) && (part, offset) != (0, 0) {
            return Ok(Placed { symbol: self.part_symbol(id, part), offset: offset as i64 });
        }
        let function = image.function(id);
        if (part, offset) != (0, 0) {
            let detail = format!("a reference leads {offset:#x} bytes into it, not to its entry");
            return no(RefusalKind::InteriorReference, &function.name, detail);
        }
        if self.input.matching.is_by_order(id) {
            let detail = "several functions have this name (in files of the same name, or in one function), and nothing tells \
                          which is meant";
            return no(RefusalKind::AmbiguousFunction, &function.name, detail);
        }
        // A function keeps its old address as identity, and calls go where the latest patch redirects them.
        if let Some(old) = self.input.matching.old_function(id) {
            let old = self.input.pair.old.image.function(old);
            let symbol = self.target_symbol(&old.name, old.address(), SymbolKind::Function);
            return Ok(Placed { symbol, offset: 0 });
        }
        Ok(Placed { symbol: self.part_symbol(id, 0), offset: 0 })
    }

    /// The symbol of a function's part in the patch. A function that is met for the first time is queued.
    pub(super) fn part_symbol(&mut self, id: FunctionId, part: usize) -> usize {
        if let Some(symbol) = self.function_symbols.get(&(id, part)) {
            return *symbol;
        }
        if self.input.matching.old_function(id).is_none() {
            self.functions.push_back(id);
        }
        self.declare_parts(id);
        self.function_symbols[&(id, part)]
    }

    /// A PLT stub: the target's, or a new one that jumps through the target's GOT slot or one of the patch's own.
    fn place_stub(&mut self, slot: u64) -> Result<Placed, NoPlace> {
        let name = self.import_name(slot);
        let got = match self.old_slot(slot)? {
            Some(old_slot) => {
                if let Some(stub) = self.old_stubs.get(&old_slot).copied() {
                    let symbol = self.target_symbol(&format!("{name}@plt"), stub, SymbolKind::Function);
                    return Ok(Placed { symbol, offset: 0 });
                }
                self.target_symbol(&format!("{name}@got"), old_slot, SymbolKind::Object)
            }
            None => match self.own_new_function(slot) {
                Some(own) => return Ok(Placed { symbol: self.part_symbol(own, 0), offset: 0 }),
                None => self.place_slot(slot)?.symbol,
            },
        };
        if let Some(symbol) = self.stub_symbols.get(&got) {
            return Ok(Placed { symbol: *symbol, offset: 0 });
        }
        // jmp *slot(%rip)
        let relocation = pc_relative(2, 6, Placed { symbol: got, offset: 0 });
        let section = self.sections.len();
        self.sections.push(Section {
            name: format!(".text.plt.{name}"),
            kind: SectionKind::Text,
            align: 8,
            contents: SectionContents::Bytes(vec![0xff, 0x25, 0, 0, 0, 0]),
            relocations: vec![relocation],
        });
        let place = Place::Patch { section, offset: 0 };
        let symbol = self.symbol(format!("{name}@plt"), place, 6, SymbolKind::Function);
        self.stub_symbols.insert(got, symbol);
        Ok(Placed { symbol, offset: 0 })
    }

    /// Refuses the address of a stub as that of its function, unless it is that in the target too: the rest of the
    /// process knows the function by another one.
    fn check_stub_address(&self, slot: u64, usage: Use) -> Result<(), NoPlace> {
        let imported =
            matches!(self.input.pair.new.image.slot(slot), Some(Slot::Dynamic(Pointer::Symbol { .. })));
        if usage != Use::Address || !imported {
            return Ok(());
        }
        let stub = self.old_slot(slot)?.and_then(|slot| self.old_stubs.get(&slot));
        if stub.is_some_and(|stub| self.input.pair.old.image.linkage.canonical.contains(stub)) {
            return Ok(());
        }
        let detail = "its address is taken, which is another one in the target; build with -fPIE or -fno-plt";
        no(RefusalKind::AmbiguousReference, self.import_name(slot), detail)
    }

    fn import_name(&self, slot: u64) -> String {
        match self.input.pair.new.image.slot(slot) {
            Some(Slot::Dynamic(Pointer::Symbol { name, .. })) => name,
            Some(Slot::Dynamic(Pointer::ThreadLocal { name, addend, .. })) => {
                self.thread_local_name(&name, addend)
            }
            Some(Slot::Dynamic(Pointer::Resolved(address) | Pointer::Address(address))) => {
                match self.input.pair.new.image.function_at(address) {
                    Some((id, ..)) => self.input.pair.new.image.function(id).name.clone(),
                    None => format!("{address:#x}"),
                }
            }
            _ => format!("slot_{slot:x}"),
        }
    }

    /// The target's GOT slot that the dynamic linker fills with the same symbol.
    fn old_slot(&self, slot: u64) -> Result<Option<u64>, NoPlace> {
        let (old, new) = (&self.input.pair.old.image, &self.input.pair.new.image);
        let Some(Slot::Dynamic(pointer)) = new.slot(slot) else { return Ok(None) };
        let wanted = match pointer {
            Pointer::Symbol { .. } => pointer,
            Pointer::Resolved(address) => {
                let resolver =
                    new.function_at(address).and_then(|(id, ..)| self.input.matching.old_function(id));
                match resolver {
                    Some(resolver) => Pointer::Resolved(old.function(resolver).address()),
                    None => return Ok(None),
                }
            }
            Pointer::ThreadLocal { .. } => self.old_thread_local(pointer)?,
            _ => return Ok(None),
        };
        Ok(old.slot_for(&wanted))
    }

    /// A GOT slot: the target's if the dynamic linker fills it, else one of the patch's own.
    fn place_slot(&mut self, address: u64) -> Result<Placed, NoPlace> {
        if let Some(symbol) = self.slot_symbols.get(&address) {
            return Ok(Placed { symbol: *symbol, offset: 0 });
        }
        let to = match self.input.pair.new.image.slot(address) {
            Some(Slot::Dynamic(Pointer::Address(to))) => self.place_address(to)?,
            Some(Slot::Constant(value)) if self.input.pair.new.image.section_at(value).is_some() => {
                self.place_address(value)?
            }
            Some(Slot::Dynamic(pointer)) => {
                if let Some(slot) = self.old_slot(address)? {
                    let name = format!("{}@got", self.import_name(address));
                    let symbol = self.target_symbol(&name, slot, SymbolKind::Object);
                    return Ok(Placed { symbol, offset: 0 });
                }
                match self.definition(&pointer)? {
                    Definition::New(own) => self.place_address(own)?,
                    Definition::Import(symbol) => Placed { symbol, offset: 0 },
                }
            }
            _ => {
                return no(
                    RefusalKind::UnknownReference,
                    format!("{address:#x}"),
                    "this GOT slot holds a number",
                );
            }
        };
        let symbol = &self.symbols[to.symbol];
        let name = match symbol.place {
            Place::Import => symbol.name.split('@').next().unwrap_or_default(),
            _ => symbol.name.as_str(),
        };
        let (section, name) = (format!(".rodata.got.{name}"), format!("{name}@got"));
        let relocation =
            Relocation { offset: 0, kind: RelocationKind::Abs64, symbol: to.symbol, addend: to.offset };
        let symbol = self.read_only(section, name, vec![0; 8], 8, vec![relocation]);
        self.slot_symbols.insert(address, symbol);
        Ok(Placed { symbol, offset: 0 })
    }

    /// The place of what is at an address of the replacement, taken as an address.
    pub(super) fn place_address(&mut self, address: u64) -> Result<Placed, NoPlace> {
        let referent = self.input.pair.new.image.resolve(address, None);
        self.place(None, &referent, Use::Address)
    }

    fn place_object(
        &mut self,
        user: User,
        id: ObjectId,
        offset: i64,
        ends_here: Option<ObjectId>,
    ) -> Result<Placed, NoPlace> {
        let (old_image, new_image) = (&self.input.pair.old.image, &self.input.pair.new.image);
        let object = new_image.object(id);
        let name = object.name.clone();
        // Unwind tables stand right behind constants, and code has nothing to do with them.
        if new_image.sections[object.section].name.starts_with(".eh_frame")
            && user.is_some()
            && ends_here.is_none()
        {
            let detail = "an address may mean its start or the end of the constants before it";
            return no(RefusalKind::AmbiguousReference, name, detail);
        }
        if self.input.matching.is_ambiguous(id) {
            let detail = "several variables of this name exist and nothing tells which one this is";
            return no(RefusalKind::AmbiguousVariable, name, detail);
        }
        let counterpart = self.input.matching.old_object(id);
        if let Some(old) = counterpart.filter(|_| !self.input.changed_constants.contains(&id)) {
            let old = old_image.object(old);
            let address = old.range.start;
            if let Some(before) = ends_here {
                let other =
                    self.input.matching.old_object(before).map(|before| old_image.object(before).range.end);
                let start = new_image.object(id).range.start;
                let is_start = || user.is_some_and(|user| self.reads_start(user, start));
                if other != Some(address) && !is_start() {
                    let detail = format!(
                        "an address may mean its start or the end of `{}`, which do not meet in the target",
                        new_image.object(before).name
                    );
                    return no(RefusalKind::AmbiguousReference, name, detail);
                }
            }
            let symbol = self.target_symbol(&name, address, SymbolKind::Object);
            return Ok(Placed { symbol, offset });
        }
        let ends_here = ends_here.filter(|before| !self.neighbours(id).contains(before));
        let old = counterpart.map(|old| old_image.object(old).range.start);
        let start = Start { address: new_image.object(id).range.start, old, is_text: false };
        self.check_end(user, ends_here, start, &name)?;
        if let Some(symbol) = self.object_symbols.get(&id) {
            return Ok(Placed { symbol: *symbol, offset });
        }
        self.objects.push_back(id);
        let symbol = self.declare_object(id);
        Ok(Placed { symbol, offset })
    }

    /// Refuses an address inside an object that may also be one before the start of the next object, as loops that
    /// run down have it, unless both are in the same place in the target.
    fn check_neighbour(&self, id: ObjectId, offset: i64, usage: Use, certain: bool) -> Result<(), NoPlace> {
        let (old_image, new_image) = (&self.input.pair.old.image, &self.input.pair.new.image);
        let object = new_image.object(id);
        if certain || usage != Use::Address || offset <= 0 {
            return Ok(());
        }
        let address = object.range.start.wrapping_add_signed(offset);
        let Some(next) =
            new_image.object_after(address).filter(|next| new_image.object(*next).range != object.range)
        else {
            return Ok(());
        };
        let target =
            |id: ObjectId| self.input.matching.old_object(id).map(|old| old_image.object(old).range.start);
        let as_this = target(id).map(|start| start.wrapping_add_signed(offset));
        let distance = new_image.object(next).range.start - address;
        if distance > MAX_BEFORE || new_image.object(next).is_guard() {
            return Ok(());
        }
        let as_next = target(next).map(|start| start.wrapping_sub(distance));
        if as_this != as_next {
            let detail = format!(
                "an address may mean its inside or {distance} bytes before `{}`, which are not the same place in the \
                 target",
                new_image.object(next).name
            );
            return no(RefusalKind::AmbiguousReference, &object.name, detail);
        }
        Ok(())
    }

    /// Refuses a displacement to the inside of an object that may be another one's, biased, as in `table[year - 1900]`:
    /// unless all that may be meant moved alike, or the function had the same reference before.
    pub(super) fn check_biased(&self, user: FunctionId, reference: &Reference) -> Result<(), NoPlace> {
        let (old_image, new_image) = (&self.input.pair.old.image, &self.input.pair.new.image);
        if let Some(home) = reference.section.and_then(|start| new_image.section_at(start)) {
            let behind = reference.target > home.range.end;
            if reference.section == Some(home.range.start)
                && (reference.target < home.range.start || behind)
                && reference.usage == Use::Address
            {
                let detail = format!("an address outside of `{}` means something in it, biased", home.name);
                return no(RefusalKind::AmbiguousReference, format!("{:#x}", reference.target), detail);
            }
        }
        let Referent::Object { id, offset, certain: false, .. } = reference.referent else { return Ok(()) };
        let displacement = matches!(reference.form, Form::Absolute { immediate: false, .. });
        if !displacement || reference.usage != Use::Address || offset == 0 {
            return Ok(());
        }
        let target =
            |id: ObjectId| self.input.matching.old_object(id).map(|old| old_image.object(old).range.start);
        let Some(there) = target(id).map(|start| start.wrapping_add_signed(offset)) else { return Ok(()) };
        let moved = there.wrapping_sub(reference.target);
        let others =
            new_image.object_ids().skip_while(|id| new_image.object(*id).range.start <= reference.target);
        let mut others =
            others.take_while(|id| new_image.object(*id).range.start - reference.target <= MAX_BIAS);
        let alike = others.all(|other| {
            let start = new_image.object(other).range.start;
            target(other).is_none_or(|there| there.wrapping_sub(start) == moved)
        });
        let before = self.input.matching.old_function(user).is_some_and(|old| {
            self.input.pair.old.code(old).references.iter().any(|before| before.target == there)
        });
        if alike || before {
            return Ok(());
        }
        let name = new_image.object(id).name.clone();
        let detail =
            "a displacement may lead to its inside, or to a table behind it from which a number is taken off";
        no(RefusalKind::AmbiguousReference, name, detail)
    }

    fn place_constant(
        &mut self,
        user: User,
        address: u64,
        ends_here: Option<ObjectId>,
        usage: Use,
    ) -> Result<Placed, NoPlace> {
        let subject = format!("unnamed constant at {address:#x}");
        let image = &self.input.pair.new.image;
        if let Some(before) = ends_here.filter(|_| user.is_some()) {
            if self.is_foreign_table(address) {
                let range = &image.object(before).range;
                let size = (range.end - range.start) as i64;
                return self.place_object(user, before, size, None);
            }
            if !image.is_rust
                && self.is_alone(user, address)
                && let Some(old) = self.same_behind(before, address)
            {
                let symbol = self.target_symbol(&format!("constant_{old:x}"), old, SymbolKind::Object);
                return Ok(Placed { symbol, offset: 0 });
            }
            let text = match self.input.pair.new.constant(address) {
                Some((Extent::Text(_), text)) => Some(text),
                _ => None,
            };
            let old = text.and_then(|text| self.used_text(user, text));
            let start = Start { address, old, is_text: text.is_some() };
            self.check_end(user, ends_here, start, &subject)?;
        }
        let no_bytes = || NoPlace {
            kind: RefusalKind::UnknownReference,
            subject: subject.clone(),
            detail: "it has no contents in the file".to_owned(),
        };
        if let Use::Read(size) = usage {
            let end = address + u64::from(size);
            let bytes = image.bytes(address..end).ok_or_else(no_bytes)?.to_vec();
            let align = u64::from(size).next_power_of_two().min(64);
            let pointers = data_pointers(image, address..end);
            if pointers.is_empty() {
                return Ok(Placed { symbol: self.constant(bytes, align), offset: 0 });
            }
            return self.constant_with_pointers(address, bytes, align, &pointers);
        }
        if image.is_rust {
            // Nothing ends these, so all of a section come along, or all that a user may reach.
            let holds_pointers = image.section_at(address).is_some_and(|section| {
                section.access != Access::Read || !data_pointers(image, section.range.clone()).is_empty()
            });
            return if holds_pointers { self.place_in_window(user, address) } else { self.carry(address) };
        }
        let (extent, _) = self.input.pair.new.constant(address).ok_or_else(no_bytes)?;
        let (Extent::Text(len) | Extent::AtMost(len)) = extent;
        if !data_pointers(image, address..address + len).is_empty() {
            let detail = "it holds pointers and its extent is not known";
            return no(RefusalKind::UnknownReference, subject, detail);
        }
        match self.texts_with(user, address)? {
            Some(texts) => Ok(self.place_texts(user, address, texts)),
            None => self.carry(address),
        }
    }

    /// A constant that is read as a whole, such as two pointers that are stored as one vector.
    fn constant_with_pointers(
        &mut self,
        address: u64,
        mut bytes: Vec<u8>,
        align: u64,
        pointers: &[(u64, Pointer)],
    ) -> Result<Placed, NoPlace> {
        let name = format!("pointers_{address:x}");
        let mut relocations = Vec::new();
        for (at, pointer) in pointers {
            let offset = at - address;
            let Some(field) = bytes.get_mut(offset as usize..offset as usize + 8) else {
                let detail = "a pointer reaches beyond what is read of it";
                return no(RefusalKind::UnknownReference, name, detail);
            };
            field.fill(0);
            let to = self.place_pointer(&name, pointer)?;
            relocations.push(Relocation {
                offset,
                kind: RelocationKind::Abs64,
                symbol: to.symbol,
                addend: to.offset,
            });
        }
        let symbol = self.read_only(".rodata.pointers".to_owned(), name, bytes, align, relocations);
        Ok(Placed { symbol, offset: 0 })
    }
}
