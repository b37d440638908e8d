// changed: tables_that_meet::step
//! Two tables of distances from their own start, read by one piece of code to which two ways lead. What they lead to moves.

#[path = "case.rs"]
mod case;

use std::arch::global_asm;
use std::hint::black_box;

#[cfg(not(new))]
macro_rules! between {
    () => { ".ascii \"between\"" }
}
#[cfg(new)]
macro_rules! between {
    () => { ".ascii \"more than that between\"" }
}

// `word(table, entry)`
global_asm!(
    ".section .text.word, \"ax\", @progbits",
    ".globl word",
    ".type word, @function",
    "word: test edi, edi",
    "je 2f",
    "lea rcx, [rip + .Lnumbers]",
    "jmp 3f",
    "2: lea rcx, [rip + .Lcolours]",
    "3: mov eax, esi",
    "movsxd rax, dword ptr [rcx + 4 * rax]",
    "add rax, rcx",
    "ret",
    ".size word, . - word",
    ".section .rodata.words, \"a\", @progbits",
    ".p2align 2",
    ".Lnumbers: .long .Lone - .Lnumbers, .Ltwo - .Lnumbers",
    ".Lcolours: .long .Lred - .Lcolours, .Lblue - .Lcolours",
    between!(),
    ".Lred: .asciz \"red\"",
    ".Ltwo: .asciz \"two\"",
    ".Lone: .asciz \"one\"",
    ".Lblue: .asciz \"blue\"",
    ".text",
);

unsafe extern "C" {
    safe fn word(table: u32, entry: u32) -> *const std::ffi::c_char;
}

#[inline(never)]
fn step(n: usize) {
    let n = if cfg!(new) { n + 1 } else { n } as u32;
    let word = unsafe { std::ffi::CStr::from_ptr(word(black_box(n & 1), black_box(n >> 1 & 1))) };
    print!("{}", word.to_str().unwrap());
}

fn main() {
    case::run(step);
}
