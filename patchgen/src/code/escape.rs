//! Where an address goes that code takes: whether it is kept beyond the function.

use super::{Form, Program, Use, instructions};
use crate::image::FunctionId;
use iced_x86::{
    FlowControl, Instruction, InstructionInfoFactory, InstructionInfoOptions, Mnemonic, OpAccess, OpKind,
    Register,
};
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

/// True if `function` may store an address in `range`, or return it. Addresses that it only reads or writes at, and
/// those that it passes to others, do not count.
pub fn keeps_address(program: &Program<'_>, function: FunctionId, range: &Range<u64>) -> bool {
    let code = program.code(function);
    let taken: HashMap<(u16, u32), Form> = code
        .references
        .iter()
        .filter(|reference| reference.usage == Use::Address && range.contains(&reference.target))
        .map(|reference| ((reference.part, reference.end), reference.form))
        .collect();
    if taken.is_empty() {
        return false;
    }
    let mut steps = Vec::new();
    for (part, bounds) in program.image.function(function).parts.iter().enumerate() {
        for instruction in instructions(&program.image, bounds.clone()) {
            let end = instruction.next_ip().wrapping_sub(bounds.start) as u32;
            let form = taken.get(&(part as u16, end)).copied();
            steps.push(Step { instruction, form });
        }
    }
    Flow::new(&steps).keeps()
}

struct Step {
    instruction: Instruction,
    /// How it takes the address, if it does.
    form: Option<Form>,
}

/// Which registers may hold the address, before each instruction.
struct Flow<'s> {
    steps: &'s [Step],
    held: Vec<Registers>,
    numbers: HashMap<u64, usize>,
    info: InstructionInfoFactory,
}

impl<'s> Flow<'s> {
    fn new(steps: &'s [Step]) -> Self {
        let numbers =
            steps.iter().enumerate().map(|(number, step)| (step.instruction.ip(), number)).collect();
        Flow { steps, held: vec![0; steps.len()], numbers, info: InstructionInfoFactory::new() }
    }

    fn keeps(mut self) -> bool {
        // Registers only ever join a set, so this ends.
        loop {
            let mut grown = false;
            for number in 0..self.steps.len() {
                let Some(after) = self.after(number) else { return true };
                let instruction = &self.steps[number].instruction;
                for next in self.successors(number, instruction) {
                    grown |= after & !self.held[next] != 0;
                    self.held[next] |= after;
                }
            }
            if !grown {
                return false;
            }
        }
    }

    fn successors(&self, number: usize, instruction: &Instruction) -> Vec<usize> {
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

    /// The registers that hold the address behind an instruction; None if it keeps it.
    fn after(&mut self, number: usize) -> Option<Registers> {
        let step = &self.steps[number];
        let (instruction, before) = (&step.instruction, self.held[number]);
        match instruction.flow_control() {
            FlowControl::Return if before & bit(Register::RAX) != 0 => return None,
            FlowControl::Call | FlowControl::IndirectCall => return Some(before & !clobbered()),
            _ => {}
        }
        if before == 0 && step.form.is_none() {
            return Some(0);
        }
        let in_operand = step.form.is_some_and(|form| match form {
            Form::Absolute { immediate, .. } => immediate,
            _ => instruction.mnemonic() == Mnemonic::Lea,
        });
        let info = self.info.info_options(instruction, InstructionInfoOptions::NO_MEMORY_USAGE);
        let operands = 0..instruction.op_count();
        let reads = |operand: u32| {
            matches!(
                info.op_access(operand),
                OpAccess::Read | OpAccess::CondRead | OpAccess::ReadWrite | OpAccess::ReadCondWrite
            )
        };
        let is_source = |operand: u32| match instruction.op_kind(operand) {
            OpKind::Register => reads(operand) && before & bit(instruction.op_register(operand)) != 0,
            OpKind::Memory if instruction.mnemonic() == Mnemonic::Lea => {
                before & (bit(instruction.memory_base()) | bit(instruction.memory_index())) != 0
            }
            _ => false,
        };
        let source = in_operand || operands.clone().any(is_source);
        let mut after = before;
        for operand in operands {
            let writes = matches!(
                info.op_access(operand),
                OpAccess::Write | OpAccess::CondWrite | OpAccess::ReadWrite | OpAccess::ReadCondWrite
            );
            match instruction.op_kind(operand) {
                OpKind::Memory if writes && source => return None,
                OpKind::Register if writes && source => after |= bit(instruction.op_register(operand)),
                OpKind::Register if writes => after &= !bit(instruction.op_register(operand)),
                _ => {}
            }
        }
        if source && matches!(instruction.mnemonic(), Mnemonic::Push | Mnemonic::Stosq) {
            return None;
        }
        Some(after)
    }
}
