//! How long unnamed constants are, as far as a build tells. Rust passes slices and strings as an address and a length:
//! code has both near each other, data has them in two words.

use super::{Code, Use, instructions};
use crate::image::{Access, Function, Image, Pointer, Referent, Slot};
use iced_x86::{Mnemonic, OpKind, Register};
use std::collections::BTreeSet;

/// Instructions between an address and its length.
const NEAR: usize = 10;

/// Longest constant that is believed to be described so, in bytes.
const MAX_LENGTH: u64 = 1 << 20;

/// Instructions between a length and the call that panics because an index is not below it.
const NEAR_PANIC: usize = 6;

/// Instructions between an address and the look-up of an index in what is there.
const NEAR_USE: usize = 12;

/// Numbers beside the addresses that a function takes: address and number.
#[derive(Default)]
pub(super) struct Numbers {
    /// All that are near by, among which the lengths are.
    pub(super) near: Vec<(u64, u64)>,
    /// Lengths below which an index has to be that the function looks up there.
    pub(super) checked: Vec<(u64, u64)>,
}

/// The numbers beside the addresses that a function takes.
pub(super) fn in_code(image: &Image<'_>, function: &Function, code: &Code) -> Numbers {
    let (mut found, mut bounds) = (Vec::new(), Vec::new());
    let panics = |referent: &Referent| {
        let function = match referent {
            Referent::Code { function, .. } => Some(*function),
            // The standard library is called through slots.
            Referent::Slot { address } => match image.slot(*address) {
                Some(Slot::Dynamic(Pointer::Address(to)) | Slot::Constant(to)) => {
                    image.function_at(to).map(|(function, ..)| function)
                }
                _ => None,
            },
            _ => None,
        };
        function.is_some_and(|function| image.function(function).name.contains("panic_bounds_check"))
    };
    let mut numbers: Vec<(usize, u64)> = Vec::new();
    let mut addresses: Vec<(usize, u64)> = Vec::new();
    let mut lengths: Vec<(usize, u64)> = Vec::new();
    let mut bases: Vec<(usize, u64, Register)> = Vec::new();
    let mut indexed: BTreeSet<u64> = BTreeSet::new();
    for (part, range) in function.parts.iter().enumerate() {
        let in_part = |reference: &&super::Reference| usize::from(reference.part) == part;
        let mut references = code.references.iter().filter(in_part).peekable();
        numbers.clear();
        addresses.clear();
        lengths.clear();
        bases.clear();
        let mut pushed = None;
        for (index, instruction) in instructions(image, range.clone()).into_iter().enumerate() {
            let end = (instruction.next_ip() - range.start) as u32;
            while let Some(reference) = references.next_if(|reference| reference.end <= end) {
                let near = lengths.iter().filter(|(at, _)| at + NEAR_PANIC >= index);
                let mut near = near.map(|(_, number)| *number).peekable();
                if near.peek().is_some() && panics(&reference.referent) {
                    bounds.extend(near);
                }
                let is_data = |section: &crate::image::Section<'_>| section.access != Access::Execute;
                if reference.usage == Use::Address && image.section_at(reference.target).is_some_and(is_data)
                {
                    addresses.push((index, reference.target));
                    if instruction.op0_kind() == OpKind::Register {
                        bases.push((index, reference.target, instruction.op0_register().full_register()));
                    }
                }
            }
            let (base, at) = (instruction.memory_base(), instruction.memory_index());
            if base != Register::None && at != Register::None {
                let near = bases.iter().filter(|(from, ..)| from + NEAR_USE >= index);
                let used = near.filter(|(.., register)| [base, at].contains(register));
                indexed.extend(used.map(|(_, address, _)| *address));
            }
            for operand in 0..instruction.op_count() {
                let number = match instruction.op_kind(operand) {
                    OpKind::Immediate8 => u64::from(instruction.immediate8()),
                    OpKind::Immediate8to32 => instruction.immediate8to32() as u64,
                    OpKind::Immediate8to64 => instruction.immediate8to64() as u64,
                    OpKind::Immediate32 => u64::from(instruction.immediate32()),
                    OpKind::Immediate32to64 => instruction.immediate32to64() as u64,
                    _ => continue,
                };
                if (1..MAX_LENGTH).contains(&number) {
                    numbers.push((index, number));
                    // psABI section 3.2.3: the second argument.
                    let second = instruction.op0_register().full_register() == Register::RSI;
                    match instruction.mnemonic() {
                        Mnemonic::Mov if second => lengths.push((index, number)),
                        Mnemonic::Push => pushed = Some((index, number)),
                        _ => {}
                    }
                }
            }
            // So small code loads a number.
            if instruction.mnemonic() == Mnemonic::Pop && instruction.op0_register() == Register::RSI {
                lengths.extend(pushed.filter(|(at, _)| at + 1 == index));
            }
        }
        for (index, address) in &addresses {
            let from = numbers.partition_point(|(at, _)| at + NEAR < *index);
            let near = numbers[from..].iter().take_while(|(at, _)| *at <= index + NEAR);
            found.extend(near.map(|(_, number)| (*address, *number)));
        }
        let taken: Vec<u64> = addresses.iter().map(|(_, address)| *address).collect();
        found.extend(in_tables(image, code, &taken));
    }
    bounds.sort_unstable();
    bounds.dedup();
    // An index is compared with the length, or with the largest one that is allowed.
    let looked_up = found.iter().filter(|(address, _)| indexed.contains(address));
    let beside = looked_up.flat_map(|(address, number)| [(*address, *number), (*address, *number + 1)]);
    let checked = beside.filter(|(_, length)| bounds.binary_search(length).is_ok()).collect();
    Numbers { near: found, checked }
}

/// Longest table of a `match` that is believed in, in entries.
const MAX_ENTRIES: u64 = 1024;

/// Texts that a `match` gives stand in two tables, one of addresses or distances and one of lengths.
fn in_tables(image: &Image<'_>, code: &Code, taken: &[u64]) -> Vec<(u64, u64)> {
    let mut found = Vec::new();
    for table in taken {
        let entry = |index: u64| {
            if code.distances.contains(table) {
                let at = table + index * 4;
                let distance = image.bytes(at..at + 4)?.try_into().ok().map(i32::from_le_bytes)?;
                return Some(table.wrapping_add_signed(i64::from(distance)));
            }
            match image.linkage.pointer_at(table + index * 8) {
                Some(Pointer::Address(to)) => Some(*to),
                _ => None,
            }
        };
        let Some(first) = entry(0) else { continue };
        for lengths in taken.iter().filter(|lengths| *lengths != table) {
            let length = |index: u64| {
                let at = lengths + index * 8;
                let word = image.bytes(at..at + 8)?.try_into().ok().map(u64::from_le_bytes)?;
                (image.linkage.pointer_at(at).is_none() && (1..MAX_LENGTH).contains(&word)).then_some(word)
            };
            let Some(len) = length(0) else { continue };
            found.push((first, len));
            let rest = (1..MAX_ENTRIES).map_while(|index| Some((entry(index)?, length(index)?)));
            found.extend(rest);
        }
    }
    found
}

/// Pointers in data with the word behind them.
pub(super) fn in_data<'i>(image: &'i Image<'_>) -> impl Iterator<Item = (u64, u64)> + use<'i> {
    image.linkage.pointers.iter().filter_map(|(at, pointer)| {
        let Pointer::Address(to) = pointer else { return None };
        let word = image.bytes(at + 8..at + 16)?.try_into().ok()?;
        let length = u64::from_le_bytes(word);
        (1..MAX_LENGTH).contains(&length).then_some((*to, length))
    })
}
