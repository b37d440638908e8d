//! Exception tables: the language-specific data areas of C++, Rust, C and their like.
//!
//! Their form is that of gcc/except.cc (`output_one_function_exception_table`) and
//! libstdc++-v3/libsupc++/eh_personality.cc; clang and rustc write the same one.

use super::Image;
use gimli::{DwEhPe, EndianSlice, LittleEndian, Reader as _};
use std::ops::Range;

/// How a table names a type or routine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ViaAddress {
    /// Nothing: any exception.
    Null,
    /// Its address.
    Direct(u64),
    /// Address of the word that holds its address.
    Slot(u64),
}

/// The exception table of a piece of code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lsda {
    /// What happens where, in the order of the table.
    pub call_sites: Vec<CallSite>,
}

/// What happens to an exception from some calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallSite {
    /// The code that makes the calls.
    pub range: Range<u64>,
    /// Where the exception lands; None if it passes.
    pub pad: Option<u64>,
    /// What is tried in turn. Nothing but a cleanup if there is none.
    pub actions: Vec<Action>,
}

/// What is tried for an exception.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Action {
    /// The number that the landing pad gets: 0 for a cleanup, above for a handler, below for an exception
    /// specification.
    pub filter: i64,
    /// The type that is caught, or the types that may pass.
    pub types: Vec<ViaAddress>,
}

/// Longest chain of actions and longest list of types that is believed.
const MAX_CHAIN: usize = 4096;

/// Most actions of one table that are believed.
const MAX_ACTIONS: usize = 1 << 16;

/// Reads the table at `lsda` for the code `region`; None if it cannot be understood.
pub fn read_lsda(image: &Image<'_>, lsda: u64, region: &Range<u64>) -> Option<Lsda> {
    let section = image.section_at(lsda)?;
    let table =
        Table { image, start: section.range.start, bytes: EndianSlice::new(section.data, LittleEndian) };
    let mut cursor = table.at(lsda)?;
    let pads_encoding = DwEhPe(cursor.read_u8().ok()?);
    let pads = match pads_encoding {
        gimli::DW_EH_PE_omit => region.start,
        encoding => match table.encoded(&mut cursor, encoding)? {
            ViaAddress::Direct(address) => address,
            _ => return None,
        },
    };
    let types = match DwEhPe(cursor.read_u8().ok()?) {
        gimli::DW_EH_PE_omit => None,
        encoding => {
            let distance = cursor.read_uleb128().ok()?;
            Some((encoding, table.address(&cursor).checked_add(distance)?))
        }
    };
    let encoding = DwEhPe(cursor.read_u8().ok()?);
    let len = cursor.read_uleb128().ok()?;
    let actions = table.address(&cursor).checked_add(len)?;
    let mut total = 0;
    let mut call_sites = Vec::new();
    while table.address(&cursor) < actions {
        let start = region.start.checked_add(value(&mut cursor, encoding)?)?;
        let end = start.checked_add(value(&mut cursor, encoding)?)?;
        let pad = value(&mut cursor, encoding)?;
        let action = cursor.read_uleb128().ok()?;
        if end > region.end {
            return None;
        }
        let pad = if pad == 0 { None } else { Some(pads.checked_add(pad)?) };
        let actions = match action.checked_sub(1) {
            None => Vec::new(),
            Some(from) => table.chain(actions.checked_add(from)?, types)?,
        };
        total += actions.len();
        if total > MAX_ACTIONS {
            return None;
        }
        call_sites.push(CallSite { range: start..end, pad, actions });
    }
    (table.address(&cursor) == actions).then_some(Lsda { call_sites })
}

/// An exception table in pieces that hold for a copy of the code elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawLsda {
    /// How numbers in the call sites are encoded (`DW_EH_PE_*`).
    pub encoding: u8,
    /// The call sites; places are distances from the beginning of the code.
    pub call_sites: Vec<u8>,
    /// The actions that call sites lead to; they lead to each other by distances.
    pub actions: Vec<u8>,
    /// What the types are, from number 1 on; None if the table has no types at all.
    pub types: Option<Vec<ViaAddress>>,
    /// The exception specifications, lists of numbers of types, behind the base of the types.
    pub specifications: Vec<u8>,
}

/// Takes the table at `lsda` for the code `region` apart. An error says why that is not possible.
pub fn raw_lsda(image: &Image<'_>, lsda: u64, region: &Range<u64>) -> Result<RawLsda, &'static str> {
    const DAMAGED: &str = "its exception table is not understood";
    // Everything that it refers to can be read.
    read_lsda(image, lsda, region).ok_or(DAMAGED)?;
    let section = image.section_at(lsda).ok_or(DAMAGED)?;
    let table =
        Table { image, start: section.range.start, bytes: EndianSlice::new(section.data, LittleEndian) };
    let mut cursor = table.at(lsda).ok_or(DAMAGED)?;
    let bad = |_: gimli::Error| DAMAGED;
    if DwEhPe(cursor.read_u8().map_err(bad)?) != gimli::DW_EH_PE_omit {
        return Err("its exception table leads to landing pads outside it (@LPStart)");
    }
    let types = match DwEhPe(cursor.read_u8().map_err(bad)?) {
        gimli::DW_EH_PE_omit => None,
        encoding => {
            let distance = cursor.read_uleb128().map_err(bad)?;
            Some((encoding, table.address(&cursor).checked_add(distance).ok_or(DAMAGED)?))
        }
    };
    let encoding = DwEhPe(cursor.read_u8().map_err(bad)?);
    if encoding.application() != gimli::DW_EH_PE_absptr || encoding.is_indirect() {
        return Err(DAMAGED);
    }
    let len = cursor.read_uleb128().map_err(bad)? as usize;
    let call_sites = cursor.slice().get(..len).ok_or(DAMAGED)?.to_vec();
    let actions_at = table.address(&cursor) + len as u64;

    // How far actions, types and specifications reach shows only from what is used of them.
    let mut sites = EndianSlice::new(&call_sites, LittleEndian);
    let (mut open, mut seen) = (Vec::new(), std::collections::BTreeSet::new());
    while !sites.is_empty() {
        let [start, len, pad] = [(); 3].map(|()| value(&mut sites, encoding));
        let (start, len, pad) = (start.ok_or(DAMAGED)?, len.ok_or(DAMAGED)?, pad.ok_or(DAMAGED)?);
        let code = region.end - region.start;
        if start.checked_add(len).is_none_or(|end| end > code) || pad >= code {
            return Err("its exception table leads outside its code");
        }
        open.extend(sites.read_uleb128().map_err(bad)?.checked_sub(1));
    }
    let (mut actions_len, mut highest, mut specified) = (0, 0, 0);
    while let Some(offset) = open.pop().filter(|_| seen.len() < MAX_ACTIONS) {
        if !seen.insert(offset) {
            continue;
        }
        let mut cursor = table.at(actions_at.checked_add(offset).ok_or(DAMAGED)?).ok_or(DAMAGED)?;
        let filter = cursor.read_sleb128().map_err(bad)?;
        let here = table.address(&cursor) - actions_at;
        let next = cursor.read_sleb128().map_err(bad)?;
        actions_len = actions_len.max((table.address(&cursor) - actions_at) as usize);
        if next != 0 {
            open.push(here.checked_add_signed(next).ok_or(DAMAGED)?);
        }
        highest = highest.max(filter);
        if filter < 0 {
            let (_, base) = types.ok_or(DAMAGED)?;
            let mut list = table.at(base + filter.unsigned_abs() - 1).ok_or(DAMAGED)?;
            loop {
                let number = list.read_uleb128().map_err(bad)?;
                specified = specified.max((table.address(&list) - base) as usize);
                if number == 0 {
                    break;
                }
                highest = highest.max(i64::try_from(number).map_err(|_| DAMAGED)?);
            }
        }
    }
    let bytes = |at: u64, len: usize| {
        let from = table.at(at).ok_or(DAMAGED)?;
        from.slice().get(..len).map(<[u8]>::to_vec).ok_or(DAMAGED)
    };
    let specifications = types.map_or(Ok(Vec::new()), |(_, base)| bytes(base, specified))?;
    let types = match types {
        None => None,
        Some(types) => {
            let named = (1..=highest as u64).map(|number| table.type_entry(types, number));
            Some(named.collect::<Option<Vec<_>>>().ok_or(DAMAGED)?)
        }
    };
    let actions = bytes(actions_at, actions_len)?;
    Ok(RawLsda { encoding: encoding.0, call_sites, actions, types, specifications })
}

type Cursor<'a> = EndianSlice<'a, LittleEndian>;

/// The section with the table.
struct Table<'i, 'a> {
    image: &'i Image<'a>,
    start: u64,
    bytes: Cursor<'a>,
}

impl<'a> Table<'_, 'a> {
    fn at(&self, address: u64) -> Option<Cursor<'a>> {
        let mut cursor = self.bytes;
        cursor.skip(usize::try_from(address.checked_sub(self.start)?).ok()?).ok()?;
        Some(cursor)
    }

    fn address(&self, cursor: &Cursor<'a>) -> u64 {
        self.start + cursor.offset_from(self.bytes) as u64
    }

    /// The actions from `at` on.
    fn chain(&self, mut at: u64, types: Option<(DwEhPe, u64)>) -> Option<Vec<Action>> {
        let mut chain = Vec::new();
        while chain.len() < MAX_CHAIN {
            let mut cursor = self.at(at)?;
            let filter = cursor.read_sleb128().ok()?;
            let here = self.address(&cursor);
            let next = cursor.read_sleb128().ok()?;
            let types = match (filter, types) {
                (0, _) => Vec::new(),
                (_, None) => return None,
                (1.., Some(types)) => vec![self.type_entry(types, filter as u64)?],
                (_, Some(types)) => self.specification(types, filter.unsigned_abs())?,
            };
            chain.push(Action { filter, types });
            if next == 0 {
                return Some(chain);
            }
            at = here.checked_add_signed(next)?;
        }
        None
    }

    /// Entry `number` of the type table, which grows downwards from its base.
    fn type_entry(&self, (encoding, base): (DwEhPe, u64), number: u64) -> Option<ViaAddress> {
        let size = match encoding.format() {
            gimli::DW_EH_PE_absptr | gimli::DW_EH_PE_udata8 | gimli::DW_EH_PE_sdata8 => 8,
            gimli::DW_EH_PE_udata4 | gimli::DW_EH_PE_sdata4 => 4,
            gimli::DW_EH_PE_udata2 | gimli::DW_EH_PE_sdata2 => 2,
            _ => return None,
        };
        let at = base.checked_sub(number.checked_mul(size)?)?;
        self.encoded(&mut self.at(at)?, encoding)
    }

    /// The types of an exception specification: numbers behind the base of the type table, up to a zero.
    fn specification(&self, types: (DwEhPe, u64), filter: u64) -> Option<Vec<ViaAddress>> {
        let mut cursor = self.at(types.1.checked_add(filter - 1)?)?;
        let mut found = Vec::new();
        while found.len() < MAX_CHAIN {
            match cursor.read_uleb128().ok()? {
                0 => return Some(found),
                number => found.push(self.type_entry(types, number)?),
            }
        }
        None
    }

    fn encoded(&self, cursor: &mut Cursor<'a>, encoding: DwEhPe) -> Option<ViaAddress> {
        let field = self.address(cursor);
        if self.image.linkage.pointer_at(field).is_some() {
            // The dynamic linker writes the whole address.
            let whole = encoding.format() == gimli::DW_EH_PE_absptr && !encoding.is_indirect();
            return whole.then_some(ViaAddress::Slot(field));
        }
        let value = value(cursor, encoding)?;
        let base = match encoding.application() {
            gimli::DW_EH_PE_absptr => 0,
            gimli::DW_EH_PE_pcrel => field,
            _ => return None,
        };
        Some(match value {
            0 => ViaAddress::Null,
            value if encoding.is_indirect() => ViaAddress::Slot(base.wrapping_add(value)),
            value => ViaAddress::Direct(base.wrapping_add(value)),
        })
    }
}

/// A number, without what it is relative to.
fn value(cursor: &mut Cursor<'_>, encoding: DwEhPe) -> Option<u64> {
    let value = match encoding.format() {
        gimli::DW_EH_PE_absptr | gimli::DW_EH_PE_udata8 | gimli::DW_EH_PE_sdata8 => cursor.read_u64().ok()?,
        gimli::DW_EH_PE_uleb128 => cursor.read_uleb128().ok()?,
        gimli::DW_EH_PE_sleb128 => cursor.read_sleb128().ok()? as u64,
        gimli::DW_EH_PE_udata4 => u64::from(cursor.read_u32().ok()?),
        gimli::DW_EH_PE_sdata4 => i64::from(cursor.read_i32().ok()?) as u64,
        gimli::DW_EH_PE_udata2 => u64::from(cursor.read_u16().ok()?),
        gimli::DW_EH_PE_sdata2 => i64::from(cursor.read_i16().ok()?) as u64,
        _ => return None,
    };
    Some(value)
}
