//! Where an address goes that code takes: whether it is kept beyond the function.

use super::{Form, Program, Use, instructions};
use crate::image::{FunctionId, Pointer, Referent, Slot};
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

/// psABI section 3.2.3: registers that pass arguments.
const ARGUMENTS: [Register; 6] =
    [Register::RDI, Register::RSI, Register::RDX, Register::RCX, Register::R8, Register::R9];

/// Library functions that neither keep nor return an address they get.
const READERS: [&str; 34] = [
    "memcmp",
    "strcmp",
    "strncmp",
    "strcasecmp",
    "strncasecmp",
    "strlen",
    "strnlen",
    "strspn",
    "strcspn",
    "strtol",
    "strtoul",
    "atoi",
    "puts",
    "printf",
    "fprintf",
    "sprintf",
    "snprintf",
    "vsnprintf",
    "__printf_chk",
    "__fprintf_chk",
    "__sprintf_chk",
    "__snprintf_chk",
    "fputs",
    "fwrite",
    "write",
    "send",
    "syslog",
    "__syslog_chk",
    "qsort",
    "free",
    "__assert_fail",
    "__stack_chk_fail",
    "abort",
    "exit",
];

/// Those that return their first argument or a place in it.
const FINDERS: [&str; 12] = [
    "memchr",
    "memrchr",
    "strchr",
    "strrchr",
    "strstr",
    "strpbrk",
    "rawmemchr",
    "strchrnul",
    "index",
    "memmem",
    "strcasestr",
    "bsearch",
];

/// Those that copy from their second argument and return the first.
const COPIERS: [&str; 10] = [
    "memcpy",
    "memmove",
    "strcpy",
    "strncpy",
    "strcat",
    "stpcpy",
    "mempcpy",
    "__memcpy_chk",
    "__strcpy_chk",
    "__memmove_chk",
];

/// Calls that are followed into.
const MAX_DEPTH: usize = 6;

/// True if `function` may store an address in `range`, return it, or pass it to somebody who might. Addresses that it
/// only reads or writes at do not count, nor do those that it passes to functions which only do that.
pub fn keeps_address(program: &Program<'_>, function: FunctionId, range: &Range<u64>) -> bool {
    let taken: HashMap<(u16, u32), Form> = program
        .code(function)
        .references
        .iter()
        .filter(|reference| reference.usage == Use::Address)
        .filter(|reference| match reference.referent {
            Referent::Object { id, certain: true, .. } => program.image.object(id).range == *range,
            _ => range.contains(&reference.target) || reference.target == range.end,
        })
        .map(|reference| ((reference.part, reference.end), reference.form))
        .collect();
    !taken.is_empty() && follow(program, function, &taken, 0, MAX_DEPTH) != Fate::Read
}

/// What becomes of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// It is only read or written at.
    Read,
    /// It is returned.
    Returned,
    /// It may be kept.
    Kept,
}

/// Follows the address that a function takes or gets in the registers `given`.
fn follow(
    program: &Program<'_>,
    function: FunctionId,
    taken: &HashMap<(u16, u32), Form>,
    given: Registers,
    depth: usize,
) -> Fate {
    if depth == 0 {
        return Fate::Kept;
    }
    let mut steps = Vec::new();
    let mut references = program.code(function).references.iter().peekable();
    for (part, bounds) in program.image.function(function).parts.iter().enumerate() {
        for instruction in instructions(&program.image, bounds.clone()) {
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
    Flow::new(program, &steps, given, depth).fate()
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
    program: &'p Program<'a>,
    steps: &'s [Step<'p>],
    held: Vec<Registers>,
    numbers: HashMap<u64, usize>,
    info: InstructionInfoFactory,
    depth: usize,
    returned: bool,
}

impl<'s, 'p, 'a> Flow<'s, 'p, 'a> {
    fn new(program: &'p Program<'a>, steps: &'s [Step<'p>], given: Registers, depth: usize) -> Self {
        let numbers =
            steps.iter().enumerate().map(|(number, step)| (step.instruction.ip(), number)).collect();
        let mut held = vec![0; steps.len()];
        if let Some(first) = held.first_mut() {
            *first = given;
        }
        Flow { program, steps, held, numbers, info: InstructionInfoFactory::new(), depth, returned: false }
    }

    fn fate(mut self) -> Fate {
        // Registers only ever join a set, so this ends.
        loop {
            let mut grown = false;
            for number in 0..self.steps.len() {
                let Some(after) = self.after(number) else { return Fate::Kept };
                let instruction = &self.steps[number].instruction;
                for next in self.successors(number, instruction) {
                    grown |= after & !self.held[next] != 0;
                    self.held[next] |= after;
                }
            }
            if !grown {
                return if self.returned { Fate::Returned } else { Fate::Read };
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

    /// What a call does with an address in the registers `before`.
    fn call(&self, step: &Step<'_>, before: Registers) -> Fate {
        let arguments: Registers = ARGUMENTS.iter().map(|register| bit(*register)).sum();
        let passed = before & arguments;
        if passed == 0 {
            return Fate::Read;
        }
        let image = &self.program.image;
        match step.callee {
            Some(Referent::Code { function, part: 0, offset: 0 }) => {
                follow(self.program, *function, &HashMap::new(), passed, self.depth - 1)
            }
            Some(Referent::Stub { slot } | Referent::Slot { address: slot }) => match image.slot(*slot) {
                Some(Slot::Dynamic(Pointer::Symbol { name, .. })) => {
                    let is = |names: &[&str]| names.contains(&name.as_str());
                    let first = passed & bit(Register::RDI) != 0;
                    if is(&READERS) {
                        Fate::Read
                    } else if is(&FINDERS) || (is(&COPIERS) && first) {
                        Fate::Returned
                    } else if is(&COPIERS) {
                        Fate::Read
                    } else {
                        Fate::Kept
                    }
                }
                _ => Fate::Kept,
            },
            _ => Fate::Kept,
        }
    }

    /// The registers that hold the address behind an instruction; None if it may be kept.
    fn after(&mut self, number: usize) -> Option<Registers> {
        let step = &self.steps[number];
        let (instruction, before) = (&step.instruction, self.held[number]);
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
                return Some((before & !clobbered()) | result);
            }
            // A jump out of the function is a call whose result is returned.
            FlowControl::UnconditionalBranch
                if !self.numbers.contains_key(&instruction.near_branch_target()) =>
            {
                match self.call(step, before) {
                    Fate::Read => {}
                    Fate::Returned => self.returned = true,
                    Fate::Kept => return None,
                }
                return Some(0);
            }
            _ => {}
        }
        if before == 0 && step.form.is_none() {
            return Some(0);
        }
        let lea = instruction.mnemonic() == Mnemonic::Lea;
        let in_operand =
            step.form.is_some_and(|form| lea || matches!(form, Form::Absolute { immediate: true, .. }));
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
            OpKind::Memory if lea => {
                before & (bit(instruction.memory_base()) | bit(instruction.memory_index())) != 0
            }
            _ => false,
        };
        let source = in_operand || operands.clone().any(is_source);
        let mut after = before;
        for operand in operands {
            let access = info.op_access(operand);
            let surely = matches!(access, OpAccess::Write | OpAccess::ReadWrite);
            let writes = surely || matches!(access, OpAccess::CondWrite | OpAccess::ReadCondWrite);
            match instruction.op_kind(operand) {
                OpKind::Memory if writes && source => return None,
                OpKind::Register if writes && source => after |= bit(instruction.op_register(operand)),
                OpKind::Register if surely => after &= !bit(instruction.op_register(operand)),
                _ => {}
            }
        }
        if source && matches!(instruction.mnemonic(), Mnemonic::Push | Mnemonic::Stosq) {
            return None;
        }
        Some(after)
    }
}
