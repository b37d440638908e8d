// changed: jump_through_data::step
// changed: call
//! A tail call of what stands in a table of methods, to which an entry of a table of distances leads.

#[path = "case.rs"]
mod case;

use std::arch::global_asm;
use std::hint::black_box;

#[cfg(not(new))]
macro_rules! by {
    () => { "add edi, 100" }
}
#[cfg(new)]
macro_rules! by {
    () => { "add edi, 200" }
}

// `call(number, entry)`
global_asm!(
    ".section .text.call, \"ax\", @progbits",
    ".globl call",
    ".type call, @function",
    "call: mov eax, esi",
    "lea rcx, [rip + .Ltables]",
    "movsxd rax, dword ptr [rcx + 4 * rax]",
    by!(),
    "jmp qword ptr [rax + rcx + 8]",
    ".size call, . - call",
    ".section .rodata.tables, \"a\", @progbits",
    ".p2align 2",
    ".Ltables: .long .Ldouble - .Ltables, .Lnegate - .Ltables",
    ".section .data.rel.ro.methods, \"aw\", @progbits",
    ".p2align 3",
    ".Lnegate: .quad 1, negate",
    ".Ldouble: .quad 2, double",
    ".text",
);

#[unsafe(no_mangle)]
extern "C" fn double(n: i32) -> i32 {
    n * 2
}

#[unsafe(no_mangle)]
extern "C" fn negate(n: i32) -> i32 {
    -n
}

unsafe extern "C" {
    safe fn call(number: i32, entry: u32) -> i32;
}

#[inline(never)]
fn step(n: usize) {
    let more: &str = if cfg!(new) { " and more" } else { "" };
    print!("{}{}", call(black_box(n as i32), black_box(n as u32 & 1)), black_box(more));
}

fn main() {
    case::run(step);
}
