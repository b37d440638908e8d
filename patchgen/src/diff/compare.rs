//! Comparing functions as instruction streams whose operands are symbolic.

use super::passed::{Passed, number};
use super::same::{Difference, is_branch};
use super::undecided::undecided;
use super::{ExceptionTables, LineNumbers, Matching, Pair, Sameness};
use crate::code::{Form, Program, Reference, TlsField, instructions};
use crate::image::FunctionId;
use iced_x86::{Code as Opcode, Instruction, Mnemonic, OpKind};
use rayon::prelude::*;
use std::collections::HashMap;

/// How a matched function differs between the builds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FunctionChange {
    /// Not at all.
    Unchanged,
    /// In line numbers passed as arguments.
    LineOnly,
    /// In what it does, with reasons for people.
    Changed(Vec<String>),
    /// No difference was found, but not all could be compared, with the reason for people.
    Undecided(String),
}

/// Most reasons that are reported for one function.
const MAX_REASONS: usize = 6;

/// Compares all matched functions of the target, in the order of [`crate::image::Image::functions`].
pub fn compare_functions(
    pair: &Pair<'_, '_>,
    matching: &Matching,
    lines: &dyn LineNumbers,
) -> Vec<Option<FunctionChange>> {
    let same = Sameness::strict(pair, matching);
    let tables = ExceptionTables::read(pair);
    let ids: Vec<FunctionId> = pair.old.image.function_ids().collect();
    ids.par_iter()
        .map(|old| {
            let new = matching.new_function(*old)?;
            let same_shape = same.same_shape(*old, new);
            let change = if same_shape {
                let mut reasons: Vec<String> = same.references(*old, new).take(MAX_REASONS).collect();
                reasons.dedup();
                match reasons.is_empty() {
                    true if same.moves_lines(*old, new) => FunctionChange::LineOnly,
                    true => FunctionChange::Unchanged,
                    false => FunctionChange::Changed(reasons),
                }
            } else {
                compare_streams(pair, &same, *old, new, lines)
            };
            if matches!(change, FunctionChange::Changed(_)) {
                return Some(change);
            }
            let difference = tables.difference(&same, (*old, new), same_shape);
            Some(match (difference, undecided(pair, *old, new)) {
                (Some(reason), _) => FunctionChange::Changed(vec![reason]),
                (None, Some(reason)) => FunctionChange::Undecided(reason),
                (None, None) => change,
            })
        })
        .collect()
}

/// One instruction with its reference.
pub(super) struct Item<'c> {
    pub(super) instruction: Instruction,
    pub(super) reference: Option<&'c Reference>,
    second: Option<&'c Reference>,
    /// Fields that lead to thread-local variables.
    thread_locals: Vec<&'c TlsField>,
    /// Number of the instruction that a branch inside the function leads to.
    pub(super) inner: Option<usize>,
}

/// The instructions of a function without padding.
fn stream<'c>(program: &'c Program<'_>, id: FunctionId) -> Option<Vec<Item<'c>>> {
    let function = program.image.function(id);
    let code = program.code(id);
    let mut items = Vec::new();
    let mut numbers: HashMap<u64, usize> = HashMap::new();
    let mut references = code.references.iter().peekable();
    for (part, range) in function.parts.iter().enumerate() {
        for instruction in instructions(&program.image, range.clone()) {
            if instruction.is_invalid() {
                return None;
            }
            let end = (instruction.next_ip() - range.start) as u32;
            let mut take = || references.next_if(|next| usize::from(next.part) == part && next.end == end);
            let (reference, second) = (take(), take());
            let fields = code.thread_locals.fields.iter();
            let own = fields.filter(|field| usize::from(field.part) == part && field.end == end);
            // Padding before a branch target is numbered as the target.
            numbers.insert(instruction.ip(), items.len());
            if instruction.mnemonic() != Mnemonic::Nop {
                items.push(Item {
                    instruction,
                    reference,
                    second,
                    thread_locals: own.collect(),
                    inner: None,
                });
            }
        }
    }
    for item in &mut items {
        if item.instruction.op0_kind() == OpKind::NearBranch64 && item.instruction.op_count() > 0 {
            item.inner = numbers.get(&item.instruction.near_branch_target()).copied();
        }
    }
    Some(items)
}

/// The instruction without what depends on addresses.
fn normal(item: &Item<'_>) -> Instruction {
    let mut instruction = item.instruction;
    if instruction.op0_kind() == OpKind::NearBranch64 && instruction.op_count() > 0 {
        instruction.as_near_branch();
        instruction.set_near_branch64(0);
    } else if instruction.is_ip_rel_memory_operand() {
        instruction.set_memory_displacement64(0);
    }
    instruction
}

fn compare_streams(
    pair: &Pair<'_, '_>,
    same: &Sameness<'_, '_, '_>,
    old: FunctionId,
    new: FunctionId,
    lines: &dyn LineNumbers,
) -> FunctionChange {
    let (Some(olds), Some(news)) = (stream(pair.old, old), stream(pair.new, new)) else {
        return FunctionChange::Changed(vec!["its bytes are not all instructions".to_owned()]);
    };
    if olds.len() != news.len() {
        let detail = format!("{} instructions instead of {}", news.len(), olds.len());
        return FunctionChange::Changed(vec![detail]);
    }
    let mut line_only = same.moves_lines(old, new);
    let mut reasons: Vec<Difference> = Vec::new();
    if !same.knows_thread_locals(old, new) {
        reasons
            .push("which thread-local variables it uses is not certain, and their layout changed".to_owned());
    }
    let mut passed = None;
    for (index, (a, b)) in olds.iter().zip(&news).enumerate() {
        match compare_items(same, (old, a), (new, b), lines) {
            Ok(None) => {}
            Ok(Some(Line)) => {
                let passed = passed.get_or_insert_with(|| Passed::new(pair.new, new, &news, lines));
                if passed.is_line(index) {
                    line_only = true;
                } else {
                    reasons.push(format!("`{}` instead of `{}`", b.instruction, a.instruction));
                }
            }
            Err(reason) => {
                if !reasons.contains(&reason) {
                    reasons.push(reason);
                }
                if reasons.len() >= MAX_REASONS {
                    break;
                }
            }
        }
    }
    match (reasons.is_empty(), line_only) {
        (false, _) => FunctionChange::Changed(reasons),
        (true, true) => FunctionChange::LineOnly,
        (true, false) => FunctionChange::Unchanged,
    }
}

/// Marks a difference in a line number.
struct Line;

fn compare_items(
    same: &Sameness<'_, '_, '_>,
    old: (FunctionId, &Item<'_>),
    new: (FunctionId, &Item<'_>),
    lines: &dyn LineNumbers,
) -> Result<Option<Line>, Difference> {
    let (a, b) = (old.1, new.1);
    if a.inner != b.inner {
        return Err("a branch leads elsewhere".to_owned());
    }
    let (mut a_normal, mut b_normal) = (normal(a), normal(b));
    let both = [(a.reference, b.reference), (a.second, b.second)];
    for (a_reference, b_reference) in both {
        match (a_reference, b_reference) {
            (Some(a), Some(b)) if a.form == b.form && a.usage == b.usage => {
                let inner_both = old.1.inner.is_some() && is_branch(a);
                if !inner_both {
                    same.reference((old.0, a), (new.0, b))?;
                }
                if let Form::Absolute { immediate, .. } = a.form {
                    // The number itself is an address, already compared.
                    blank_number(&mut a_normal, immediate);
                    blank_number(&mut b_normal, immediate);
                }
            }
            (None, None) => {}
            _ => return Err(format!("`{}` instead of `{}`", b.instruction, a.instruction)),
        }
    }
    if !same.same_thread_local_layout() {
        if a.thread_locals.len() != b.thread_locals.len() {
            return Err(format!("`{}` instead of `{}`", b.instruction, a.instruction));
        }
        for (a, b) in a.thread_locals.iter().zip(&b.thread_locals) {
            if (a.immediate, a.from_pointer) != (b.immediate, b.from_pointer) {
                return Err("reaches a thread-local variable in another way".to_owned());
            }
            same.thread_local(a, b)?;
            blank_number(&mut a_normal, a.immediate);
            blank_number(&mut b_normal, a.immediate);
        }
    }
    if a_normal == b_normal {
        return Ok(None);
    }
    if let (Some(a_value), Some(b_value)) = (number(&a.instruction), number(&b.instruction)) {
        set_argument(&mut a_normal, 0);
        set_argument(&mut b_normal, 0);
        let numbers = lines.are_lines(a.instruction.ip(), a_value, b.instruction.ip(), b_value);
        if a_normal == b_normal && numbers {
            return Ok(Some(Line));
        }
    }
    Err(format!("`{}` instead of `{}`", b.instruction, a.instruction))
}

fn blank_number(instruction: &mut Instruction, immediate: bool) {
    if !immediate {
        instruction.set_memory_displacement64(0);
        return;
    }
    for operand in 0..instruction.op_count() {
        match instruction.op_kind(operand) {
            OpKind::Immediate32 => instruction.set_immediate32(0),
            OpKind::Immediate32to64 => instruction.set_immediate32to64(0),
            OpKind::Immediate64 => instruction.set_immediate64(0),
            _ => {}
        }
    }
}

fn set_argument(instruction: &mut Instruction, value: i32) {
    match instruction.code() {
        Opcode::Pushq_imm32 => instruction.set_immediate32to64(i64::from(value)),
        _ => instruction.set_immediate32(value as u32),
    }
}
