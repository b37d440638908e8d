//! The second reading: code that goes into a process must decode the same in two disassemblers.
//!
//! iced-x86 made or moved the code; capstone reads it independently. Length, mnemonic and every
//! position-dependent operand of each instruction must agree.

use capstone::prelude::*;
use iced_x86::{Decoder, DecoderOptions, Instruction, Mnemonic, OpKind};

/// Where the two disassemblers read different instructions.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("The disassemblers disagree at {address:#x}: \"{iced}\" against \"{capstone}\"")]
pub struct Disagreement {
    /// Address of the instruction.
    pub address: u64,
    /// iced-x86's reading.
    pub iced: String,
    /// capstone's reading.
    pub capstone: String,
}

/// The capstone side of the comparison, made once and used for many pieces of code.
pub struct SecondReader(Capstone);

impl SecondReader {
    /// A reader for 64-bit x86 code.
    pub fn new() -> Self {
        let capstone = Capstone::new().x86().mode(arch::x86::ArchMode::Mode64).build();
        SecondReader(capstone.expect("capstone is built with x86 support"))
    }

    /// Checks that both disassemblers read `code`, located at `address`, alike from its first to its last byte.
    pub fn check(&self, code: &[u8], address: u64) -> Result<(), Disagreement> {
        let mut first = Decoder::with_ip(64, code, address, DecoderOptions::NONE);
        let mut second = self.0.disasm_iter(code, address).expect("an iterator needs no resource but memory");
        let mut instruction = Instruction::default();
        while first.can_decode() {
            first.decode_out(&mut instruction);
            let other = second.next();
            let other = other.as_ref();
            let agree = other.is_some_and(|other| {
                !instruction.is_invalid()
                    && other.address() == instruction.ip()
                    && other.bytes().len() == instruction.len()
                    && same_mnemonic(&instruction, other.mnemonic().unwrap_or_default())
                    && same_place(&instruction, other.op_str().unwrap_or_default())
            });
            if !agree {
                return Err(Disagreement {
                    address: instruction.ip(),
                    iced: format!("{instruction}"),
                    capstone: other.map_or_else(
                        || "nothing".to_owned(),
                        |other| {
                            format!(
                                "{} {}",
                                other.mnemonic().unwrap_or_default(),
                                other.op_str().unwrap_or_default()
                            )
                        },
                    ),
                });
            }
        }
        Ok(())
    }
}

impl Default for SecondReader {
    fn default() -> Self {
        Self::new()
    }
}

/// Compares mnemonics, allowing for the names that the two projects give the same instruction.
fn same_mnemonic(instruction: &Instruction, other: &str) -> bool {
    // Capstone puts prefixes before the mnemonic.
    let other = other.rsplit(' ').next().unwrap_or_default();
    let mine = format!("{:?}", instruction.mnemonic()).to_ascii_lowercase();
    if mine == other {
        return true;
    }
    let alias = match instruction.mnemonic() {
        Mnemonic::Mov => other == "movabs",
        Mnemonic::Int3 => other == "int3" || other == "int",
        Mnemonic::Retf => other == "retfq",
        Mnemonic::Iretq => other == "iretq",
        Mnemonic::Wait => other == "wait" || other == "fwait",
        Mnemonic::Xlatb => other == "xlatb" || other == "xlat",
        Mnemonic::Pushfq => other == "pushfq",
        Mnemonic::Ud1 => other == "ud1" || other == "ud2b",
        Mnemonic::Reservednop => other == "nop",
        _ => false,
    };
    // Comparisons with a predicate in the immediate: `cmpsd` is `cmpltsd`, `vpcmpub` is `vpcmpltub`.
    let split_predicate = |stem: &str| {
        mine.strip_prefix(stem).is_some_and(|suffix| {
            other.starts_with(stem) && other.ends_with(suffix) && other.len() > mine.len()
        })
    };
    alias
        || ["cmp", "vcmp", "vpcmpu", "vpcmp", "vpcom", "pclmul", "vpclmul"]
            .iter()
            .any(|stem| split_predicate(stem))
}

/// Compares branch targets and rip-relative displacements, the operands that relocation changes.
fn same_place(instruction: &Instruction, operands: &str) -> bool {
    let near_branch = (0..instruction.op_count()).any(|operand| {
        matches!(
            instruction.op_kind(operand),
            OpKind::NearBranch16 | OpKind::NearBranch32 | OpKind::NearBranch64
        )
    });
    if near_branch {
        let last = operands.rsplit(", ").next().unwrap_or_default();
        return parse_number(last) == Some(instruction.near_branch_target());
    }
    if instruction.is_ip_rel_memory_operand() {
        let displacement = instruction.memory_displacement64().wrapping_sub(instruction.next_ip());
        return parse_rip_operand(operands) == Some(displacement);
    }
    true
}

/// The displacement of the operand `[rip + N]` or `[rip - N]`.
fn parse_rip_operand(operands: &str) -> Option<u64> {
    let inside = operands.split_once("[rip")?.1.split_once(']')?.0.trim();
    if inside.is_empty() {
        return Some(0);
    }
    let (sign, number) = inside.split_at(1);
    let number = parse_number(number.trim())?;
    match sign {
        "+" => Some(number),
        "-" => Some(number.wrapping_neg()),
        _ => None,
    }
}

fn parse_number(text: &str) -> Option<u64> {
    match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}
