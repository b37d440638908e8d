//! Which call a number is passed to, and whether that call takes a line there.

use super::compare::Item;
use super::lines::{LineNumbers, Parameter};
use crate::code::{Obstacle, Program, Reference, Use, without_padding};
use crate::image::{FunctionId, Pointer, Referent, Slot};
use iced_x86::{
    Code as Opcode, FlowControl, Instruction, InstructionInfoFactory, Mnemonic, OpAccess, OpKind, Register,
};
use std::collections::HashSet;

/// psABI section 3.2.3: registers that pass arguments, in order.
const ARGUMENTS: [Register; 6] =
    [Register::RDI, Register::RSI, Register::RDX, Register::RCX, Register::R8, Register::R9];

/// psABI section 3.2.3: registers that calls preserve.
const PRESERVED: [Register; 6] =
    [Register::RBX, Register::RBP, Register::R12, Register::R13, Register::R14, Register::R15];

/// Library functions that take a line (assert.h of the C library, gtestutils.h and gmessages.h of GLib), and the
/// number of the argument, from 0.
const TAKE_LINES: [(&str, usize); 10] = [
    ("__assert_fail", 2),
    ("__assert_perror_fail", 2),
    ("__assert", 2),
    ("g_assertion_message", 2),
    ("g_assertion_message_expr", 2),
    ("g_assertion_message_cmpint", 2),
    ("g_assertion_message_cmpnum", 2),
    ("g_assertion_message_cmpstr", 2),
    ("g_assertion_message_error", 2),
    ("g_warn_message", 2),
];

/// Instructions before a call among which its arguments are put on the stack.
const STORES: usize = 64;

/// Where an argument is on its way to a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Place {
    /// In a register.
    Register(Register),
    /// On the stack, that many bytes above `rsp`.
    Stack(i64),
}

impl Place {
    /// The number of the argument, from 0, where a call is about to be made.
    fn position(self) -> Option<usize> {
        match self {
            Place::Register(register) => ARGUMENTS.iter().position(|argument| *argument == register),
            Place::Stack(offset) if offset >= 0 && offset % 8 == 0 => {
                Some(ARGUMENTS.len() + offset as usize / 8)
            }
            Place::Stack(_) => None,
        }
    }
}

/// The number that an instruction may pass as a function's argument: `mov imm32` to an argument register, or a number
/// stored on the stack (psABI 3.2.3).
pub(super) fn number(instruction: &Instruction) -> Option<u64> {
    placed(instruction).map(|(_, value)| value)
}

fn placed(instruction: &Instruction) -> Option<(Place, u64)> {
    match instruction.code() {
        Opcode::Mov_r32_imm32 => {
            let register = instruction.op0_register().full_register();
            let value = u64::from(instruction.immediate32());
            ARGUMENTS.contains(&register).then_some((Place::Register(register), value))
        }
        Opcode::Pushq_imm32 => Some((Place::Stack(0), instruction.immediate32to64() as u64)),
        Opcode::Mov_rm32_imm32
            if instruction.memory_base() == Register::RSP && instruction.memory_index() == Register::None =>
        {
            let offset = instruction.memory_displacement64() as i64;
            Some((Place::Stack(offset), u64::from(instruction.immediate32())))
        }
        _ => None,
    }
}

/// What kind of name stands beside a number.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Name {
    /// That of the source file that the code is from.
    OwnFile,
    /// That of another source file, or of a function.
    Other,
}

/// The instructions of one function of the replacement.
pub(super) struct Passed<'s, 'c, 'a> {
    program: &'s Program<'a>,
    function: FunctionId,
    items: &'s [Item<'c>],
    lines: &'s dyn LineNumbers,
    /// For each instruction those from which control may come.
    before: Vec<Vec<usize>>,
    /// Indirect jumps may lead to places in the function; else they leave it, as calls do.
    switches: bool,
    /// Instructions that a switch may lead to; it is not known from where.
    joins: HashSet<usize>,
}

impl<'s, 'c, 'a> Passed<'s, 'c, 'a> {
    pub(super) fn new(
        program: &'s Program<'a>,
        function: FunctionId,
        items: &'s [Item<'c>],
        lines: &'s dyn LineNumbers,
    ) -> Self {
        let mut before = vec![Vec::new(); items.len()];
        for (index, item) in items.iter().enumerate() {
            let goes_on = !matches!(
                item.instruction.flow_control(),
                FlowControl::UnconditionalBranch | FlowControl::IndirectBranch | FlowControl::Return
            );
            for next in goes_on.then_some(index + 1).into_iter().chain(item.inner) {
                if let Some(list) = before.get_mut(next) {
                    list.push(index);
                }
            }
        }
        let mut joins = HashSet::new();
        let code = program.code(function);
        let is_label = |reference: &Reference| {
            let own = matches!(reference.referent, Referent::Code { function: id, .. } if id == function);
            own && reference.usage == Use::Address
        };
        let is_jump = |obstacle: &Obstacle| {
            matches!(
                obstacle,
                Obstacle::IndirectJump { .. } | Obstacle::Label { .. } | Obstacle::Undecodable { .. }
            )
        };
        let switches = !code.tables.is_empty()
            || code.obstacles.iter().any(is_jump)
            || code.references.iter().any(is_label);
        if switches {
            let parts = &program.image.function(function).parts;
            let targets: HashSet<u64> = code
                .branch_targets
                .iter()
                .filter_map(|(part, offset)| Some(parts.get(usize::from(*part))?.start + u64::from(*offset)))
                .collect();
            joins.extend((0..items.len()).filter(|index| targets.contains(&items[*index].instruction.ip())));
        }
        Passed { program, function, items, lines, before, switches, joins }
    }

    /// True if the number that the instruction at `index` sets is an argument of calls only, and each of them takes a
    /// line number there: it gets the name of a source file or function too, as an argument of its own.
    pub(super) fn is_line(&self, index: usize) -> bool {
        let Some((place, _)) = placed(&self.items[index].instruction) else { return false };
        let Some(calls) = self.calls_of(index, place) else { return false };
        !calls.is_empty() && calls.into_iter().all(|(call, place)| self.takes_line(index, call, place))
    }

    /// The calls that get what the instruction at `index` puts in `place`, and where they get it. None if something
    /// else uses or overwrites it, or may do so.
    fn calls_of(&self, index: usize, place: Place) -> Option<Vec<(usize, Place)>> {
        let mut info = InstructionInfoFactory::new();
        let mut calls = Vec::new();
        let mut seen = HashSet::new();
        let mut open = vec![(index + 1, place)];
        while let Some((at, place)) = open.pop() {
            if !seen.insert((at, place)) {
                continue;
            }
            let item = self.items.get(at)?;
            let instruction = &item.instruction;
            let leaves = item.inner.is_none();
            let next = after(&mut info, instruction, place);
            match instruction.flow_control() {
                FlowControl::Call | FlowControl::IndirectCall => {
                    // Calling through the register is using it.
                    if instruction.op0_kind() == OpKind::Register && Some(place) != next {
                        return None;
                    }
                    calls.push((at, place));
                }
                // A jump to another function: the return address is on the stack already.
                FlowControl::UnconditionalBranch if leaves => calls.push((at, below_return(place))),
                FlowControl::IndirectBranch if !self.switches => {
                    // Jumping to what the place holds is using it.
                    next?;
                    calls.push((at, below_return(place)));
                }
                FlowControl::UnconditionalBranch => open.push((item.inner?, next?)),
                FlowControl::ConditionalBranch => {
                    open.push((item.inner?, next?));
                    open.push((at + 1, next?));
                }
                FlowControl::Next => open.push((at + 1, next?)),
                _ => return None,
            }
        }
        Some(calls)
    }

    /// True if the call at `call` takes a line number in `place`, set for it at `index`.
    fn takes_line(&self, index: usize, call: usize, place: Place) -> bool {
        let Some(position) = place.position() else { return false };
        let others = ARGUMENTS.iter().filter(|register| Place::Register(**register) != place);
        let mut names: Vec<Name> =
            others.filter_map(|register| self.name_in(index, call, *register)).collect();
        if names.is_empty() {
            names.extend(
                (call.saturating_sub(STORES)..call).filter_map(|at| self.name_stored(index, at, call)),
            );
        }
        if names.is_empty() {
            return false;
        }
        match self.callee(call) {
            Callee::Library(name) if TAKE_LINES.contains(&(name.as_str(), position)) => true,
            Callee::Function(callee) => {
                let function = self.program.image.function(callee);
                // Clones need not have all parameters of what they are clones of.
                let is_clone = function.name.contains('.');
                let position = (!is_clone).then_some(position);
                match self.lines.parameter(function.address(), position) {
                    Parameter::Line => true,
                    Parameter::Other => false,
                    Parameter::Unknown => names.contains(&Name::OwnFile),
                }
            }
            Callee::Library(_) | Callee::Unknown => names.contains(&Name::OwnFile),
        }
    }

    fn callee(&self, call: usize) -> Callee {
        let Some(reference) = self.items[call].reference else { return Callee::Unknown };
        match reference.referent {
            Referent::Code { function, part: 0, offset: 0 } => Callee::Function(function),
            Referent::Stub { slot } | Referent::Slot { address: slot } => {
                match self.program.image.slot(slot) {
                    Some(Slot::Dynamic(Pointer::Symbol { name, .. })) => Callee::Library(name.clone()),
                    _ => Callee::Unknown,
                }
            }
            _ => Callee::Unknown,
        }
    }

    /// The name that the register holds at the call, wherever control comes from. `number` is the place in the code
    /// whose own file counts.
    fn name_in(&self, number: usize, call: usize, register: Register) -> Option<Name> {
        let mut info = InstructionInfoFactory::new();
        let mut found = None;
        let mut seen = HashSet::new();
        let mut open = vec![(call, register)];
        while let Some((at, register)) = open.pop() {
            if !seen.insert((at, register)) {
                continue;
            }
            if self.before[at].is_empty() || self.joins.contains(&at) {
                return None;
            }
            for &from in &self.before[at] {
                let item = &self.items[from];
                let instruction = &item.instruction;
                if matches!(instruction.flow_control(), FlowControl::Call | FlowControl::IndirectCall) {
                    if !PRESERVED.contains(&register) {
                        return None;
                    }
                    open.push((from, register));
                } else if !writes(&mut info, instruction, register) {
                    open.push((from, register));
                } else if let Some(source) = copied(instruction) {
                    open.push((from, source));
                } else {
                    let name = self.name_taken(number, item)?;
                    if found.is_none() || name == Name::Other {
                        found = Some(name);
                    }
                }
            }
        }
        found
    }

    /// The name that the instruction at `at` puts on the stack for the call at `call`, and for no other.
    fn name_stored(&self, number: usize, at: usize, call: usize) -> Option<Name> {
        let instruction = &self.items[at].instruction;
        let (place, register) = match instruction.code() {
            Opcode::Push_r64 => (Place::Stack(0), instruction.op0_register()),
            Opcode::Mov_rm64_r64
                if instruction.memory_base() == Register::RSP
                    && instruction.memory_index() == Register::None =>
            {
                (Place::Stack(instruction.memory_displacement64() as i64), instruction.op1_register())
            }
            _ => return None,
        };
        let name = self.name_in(number, at, register)?;
        let is_argument = |(reached, place): &(usize, Place)| *reached == call && place.position().is_some();
        let calls = self.calls_of(at, place)?;
        (!calls.is_empty() && calls.iter().all(is_argument)).then_some(name)
    }

    /// The name whose address the instruction takes.
    fn name_taken(&self, number: usize, item: &Item<'_>) -> Option<Name> {
        let takes = matches!(item.instruction.mnemonic(), Mnemonic::Lea | Mnemonic::Mov)
            && item.instruction.op0_kind() == OpKind::Register;
        let reference = item.reference.filter(|reference| takes && reference.usage == Use::Address)?;
        match reference.referent {
            Referent::Object { id, offset: 0, .. } => {
                self.program.image.object(id).names_function().then_some(Name::Other)
            }
            Referent::Constant { address, .. } => {
                let text = without_padding(self.program.constant(address)?.1);
                if !is_source_file(text) {
                    return None;
                }
                let address = self.items[number].instruction.ip();
                let own = std::str::from_utf8(text).is_ok_and(|text| self.lines.is_own_file(address, text));
                Some(if own { Name::OwnFile } else { Name::Other })
            }
            _ => None,
        }
    }
}

impl std::fmt::Debug for Passed<'_, '_, '_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Passed").field("function", &self.function).finish_non_exhaustive()
    }
}

/// Who is called.
enum Callee {
    /// A function of the image.
    Function(FunctionId),
    /// An imported one.
    Library(String),
    /// Not known.
    Unknown,
}

/// Where a callee that is jumped to finds an argument, as seen from below a return address.
fn below_return(place: Place) -> Place {
    match place {
        Place::Stack(offset) => Place::Stack(offset - 8),
        register @ Place::Register(_) => register,
    }
}

/// Where the value is behind an instruction. None if that uses or overwrites it, or may do so.
fn after(info: &mut InstructionInfoFactory, instruction: &Instruction, place: Place) -> Option<Place> {
    let used = info.info(instruction);
    match place {
        Place::Register(register) => {
            let touched = used
                .used_registers()
                .iter()
                .any(|used| used.access() != OpAccess::None && used.register().full_register() == register);
            (!touched).then_some(place)
        }
        Place::Stack(offset) => {
            let by = match instruction.mnemonic() {
                Mnemonic::Push | Mnemonic::Pop => i64::from(instruction.stack_pointer_increment()),
                Mnemonic::Sub if instruction.op0_register() == Register::RSP => {
                    -(immediate(instruction)? as i64)
                }
                Mnemonic::Add if instruction.op0_register() == Register::RSP => {
                    immediate(instruction)? as i64
                }
                _ if writes_used(used.used_registers(), Register::RSP) => return None,
                _ => 0,
            };
            for memory in used.used_memory() {
                if memory.base() == Register::RSP {
                    let from = memory.displacement() as i64;
                    let to = from + memory.memory_size().size().max(1) as i64;
                    if memory.index() != Register::None || (from < offset + 8 && offset < to) {
                        return None;
                    }
                }
            }
            Some(Place::Stack(offset - by))
        }
    }
}

fn immediate(instruction: &Instruction) -> Option<u64> {
    let constant = matches!(
        instruction.op1_kind(),
        OpKind::Immediate8to64 | OpKind::Immediate32to64 | OpKind::Immediate64
    );
    constant.then(|| instruction.immediate(1))
}

fn writes_used(used: &[iced_x86::UsedRegister], register: Register) -> bool {
    used.iter().any(|used| {
        let write = !matches!(used.access(), OpAccess::None | OpAccess::Read | OpAccess::CondRead);
        write && used.access() != OpAccess::NoMemAccess && used.register().full_register() == register
    })
}

fn writes(info: &mut InstructionInfoFactory, instruction: &Instruction, register: Register) -> bool {
    writes_used(info.info(instruction).used_registers(), register)
}

/// The register that a whole register is copied from.
fn copied(instruction: &Instruction) -> Option<Register> {
    let registers = matches!(instruction.code(), Opcode::Mov_r64_rm64 | Opcode::Mov_rm64_r64)
        && instruction.op0_kind() == OpKind::Register
        && instruction.op1_kind() == OpKind::Register;
    registers.then(|| instruction.op1_register())
}

/// True if `text` ends like the name of a source file or header.
fn is_source_file(text: &[u8]) -> bool {
    let endings: [&[u8]; 11] =
        [b".c", b".h", b".cc", b".hh", b".cpp", b".hpp", b".cxx", b".hxx", b".C", b".inc", b".rs"];
    endings.iter().any(|ending| text.ends_with(ending))
}
