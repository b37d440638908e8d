//! Unwind tables of the patch's code: `.eh_frame` (LSB Core, "Exception Frames") and the exception tables that it names.
//!
//! Code is copied as it is, so that instructions of unwind tables, call sites and landing pads, which are all told by
//! distances, are copied too. Addresses are written in full (`DW_EH_PE_absptr`): the patch may lie anywhere.

use super::builder::Builder;
use super::place::{NoPlace, Placed};
use super::registration::Unwinder;
use crate::image::{
    CommonRules, Frame, Frames, FunctionId, Image, Pointer, RawLsda, Referent, Rules, Slot, ViaAddress,
    raw_lsda, read_lsda, rules,
};
use crate::report::RefusalKind;
use patchfile::{Place, Relocation, RelocationKind};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// `DW_EH_PE_omit`: there is none.
const OMITTED: u8 = 0xff;
/// `DW_EH_PE_absptr`: an address in full.
const ADDRESS: u8 = 0;
/// `DW_EH_PE_indirect | DW_EH_PE_absptr`: the address of the word that holds the address.
const ADDRESS_OF_SLOT: u8 = 0x80;

/// What becomes the unwind tables.
pub(super) struct Tables {
    /// Who unwinds in the target.
    pub(super) unwinder: Unwinder,
    /// The frames of the replacement.
    frames: Frames,
    /// Words that unwind tables of the target refer to.
    old_slots: BTreeSet<u64>,
    entries: Vec<Entry>,
    slots: BTreeMap<(usize, i64), usize>,
}

/// The table of one piece of code.
struct Entry {
    kind: (CommonRules, Option<usize>),
    instructions: Vec<u8>,
    code: Placed,
    len: u64,
    lsda: Option<usize>,
}

impl Tables {
    pub(super) fn new(unwinder: Unwinder, old: &Image<'_>, new: &Image<'_>) -> Self {
        let of_target = Frames::read(old);
        let routines = of_target.iter().filter_map(|frame| frame.personality);
        let tables = of_target.iter().filter_map(|frame| read_lsda(old, frame.lsda?, &frame.range));
        let actions = tables.flat_map(|table| table.call_sites).flat_map(|site| site.actions);
        let types = actions.flat_map(|action| action.types);
        let old_slots = routines.chain(types).filter_map(|thing| match thing {
            ViaAddress::Slot(slot) => Some(slot),
            _ => None,
        });
        Tables {
            unwinder,
            frames: Frames::read(new),
            old_slots: old_slots.collect(),
            entries: Vec::new(),
            slots: BTreeMap::new(),
        }
    }
}

impl Builder<'_, '_, '_> {
    /// Makes the unwind tables of a function whose code was copied, if the target unwinds.
    pub(super) fn unwind_tables(&mut self, id: FunctionId) {
        let Some(tables) = &self.tables else { return };
        let function = self.input.pair.new.image.function(id).clone();
        let mut found: Vec<(usize, Frame)> = Vec::new();
        for (part, range) in function.parts.iter().enumerate() {
            let Some(frames) = tables.frames.over(range) else {
                let detail = "unwind tables of the replacement cannot be read".to_owned();
                self.refuse(RefusalKind::Unwinding, &function.name, detail, id);
                return;
            };
            found.extend(frames.iter().map(|frame| (part, frame.clone())));
        }
        for (part, frame) in found {
            let range = &function.parts[part];
            if frame.range.start < range.start || frame.range.end > range.end {
                let detail = "an entry of the unwind tables is for more than its code".to_owned();
                self.refuse(RefusalKind::Unwinding, &function.name, detail, id);
                continue;
            }
            let code = Placed {
                symbol: self.function_symbols[&(id, part)],
                offset: (frame.range.start - range.start) as i64,
            };
            match (self.entry(&function.name, &frame, code), &mut self.tables) {
                (Ok(entry), Some(tables)) => tables.entries.push(entry),
                (Ok(_), None) => {}
                (Err(NoPlace { kind, subject, detail }), _) => self.refuse(kind, &subject, detail, id),
            }
        }
    }

    fn entry(&mut self, name: &str, frame: &Frame, code: Placed) -> Result<Entry, NoPlace> {
        let unwinding = |detail: &str| NoPlace {
            kind: RefusalKind::Unwinding,
            subject: name.to_owned(),
            detail: detail.to_owned(),
        };
        let image = &self.input.pair.new.image;
        let Rules { common, instructions } = rules(image, frame).map_err(unwinding)?;
        let personality = match frame.personality {
            None | Some(ViaAddress::Null) => None,
            Some(routine) => Some(self.slot_of(routine)?),
        };
        let lsda = match frame.lsda {
            None => None,
            Some(_) if !frame.personality.is_some_and(|routine| crate::diff::is_known(image, routine)) => {
                return Err(unwinding("its exception table is for a personality routine that is not known"));
            }
            Some(lsda) => {
                let raw = raw_lsda(image, lsda, &frame.range).map_err(unwinding)?;
                Some(self.exception_table(name, &raw)?)
            }
        };
        let len = frame.range.end - frame.range.start;
        Ok(Entry { kind: (common, personality), instructions, code, len, lsda })
    }

    /// Writes an exception table whose types are told by slots.
    fn exception_table(&mut self, name: &str, raw: &RawLsda) -> Result<usize, NoPlace> {
        let mut bytes = vec![OMITTED];
        let mut relocations = Vec::new();
        let mut behind = vec![raw.encoding];
        uleb(&mut behind, raw.call_sites.len() as u64);
        behind.extend_from_slice(&raw.call_sites);
        behind.extend_from_slice(&raw.actions);
        match &raw.types {
            None => {
                bytes.push(OMITTED);
                bytes.extend(behind);
            }
            Some(types) => {
                bytes.push(ADDRESS_OF_SLOT);
                uleb(&mut bytes, (behind.len() + 8 * types.len()) as u64);
                bytes.extend(behind);
                // The last one comes first: numbers are counted down from the base.
                for kind in types.iter().rev() {
                    if *kind != ViaAddress::Null {
                        let symbol = self.slot_of(*kind)?;
                        relocations.push(absolute(bytes.len(), Placed { symbol, offset: 0 }));
                    }
                    bytes.extend([0; 8]);
                }
                bytes.extend_from_slice(&raw.specifications);
            }
        }
        let section = format!(".gcc_except_table.{name}");
        Ok(self.read_only(section, format!("{name}.exceptions"), bytes, 4, relocations))
    }

    /// The symbol of a word that holds the address of a type or of a personality routine: the target's own, which the
    /// dynamic linker has filled, or one of the patch.
    fn slot_of(&mut self, thing: ViaAddress) -> Result<usize, NoPlace> {
        let image = &self.input.pair.new.image;
        let refuse = |at: u64| NoPlace {
            kind: RefusalKind::Unwinding,
            subject: format!("{at:#x}"),
            detail: "a type or personality routine there is not understood".to_owned(),
        };
        let to = match thing {
            ViaAddress::Null => return Err(refuse(0)),
            ViaAddress::Direct(address) => self.place_certain(address)?,
            ViaAddress::Slot(slot) => match image.slot(slot) {
                Some(Slot::Constant(address) | Slot::Dynamic(Pointer::Address(address))) => {
                    self.place_certain(address)?
                }
                Some(Slot::Dynamic(pointer @ Pointer::Symbol { addend: 0, .. })) => {
                    if let Some((name, slot)) = self.old_constant_slot(&pointer) {
                        return Ok(self.target_symbol(&name, slot, patchfile::SymbolKind::Object));
                    }
                    self.place_pointer("an exception table", &pointer)?
                }
                _ => return Err(refuse(slot)),
            },
        };
        if let Some(slot) = self.tables.as_ref().and_then(|tables| tables.slots.get(&(to.symbol, to.offset)))
        {
            return Ok(*slot);
        }
        let symbol = &self.symbols[to.symbol];
        let name = match symbol.place {
            Place::Import => symbol.name.split('@').next().unwrap_or_default().to_owned(),
            _ => symbol.name.clone(),
        };
        let (section, name) = (format!(".rodata.ref.{name}"), format!("{name}@ref"));
        let slot = self.read_only(section, name, vec![0; 8], 8, vec![absolute(0, to)]);
        if let Some(tables) = &mut self.tables {
            tables.slots.insert((to.symbol, to.offset), slot);
        }
        Ok(slot)
    }

    /// The place of what is at an address that a linker or compiler wrote down as that of this thing: never the end of
    /// what lies before it.
    fn place_certain(&mut self, address: u64) -> Result<Placed, NoPlace> {
        match self.input.pair.new.image.resolve(address, None) {
            Referent::Object { id, offset: 0, .. } => {
                let referent = Referent::Object { id, offset: 0, ends_here: None, certain: true };
                self.place(None, &referent, crate::code::Use::Address)
            }
            // Only called: any way to it will do.
            Referent::Stub { slot } => self.place(None, &Referent::Stub { slot }, crate::code::Use::Execute),
            _ => self.place_address(address),
        }
    }

    /// A word of the target that the dynamic linker fills with the same symbol, and from which the target's own unwind
    /// tables take it.
    fn old_constant_slot(&self, pointer: &Pointer) -> Option<(String, u64)> {
        let old = &self.input.pair.old.image;
        let Pointer::Symbol { name, .. } = pointer else { return None };
        let mut slots = self.tables.iter().flat_map(|tables| &tables.old_slots);
        let slot = slots.find(|slot| old.linkage.pointer_at(**slot) == Some(pointer))?;
        Some((format!("DW.ref.{name}"), *slot))
    }

    /// Writes the tables of all code, and returns a place that they are about. None if there are none.
    pub(super) fn frame_section(&mut self) -> Option<(usize, Placed)> {
        let entries = std::mem::take(&mut self.tables.as_mut()?.entries);
        let code = entries.first()?.code;
        let mut bytes: Vec<u8> = Vec::new();
        let mut relocations = Vec::new();
        let mut kinds: HashMap<(CommonRules, Option<usize>), usize> = HashMap::new();
        for entry in &entries {
            let kind = *kinds.entry(entry.kind.clone()).or_insert_with(|| {
                let at = bytes.len();
                common_entry(&entry.kind, &mut bytes, &mut relocations);
                at
            });
            let begin = begin_entry(&mut bytes);
            let distance = (bytes.len() - kind) as u32;
            bytes.extend(distance.to_le_bytes());
            relocations.push(absolute(bytes.len(), entry.code));
            bytes.extend([0; 8]);
            bytes.extend(entry.len.to_le_bytes());
            match entry.kind.1 {
                // With a personality routine every entry has a place for a table.
                Some(_) => {
                    uleb(&mut bytes, 8);
                    if let Some(symbol) = entry.lsda {
                        relocations.push(absolute(bytes.len(), Placed { symbol, offset: 0 }));
                    }
                    bytes.extend([0; 8]);
                }
                None => uleb(&mut bytes, 0),
            }
            bytes.extend_from_slice(&entry.instructions);
            end_entry(&mut bytes, begin);
        }
        // The end of all entries.
        bytes.extend([0; 4]);
        let name = "__tardigrade_frames".to_owned();
        Some((self.read_only(".eh_frame".to_owned(), name, bytes, 8, relocations), code))
    }
}

/// A CIE.
fn common_entry(
    (common, personality): &(CommonRules, Option<usize>),
    bytes: &mut Vec<u8>,
    relocations: &mut Vec<Relocation>,
) {
    let begin = begin_entry(bytes);
    bytes.extend([0; 4]);
    bytes.push(common.version);
    bytes.extend_from_slice(if personality.is_some() { b"zPLR" } else { b"zR" });
    bytes.extend_from_slice(if common.signal { b"S\0" } else { b"\0" });
    uleb(bytes, common.code_alignment);
    sleb(bytes, common.data_alignment);
    // One byte in version 1, a number in version 3: the same for the 17 registers that there are.
    uleb(bytes, u64::from(common.return_address));
    if let Some(symbol) = personality {
        uleb(bytes, 11);
        bytes.push(ADDRESS_OF_SLOT);
        relocations.push(absolute(bytes.len(), Placed { symbol: *symbol, offset: 0 }));
        bytes.extend([0; 8]);
        bytes.extend([ADDRESS, ADDRESS]);
    } else {
        uleb(bytes, 1);
        bytes.push(ADDRESS);
    }
    bytes.extend_from_slice(&common.instructions);
    end_entry(bytes, begin);
}

fn begin_entry(bytes: &mut Vec<u8>) -> usize {
    bytes.extend([0; 4]);
    bytes.len()
}

/// Pads an entry with `DW_CFA_nop` and writes its length.
fn end_entry(bytes: &mut Vec<u8>, begin: usize) {
    let padded = (bytes.len() - begin + 4).next_multiple_of(8) - 4;
    bytes.resize(begin + padded, 0);
    bytes[begin - 4..begin].copy_from_slice(&(padded as u32).to_le_bytes());
}

fn absolute(offset: usize, to: Placed) -> Relocation {
    Relocation { offset: offset as u64, kind: RelocationKind::Abs64, symbol: to.symbol, addend: to.offset }
}

fn uleb(bytes: &mut Vec<u8>, mut value: u64) {
    loop {
        let byte = (value & 0x7f) as u8;
        value >>= 7;
        if value == 0 {
            return bytes.push(byte);
        }
        bytes.push(byte | 0x80);
    }
}

fn sleb(bytes: &mut Vec<u8>, mut value: i64) {
    loop {
        let byte = (value & 0x7f) as u8;
        value >>= 7;
        if (value == 0 && byte & 0x40 == 0) || (value == -1 && byte & 0x40 != 0) {
            return bytes.push(byte);
        }
        bytes.push(byte | 0x80);
    }
}
