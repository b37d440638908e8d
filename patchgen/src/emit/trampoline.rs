//! The trampoline of a redirect.
//!
//! ```text
//!     cmpb $0, gate(%rip)      the gate decides for all functions of the patch at one instant
//!     je   1f
//!     jmp  new                 gate open
//! 1:  <entry instructions>     gate closed: what the redirect has overwritten, re-encoded
//!     jmp  old + n
//! ```
//!
//! Where the target unwinds, an exception must not find a return address in the trampoline, whose frames nobody knows. A
//! call among the entry instructions becomes a jump then, with the return address that it has in the old code:
//!
//! ```text
//!     push ret(%rip)
//!     jmp  callee
//! ```
//!
//! It changes no register and no stack; the flags are not live at a function's entry (psABI 3.2.1).

use super::builder::{Builder, pc_relative};
use super::place::Placed;
use super::redirect::Plan;
use crate::code::{Program, instructions};
use crate::image::{Function, FunctionId};
use iced_x86::{Code as Opcode, Encoder, FlowControl, Instruction, OpKind, Register};
use patchfile::{Relocation, RelocationKind, SymbolKind};

pub(super) struct TrampolineCode {
    pub(super) bytes: Vec<u8>,
    pub(super) relocations: Vec<Relocation>,
}

/// Makes the trampoline of the old function `id`. `gate` and `new` are symbols of the patch.
pub(super) fn make(
    builder: &mut Builder<'_, '_, '_>,
    id: FunctionId,
    plan: &Plan,
    gate: usize,
    new: usize,
) -> Result<TrampolineCode, String> {
    let program = builder.input.pair.old;
    let function = program.image.function(id).clone();
    let mut code = TrampolineCode { bytes: Vec::new(), relocations: Vec::new() };
    code.push(&[0x80, 0x3d, 0, 0, 0, 0, 0x00], Some((2, Placed { symbol: gate, offset: 0 })));
    code.push(&[0x74, 0x05], None);
    code.push(&[0xe9, 0, 0, 0, 0], Some((1, Placed { symbol: new, offset: 0 })));

    let body = function.parts[0].clone();
    let overwritten_to = plan.site + plan.original.len() as u64;
    let mut resume = plan.site;
    let mut ends = false;
    for instruction in instructions(&program.image, plan.site..body.end) {
        if resume >= overwritten_to || ends {
            break;
        }
        resume = instruction.next_ip();
        if builder.tables.is_some()
            && matches!(instruction.flow_control(), FlowControl::Call | FlowControl::IndirectCall)
        {
            if resume < overwritten_to {
                return Err(format!("`{instruction}` at its entry would return into the redirect"));
            }
            call_as_jump(builder, program, &function, &instruction, &mut code)?;
            return Ok(code);
        }
        move_instruction(builder, program, &instruction, &mut code)?;
        ends = matches!(
            instruction.flow_control(),
            FlowControl::Return | FlowControl::UnconditionalBranch | FlowControl::IndirectBranch
        );
    }
    if !ends {
        if resume >= body.end {
            return Err("it falls through into what follows it".to_owned());
        }
        let symbol = builder.target_symbol(&function.name, body.start, SymbolKind::Function);
        code.push(&[0xe9, 0, 0, 0, 0], Some((1, Placed { symbol, offset: (resume - body.start) as i64 })));
    }
    Ok(code)
}

impl TrampolineCode {
    /// Appends an instruction; `field` is the offset in it of a rip-relative field and where that leads.
    fn push(&mut self, bytes: &[u8], field: Option<(usize, Placed)>) {
        let at = self.bytes.len() as u64;
        self.bytes.extend_from_slice(bytes);
        if let Some((offset, to)) = field {
            let end = self.bytes.len() as u64;
            let field = at + offset as u64;
            self.bytes[field as usize..field as usize + 4].fill(0);
            self.relocations.push(pc_relative(field, end, to));
        }
    }
}

/// A call that returns to the old code.
fn call_as_jump(
    builder: &mut Builder<'_, '_, '_>,
    program: &Program<'_>,
    function: &Function,
    call: &Instruction,
    code: &mut TrampolineCode,
) -> Result<(), String> {
    let body = function.address();
    let symbol = builder.target_symbol(&function.name, body, SymbolKind::Function);
    let addend = (call.next_ip() - body) as i64;
    let slot = vec![Relocation { offset: 0, kind: RelocationKind::Abs64, symbol, addend }];
    let name = format!("{}@return", function.name);
    let slot = builder.read_only(format!(".rodata.{name}"), name, vec![0; 8], 8, slot);
    code.push(&[0xff, 0x35, 0, 0, 0, 0], Some((2, Placed { symbol: slot, offset: 0 })));
    let mut jump = *call;
    match call.code() {
        Opcode::Call_rel32_64 => jump.set_code(Opcode::Jmp_rel32_64),
        // The stack pointer is another one behind the push.
        Opcode::Call_rm64 if call.memory_base() != Register::RSP && call.op0_register() != Register::RSP => {
            jump.set_code(Opcode::Jmp_rm64);
        }
        _ => return Err(format!("`{call}` at its entry cannot be made elsewhere")),
    }
    if jump.code() == Opcode::Jmp_rm64 && !jump.is_ip_rel_memory_operand() {
        let mut encoder = Encoder::new(64);
        encoder.encode(&jump, call.ip()).map_err(|error| format!("`{call}` at its entry: {error}"))?;
        code.push(&encoder.take_buffer(), None);
        return Ok(());
    }
    move_instruction(builder, program, &jump, code)
}

/// Re-encodes one instruction of the target so that it can run elsewhere.
fn move_instruction(
    builder: &mut Builder<'_, '_, '_>,
    program: &Program<'_>,
    instruction: &Instruction,
    code: &mut TrampolineCode,
) -> Result<(), String> {
    let ip = instruction.ip();
    let original = program.image.bytes(ip..instruction.next_ip()).unwrap_or_default();
    let branch = instruction.op_count() > 0 && instruction.op0_kind() == OpKind::NearBranch64;
    let target = if branch {
        Some(instruction.near_branch_target())
    } else if instruction.is_ip_rel_memory_operand() {
        Some(instruction.ip_rel_memory_address())
    } else {
        None
    };
    let Some(target) = target else {
        code.push(original, None);
        return Ok(());
    };
    let mut near = *instruction;
    if branch {
        if matches!(
            instruction.code(),
            Opcode::Jrcxz_rel8_64
                | Opcode::Jecxz_rel8_64
                | Opcode::Loop_rel8_64_RCX
                | Opcode::Loop_rel8_64_ECX
                | Opcode::Loope_rel8_64_RCX
                | Opcode::Loope_rel8_64_ECX
                | Opcode::Loopne_rel8_64_RCX
                | Opcode::Loopne_rel8_64_ECX
        ) {
            return Err(format!("`{instruction}` at its entry has no near form"));
        }
        near.as_near_branch();
    }
    // Encoded at its own address, so that the old displacement always fits.
    let mut encoder = Encoder::new(64);
    let len = encoder.encode(&near, ip).map_err(|error| format!("`{instruction}` at its entry: {error}"))?;
    let offsets = encoder.get_constant_offsets();
    let bytes = encoder.take_buffer();
    debug_assert_eq!(len, bytes.len());
    let field = if branch { offsets.immediate_offset() } else { offsets.displacement_offset() };
    let (name, address) = symbol_near(program, target);
    let symbol = builder.target_symbol(&name, address, SymbolKind::None);
    code.push(&bytes, Some((field, Placed { symbol, offset: target.wrapping_sub(address) as i64 })));
    Ok(())
}

/// A name for a place in the target, and the address that the name stands for.
fn symbol_near(program: &Program<'_>, address: u64) -> (String, u64) {
    if let Some((id, part, _)) = program.image.function_at(address) {
        let function = program.image.function(id);
        let name = if part == 0 { function.name.clone() } else { format!("{}.cold", function.name) };
        return (name, function.parts[part].start);
    }
    if let Some((id, offset)) = program.image.object_at(address) {
        return (program.image.object(id).name.clone(), address - offset);
    }
    (format!("target_{address:x}"), address)
}
