//! Where an address goes that code takes: whether it is kept beyond the function, or used as only an end is.

use super::library::{Habit, habit, prints_addresses};
use super::{Code, Form, Program, Reference, Use, instructions};
use crate::image::{FunctionId, Pointer, Referent, Slot};
use iced_x86::{
    FlowControl, Instruction, InstructionInfoFactory, InstructionInfoOptions, Mnemonic, OpAccess, OpKind,
    Register,
};
use std::cell::RefCell;
use std::collections::HashMap;
use std::ops::Range;

/// One bit for each general register, then one for each vector register.
type Registers = u64;

/// psABI section 3.2.3: registers that a call does not preserve, less the vector registers, none of which it does.
const CALL_CLOBBERED: [Register; 9] = [
    Register::RAX,
    Register::RCX,
    Register::RDX,
    Register::RSI,
    Register::RDI,
    Register::R8,
    Register::R9,
    Register::R10,
    Register::R11,
];

fn bit(register: Register) -> Registers {
    let full = register.full_register();
    if full.is_gpr() {
        1 << full.number()
    } else if full.is_vector_register() {
        1 << (16 + full.number())
    } else {
        0
    }
}

fn clobbered() -> Registers {
    CALL_CLOBBERED.iter().map(|register| bit(*register)).sum::<Registers>() | (0xffff_ffff << 16)
}

/// psABI section 3.2.3: registers that pass arguments.
const ARGUMENTS: [Register; 6] =
    [Register::RDI, Register::RSI, Register::RDX, Register::RCX, Register::R8, Register::R9];

/// Calls that are followed into.
const MAX_DEPTH: usize = 6;

/// What counts as more than reading and writing at an address.
#[expect(clippy::struct_excessive_bools, reason = "each is watched for on its own")]
#[derive(Clone, Copy, Debug)]
struct Watch {
    /// Storing or returning it.
    stores: bool,
    /// Passing it to somebody who may store it.
    passes: bool,
    /// Comparing it, or taking it off another one.
    compares: bool,
    /// Going to places before it.
    descends: bool,
}

/// True if `function` may store an address in `range`, return it, or pass it to somebody who might. Addresses that it
/// only reads or writes at do not count, nor do those that it passes to functions which only do that.
pub fn keeps_address(program: &Program<'_>, function: FunctionId, range: &Range<u64>) -> bool {
    let watch = Watch { stores: true, passes: true, compares: false, descends: false };
    let taken = taken(program, function, |reference| match reference.referent {
        Referent::Object { id, certain: true, .. } => program.image.object(id).range == *range,
        _ => range.contains(&reference.target) || reference.target == range.end,
    });
    fate(program, function, &taken, watch, MAX_DEPTH) != Fate::Read
}

/// True if `function` stores an address in `range`.
pub fn stores_address(program: &Program<'_>, function: FunctionId, range: &Range<u64>) -> bool {
    let watch = Watch { stores: true, passes: false, compares: false, descends: false };
    let taken = taken(program, function, |reference| range.contains(&reference.target));
    fate(program, function, &taken, watch, 1) == Fate::Kept
}

/// True if `function` may pass an address inside `range` to anybody but a library function that only reads there,
/// or may store or return it.
pub fn lends_address(program: &Program<'_>, function: FunctionId, range: &Range<u64>) -> bool {
    let watch = Watch { stores: true, passes: true, compares: false, descends: false };
    let taken = taken(program, function, |reference| match reference.referent {
        Referent::Object { id, certain: true, .. } => program.image.object(id).range == *range,
        _ => range.contains(&reference.target),
    });
    fate(program, function, &taken, watch, 1) != Fate::Read
}

/// What `function` does with an address that may be the end of what is before it or the start of what is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndUse {
    /// It reads or writes there or behind, and nothing else.
    Start,
    /// The same, and it passes the address to others.
    Passed,
    /// It also compares it, stores it or returns it, as is done with both.
    Open,
    /// It may go to places before it, as is done with ends only.
    Descends,
}

/// What `function` does with `address`, which it takes.
pub fn end_use(program: &Program<'_>, function: FunctionId, address: u64) -> EndUse {
    let all = Watch { stores: true, passes: true, compares: true, descends: true };
    let uses = [
        (EndUse::Start, all),
        (EndUse::Passed, Watch { passes: false, ..all }),
        (EndUse::Open, Watch { passes: false, stores: false, compares: false, ..all }),
    ];
    for (found, watch) in uses {
        let taken = taken_address(program, function, address);
        let fate = fate(program, function, &taken, watch, MAX_DEPTH);
        if fate == Fate::Read || (fate == Fate::Returned && !watch.stores) {
            return found;
        }
    }
    EndUse::Descends
}

/// Instructions by part and end, and how they take an address.
pub(super) type Taken = HashMap<(u16, u32), Form>;

fn taken(program: &Program<'_>, function: FunctionId, is_meant: impl Fn(&Reference) -> bool) -> Taken {
    let references = program.code(function).references.iter();
    references
        .filter(|reference| reference.usage == Use::Address && is_meant(reference))
        .map(|reference| ((reference.part, reference.end), reference.form))
        .collect()
}

/// The instructions that take an address which may be one object's end or what begins there.
pub(super) fn taken_address(program: &Program<'_>, function: FunctionId, address: u64) -> Taken {
    taken(program, function, |reference| {
        reference.target == address && !matches!(reference.referent, Referent::Object { certain: true, .. })
    })
}

fn fate(program: &Program<'_>, function: FunctionId, taken: &Taken, watch: Watch, depth: usize) -> Fate {
    if taken.is_empty() {
        return Fate::Read;
    }
    Search { program, watch, clobbers: RefCell::default() }.follow(function, taken, 0, depth)
}

/// What becomes of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// It is only read or written at.
    Read,
    /// It is returned.
    Returned,
    /// It may be kept, or used in another way that is watched for.
    Kept,
}

struct Search<'p, 'a> {
    program: &'p Program<'a>,
    watch: Watch,
    /// The registers that calls of a function change; None while that is being found out.
    clobbers: RefCell<HashMap<FunctionId, Option<Registers>>>,
}

impl<'p> Search<'p, '_> {
    /// Follows the address that a function takes or gets in the registers `given`.
    fn follow(&self, function: FunctionId, taken: &Taken, given: Registers, depth: usize) -> Fate {
        if depth == 0 {
            return Fate::Kept;
        }
        Flow::new(self, function, taken, given, depth).fate()
    }

    fn steps(&self, function: FunctionId, taken: &Taken) -> Vec<Step<'p>> {
        let mut steps = Vec::new();
        let mut references = self.program.code(function).references.iter().peekable();
        for (part, bounds) in self.program.image.function(function).parts.iter().enumerate() {
            for instruction in instructions(&self.program.image, bounds.clone()) {
                let end = instruction.next_ip().wrapping_sub(bounds.start) as u32;
                let mut callee = None;
                while let Some(reference) =
                    references.next_if(|next| (usize::from(next.part), next.end) <= (part, end))
                {
                    callee = Some(&reference.referent);
                }
                steps.push(Step { instruction, form: taken.get(&(part as u16, end)).copied(), callee });
            }
        }
        steps
    }

    /// The registers that a call of `function` may change, of those that calls do not preserve. gcc lets callers of
    /// functions that it sees keep values in the others (-fipa-ra).
    fn clobbered_by(&self, function: FunctionId) -> Registers {
        if let Some(known) = self.clobbers.borrow().get(&function) {
            // A call of itself changes nothing beyond what is found anyway.
            return known.unwrap_or(0);
        }
        self.clobbers.borrow_mut().insert(function, None);
        let mut info = InstructionInfoFactory::new();
        let mut changed = 0;
        for step in self.steps(function, &Taken::new()) {
            let instruction = &step.instruction;
            let flow = instruction.flow_control();
            changed |= match (flow, step.callee) {
                (FlowControl::Call, Some(Referent::Code { function, .. })) => self.clobbered_by(*function),
                (FlowControl::Call | FlowControl::IndirectCall, _) => clobbered(),
                // The target of a jump may change more: that fewer registers change is the careful answer.
                _ => {
                    let info = info.info_options(instruction, InstructionInfoOptions::NO_MEMORY_USAGE);
                    let written =
                        info.used_registers().iter().filter(|used| super::values::is_write(used.access()));
                    written.map(|used| bit(used.register())).fold(0, |all, one| all | one)
                }
            };
        }
        let changed = changed & clobbered();
        self.clobbers.borrow_mut().insert(function, Some(changed));
        changed
    }
}

struct Step<'p> {
    instruction: Instruction,
    /// How it takes the address, if it does.
    form: Option<Form>,
    /// What it refers to.
    callee: Option<&'p Referent>,
}

/// Which registers may hold the address, before each instruction.
struct Flow<'s, 'p, 'a> {
    search: &'s Search<'p, 'a>,
    code: &'p Code,
    steps: Vec<Step<'p>>,
    held: Vec<Registers>,
    /// Registers that may hold negative numbers somewhere in the function.
    negative: Registers,
    numbers: HashMap<u64, usize>,
    info: InstructionInfoFactory,
    depth: usize,
    returned: bool,
}

impl<'s, 'p, 'a> Flow<'s, 'p, 'a> {
    fn new(
        search: &'s Search<'p, 'a>,
        function: FunctionId,
        taken: &Taken,
        given: Registers,
        depth: usize,
    ) -> Self {
        let steps = search.steps(function, taken);
        let numbers =
            steps.iter().enumerate().map(|(number, step)| (step.instruction.ip(), number)).collect();
        let negative =
            steps.iter().map(|step| made_negative(&step.instruction)).fold(0, |all, one| all | one);
        let mut held = vec![0; steps.len()];
        if let Some(first) = held.first_mut() {
            *first = given;
        }
        let (code, info) = (search.program.code(function), InstructionInfoFactory::new());
        Flow { search, code, steps, held, negative, numbers, info, depth, returned: false }
    }

    fn fate(mut self) -> Fate {
        // Registers only ever join a set, so this ends.
        loop {
            let mut grown = false;
            for number in 0..self.steps.len() {
                let Some(after) = self.after(number) else { return Fate::Kept };
                for next in self.successors(number) {
                    grown |= after & !self.held[next] != 0;
                    self.held[next] |= after;
                }
            }
            if !grown {
                return if self.returned { Fate::Returned } else { Fate::Read };
            }
        }
    }

    fn successors(&self, number: usize) -> Vec<usize> {
        let instruction = &self.steps[number].instruction;
        let next = Some(number + 1).filter(|next| *next < self.steps.len());
        let target = || self.numbers.get(&instruction.near_branch_target()).copied();
        match instruction.flow_control() {
            FlowControl::UnconditionalBranch => target().into_iter().collect(),
            FlowControl::ConditionalBranch => next.into_iter().chain(target()).collect(),
            // A switch leads anywhere in the function.
            FlowControl::IndirectBranch => (0..self.steps.len()).collect(),
            FlowControl::Return | FlowControl::Exception => Vec::new(),
            _ => next.into_iter().collect(),
        }
    }

    /// True if this indirect jump can only lead to a case of a `switch`. Others may leave the function: calls of function
    /// pointers whose result is returned.
    fn is_switch(&self, number: usize) -> bool {
        const NEAR: usize = 6;
        let jump = &self.steps[number].instruction;
        if jump.op0_kind() == OpKind::Memory {
            return jump.memory_base() == Register::None
                && self.code.table_at(jump.memory_displacement64()).is_some();
        }
        let target = bit(jump.op0_register());
        let before = self.steps[..number].iter().rev().take(NEAR).map(|step| &step.instruction);
        let sets = |instruction: &&Instruction| {
            instruction.op0_kind() == OpKind::Register && bit(instruction.op0_register()) == target
        };
        let sum = before.clone().find(sets).is_some_and(|set| match set.mnemonic() {
            Mnemonic::Add => set.op1_kind() == OpKind::Register,
            Mnemonic::Lea => set.memory_base() != Register::None && set.memory_index() != Register::None,
            _ => false,
        });
        !self.code.tables.is_empty() && sum
    }

    /// True if a format that the function refers to has `%p` in it.
    fn prints_addresses(&self) -> bool {
        self.code.references.iter().any(|reference| {
            let section = self.search.program.image.section_at(reference.target);
            let text = section.and_then(|section| {
                let text = section.data.get((reference.target - section.range.start) as usize..)?;
                text.split(|byte| *byte == 0).next()
            });
            reference.usage == Use::Address && text.is_some_and(prints_addresses)
        })
    }

    /// What a call does with an address in the registers `before`.
    fn call(&self, step: &Step<'_>, before: Registers) -> Fate {
        let arguments: Registers = ARGUMENTS.iter().map(|register| bit(*register)).sum();
        let passed = before & arguments;
        if passed == 0 || !self.search.watch.passes {
            return Fate::Read;
        }
        let image = &self.search.program.image;
        match step.callee {
            Some(Referent::Code { function, part: 0, offset: 0 }) => {
                self.search.follow(*function, &Taken::new(), passed, self.depth - 1)
            }
            Some(Referent::Stub { slot } | Referent::Slot { address: slot }) => match image.slot(*slot) {
                Some(Slot::Dynamic(Pointer::Symbol { name, .. })) => {
                    let first = passed & bit(Register::RDI) != 0;
                    match habit(&name) {
                        Habit::Prints if !self.prints_addresses() => Fate::Read,
                        Habit::Finds => Fate::Returned,
                        Habit::Copies if first => Fate::Returned,
                        Habit::Reads | Habit::Copies => Fate::Read,
                        Habit::Prints | Habit::Unknown => Fate::Kept,
                    }
                }
                _ => Fate::Kept,
            },
            _ => Fate::Kept,
        }
    }

    /// A jump out of the function is a call whose result is returned. False if that may keep the address.
    fn leave(&mut self, number: usize, before: Registers) -> bool {
        match self.call(&self.steps[number], before) {
            Fate::Read => true,
            Fate::Returned => {
                self.returned = true;
                true
            }
            Fate::Kept => false,
        }
    }

    /// The registers that hold the address behind an instruction; None if it may be kept.
    fn after(&mut self, number: usize) -> Option<Registers> {
        let before = self.held[number];
        let step = &self.steps[number];
        let instruction = step.instruction;
        let results = bit(Register::RAX) | bit(Register::RDX);
        match instruction.flow_control() {
            FlowControl::Return => {
                self.returned |= before & results != 0;
                return Some(0);
            }
            FlowControl::Call | FlowControl::IndirectCall => {
                let result = match self.call(step, before) {
                    Fate::Read => 0,
                    Fate::Returned => results,
                    Fate::Kept => return None,
                };
                let changed = match step.callee {
                    Some(Referent::Code { function, .. })
                        if instruction.flow_control() == FlowControl::Call && before & clobbered() != 0 =>
                    {
                        self.search.clobbered_by(*function)
                    }
                    _ => clobbered(),
                };
                return Some((before & !changed) | result);
            }
            FlowControl::UnconditionalBranch
                if !self.numbers.contains_key(&instruction.near_branch_target()) =>
            {
                return self.leave(number, before).then_some(0);
            }
            FlowControl::ConditionalBranch
                if !self.numbers.contains_key(&instruction.near_branch_target()) =>
            {
                return self.leave(number, before).then_some(before);
            }
            FlowControl::IndirectBranch if !self.is_switch(number) => {
                return self.leave(number, before).then_some(before);
            }
            _ => {}
        }
        if before == 0 && step.form.is_none() {
            return Some(0);
        }
        let watch = self.search.watch;
        let form = step.form;
        if watch.descends && self.descends(&instruction, form, before) {
            return None;
        }
        let lea = instruction.mnemonic() == Mnemonic::Lea;
        let in_operand =
            form.is_some_and(|form| lea || matches!(form, Form::Absolute { immediate: true, .. }));
        let info = self.info.info_options(&instruction, InstructionInfoOptions::NO_MEMORY_USAGE);
        let operands = 0..instruction.op_count();
        let reads = |operand: u32| {
            matches!(
                info.op_access(operand),
                OpAccess::Read | OpAccess::CondRead | OpAccess::ReadWrite | OpAccess::ReadCondWrite
            )
        };
        let is_source = |operand: u32| match instruction.op_kind(operand) {
            OpKind::Register => reads(operand) && before & bit(instruction.op_register(operand)) != 0,
            OpKind::Memory if lea => {
                before & (bit(instruction.memory_base()) | bit(instruction.memory_index())) != 0
            }
            _ => false,
        };
        let source = in_operand || operands.clone().any(is_source);
        if source && watch.compares && matches!(instruction.mnemonic(), Mnemonic::Cmp | Mnemonic::Sub) {
            return None;
        }
        let mut after = before;
        for operand in operands {
            let access = info.op_access(operand);
            let surely = matches!(access, OpAccess::Write | OpAccess::ReadWrite);
            let writes = surely || matches!(access, OpAccess::CondWrite | OpAccess::ReadCondWrite);
            match instruction.op_kind(operand) {
                OpKind::Memory if writes && source && watch.stores => return None,
                OpKind::Register if writes && source => after |= bit(instruction.op_register(operand)),
                OpKind::Register if surely => after &= !bit(instruction.op_register(operand)),
                _ => {}
            }
        }
        if source && watch.stores && matches!(instruction.mnemonic(), Mnemonic::Push | Mnemonic::Stosq) {
            return None;
        }
        Some(after)
    }

    /// True if an instruction may go to a place before the address, which is in the registers `before` or, if `form`
    /// is there, in the instruction itself.
    fn descends(&self, instruction: &Instruction, form: Option<Form>, before: Registers) -> bool {
        let held = |register: Register| before & bit(register) != 0;
        let (base, index) = (instruction.memory_base(), instruction.memory_index());
        let has_memory =
            (0..instruction.op_count()).any(|operand| instruction.op_kind(operand) == OpKind::Memory);
        if has_memory {
            let other = bit(base) | bit(index);
            let own = matches!(form, Some(Form::Absolute { immediate: false, .. }));
            if own && other & self.negative != 0 {
                return true;
            }
            let relative = held(base) || held(index);
            let lower = base != Register::RIP && (instruction.memory_displacement64() as i64) < 0;
            if relative && (lower || other & !before & self.negative != 0) {
                return true;
            }
        }
        if instruction.op0_kind() != OpKind::Register || !held(instruction.op0_register()) {
            return false;
        }
        match instruction.mnemonic() {
            Mnemonic::Sub | Mnemonic::Dec => true,
            Mnemonic::Add => match instruction.op1_kind() {
                OpKind::Register => bit(instruction.op1_register()) & self.negative != 0,
                OpKind::Memory => true,
                _ => (instruction.immediate(1) as i64) < 0,
            },
            _ => false,
        }
    }
}

/// The register in which an instruction may leave a negative number.
fn made_negative(instruction: &Instruction) -> Registers {
    if instruction.op0_kind() != OpKind::Register || instruction.op0_register() == Register::RSP {
        return 0;
    }
    let immediate = matches!(
        instruction.op1_kind(),
        OpKind::Immediate8to64 | OpKind::Immediate32to64 | OpKind::Immediate64 | OpKind::Immediate8to32
    );
    let below = match instruction.mnemonic() {
        Mnemonic::Neg | Mnemonic::Not | Mnemonic::Sub | Mnemonic::Dec | Mnemonic::Sbb => true,
        Mnemonic::Mov | Mnemonic::Add | Mnemonic::Or => immediate && (instruction.immediate(1) as i64) < 0,
        Mnemonic::Lea => {
            instruction.memory_base() != Register::RIP && (instruction.memory_displacement64() as i64) < 0
        }
        _ => false,
    };
    if below { bit(instruction.op0_register()) } else { 0 }
}
