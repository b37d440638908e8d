//! Follows the thread pointer and the start of the image's storage through registers.

use super::{SlotKind, TlsField, TlsUse, ZeroSlot, is_direct, is_relative, slot_kind};
use crate::code::values::{KEPT, is_write, number};
use crate::code::{Code, Use, instructions};
use crate::image::{Function, Image};
use iced_x86::{
    Code as Opcode, ConstantOffsets, FlowControl, Instruction, InstructionInfoFactory,
    InstructionInfoOptions, Mnemonic, OpAccess, OpKind, Register,
};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// What a register holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Value {
    /// Nothing to which an offset of a variable is added.
    Plain,
    /// The thread pointer, plus an index if true.
    Pointer(bool),
    /// A number, loaded by the step, that may be an offset from the thread pointer, and maybe an index.
    Number(usize),
    /// The offset of a variable from the thread pointer, from a slot.
    Offset,
    /// The address of a slot of offset 0, taken by the step.
    Slot(usize),
    /// What such a slot leads to, plus an index if true.
    Start(usize, bool),
    /// One of the above, or not.
    Maybe,
}

type State = [Value; 16];

fn join(a: Value, b: Value) -> Value {
    match (a, b) {
        _ if a == b => a,
        (Value::Pointer(_), Value::Pointer(_)) => Value::Pointer(true),
        (Value::Start(one, _), Value::Start(other, _)) if one == other => Value::Start(one, true),
        _ => Value::Maybe,
    }
}

struct Step {
    part: u16,
    start: u32,
    instruction: Instruction,
    offsets: ConstantOffsets,
    /// The kind of the slot that it refers to.
    slot: Option<SlotKind>,
}

impl Step {
    /// True if it has a displacement of the width that the linker fills in.
    fn wide_displacement(&self) -> bool {
        self.offsets.displacement_size() == 4
    }
}

/// What was found out while going through the steps.
#[derive(Default)]
struct Found {
    /// Fields by part and offset.
    fields: BTreeMap<(u16, u32), TlsField>,
    /// Numbers that are used as something else.
    plain_numbers: BTreeSet<(u16, u32)>,
    starts: BTreeSet<usize>,
    variables: BTreeSet<usize>,
    uncertain: Option<u64>,
}

struct Flow<'i, 'a> {
    image: &'i Image<'a>,
    steps: Vec<Step>,
    info: InstructionInfoFactory,
    found: Found,
}

pub(super) fn follow(image: &Image<'_>, function: &Function, code: &Code) -> TlsUse {
    let mut steps = Vec::new();
    for (part, range) in function.parts.iter().enumerate() {
        let mut decoder = instructions(image, range.clone());
        while decoder.can_decode() {
            let instruction = decoder.decode();
            let offsets = decoder.get_constant_offsets(&instruction);
            let start = (instruction.ip() - range.start) as u32;
            let end = start + instruction.len() as u32;
            let reference = code
                .references
                .iter()
                .find(|reference| usize::from(reference.part) == part && reference.end == end);
            let slot = reference.and_then(|reference| slot_kind(image, &reference.referent));
            steps.push(Step { part: part as u16, start, instruction, offsets, slot });
        }
    }
    let mut flow = Flow { image, steps, info: InstructionInfoFactory::new(), found: Found::default() };
    flow.run(function, code)
}

impl Flow<'_, '_> {
    fn run(&mut self, function: &Function, code: &Code) -> TlsUse {
        let numbers: HashMap<u64, usize> =
            self.steps.iter().enumerate().map(|(step, at)| (at.instruction.ip(), step)).collect();
        let tables = code.branch_targets.iter();
        let anywhere: Vec<usize> = tables
            .filter_map(|(part, offset)| {
                let start = function.parts.get(usize::from(*part))?.start;
                numbers.get(&(start + u64::from(*offset))).copied()
            })
            .collect();
        let mut before: Vec<Option<State>> = vec![None; self.steps.len()];
        let mut open = Vec::new();
        if let Some(first) = before.first_mut() {
            *first = Some([Value::Plain; 16]);
            open.push(0);
        }
        loop {
            while let Some(step) = open.pop() {
                let Some(mut state) = before[step] else { continue };
                self.step(step, &mut state);
                for next in self.next(step, &numbers, &anywhere) {
                    let joined = match before[next] {
                        None => state,
                        Some(old) => std::array::from_fn(|register| join(old[register], state[register])),
                    };
                    if before[next] != Some(joined) {
                        before[next] = Some(joined);
                        open.push(next);
                    }
                }
            }
            // Exceptions lead to what nothing else does, with whatever was in registers.
            let padding = |step: &Step| matches!(step.instruction.mnemonic(), Mnemonic::Nop | Mnemonic::Int3);
            let unreached =
                (0..self.steps.len()).find(|step| before[*step].is_none() && !padding(&self.steps[*step]));
            let Some(step) = unreached else { break };
            before[step] = Some([Value::Maybe; 16]);
            open.push(step);
        }
        self.found = Found::default();
        for (step, before) in before.iter().enumerate() {
            if let Some(mut state) = *before {
                self.step(step, &mut state);
            }
        }
        self.result()
    }

    fn result(&mut self) -> TlsUse {
        let found = std::mem::take(&mut self.found);
        let mut uncertain = found.uncertain;
        if found.fields.keys().any(|at| found.plain_numbers.contains(at)) {
            uncertain = uncertain.or_else(|| self.steps.first().map(|step| step.instruction.ip()));
        }
        let mut zero_slots = Vec::new();
        for (number, step) in self.steps.iter().enumerate() {
            if step.slot != Some(SlotKind::Zero) {
                continue;
            }
            let end = step.start + step.instruction.len() as u32;
            match (found.starts.contains(&number), found.variables.contains(&number)) {
                (true, true) => uncertain = uncertain.or(Some(step.instruction.ip())),
                (true, false) => zero_slots.push(((step.part, end), ZeroSlot::Start)),
                (false, _) => zero_slots.push(((step.part, end), ZeroSlot::Variable)),
            }
        }
        TlsUse { fields: found.fields.into_values().collect(), zero_slots, uncertain }
    }

    /// The steps that may follow.
    fn next(&self, step: usize, numbers: &HashMap<u64, usize>, anywhere: &[usize]) -> Vec<usize> {
        let instruction = &self.steps[step].instruction;
        let near = instruction.op0_kind() == OpKind::NearBranch64 && instruction.op_count() > 0;
        let branch = if near { numbers.get(&instruction.near_branch_target()).copied() } else { None };
        let behind = numbers.get(&instruction.next_ip()).copied();
        match instruction.flow_control() {
            FlowControl::Next | FlowControl::Interrupt | FlowControl::IndirectCall => {
                behind.into_iter().collect()
            }
            FlowControl::Call => behind.into_iter().collect(),
            FlowControl::ConditionalBranch | FlowControl::XbeginXabortXend => {
                branch.into_iter().chain(behind).collect()
            }
            FlowControl::UnconditionalBranch => branch.into_iter().collect(),
            FlowControl::IndirectBranch => anywhere.to_vec(),
            FlowControl::Return | FlowControl::Exception => Vec::new(),
        }
    }

    fn doubt(&mut self, step: usize) {
        self.found.uncertain = self.found.uncertain.or(Some(self.steps[step].instruction.ip()));
    }

    /// Notes that the displacement or immediate of `step` is a field.
    fn field(&mut self, step: usize, from_pointer: bool, immediate: bool, usage: Use) {
        let at = &self.steps[step];
        let value = if immediate {
            at.instruction.immediate(1) as i64
        } else {
            at.instruction.memory_displacement64() as i64
        };
        let place = if from_pointer {
            self.image.tls.from_start(value)
        } else {
            u64::try_from(value).ok().filter(|place| *place <= self.image.tls.size)
        };
        let Some(place) = place else { return self.doubt(step) };
        let within = if immediate { at.offsets.immediate_offset() } else { at.offsets.displacement_offset() };
        let field = TlsField {
            part: at.part,
            offset: at.start + within as u32,
            end: at.start + at.instruction.len() as u32,
            from_pointer,
            immediate,
            usage,
            place,
            base: None,
        };
        self.found.fields.insert((field.part, field.offset), field);
    }

    /// Notes that a number that `step` loads is an offset of a variable.
    fn number_field(&mut self, step: usize) {
        self.field(step, true, true, Use::Address);
    }

    /// Notes that a value is used as what it is, and nothing is added to it.
    fn used(&mut self, value: Value, step: usize) {
        match value {
            Value::Number(number) => {
                let at = &self.steps[number];
                let place = (at.part, at.start + at.offsets.immediate_offset() as u32);
                self.found.plain_numbers.insert(place);
            }
            Value::Start(slot, _) => drop(self.found.variables.insert(slot)),
            Value::Pointer(_) | Value::Slot(_) => self.doubt(step),
            Value::Plain | Value::Offset | Value::Maybe => {}
        }
    }

    /// The effect of a step.
    fn step(&mut self, step: usize, state: &mut State) {
        let instruction = self.steps[step].instruction;
        match instruction.flow_control() {
            FlowControl::Call | FlowControl::IndirectCall => return self.call(step, state),
            FlowControl::Return => {
                self.used_unless_pointer(state[Register::RAX.number()], step);
                return;
            }
            _ => {}
        }
        let result = self.result_of(step, state);
        let info = self.info.info_options(&instruction, InstructionInfoOptions::NO_MEMORY_USAGE);
        let written: Vec<usize> = info
            .used_registers()
            .iter()
            .filter(|used| is_write(used.access()))
            .filter_map(|used| number(used.register()))
            .collect();
        for register in written {
            state[register] = Value::Plain;
        }
        if let Some((register, value)) = result {
            state[register] = value;
        }
    }

    /// A value that may only be left over in its register.
    fn used_unless_pointer(&mut self, value: Value, step: usize) {
        if !matches!(value, Value::Pointer(_) | Value::Slot(_)) {
            self.used(value, step);
        }
    }

    fn call(&mut self, step: usize, state: &mut State) {
        let instruction = self.steps[step].instruction;
        let through_descriptor =
            instruction.op0_kind() == OpKind::Memory && instruction.memory_base() == Register::RAX;
        if through_descriptor && instruction.memory_displacement64() == 0 {
            // Through a descriptor: no other register changes ("TLS Descriptors", section 3.4).
            match state[Register::RAX.number()] {
                Value::Slot(slot) => {
                    state[Register::RAX.number()] = Value::Start(slot, false);
                    return;
                }
                Value::Offset => return,
                _ => {}
            }
        }
        let given = state[Register::RDI.number()];
        let arguments =
            [Register::RDI, Register::RSI, Register::RDX, Register::RCX, Register::R8, Register::R9];
        for argument in arguments {
            if !matches!(state[argument.number()], Value::Slot(_)) {
                self.used_unless_pointer(state[argument.number()], step);
            }
        }
        for (register, value) in state.iter_mut().enumerate() {
            let kept = KEPT.iter().any(|kept| kept.number() == register);
            if !kept && *value != Value::Plain {
                *value = Value::Maybe;
            }
        }
        state[Register::RAX.number()] = match given {
            Value::Slot(slot) => Value::Start(slot, false),
            _ => Value::Plain,
        };
    }

    /// The register that gets a value that is followed. Notes fields, and uses that are none.
    fn result_of(&mut self, step: usize, state: &State) -> Option<(usize, Value)> {
        let instruction = self.steps[step].instruction;
        let read = |register: Register| number(register).map_or(Value::Plain, |register| state[register]);
        let to = instruction.op0_register();
        let register = if instruction.op0_kind() == OpKind::Register { number(to) } else { None };
        let wide = to.is_gpr64();
        let from = instruction.op1_register();
        let memory =
            (0..instruction.op_count()).any(|operand| instruction.op_kind(operand) == OpKind::Memory);
        let at_memory = if memory { self.memory(step, state) } else { Value::Plain };
        let mnemonic = instruction.mnemonic();
        let result = match (mnemonic, instruction.op1_kind()) {
            (Mnemonic::Mov, OpKind::Memory) | (Mnemonic::Lea, _) if wide => Some(at_memory),
            (Mnemonic::Mov, OpKind::Register) if wide && from.is_gpr64() => Some(read(from)),
            (Mnemonic::Mov, OpKind::Immediate32to64)
                if wide && self.image.tls_is_fixed && instruction.code() == Opcode::Mov_rm64_imm32 =>
            {
                let value = instruction.immediate32to64();
                let inside = value < 0 && self.image.tls.from_start(value).is_some();
                Some(if inside { Value::Number(step) } else { Value::Plain })
            }
            (Mnemonic::Add, OpKind::Memory) if wide => Some(self.sum(step, read(to), at_memory)),
            (Mnemonic::Add, OpKind::Register) if wide && from.is_gpr64() => {
                Some(self.sum(step, read(to), read(from)))
            }
            (Mnemonic::Add, OpKind::Immediate32to64) if wide => Some(self.plus_number(step, read(to), true)),
            (Mnemonic::Add, OpKind::Immediate8to64) if wide => Some(self.plus_number(step, read(to), false)),
            _ => None,
        };
        if let Some(value) = result {
            return register.map(|register| (register, value));
        }
        // Comparing changes nothing, pushing and popping what is kept for a caller neither.
        if !matches!(mnemonic, Mnemonic::Cmp | Mnemonic::Test | Mnemonic::Nop | Mnemonic::Pop) {
            let info = self.info.info_options(&instruction, InstructionInfoOptions::NO_MEMORY_USAGE);
            let in_address = |register: Register| {
                let named = (1..instruction.op_count()).any(|operand| {
                    instruction.op_kind(operand) == OpKind::Register
                        && instruction.op_register(operand).full_register() == register
                });
                memory
                    && !named
                    && (instruction.memory_base() == register || instruction.memory_index() == register)
            };
            let operands: Vec<Register> = info
                .used_registers()
                .iter()
                .filter(|used| used.access() != OpAccess::Write && !in_address(used.register()))
                .map(iced_x86::UsedRegister::register)
                .filter(|register| register.full_register() != Register::RSP)
                .collect();
            for operand in operands {
                let value = read(operand);
                self.used(value, step);
                // Memory and vector registers are not followed.
                if let Value::Start(..) = value {
                    self.doubt(step);
                }
            }
            if at_memory != Value::Plain {
                self.used(at_memory, step);
            }
        }
        None
    }

    /// What the memory operand of `step` holds, or for `lea` its address.
    fn memory(&mut self, step: usize, state: &State) -> Value {
        let at = &self.steps[step];
        let (instruction, slot) = (at.instruction, at.slot);
        let wide_displacement = at.wide_displacement();
        let lea = instruction.mnemonic() == Mnemonic::Lea;
        if instruction.is_ip_rel_memory_operand() {
            return match slot {
                Some(SlotKind::Zero) if lea => Value::Slot(step),
                Some(SlotKind::Offset) if !lea => Value::Offset,
                // A descriptor's function gives an offset, `__tls_get_addr` an address.
                Some(SlotKind::Variable) if lea => Value::Offset,
                Some(_) => {
                    self.doubt(step);
                    Value::Plain
                }
                None => Value::Plain,
            };
        }
        let read = |register: Register| number(register).map_or(Value::Plain, |register| state[register]);
        let displacement = instruction.memory_displacement64() as i64;
        let usage = usage(&mut self.info, &instruction);
        let relative = is_relative(&instruction) && !lea;
        if relative && is_direct(&instruction) {
            return match displacement {
                0 => Value::Pointer(false),
                // What is behind the thread pointer is the C library's.
                1.. => Value::Plain,
                _ if self.image.tls_is_fixed && wide_displacement => {
                    self.field(step, true, false, usage);
                    Value::Plain
                }
                _ => {
                    self.doubt(step);
                    Value::Plain
                }
            };
        }
        let (base, index) = (read(instruction.memory_base()), read(instruction.memory_index()));
        let scaled = instruction.memory_index() != Register::None && instruction.memory_index_scale() != 1;
        let plain = |value: Value| matches!(value, Value::Plain | Value::Offset);
        if scaled && !plain(index) {
            self.used(index, step);
            if !matches!(index, Value::Number(_)) {
                self.doubt(step);
            }
        }
        let index = if scaled { Value::Plain } else { index };
        let fits_pointer = wide_displacement && self.image.tls.from_start(displacement).is_some();
        let fits_start =
            wide_displacement && u64::try_from(displacement).is_ok_and(|place| place <= self.image.tls.size);
        match (base, index) {
            (Value::Start(slot, indexed), other) | (other, Value::Start(slot, indexed)) => {
                if !plain(other) && !matches!(other, Value::Pointer(_)) {
                    self.used(other, step);
                    self.doubt(step);
                }
                if fits_start {
                    self.found.starts.insert(slot);
                    self.field(step, false, false, if indexed { Use::Address } else { usage });
                    Value::Plain
                } else if lea && !wide_displacement && displacement == 0 {
                    // Only an index was added.
                    Value::Start(slot, true)
                } else {
                    self.found.variables.insert(slot);
                    Value::Plain
                }
            }
            (Value::Number(number), other) | (other, Value::Number(number)) if relative => {
                self.number_field(number);
                if !plain(other) {
                    self.used(other, step);
                    self.doubt(step);
                }
                Value::Plain
            }
            (Value::Pointer(_), Value::Number(number)) | (Value::Number(number), Value::Pointer(_)) => {
                self.number_field(number);
                Value::Plain
            }
            (Value::Pointer(_), Value::Offset) | (Value::Offset, Value::Pointer(_)) => Value::Plain,
            (Value::Pointer(indexed), other) | (other, Value::Pointer(indexed)) => {
                if !plain(other) || relative {
                    self.used(other, step);
                    self.doubt(step);
                }
                if !self.image.tls_is_fixed {
                    return Value::Plain;
                }
                if fits_pointer {
                    self.field(step, true, false, if indexed { Use::Address } else { usage });
                    Value::Plain
                } else if lea && displacement == 0 && !wide_displacement {
                    Value::Pointer(true)
                } else {
                    if instruction.memory_index() != Register::None || lea {
                        self.doubt(step);
                    }
                    Value::Plain
                }
            }
            (Value::Maybe, _) | (_, Value::Maybe) => {
                if relative || fits_pointer || (fits_start && displacement != 0) {
                    self.doubt(step);
                }
                if lea { Value::Maybe } else { Value::Plain }
            }
            (Value::Offset, _) | (_, Value::Offset) if relative || lea => {
                if lea {
                    Value::Offset
                } else {
                    Value::Plain
                }
            }
            _ if relative && self.image.tls_is_fixed => {
                if fits_pointer && displacement < 0 {
                    self.field(step, true, false, Use::Address);
                } else {
                    self.doubt(step);
                }
                Value::Plain
            }
            _ => {
                for value in [base, index] {
                    self.used(value, step);
                }
                Value::Plain
            }
        }
    }

    fn sum(&mut self, step: usize, a: Value, b: Value) -> Value {
        match (a, b) {
            (Value::Plain, Value::Plain)
            | (Value::Offset, Value::Pointer(_))
            | (Value::Pointer(_), Value::Offset) => Value::Plain,
            // The offset that a descriptor gives, and the thread pointer.
            (Value::Start(slot, indexed), Value::Pointer(false))
            | (Value::Pointer(false), Value::Start(slot, indexed)) => Value::Start(slot, indexed),
            (Value::Start(slot, _), Value::Plain | Value::Pointer(true))
            | (Value::Plain | Value::Pointer(true), Value::Start(slot, _)) => Value::Start(slot, true),
            (Value::Pointer(_), Value::Number(number)) | (Value::Number(number), Value::Pointer(_)) => {
                self.number_field(number);
                Value::Plain
            }
            (Value::Pointer(_), Value::Plain) | (Value::Plain, Value::Pointer(_)) => Value::Pointer(true),
            (Value::Number(number), Value::Plain) | (Value::Plain, Value::Number(number)) => {
                Value::Number(number)
            }
            (Value::Offset, Value::Plain) | (Value::Plain, Value::Offset) => Value::Offset,
            (Value::Maybe, _) | (_, Value::Maybe) => Value::Maybe,
            _ => {
                self.doubt(step);
                Value::Maybe
            }
        }
    }

    /// A number is added.
    fn plus_number(&mut self, step: usize, value: Value, wide: bool) -> Value {
        let number = self.steps[step].instruction.immediate(1) as i64;
        match value {
            Value::Pointer(_) if self.image.tls_is_fixed => {
                if wide && self.image.tls.from_start(number).is_some() {
                    self.field(step, true, true, Use::Address);
                } else {
                    self.doubt(step);
                }
                Value::Plain
            }
            Value::Start(slot, _) => {
                if wide && u64::try_from(number).is_ok_and(|place| place <= self.image.tls.size) {
                    self.found.starts.insert(slot);
                    self.field(step, false, true, Use::Address);
                } else {
                    self.found.variables.insert(slot);
                }
                Value::Plain
            }
            Value::Slot(_) | Value::Number(_) => {
                self.used(value, step);
                self.doubt(step);
                Value::Maybe
            }
            Value::Offset => Value::Offset,
            Value::Maybe => {
                if wide {
                    self.doubt(step);
                }
                Value::Maybe
            }
            Value::Plain | Value::Pointer(_) => Value::Plain,
        }
    }
}

/// What is done at the memory operand; the whole extent is not known where a register is added.
fn usage(info: &mut InstructionInfoFactory, instruction: &Instruction) -> Use {
    let indexed = instruction.memory_index() != Register::None;
    let taken = matches!(
        instruction.mnemonic(),
        Mnemonic::Lea | Mnemonic::Bt | Mnemonic::Bts | Mnemonic::Btr | Mnemonic::Btc
    );
    let size = instruction.memory_size().size();
    if indexed || taken || size == 0 {
        return Use::Address;
    }
    let info = info.info_options(instruction, InstructionInfoOptions::NO_REGISTER_USAGE);
    let write = info.used_memory().iter().any(|memory| is_write(memory.access()));
    if write { Use::Write } else { Use::Read(size as u16) }
}
