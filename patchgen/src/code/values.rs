//! Values of registers and of stack slots, as far as they are followed.

use iced_x86::{
    Instruction, InstructionInfoFactory, InstructionInfoOptions, MemorySize, Mnemonic, OpAccess, OpKind,
    Register, UsedMemory,
};
use std::collections::BTreeMap;

/// What a register or a stack slot holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Value {
    /// Anything.
    Unknown,
    /// This number.
    Known(u64),
    /// An entry of the table of 32-bit distances at this address, sign-extended to 64 bits or not yet.
    Distance { table: u64, wide: bool },
    /// The address of one of several tables, by the number of their set.
    OneOf(u16),
    /// An entry of one of the tables of that set.
    DistanceOfOne { tables: u16, wide: bool },
    /// The address of a label of this function, taken by this call.
    Label,
}

/// Where a stack slot is: distance from `rsp` or, if true, from `rbp`.
pub(super) type Slot = (bool, i64);

/// What is known at one place of a function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct State {
    pub(super) registers: [Value; 16],
    pub(super) slots: BTreeMap<Slot, Value>,
}

impl State {
    pub(super) fn unknown() -> Self {
        State { registers: [Value::Unknown; 16], slots: BTreeMap::new() }
    }

    /// After a change of `rsp` or `rbp`: slots keep their place in memory, or are forgotten.
    pub(super) fn move_frame(&mut self, instruction: &Instruction, register: usize) {
        let moved =
            |slot: &Slot| register == if slot.0 { Register::RBP.number() } else { Register::RSP.number() };
        let by = match instruction.mnemonic() {
            Mnemonic::Push | Mnemonic::Pop => Some(i64::from(instruction.stack_pointer_increment())),
            Mnemonic::Add if instruction.op1_kind() == OpKind::Immediate8to64 => {
                Some(instruction.immediate8to64())
            }
            Mnemonic::Sub if instruction.op1_kind() == OpKind::Immediate8to64 => {
                Some(-instruction.immediate8to64())
            }
            _ => None,
        };
        let to_rbp =
            instruction.op0_kind() == OpKind::Register && instruction.op0_register() == Register::RBP;
        let slots = std::mem::take(&mut self.slots);
        for (slot, value) in slots {
            match by.filter(|_| !slot.0 && !to_rbp) {
                _ if !moved(&slot) => drop(self.slots.insert(slot, value)),
                Some(by) => drop(self.slots.insert((slot.0, slot.1 - by), value)),
                None => {}
            }
        }
    }

    /// Forgets the slots that a write may change.
    pub(super) fn overwrite(&mut self, memory: &UsedMemory, frame: &Frame) {
        let plain = memory.index() == Register::None && memory.memory_size() != MemorySize::Unknown;
        let base = match memory.base() {
            Register::RSP if plain => Some(false),
            Register::RBP if plain && frame.pointer => Some(true),
            _ => None,
        };
        let on_frame = |register| matches!(register, Register::RSP | Register::RBP);
        match base {
            Some(base) => {
                let from = memory.displacement() as i64;
                let size = memory.memory_size().size().max(1) as i64;
                // Nothing is known of the distance between `rsp` and `rbp`.
                self.slots.retain(|(other, at), _| *other == base && (*at + 8 <= from || from + size <= *at));
            }
            None if frame.escapes || on_frame(memory.base()) || on_frame(memory.index()) => {
                self.slots.clear();
            }
            None => {}
        }
    }
}

/// What a function does with its frame.
pub(super) struct Frame {
    /// `rbp` is the frame pointer and nothing else.
    pub(super) pointer: bool,
    /// Somebody may have the address of a slot.
    pub(super) escapes: bool,
}

impl Frame {
    pub(super) fn of<'i>(instructions: impl Iterator<Item = &'i Instruction>) -> Self {
        let mut info = InstructionInfoFactory::new();
        let mut frame = Frame { pointer: false, escapes: false };
        let mut other_use = false;
        for instruction in instructions {
            let to = instruction.op0_register();
            let copies = |register| {
                (0..instruction.op_count()).any(|operand| {
                    (operand > 0 || instruction.mnemonic() == Mnemonic::Push)
                        && instruction.op_kind(operand) == OpKind::Register
                        && instruction.op_register(operand).full_register() == register
                })
            };
            if instruction.mnemonic() == Mnemonic::Mov && to == Register::RBP && copies(Register::RSP) {
                frame.pointer = true;
                continue;
            }
            let writes_rbp = info
                .info_options(instruction, InstructionInfoOptions::NO_MEMORY_USAGE)
                .used_registers()
                .iter()
                .any(|used| used.register().full_register() == Register::RBP && is_write(used.access()));
            other_use |= writes_rbp && !matches!(instruction.mnemonic(), Mnemonic::Pop | Mnemonic::Leave);
            let on_frame = |register| matches!(register, Register::RSP | Register::RBP);
            let address = instruction.mnemonic() == Mnemonic::Lea
                && (on_frame(instruction.memory_base()) || on_frame(instruction.memory_index()))
                && to != Register::RSP;
            let copied = copies(Register::RSP)
                || (copies(Register::RBP) && instruction.mnemonic() != Mnemonic::Push && to != Register::RSP);
            frame.escapes |= address || copied;
        }
        frame.pointer &= !other_use;
        frame
    }

    /// The stack slot that the memory operand is.
    pub(super) fn slot(&self, instruction: &Instruction) -> Option<Slot> {
        let plain = instruction.memory_index() == Register::None
            && matches!(
                instruction.memory_size(),
                MemorySize::UInt64 | MemorySize::Int64 | MemorySize::QwordOffset
            );
        let displacement = instruction.memory_displacement64() as i64;
        match instruction.memory_base() {
            Register::RSP if plain => Some((false, displacement)),
            Register::RBP if plain && self.pointer => Some((true, displacement)),
            _ => None,
        }
    }
}

pub(super) fn is_write(access: OpAccess) -> bool {
    !matches!(access, OpAccess::None | OpAccess::Read | OpAccess::CondRead | OpAccess::NoMemAccess)
}

/// Number of the 64-bit register that `register` is a part of.
pub(super) fn number(register: Register) -> Option<usize> {
    let full = register.full_register();
    full.is_gpr64().then(|| full.number())
}

/// Registers that calls leave alone (psABI 3.2.1).
pub(super) const KEPT: [Register; 7] =
    [Register::RBX, Register::RBP, Register::RSP, Register::R12, Register::R13, Register::R14, Register::R15];

pub(super) fn read(state: &State, register: Register) -> Value {
    if !register.is_gpr() {
        return Value::Unknown;
    }
    number(register).map_or(Value::Unknown, |register| state.registers[register])
}

/// What a value is after it went through a 32-bit register.
pub(super) fn narrow(value: Value) -> Option<Value> {
    matches!(value, Value::Distance { wide: false, .. } | Value::DistanceOfOne { wide: false, .. })
        .then_some(value)
}

/// A 32-bit distance after sign extension.
pub(super) fn widen(value: Value) -> Option<Value> {
    match value {
        Value::Distance { table, wide: false } => Some(Value::Distance { table, wide: true }),
        Value::DistanceOfOne { tables, wide: false } => Some(Value::DistanceOfOne { tables, wide: true }),
        _ => None,
    }
}

/// True for conditional moves.
pub(super) fn is_choice(instruction: &Instruction) -> bool {
    use Mnemonic as M;
    matches!(
        instruction.mnemonic(),
        M::Cmova
            | M::Cmovae
            | M::Cmovb
            | M::Cmovbe
            | M::Cmove
            | M::Cmovg
            | M::Cmovge
            | M::Cmovl
            | M::Cmovle
            | M::Cmovne
            | M::Cmovno
            | M::Cmovnp
            | M::Cmovns
            | M::Cmovo
            | M::Cmovp
            | M::Cmovs
    )
}
