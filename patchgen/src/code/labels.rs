//! Computed gotos: where indirect jumps of a function that takes the address of its own labels lead.
//!
//! A label's address may be stored and used by a later call (`state = &&resume; return x;`). What old code stored leads
//! into old code, so such a function is not patched. One whose jumps all go to labels of which the same call took the
//! address is: here the values of registers and of stack slots are followed from the tables of labels to the jumps.

use super::values::{Frame, KEPT, State, Value, is_choice, is_write, narrow, number, read, widen};
use super::{Code, Form, JumpTable, Use, instructions};
use crate::image::{Access, Function, Image};
use iced_x86::{FlowControl, Instruction, InstructionInfoFactory, Mnemonic, OpKind, Register, UsedMemory};
use std::collections::{BTreeMap, BTreeSet};

/// A place in a function: part and offset.
type Place = (u16, u32);

/// What is known of the label addresses that a function takes.
pub(super) enum Labels {
    /// It takes none.
    None,
    /// Every indirect jump goes to a label of which the same call took the address; these are all of them.
    Proven(Vec<Place>),
    /// The indirect jump at this address may go to one that an earlier call stored.
    Open(u64),
}

/// Follows the labels of `function`. `starts` are its instructions, `code` has its references and tables.
pub(super) fn follow(image: &Image<'_>, function: &Function, code: &Code, starts: &[Place]) -> Labels {
    let interior = |address: u64| {
        let (part, offset) = function.locate(address).filter(|place| *place != (0, 0))?;
        let place = (part as u16, offset as u32);
        starts.binary_search(&place).is_ok().then_some(place)
    };
    let taken = code.references.iter().filter(|reference| reference.usage == Use::Address);
    let mut targets: BTreeSet<Place> = taken.filter_map(|reference| interior(reference.target)).collect();
    let tables = code.tables.iter().filter(|table| table.absolute);
    let of_labels = tables.clone().any(|table| is_of_labels(image, table));
    if targets.is_empty() && !of_labels {
        return Labels::None;
    }
    targets.extend(code.tables.iter().flat_map(|table| table.entries.iter().copied()));
    // A jump through a thunk against speculation is not seen as an indirect one.
    let thunk = code.references.iter().find(|reference| {
        let name = || image.function_at(reference.target).map(|(id, ..)| image.function(id).name.as_str());
        reference.form == Form::Branch { call: false }
            && name().is_some_and(|name| name.contains("indirect_thunk") || name.contains("retpoline"))
    });
    if let Some(thunk) = thunk {
        return Labels::Open(function.parts[usize::from(thunk.part)].start + u64::from(thunk.offset));
    }
    let none = BTreeSet::new();
    let mut flow = Flow::new(image, function, code, &interior, targets, &none);
    match flow.run() {
        Some(jump) => Labels::Open(jump),
        None => Labels::Proven(flow.targets.into_iter().collect()),
    }
}

/// The unnamed constants that hold 32-bit distances from their own start to data, as clang makes them of tables of
/// pointers (lib/Transforms/Utils/RelLookupTableConverter.cpp): the function adds what it reads there to the table's
/// address. `candidates` are all that may be such tables.
pub(super) fn tables_of_distances(
    image: &Image<'_>,
    function: &Function,
    code: &Code,
    starts: &[Place],
    candidates: &BTreeSet<u64>,
) -> Distances {
    let interior = |address: u64| {
        let (part, offset) = function.locate(address)?;
        let place = (part as u16, offset as u32);
        starts.binary_search(&place).is_ok().then_some(place)
    };
    let taken = code.references.iter().filter(|reference| reference.usage == Use::Address);
    let mut targets: BTreeSet<Place> = taken.filter_map(|reference| interior(reference.target)).collect();
    targets.extend(code.tables.iter().flat_map(|table| table.entries.iter().copied()));
    let mut flow = Flow::new(image, function, code, &interior, targets, candidates);
    flow.run();
    Distances { tables: flow.distances, jumps: flow.jumps }
}

/// What is known of a function's tables of distances to data.
#[derive(Default)]
pub(super) struct Distances {
    /// The tables.
    pub(super) tables: BTreeSet<u64>,
    /// Indirect jumps to where the data tells to which an entry leads.
    pub(super) jumps: BTreeSet<u64>,
}

/// True for tables of labels that the source names, or that compilers make of an array of labels: the tables of
/// `switch` are relative where code is position independent, and have no name.
fn is_of_labels(image: &Image<'_>, table: &JumpTable) -> bool {
    let relocated =
        image.section_at(table.address).is_some_and(|section| section.access == Access::ReadAfterRelocation);
    relocated || image.object_at(table.address).is_some()
}

struct Flow<'f, 'a> {
    image: &'f Image<'a>,
    function: &'f Function,
    code: &'f Code,
    interior: &'f dyn Fn(u64) -> Option<Place>,
    instructions: BTreeMap<u64, Instruction>,
    frame: Frame,
    /// All labels that indirect jumps may lead to.
    targets: BTreeSet<Place>,
    /// What holds before the first instruction of each block that is reached.
    before: BTreeMap<u64, State>,
    /// What holds at some indirect jump.
    at_jumps: Option<State>,
    /// Blocks to look at.
    open: Vec<u64>,
    info: InstructionInfoFactory,
    /// What may be tables of distances to data.
    candidates: &'f BTreeSet<u64>,
    /// Sets of such tables of which one is meant where ways meet.
    sets: Vec<BTreeSet<u64>>,
    /// Tables of distances from their own start that are no jump tables.
    distances: BTreeSet<u64>,
    /// Indirect jumps that read where to at the sum of such a table's address and an entry.
    jumps: BTreeSet<u64>,
}

/// Largest set of tables of which one is meant.
const MAX_SET: usize = 16;

impl<'f, 'a> Flow<'f, 'a> {
    fn new(
        image: &'f Image<'a>,
        function: &'f Function,
        code: &'f Code,
        interior: &'f dyn Fn(u64) -> Option<Place>,
        targets: BTreeSet<Place>,
        candidates: &'f BTreeSet<u64>,
    ) -> Self {
        let instructions: BTreeMap<u64, Instruction> = function
            .parts
            .iter()
            .flat_map(|part| instructions(image, part.clone()))
            .map(|instruction| (instruction.ip(), instruction))
            .collect();
        let frame = Frame::of(instructions.values());
        Flow {
            image,
            function,
            code,
            interior,
            instructions,
            frame,
            targets,
            before: BTreeMap::new(),
            at_jumps: None,
            open: Vec::new(),
            info: InstructionInfoFactory::new(),
            candidates,
            sets: Vec::new(),
            distances: BTreeSet::new(),
            jumps: BTreeSet::new(),
        }
    }

    /// Looks at everything that is reached until nothing more is learned. Gives the first jump that may lead anywhere.
    fn run(&mut self) -> Option<u64> {
        self.reach(self.function.address(), &State::unknown());
        while let Some(block) = self.open.pop() {
            self.block(block);
        }
        // Only now nothing is taken for known that another way makes unknown.
        self.distances.clear();
        self.jumps.clear();
        let blocks: Vec<u64> = self.before.keys().copied().collect();
        let jumps: Vec<Option<u64>> = blocks.into_iter().map(|block| self.block(block)).collect();
        jumps.into_iter().flatten().next()
    }

    /// Notes that `state` may hold at `address`.
    fn reach(&mut self, address: u64, state: &State) {
        let joined = match self.before.get(&address) {
            None => state.clone(),
            Some(before) => self.join_states(&before.clone(), state),
        };
        if self.before.get(&address) != Some(&joined) {
            self.before.insert(address, joined);
            self.open.push(address);
        }
    }

    fn reach_labels(&mut self, state: &State) {
        let joined = match self.at_jumps.take() {
            None => state.clone(),
            Some(before) => self.join_states(&before, state),
        };
        self.at_jumps = Some(joined.clone());
        for (part, offset) in self.targets.clone() {
            let address = self.function.parts[usize::from(part)].start + u64::from(offset);
            self.reach(address, &joined);
        }
    }

    fn join_states(&mut self, a: &State, b: &State) -> State {
        let mut registers = a.registers;
        for (value, other) in registers.iter_mut().zip(&b.registers) {
            *value = self.join(*value, *other);
        }
        let both = a.slots.iter().filter_map(|(slot, value)| {
            let joined = self.join(*value, *b.slots.get(slot)?);
            (joined != Value::Unknown).then_some((*slot, joined))
        });
        State { registers, slots: both.collect() }
    }

    fn join(&mut self, a: Value, b: Value) -> Value {
        match (a, b) {
            _ if a == b => a,
            _ if self.is_label(a) && self.is_label(b) => Value::Label,
            _ => self.one_of(a, b).unwrap_or(Value::Unknown),
        }
    }

    /// What is one of two values if both are addresses of tables, or both entries of tables.
    fn one_of(&mut self, a: Value, b: Value) -> Option<Value> {
        let tables = |value: Value| match value {
            Value::Known(table) if self.candidates.contains(&table) => Some((BTreeSet::from([table]), None)),
            Value::OneOf(set) => Some((self.sets[usize::from(set)].clone(), None)),
            Value::Distance { table, wide } if self.candidates.contains(&table) => {
                Some((BTreeSet::from([table]), Some(wide)))
            }
            Value::DistanceOfOne { tables, wide } => {
                Some((self.sets[usize::from(tables)].clone(), Some(wide)))
            }
            _ => None,
        };
        let ((mut all, is_entry), (others, is_other)) = (tables(a)?, tables(b)?);
        all.extend(others);
        if is_entry != is_other || all.len() > MAX_SET {
            return None;
        }
        let known = self.sets.iter().position(|set| *set == all);
        let number = known.unwrap_or_else(|| {
            self.sets.push(all);
            self.sets.len() - 1
        });
        let number = u16::try_from(number).ok()?;
        Some(is_entry.map_or(Value::OneOf(number), |wide| Value::DistanceOfOne { tables: number, wide }))
    }

    fn is_label(&self, value: Value) -> bool {
        match value {
            Value::Label => true,
            Value::Known(address) => (self.interior)(address).is_some(),
            _ => false,
        }
    }

    /// Goes through a block. Gives the address of its jump if that may lead anywhere.
    fn block(&mut self, start: u64) -> Option<u64> {
        let mut state = self.before.get(&start)?.clone();
        let mut at = start;
        loop {
            if at != start && self.before.contains_key(&at) {
                self.reach(at, &state);
                return None;
            }
            let Some(instruction) = self.instructions.get(&at).copied() else {
                // Code that runs into the middle of an instruction is nothing that a compiler made.
                return self.function.locate(at).is_some().then_some(at);
            };
            let jumps_to = |flow: &Self| {
                let near = instruction.op0_kind() == OpKind::NearBranch64 && instruction.op_count() > 0;
                let target = instruction.near_branch_target();
                (near && flow.function.locate(target).is_some()).then_some(target)
            };
            match instruction.flow_control() {
                FlowControl::Next | FlowControl::Interrupt => self.step(&instruction, &mut state),
                FlowControl::Call | FlowControl::IndirectCall => {
                    if let Some(target) = jumps_to(self) {
                        self.reach(target, &State::unknown());
                    }
                    if self.never_returns(&instruction) {
                        return None;
                    }
                    self.call(&mut state);
                }
                FlowControl::ConditionalBranch => {
                    // `loop` counts.
                    self.step(&instruction, &mut state);
                    if let Some(target) = jumps_to(self) {
                        self.reach(target, &state);
                    }
                }
                FlowControl::UnconditionalBranch => {
                    if let Some(target) = jumps_to(self) {
                        self.reach(target, &state);
                    }
                    return None;
                }
                FlowControl::IndirectBranch => return self.jump(&instruction, &state),
                FlowControl::Return | FlowControl::Exception => return None,
                FlowControl::XbeginXabortXend => return Some(at),
            }
            at = instruction.next_ip();
        }
    }

    /// True for calls of functions after which compilers put no code.
    fn never_returns(&self, call: &Instruction) -> bool {
        const NAMES: [&str; 5] = ["abort", "exit", "_exit", "__stack_chk_fail", "__assert_fail"];
        let target = call.near_branch_target();
        let Some(slot) = self.image.linkage.stubs.get(&target) else { return false };
        matches!(self.image.linkage.pointer_at(*slot),
            Some(crate::image::Pointer::Symbol { name, .. }) if NAMES.contains(&name.as_str()))
    }

    fn call(&self, state: &mut State) {
        for register in 0..state.registers.len() {
            if !KEPT.iter().any(|kept| kept.number() == register) {
                state.registers[register] = Value::Unknown;
            }
        }
        if self.frame.escapes {
            state.slots.clear();
        }
    }

    /// An indirect jump: to a label, or out of the function through a slot of the linker's.
    fn jump(&mut self, instruction: &Instruction, state: &State) -> Option<u64> {
        let value = match instruction.op0_kind() {
            OpKind::Register => read(state, instruction.op0_register()),
            OpKind::Memory => {
                let through_slot = instruction.is_ip_rel_memory_operand()
                    && self
                        .image
                        .section_at(instruction.ip_rel_memory_address())
                        .is_some_and(|section| section.name.starts_with(".got"));
                if through_slot {
                    return None;
                }
                self.load(instruction, 8, state)
            }
            _ => Value::Unknown,
        };
        self.reach_labels(state);
        if instruction.op0_kind() == OpKind::Memory && self.reads_at_entry(instruction, state) {
            self.jumps.insert(instruction.ip());
        }
        if self.is_label(value) { None } else { Some(instruction.ip()) }
    }

    /// The effect of an instruction that goes on to the next one.
    fn step(&mut self, instruction: &Instruction, state: &mut State) {
        let result = self.result(instruction, state);
        let slot = self.frame.slot(instruction).filter(|_| instruction.op0_kind() == OpKind::Memory);
        let stores = instruction.mnemonic() == Mnemonic::Mov && instruction.op0_kind() == OpKind::Memory;
        let stored = match instruction.op1_kind() {
            OpKind::Register if stores && instruction.op1_register().is_gpr64() => {
                Some(read(state, instruction.op1_register()))
            }
            OpKind::Immediate32to64 if stores => Some(Value::Known(instruction.immediate32to64() as u64)),
            _ => None,
        };
        let info = self.info.info(instruction);
        let written: Vec<Register> = info
            .used_registers()
            .iter()
            .filter(|used| is_write(used.access()))
            .map(iced_x86::UsedRegister::register)
            .collect();
        let memory: Vec<UsedMemory> =
            info.used_memory().iter().filter(|used| is_write(used.access())).copied().collect();
        for used in memory {
            state.overwrite(&used, &self.frame);
        }
        for register in written.into_iter().filter_map(number) {
            state.registers[register] = Value::Unknown;
            if register == Register::RSP.number() || register == Register::RBP.number() {
                state.move_frame(instruction, register);
            }
        }
        if let Some((register, value)) = result {
            state.registers[register] = value;
        }
        if let (Some(slot), Some(value)) = (slot, stored.filter(|value| *value != Value::Unknown)) {
            state.slots.insert(slot, value);
        }
    }

    /// Notes the table if the memory operand is at the sum of a table's address and an entry of it: what is read there
    /// shows that the table is one of distances.
    fn reads_at_entry(&mut self, instruction: &Instruction, state: &State) -> bool {
        if instruction.memory_index() == Register::None || instruction.memory_index_scale() != 1 {
            return false;
        }
        let (base, index) = (read(state, instruction.memory_base()), read(state, instruction.memory_index()));
        let tables = self.tables_of(base, index).filter(|tables| !self.is_jump_table(tables));
        self.distances.extend(tables.iter().flatten());
        tables.is_some()
    }

    /// The tables of which one has an entry that is added to its address.
    fn tables_of(&self, a: Value, b: Value) -> Option<BTreeSet<u64>> {
        match (a, b) {
            (Value::Known(base), Value::Distance { table, wide: true })
            | (Value::Distance { table, wide: true }, Value::Known(base))
                if base == table =>
            {
                Some(BTreeSet::from([table]))
            }
            (Value::OneOf(set), Value::DistanceOfOne { tables, wide: true })
            | (Value::DistanceOfOne { tables, wide: true }, Value::OneOf(set))
                if set == tables =>
            {
                Some(self.sets[usize::from(set)].clone())
            }
            _ => None,
        }
    }

    fn is_jump_table(&self, tables: &BTreeSet<u64>) -> bool {
        self.code.tables.iter().any(|other| !other.absolute && tables.contains(&other.address))
    }

    /// The register that an instruction gives a value that is followed.
    fn result(&mut self, instruction: &Instruction, state: &State) -> Option<(usize, Value)> {
        self.reads_at_entry(instruction, state);
        if instruction.mnemonic() == Mnemonic::Cdqe {
            return Some((Register::RAX.number(), widen(read(state, Register::RAX))?));
        }
        let to = instruction.op0_register();
        let register = number(to)?;
        let from = instruction.op1_register();
        let value = match (instruction.mnemonic(), instruction.op1_kind()) {
            (Mnemonic::Lea, _) if to.is_gpr64() && instruction.is_ip_rel_memory_operand() => {
                Value::Known(instruction.ip_rel_memory_address())
            }
            (Mnemonic::Lea, _) if to.is_gpr64() && instruction.memory_index() == Register::None => {
                let displacement = Value::Known(instruction.memory_displacement64());
                self.sum(read(state, instruction.memory_base()), displacement)
            }
            (Mnemonic::Lea, _) if to.is_gpr64() => {
                let sum = instruction.memory_index_scale() == 1 && instruction.memory_displacement64() == 0;
                if !sum {
                    return None;
                }
                self.sum(read(state, instruction.memory_base()), read(state, instruction.memory_index()))
            }
            (Mnemonic::Mov, OpKind::Register) if to.is_gpr64() && from.is_gpr64() => read(state, from),
            (Mnemonic::Mov, OpKind::Register) if to.is_gpr32() && from.is_gpr32() => {
                narrow(read(state, from))?
            }
            (Mnemonic::Mov, OpKind::Immediate32to64) => Value::Known(instruction.immediate32to64() as u64),
            (Mnemonic::Mov, OpKind::Immediate32) if to.is_gpr32() => {
                Value::Known(u64::from(instruction.immediate32()))
            }
            (Mnemonic::Mov, OpKind::Immediate64) => Value::Known(instruction.immediate64()),
            (Mnemonic::Mov, OpKind::Memory) if to.is_gpr64() => self.load(instruction, 8, state),
            (Mnemonic::Mov, OpKind::Memory) if to.is_gpr32() => self.load(instruction, 4, state),
            (Mnemonic::Movsxd, OpKind::Memory) if to.is_gpr64() => widen(self.load(instruction, 4, state))?,
            (Mnemonic::Movsxd, OpKind::Register) if to.is_gpr64() => widen(read(state, from))?,
            (Mnemonic::Add, OpKind::Register) if to.is_gpr64() => {
                self.sum(read(state, to), read(state, from))
            }
            (Mnemonic::Add, OpKind::Immediate32to64) if to.is_gpr64() => {
                self.sum(read(state, to), Value::Known(instruction.immediate32to64() as u64))
            }
            (Mnemonic::Add, OpKind::Memory) if to.is_gpr64() => {
                let loaded = self.load(instruction, 8, state);
                self.sum(read(state, to), loaded)
            }
            (_, OpKind::Register) if is_choice(instruction) && to.is_gpr64() => {
                self.join(read(state, to), read(state, from))
            }
            (_, OpKind::Memory) if is_choice(instruction) && to.is_gpr64() => {
                let loaded = self.load(instruction, 8, state);
                self.join(read(state, to), loaded)
            }
            _ => return None,
        };
        Some((register, value))
    }

    /// What the memory operand holds: a stack slot, or an entry of a table.
    fn load(&mut self, instruction: &Instruction, size: u64, state: &State) -> Value {
        if let Some(slot) = self.frame.slot(instruction) {
            return state.slots.get(&slot).copied().unwrap_or(Value::Unknown);
        }
        let (base, index) = (instruction.memory_base(), instruction.memory_index());
        let scale = u64::from(instruction.memory_index_scale());
        let displacement = instruction.memory_displacement64();
        let known = |register| match read(state, register) {
            Value::Known(address) => Some(address),
            _ => None,
        };
        // The table's address is a number, or in a register; another register selects the entry.
        let start = if instruction.is_ip_rel_memory_operand() {
            Some(instruction.ip_rel_memory_address())
        } else if base == Register::None && (index == Register::None || scale == size) {
            Some(displacement)
        } else if let Some(address) =
            known(base).filter(|_| index == Register::None || scale == size || scale == 1)
        {
            Some(address.wrapping_add(displacement))
        } else if let (Some(address), 1) = (known(index), scale) {
            Some(address.wrapping_add(displacement))
        } else {
            None
        };
        if let (4, 0, Some(tables)) = (size, displacement, one_of_tables(instruction, state)) {
            return Value::DistanceOfOne { tables, wide: false };
        }
        let Some(start) = start else { return Value::Unknown };
        let holding = |table: &&JumpTable| {
            let len = table.entries.len() as u64 * 8;
            table.absolute
                && (table.address..table.address + len).contains(&start)
                && (start - table.address).is_multiple_of(8)
        };
        match size {
            8 if self.code.tables.iter().any(|table| holding(&table)) => Value::Label,
            4 if index != Register::None || base != Register::None => {
                Value::Distance { table: start, wide: false }
            }
            _ => Value::Unknown,
        }
    }

    /// The sum of two values: a label if one is a known place, and the other the distance from it to labels.
    fn sum(&mut self, a: Value, b: Value) -> Value {
        if let Some(tables) = self.tables_of(a, b) {
            match (self.is_jump_table(&tables), tables.len()) {
                (true, 1) => return Value::Label,
                (true, _) => {}
                (false, _) => self.distances.extend(tables),
            }
            return Value::Unknown;
        }
        let ((Value::Known(base), Value::Distance { table, wide: true })
        | (Value::Distance { table, wide: true }, Value::Known(base))) = (a, b)
        else {
            return Value::Unknown;
        };
        match self.labels_from(base, table) {
            Some(labels) => {
                self.targets.extend(labels);
                Value::Label
            }
            None => Value::Unknown,
        }
    }

    /// The labels to which the constant object at `table` holds distances from `base`, all in one part.
    fn labels_from(&self, base: u64, table: u64) -> Option<Vec<Place>> {
        let (part, _) =
            (self.interior)(base).or_else(|| self.function.address().eq(&base).then_some((0, 0)))?;
        let (id, 0) = self.image.object_at(table)? else { return None };
        let object = self.image.object(id);
        let constant = self.image.sections[object.section].access == Access::Read;
        let bytes = self.image.bytes(object.range.clone())?;
        if !constant || !object.sized || bytes.is_empty() || bytes.len() % 4 != 0 {
            return None;
        }
        let labels = bytes.chunks_exact(4).map(|word| {
            let distance = i32::from_le_bytes(word.try_into().ok()?);
            (self.interior)(base.wrapping_add_signed(i64::from(distance))).filter(|label| label.0 == part)
        });
        labels.collect()
    }
}

/// The set of tables of which one's entry the memory operand is.
fn one_of_tables(instruction: &Instruction, state: &State) -> Option<u16> {
    let base = read(state, instruction.memory_base());
    let index = read(state, instruction.memory_index());
    match (base, index, instruction.memory_index_scale()) {
        (Value::OneOf(set), _, 1 | 4) | (_, Value::OneOf(set), 1) => Some(set),
        _ => None,
    }
}
