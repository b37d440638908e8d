//! The signal frame that leads a thread home.
//!
//! While a thread runs a system call for the loader, a frame like the one that the kernel lays for a signal
//! handler stands on its stack. Should the loader die, the code behind the injected call does rt_sigreturn(2)
//! with it, and the thread is where it was. Layout: `struct rt_sigframe` of arch/x86/include/asm/sigframe.h,
//! `struct ucontext` and `struct sigcontext_64` of the uapi headers, filled as arch/x86/kernel/signal_64.c does.

use crate::address::{AddressRange, RuntimeAddr};
use crate::restart::{self, Call};
use libc::user_regs_struct;
use std::arch::x86_64::__cpuid_count;

/// `UC_FP_XSTATE | UC_SIGCONTEXT_SS | UC_STRICT_RESTORE_SS`.
const UC_FLAGS: u64 = 7;
/// A mode that sigaltstack(2) does not know. rt_sigreturn ignores the error (restore_altstack in
/// kernel/signal.c), so that the thread's alternate stack stays as it is.
const UNKNOWN_STACK_MODE: u64 = 3;
/// `FP_XSTATE_MAGIC1`, at the start of the software bytes of the legacy area.
const FP_XSTATE_MAGIC1: u32 = 0x4650_5853;
/// `FP_XSTATE_MAGIC2`, behind the last byte of the image.
const FP_XSTATE_MAGIC2: u32 = 0x4650_5845;
/// Offset of the software bytes in the legacy area.
const SOFTWARE_BYTES: usize = 464;
/// Size of the legacy area and header of an XSAVE image.
const XSAVE_BASE: usize = 512 + 64;
/// Tile data of AMX, which a thread has only if it asked for it.
const XFEATURE_TILE_DATA: u32 = 18;
/// The psABI's red zone (section 3.2.2).
const RED_ZONE: u64 = 128;
/// Restorer address, ucontext up to its mask, siginfo.
const FRAME_LEN: usize = 8 + UCONTEXT_LEN + 128;
const UCONTEXT_LEN: usize = 8 + 8 + 24 + SIGCONTEXT_LEN + 8;
const SIGCONTEXT_LEN: usize = 256;
/// What must stay free below the frame for system calls.
pub(crate) const SPARE: u64 = 512;

/// A frame ready to be written.
pub(crate) struct SignalFrame {
    /// Where the bytes belong.
    pub(crate) address: RuntimeAddr,
    /// The frame and the XSAVE image above it.
    pub(crate) bytes: Vec<u8>,
    /// The stack pointer with which rt_sigreturn finds the frame.
    pub(crate) stack_pointer: u64,
}

/// The frame that restores `regs`, `xstate` and `mask`. None if it does not fit into `stack`, the mapping that
/// the thread's stack pointer is in, with `spare` bytes below it.
pub(crate) fn build(
    regs: &user_regs_struct,
    xstate: &[u8],
    mask: u64,
    stack: AddressRange,
    spare: u64,
) -> Option<SignalFrame> {
    let home = match restart::call_state(regs) {
        Call::Restarts => restart::call_again(regs),
        Call::None => *regs,
        Call::Interrupted | Call::RestartBlock | Call::MustReturn => return None,
    };
    let image = xsave_image(xstate)?;
    let image_at = regs.rsp.checked_sub(RED_ZONE + image.len() as u64)? & !63;
    // As at a function's entry: the stack pointer plus 8 is a multiple of 16.
    let frame_at = (image_at.checked_sub(FRAME_LEN as u64)? & !15).checked_sub(8)?;
    if frame_at.checked_sub(spare)? < stack.start.0 {
        return None;
    }
    let mut bytes = vec![0; (image_at - frame_at) as usize];
    let mut frame = Fields { bytes: &mut bytes, offset: 8 };
    frame.put(UC_FLAGS);
    frame.put(0); // uc_link
    for word in [0, UNKNOWN_STACK_MODE, 0] {
        frame.put(word);
    }
    for register in [
        home.r8,
        home.r9,
        home.r10,
        home.r11,
        home.r12,
        home.r13,
        home.r14,
        home.r15,
        home.rdi,
        home.rsi,
        home.rbp,
        home.rbx,
        home.rdx,
        home.rax,
        home.rcx,
        home.rsp,
        home.rip,
        home.eflags,
    ] {
        frame.put(register);
    }
    frame.put((home.cs & 0xffff) | (home.ss & 0xffff) << 48);
    for unused in [0, 0, 0, 0] {
        frame.put(unused); // err, trapno, oldmask, cr2
    }
    frame.put(image_at);
    frame.offset += 64; // reserved1
    frame.put(mask);
    bytes.extend_from_slice(&image);
    Some(SignalFrame { address: RuntimeAddr(frame_at), bytes, stack_pointer: frame_at + 8 })
}

struct Fields<'a> {
    bytes: &'a mut [u8],
    offset: usize,
}

impl Fields<'_> {
    fn put(&mut self, value: u64) {
        self.bytes[self.offset..self.offset + 8].copy_from_slice(&value.to_le_bytes());
        self.offset += 8;
    }
}

/// The image as a signal frame holds it: cut to the features that the thread may have, with the kernel's marks
/// (`struct _fpx_sw_bytes`) in it and the second magic number behind it.
fn xsave_image(xstate: &[u8]) -> Option<Vec<u8>> {
    let word = |offset: usize| Some(u64::from_le_bytes(xstate.get(offset..offset + 8)?.try_into().ok()?));
    // ptrace(2) puts the features that are enabled where a signal frame has its own marks.
    let enabled = word(SOFTWARE_BYTES)?;
    let in_use = word(512)?;
    let mut features = enabled;
    if in_use & (1 << XFEATURE_TILE_DATA) == 0 {
        features &= !(1 << XFEATURE_TILE_DATA);
    }
    let size = (2..63)
        .filter(|bit| features & (1 << bit) != 0)
        .map(|bit| {
            // Intel SDM volume 1, section 13.2: size in eax, offset in the standard format in ebx.
            let leaf = __cpuid_count(0xd, bit);
            (leaf.eax + leaf.ebx) as usize
        })
        .fold(XSAVE_BASE, usize::max);
    let mut image = xstate.get(..size)?.to_vec();
    let mut marks = [0; 48];
    marks[0..4].copy_from_slice(&FP_XSTATE_MAGIC1.to_le_bytes());
    marks[4..8].copy_from_slice(&(size as u32 + 4).to_le_bytes());
    marks[8..16].copy_from_slice(&features.to_le_bytes());
    marks[16..20].copy_from_slice(&(size as u32).to_le_bytes());
    image[SOFTWARE_BYTES..SOFTWARE_BYTES + marks.len()].copy_from_slice(&marks);
    image.extend_from_slice(&FP_XSTATE_MAGIC2.to_le_bytes());
    Some(image)
}
