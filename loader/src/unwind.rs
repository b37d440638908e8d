//! A strict unwinder: it follows a stack to its certain end, or says that it cannot.
//!
//! It goes by `.eh_frame` alone (System V ABI, AMD64 supplement, section 3.7), tracks all 17 registers, and
//! accepts a stack as complete only where the unwind information calls the return address undefined. There is
//! no fallback: no frame pointers, no guesses.

use crate::address::{AddressRange, RuntimeAddr};
use crate::image::Image;
use crate::memory::RemoteMemory;
use crate::record::Header;
use gimli::{
    BaseAddresses, CfaRule, EhFrame, EhFrameHdr, EndianSlice, EvaluationResult, FrameDescriptionEntry,
    LittleEndian, Location, Register, RegisterRule, UnwindContext, UnwindExpression, UnwindSection as _,
    UnwindTableRow, Value, X86_64,
};
use libc::user_regs_struct;

/// Return address column.
const RA: Register = X86_64::RA;
const RSP: Register = X86_64::RSP;
/// More frames than a thread has, short of endless recursion.
const MAX_FRAMES: usize = 10_000;
/// Unwind tables longer than this are not read.
const MAX_TABLE: u64 = 256 << 20;
/// More steps than any unwind expression needs.
const MAX_EXPRESSION_STEPS: u32 = 1000;

type Slice<'a> = EndianSlice<'a, LittleEndian>;

/// Why a stack could not be followed to its end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UnwindError {
    /// No image holds the code.
    #[error("no unwind information for {0}")]
    NoInformation(RuntimeAddr),
    /// The unwind information is damaged, or uses what the standard does not define.
    #[error("unwind information for {0} is not usable: {1}")]
    Unusable(RuntimeAddr, String),
    /// A saved register could not be read.
    #[error("the stack at {0} is not readable")]
    Unreadable(RuntimeAddr),
    /// The stack does not grow towards its start.
    #[error("the stack pointer does not advance at {0}")]
    Stuck(RuntimeAddr),
    /// Too many frames.
    #[error("more than {MAX_FRAMES} frames")]
    TooDeep,
}

/// One activation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame {
    /// An address within the instruction that is being executed: for callers, the call.
    pub instruction: RuntimeAddr,
    /// The stack pointer in this activation.
    pub stack_pointer: RuntimeAddr,
}

/// Unwind tables of all images of a process, read beforehand.
#[derive(Default)]
pub struct Unwinder {
    tables: Vec<Table>,
}

struct Table {
    covers: AddressRange,
    /// The index (`.eh_frame_hdr`) and its address; patches have none.
    index: Option<(Vec<u8>, u64)>,
    frames: Vec<u8>,
    frames_at: u64,
}

impl Unwinder {
    /// Reads the tables of `images` and of the `patches` in them. Those without usable tables are left out: unwinding
    /// fails there.
    pub fn new(images: &[Image], patches: &[Header], memory: &RemoteMemory) -> Self {
        let mut tables: Vec<Table> = images.iter().filter_map(|image| Table::read(image, memory)).collect();
        tables.extend(patches.iter().filter_map(|patch| Table::of_patch(patch, memory)));
        for patch in patches {
            let Some(image) = images.iter().find(|it| it.extent().contains_range(&patch.image_frames)) else {
                continue;
            };
            let covers = image.extent();
            if !tables.iter().any(|table| table.covers == covers) {
                tables.extend(Table::without_index(covers, patch.image_frames, memory));
            }
        }
        tables.sort_by_key(|table| table.covers);
        Unwinder { tables }
    }

    /// The activations of a stopped thread, innermost first.
    pub fn unwind(&self, regs: &user_regs_struct, memory: &RemoteMemory) -> Result<Vec<Frame>, UnwindError> {
        let mut context = UnwindContext::new();
        let mut registers = Registers::new(regs);
        let mut frames = Vec::new();
        // The first instruction, and one that a signal interrupted, is where the program counter says. A
        // caller's is before its return address.
        let mut exact = true;
        loop {
            let counter = registers.get(RA).ok_or(UnwindError::NoInformation(RuntimeAddr(0)))?;
            let stack_pointer = RuntimeAddr(registers.get(RSP).unwrap_or_default());
            let instruction = RuntimeAddr(if exact { counter } else { counter.wrapping_sub(1) });
            frames.push(Frame { instruction, stack_pointer });
            if frames.len() > MAX_FRAMES {
                return Err(UnwindError::TooDeep);
            }
            let table = self.table(instruction).ok_or(UnwindError::NoInformation(instruction))?;
            let Some((caller, interrupted)) = table.step(instruction, &registers, &mut context, memory)?
            else {
                return Ok(frames);
            };
            let advanced = caller.get(RSP).unwrap_or_default();
            // A signal handler may run on another stack than the code that it interrupted.
            if advanced <= stack_pointer.0 && !interrupted {
                return Err(UnwindError::Stuck(instruction));
            }
            registers = caller;
            exact = interrupted;
        }
    }

    /// Where the function that holds `address` begins, as far as unwind tables tell.
    pub(crate) fn function_start(&self, address: RuntimeAddr) -> Option<RuntimeAddr> {
        self.table(address)?.with_entry(address, |fde, _, _| Ok(RuntimeAddr(fde.initial_address()))).ok()
    }

    fn table(&self, address: RuntimeAddr) -> Option<&Table> {
        let behind = self.tables.partition_point(|table| table.covers.end <= address);
        self.tables.get(behind).filter(|table| table.covers.contains(address))
    }
}

/// Values of the 17 registers of the DWARF numbering, as far as they are known.
#[derive(Clone)]
struct Registers([Option<u64>; 17]);

impl Registers {
    fn new(regs: &user_regs_struct) -> Self {
        Registers(
            [
                regs.rax, regs.rdx, regs.rcx, regs.rbx, regs.rsi, regs.rdi, regs.rbp, regs.rsp, regs.r8,
                regs.r9, regs.r10, regs.r11, regs.r12, regs.r13, regs.r14, regs.r15, regs.rip,
            ]
            .map(Some),
        )
    }

    fn get(&self, register: Register) -> Option<u64> {
        self.0.get(usize::from(register.0)).copied().flatten()
    }
}

/// The caller's registers, and whether the caller was interrupted by a signal instead of making a call. None at
/// the certain end of the stack.
type Step = Option<(Registers, bool)>;

/// Callee-saved registers keep their value where the unwind information does not mention them (psABI,
/// section 3.2.1).
fn is_preserved(register: Register) -> bool {
    [X86_64::RBX, X86_64::RBP, X86_64::R12, X86_64::R13, X86_64::R14, X86_64::R15].contains(&register)
}

impl Table {
    fn read(image: &Image, memory: &RemoteMemory) -> Option<Self> {
        let header_range = image.unwind_header()?;
        let segment = image.segments().find(|segment| segment.memory.contains_range(&header_range))?;
        if segment.memory.len() > MAX_TABLE {
            return None;
        }
        let header = memory.read_vec(header_range.start, header_range.len()).ok()?;
        let bases = BaseAddresses::default().set_eh_frame_hdr(header_range.start.0);
        let parsed = EhFrameHdr::new(&header, LittleEndian).parse(&bases, 8).ok()?;
        let frames_at = RuntimeAddr(parsed.eh_frame_ptr().direct().ok()?);
        let segment = image.segments().find(|segment| segment.memory.contains(frames_at))?;
        // The section's length is told nowhere in memory; what follows it is never reached through the index.
        let end = segment.file_bytes.end;
        let len = end.0.checked_sub(frames_at.0).filter(|len| *len <= MAX_TABLE)?;
        let frames = memory.read_vec(frames_at, len).ok()?;
        let (header_at, frames_at) = (header_range.start.0, frames_at.0);
        Some(Table { covers: image.extent(), index: Some((header, header_at)), frames, frames_at })
    }

    fn of_patch(patch: &Header, memory: &RemoteMemory) -> Option<Self> {
        // The target may be hostile.
        let sound = patch.executable.contains_range(&patch.frames);
        Table::without_index(patch.code, patch.frames, memory).filter(|_| sound)
    }

    fn without_index(covers: AddressRange, frames: AddressRange, memory: &RemoteMemory) -> Option<Self> {
        if frames.is_empty() || frames.len() > MAX_TABLE {
            return None;
        }
        let frames_at = frames.start.0;
        let frames = memory.read_vec(frames.start, frames.len()).ok()?;
        Some(Table { covers, index: None, frames, frames_at })
    }

    /// Calls `use_it` with the entry for an instruction.
    fn with_entry<T>(
        &self,
        instruction: RuntimeAddr,
        use_it: impl FnOnce(
            &FrameDescriptionEntry<Slice<'_>>,
            &EhFrame<Slice<'_>>,
            &BaseAddresses,
        ) -> Result<T, UnwindError>,
    ) -> Result<T, UnwindError> {
        let unusable = |error: gimli::Error| unusable(instruction, &error);
        let section = EhFrame::new(&self.frames, LittleEndian);
        let bases = BaseAddresses::default().set_eh_frame(self.frames_at);
        let (entry, bases) = match &self.index {
            Some((header, header_at)) => {
                let bases = bases.set_eh_frame_hdr(*header_at);
                let header = EhFrameHdr::new(header, LittleEndian).parse(&bases, 8).map_err(unusable)?;
                let index = header.table().ok_or(UnwindError::NoInformation(instruction))?;
                let entry = index.fde_for_address(&section, &bases, instruction.0, EhFrame::cie_from_offset);
                (entry, bases)
            }
            None => (section.fde_for_address(&bases, instruction.0, EhFrame::cie_from_offset), bases),
        };
        use_it(&entry.map_err(unusable)?, &section, &bases)
    }

    fn step(
        &self,
        instruction: RuntimeAddr,
        registers: &Registers,
        context: &mut UnwindContext<usize>,
        memory: &RemoteMemory,
    ) -> Result<Step, UnwindError> {
        self.with_entry(instruction, |fde, section, bases| {
            let row = fde
                .unwind_info_for_address(section, bases, context, instruction.0)
                .map_err(|error| unusable(instruction, &error))?;
            let encoding = fde.cie().encoding();
            let frame = FrameRules { section, encoding, registers, memory, instruction };
            frame.caller(row, fde.is_signal_trampoline())
        })
    }
}

fn unusable(instruction: RuntimeAddr, error: &gimli::Error) -> UnwindError {
    match error {
        gimli::Error::NoUnwindInfoForAddress => UnwindError::NoInformation(instruction),
        error => UnwindError::Unusable(instruction, error.to_string()),
    }
}

/// What one activation's unwind information is applied to.
struct FrameRules<'a> {
    section: &'a EhFrame<Slice<'a>>,
    encoding: gimli::Encoding,
    registers: &'a Registers,
    memory: &'a RemoteMemory,
    instruction: RuntimeAddr,
}

impl FrameRules<'_> {
    fn caller(&self, row: &UnwindTableRow<usize>, interrupted: bool) -> Result<Step, UnwindError> {
        let cfa = match row.cfa() {
            CfaRule::RegisterAndOffset { register, offset } => {
                self.value(*register)?.wrapping_add_signed(*offset)
            }
            CfaRule::Expression(expression) => self.evaluate(expression, None)?,
        };
        if matches!(row.register(RA), Some(RegisterRule::Undefined)) {
            return Ok(None);
        }
        let mut caller = Registers([None; 17]);
        for number in 0..17 {
            let register = Register(number);
            caller.0[usize::from(number)] = match row.register(register) {
                None if register == RA => {
                    return Err(UnwindError::Unusable(self.instruction, "no return address".to_owned()));
                }
                None if register == RSP => Some(cfa),
                None if is_preserved(register) => self.registers.get(register),
                None | Some(RegisterRule::Undefined) => None,
                Some(RegisterRule::SameValue) => self.registers.get(register),
                Some(RegisterRule::Offset(offset)) => Some(self.load(cfa.wrapping_add_signed(offset))?),
                Some(RegisterRule::ValOffset(offset)) => Some(cfa.wrapping_add_signed(offset)),
                Some(RegisterRule::Register(other)) => self.registers.get(other),
                Some(RegisterRule::Expression(expression)) => {
                    Some(self.load(self.evaluate(&expression, Some(cfa))?)?)
                }
                Some(RegisterRule::ValExpression(expression)) => Some(self.evaluate(&expression, Some(cfa))?),
                Some(rule) => {
                    return Err(UnwindError::Unusable(self.instruction, format!("rule {rule:?}")));
                }
            };
        }
        Ok(Some((caller, interrupted)))
    }

    fn value(&self, register: Register) -> Result<u64, UnwindError> {
        self.registers
            .get(register)
            .ok_or_else(|| UnwindError::Unusable(self.instruction, format!("register {} lost", register.0)))
    }

    fn load(&self, address: u64) -> Result<u64, UnwindError> {
        let address = RuntimeAddr(address);
        self.memory.read_u64(address).map_err(|_| UnwindError::Unreadable(address))
    }

    /// Evaluates an expression; register rules start with the CFA on the stack (DWARF 5, section 6.4.2).
    fn evaluate(&self, expression: &UnwindExpression<usize>, cfa: Option<u64>) -> Result<u64, UnwindError> {
        let unusable = |what: String| UnwindError::Unusable(self.instruction, what);
        let failed = |error: gimli::Error| unusable(error.to_string());
        let mut evaluation = expression.get(self.section).map_err(failed)?.evaluation(self.encoding);
        evaluation.set_max_iterations(MAX_EXPRESSION_STEPS);
        if let Some(cfa) = cfa {
            evaluation.set_initial_value(cfa);
        }
        let mut result = evaluation.evaluate().map_err(failed)?;
        loop {
            result = match result {
                EvaluationResult::Complete => break,
                EvaluationResult::RequiresRegister { register, .. } => {
                    let value = Value::Generic(self.value(register)?);
                    evaluation.resume_with_register(value).map_err(failed)?
                }
                EvaluationResult::RequiresMemory { address, size: 8, .. } => {
                    let value = Value::Generic(self.load(address)?);
                    evaluation.resume_with_memory(value).map_err(failed)?
                }
                other => return Err(unusable(format!("expression needs {other:?}"))),
            };
        }
        match evaluation.result()[..] {
            [gimli::Piece { location: Location::Address { address }, .. }] => Ok(address),
            _ => Err(unusable("expression without an address".to_owned())),
        }
    }
}
