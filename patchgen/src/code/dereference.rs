//! Whether a function surely reads or writes at an address that it takes, before it does anything else with it: then
//! something begins there, and it is not the end of what is before it.

use super::values::is_choice;
use super::{Program, Reference, Use, instructions};
use crate::image::{FunctionId, Referent};
use iced_x86::{
    FlowControl, Instruction, InstructionInfoFactory, InstructionInfoOptions, Mnemonic, OpAccess, OpKind,
    Register,
};
use std::collections::{BTreeMap, HashMap, HashSet};

/// Registers that calls leave alone (psABI 3.2.1).
const KEPT: [Register; 6] =
    [Register::RBX, Register::RBP, Register::R12, Register::R13, Register::R14, Register::R15];

/// Places that are looked at before giving up.
const MAX_STEPS: usize = 20_000;

/// Registers that hold the address, each with what was added to it.
type Held = BTreeMap<Register, i64>;

/// True if on every way from where `function` takes `address`, the first that is done with it, if anything, is to read
/// or write in the `size` bytes from there on.
pub fn reads_first(program: &Program<'_>, function: FunctionId, address: u64, size: u64) -> bool {
    let is_meant = |reference: &&Reference| {
        reference.target == address
            && reference.usage == Use::Address
            && !matches!(reference.referent, Referent::Object { certain: true, .. })
    };
    let image = &program.image;
    let parts = &image.function(function).parts;
    let steps: Vec<Instruction> = parts.iter().flat_map(|part| instructions(image, part.clone())).collect();
    let numbers: HashMap<u64, usize> =
        steps.iter().enumerate().map(|(number, step)| (step.ip(), number)).collect();
    let mut walk = Walk { steps: &steps, numbers, size: size as i64, info: InstructionInfoFactory::new() };
    let mut taken = program.code(function).references.iter().filter(is_meant).peekable();
    taken.peek().is_some()
        && taken.all(|reference| {
            let next = parts[usize::from(reference.part)].start + u64::from(reference.end);
            let taking = steps.iter().position(|step| step.next_ip() == next);
            taking.is_some_and(|taking| walk.reads_first(taking))
        })
}

/// What one instruction does with the address.
enum Fate {
    /// It reads or writes there.
    Read,
    /// Afterwards these may be the registers that hold it.
    Held(Vec<Held>),
    /// Something else.
    Other,
}

struct Walk<'s> {
    steps: &'s [Instruction],
    numbers: HashMap<u64, usize>,
    size: i64,
    info: InstructionInfoFactory,
}

impl Walk<'_> {
    fn reads_first(&mut self, taking: usize) -> bool {
        let take = &self.steps[taking];
        if take.mnemonic() != Mnemonic::Lea
            || !take.is_ip_rel_memory_operand()
            || !take.op0_register().is_gpr64()
        {
            return false;
        }
        let mut open = vec![(taking + 1, Held::from([(take.op0_register(), 0)]))];
        let mut seen = HashSet::new();
        while let Some((number, held)) = open.pop() {
            if held.is_empty() || !seen.insert((number, held.clone())) {
                continue;
            }
            let Some(step) = self.steps.get(number).filter(|_| seen.len() < MAX_STEPS) else { return false };
            let step = *step;
            let afterwards = match self.fate(&step, &held) {
                Fate::Read => continue,
                Fate::Held(afterwards) => afterwards,
                Fate::Other => return false,
            };
            let target = self.numbers.get(&step.near_branch_target()).copied();
            let (next, jump) = match step.flow_control() {
                FlowControl::Next | FlowControl::Call | FlowControl::IndirectCall => (true, None),
                FlowControl::ConditionalBranch if target.is_some() => (true, target),
                FlowControl::UnconditionalBranch if target.is_some() => (false, target),
                FlowControl::Return | FlowControl::Exception => (false, None),
                _ => return false,
            };
            for held in afterwards {
                open.extend(next.then(|| (number + 1, held.clone())));
                open.extend(jump.map(|jump| (jump, held)));
            }
        }
        true
    }

    fn fate(&mut self, step: &Instruction, held: &Held) -> Fate {
        match step.flow_control() {
            FlowControl::Next | FlowControl::ConditionalBranch | FlowControl::UnconditionalBranch => {}
            FlowControl::Call | FlowControl::IndirectCall => {
                let kept = held.keys().all(|register| KEPT.contains(register));
                return if kept { self.reads(step, held) } else { Fate::Other };
            }
            FlowControl::Return => {
                let returned = held.contains_key(&Register::RAX) || held.contains_key(&Register::RDX);
                return if returned { Fate::Other } else { Fate::Held(vec![Held::new()]) };
            }
            FlowControl::Exception => return Fate::Held(vec![Held::new()]),
            _ => return Fate::Other,
        }
        let (to, from) = (step.op0_register(), step.op1_register());
        let copies = step.op0_kind() == OpKind::Register && to.is_gpr64();
        let with = |register: Register, value: i64| {
            let mut after = held.clone();
            after.insert(register, value);
            after
        };
        match step.mnemonic() {
            Mnemonic::Mov if copies && step.op1_kind() == OpKind::Register && held.contains_key(&from) => {
                return Fate::Held(vec![with(to, held[&from])]);
            }
            Mnemonic::Lea if copies && step.memory_index() == Register::None => {
                if let Some(offset) = held.get(&step.memory_base()) {
                    let sum = offset.wrapping_add(step.memory_displacement64() as i64);
                    return Fate::Held(vec![with(to, sum)]);
                }
            }
            _ if copies && is_choice(step) && step.op1_kind() == OpKind::Register => {
                let mut chosen = held.clone();
                match held.get(&from) {
                    Some(offset) => chosen.insert(to, *offset),
                    None => chosen.remove(&to),
                };
                return Fate::Held(vec![held.clone(), chosen]);
            }
            _ => {}
        }
        self.reads(step, held)
    }

    /// What an instruction does that gives the address to no other register.
    fn reads(&mut self, step: &Instruction, held: &Held) -> Fate {
        let info = self.info.info_options(step, InstructionInfoOptions::NONE);
        let there = info.used_memory().iter().any(|memory| {
            let surely = matches!(memory.access(), OpAccess::Read | OpAccess::Write | OpAccess::ReadWrite);
            let Some(offset) = held.get(&memory.base()).filter(|_| surely) else { return false };
            let from = offset.wrapping_add(memory.displacement() as i64);
            let bytes = memory.memory_size().size() as i64;
            memory.index() == Register::None && bytes > 0 && from >= 0 && from + bytes <= self.size
        });
        if there {
            return Fate::Read;
        }
        let mut after = held.clone();
        for used in info.used_registers() {
            let register = used.register().full_register();
            if !held.contains_key(&register) {
                continue;
            }
            let whole = used.register().is_gpr64() || used.register().is_gpr32();
            match used.access() {
                OpAccess::Write if whole => after.remove(&register),
                OpAccess::None => None,
                _ => return Fate::Other,
            };
        }
        Fate::Held(vec![after])
    }
}
