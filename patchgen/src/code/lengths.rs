//! How long unnamed constants are, as far as a build tells. Rust passes slices and strings as an address and a length:
//! code has both near each other, data has them in two words.

use super::{Code, Use, instructions};
use crate::image::{Access, Function, Image, Pointer};
use iced_x86::OpKind;

/// Instructions between an address and its length.
const NEAR: usize = 10;

/// Longest constant that is believed to be described so, in bytes.
const MAX_LENGTH: u64 = 1 << 20;

/// Numbers beside the addresses that a function takes: address and number, among which the lengths are.
pub(super) fn in_code(image: &Image<'_>, function: &Function, code: &Code) -> Vec<(u64, u64)> {
    let mut found = Vec::new();
    let mut numbers: Vec<(usize, u64)> = Vec::new();
    let mut addresses: Vec<(usize, u64)> = Vec::new();
    for (part, range) in function.parts.iter().enumerate() {
        let in_part = |reference: &&super::Reference| usize::from(reference.part) == part;
        let mut references = code.references.iter().filter(in_part).peekable();
        numbers.clear();
        addresses.clear();
        for (index, instruction) in instructions(image, range.clone()).into_iter().enumerate() {
            let end = (instruction.next_ip() - range.start) as u32;
            while let Some(reference) = references.next_if(|reference| reference.end <= end) {
                let is_data = |section: &crate::image::Section<'_>| section.access != Access::Execute;
                if reference.usage == Use::Address && image.section_at(reference.target).is_some_and(is_data)
                {
                    addresses.push((index, reference.target));
                }
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
                }
            }
        }
        for (index, address) in &addresses {
            let from = numbers.partition_point(|(at, _)| at + NEAR < *index);
            let near = numbers[from..].iter().take_while(|(at, _)| *at <= index + NEAR);
            found.extend(near.map(|(_, number)| (*address, *number)));
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
