//! Trampolines change the flags, which is right at a call and wrong at the head of a loop.

use patchgen::report::RefusalKind;
use tardigrade_tests::{Expect as _, Pair};

/// The loop begins at the entry and carries CF around (`dec` and `lea` leave it alone). Behind a closed gate, as an
/// interrupted command leaves it, the old code runs through the trampoline in each round.
#[test]
fn carry_flag_around_a_loop_at_the_entry() {
    let source = ".text\n.p2align 4\n.type f,@function\nf: adc (%rsi),%eax\n lea 4(%rsi),%rsi\n dec %edi\n jne f\n \
        add $1,%eax\n ret\n.size f,.-f\n.p2align 4\n.type g,@function\ng: push %rbp\n pop %rbp\n ret\n.size g,.-g\n";
    Pair::asm_edit(source, "add $1", "add $2").build().diff().refused(RefusalKind::EntryNotMovable, "f");
}

/// The same loop without anything in the flags.
#[test]
fn loop_at_the_entry_that_sets_the_flags_itself() {
    let source = ".text\n.p2align 4\n.type f,@function\nf: add (%rsi),%eax\n lea 4(%rsi),%rsi\n dec %edi\n jne f\n \
        add $1,%eax\n ret\n.size f,.-f\n.p2align 4\n.type g,@function\ng: push %rbp\n pop %rbp\n ret\n.size g,.-g\n";
    Pair::asm_edit(source, "add $1", "add $2").build().diff().patched(&["f"]);
}
