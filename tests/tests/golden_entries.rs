//! Goldens of redirects and trampolines: one for each kind of function entry.
//!
//! The functions are assembly, so that every byte is the same with any compiler. `README.md` tells how to review a
//! golden that changed.

use patchgen::verdict::Diff;
use tardigrade_tests::{Pair, assert_golden};

/// A local function of these lines.
fn function(name: &str, lines: &str) -> String {
    format!(".type {name},@function\n{name}:\n{lines}\n.size {name},.-{name}\n")
}

/// A function that is larger than any jump and has nothing to do with the change.
fn neighbour() -> String {
    function("neighbour", "push %rbp\n mov %rsp,%rbp\n pop %rbp\n ret")
}

/// A changed function `f` of these lines, `add $1,` becoming `add $2,`, with a neighbour that begins at the next
/// multiple of 16.
fn changed(lines: &str) -> Diff {
    changed_between("", lines, ".p2align 4")
}

/// The same with `before` in front of `f`, and `after` between it and its neighbour.
fn changed_between(before: &str, lines: &str, after: &str) -> Diff {
    let f = function("f", lines);
    let source = format!(".text\n.p2align 4\n{before}\n{f}{after}\n{}", neighbour());
    Pair::asm_edit(&source, "add $1,", "add $2,").build().diff()
}

/// A changed function of three bytes, and `after` between it and its neighbour.
fn three_bytes(after: &str) -> Diff {
    let f = function("f", "mov $1,%al\n ret");
    let source = format!(".text\n.p2align 4\n{f}{after}\n{}", neighbour());
    Pair::asm_edit(&source, "mov $1", "mov $2").build().diff()
}

/// A variable of two numbers, and the way back to the code.
const COUNTER: &str = ".data\n.type counter,@object\ncounter: .long 7,8\n.size counter,8\n.text\n.p2align 4";

#[test]
fn plain() {
    assert_golden!(changed("mov %edi,%eax\n add $1,%eax\n ret"));
}

/// The jump stands behind `endbr64`: indirect branches must still land on it.
#[test]
fn endbr64() {
    assert_golden!(changed("endbr64\n mov %edi,%eax\n add $1,%eax\n ret"));
}

/// Three bytes and the padding behind them hold the jump.
#[test]
fn short_with_padding() {
    assert_golden!(three_bytes(".p2align 4"));
}

/// Three bytes with the next function close behind.
#[test]
fn short_without_padding() {
    assert_golden!(three_bytes(""));
}

/// A jump of five bytes would be two writes: a short jump leads to one in the padding.
#[test]
fn across_a_page() {
    let before = ".p2align 12\n.skip 4093,0xcc";
    assert_golden!(changed_between(before, "mov $5,%eax\n add $1,%eax\n ret", ".p2align 4"));
}

/// The same, and the padding nearby lies on both pages or is too small.
#[test]
fn across_a_page_without_padding() {
    let before =
        ".p2align 12\n.type before,@function\nbefore: .fill 4092,1,0x58\n ret\n.size before,.-before";
    let after = ".type after,@function\nafter: .fill 300,1,0x58\n ret\n.size after,.-after";
    assert_golden!(changed_between(before, "mov $5,%eax\n add $1,%eax\n ret", after));
}

/// Behind `endbr64` the jump would cross the page's end; over it, it does not.
#[test]
fn endbr64_before_a_page() {
    let before = ".p2align 12\n.skip 4089,0xcc";
    assert_golden!(changed_between(before, "endbr64\n mov $5,%eax\n add $1,%eax\n ret", ".p2align 4"));
}

/// A loop begins in what the jump behind `endbr64` would overwrite: the jump stands over `endbr64`.
#[test]
fn branch_into_the_bytes_behind_endbr64() {
    let lines = "endbr64\n xor %eax,%eax\n1: add $1,%eax\n dec %edi\n jne 1b\n ret";
    assert_golden!(changed(lines));
}

/// The same without `endbr64`: there is no other place.
#[test]
fn branch_into_the_entry() {
    let lines = "xor %eax,%eax\n1: add $1,%eax\n dec %edi\n jne 1b\n ret";
    assert_golden!(changed(lines));
}

/// The loop begins at the entry itself: an activation would jump into the new code. The patch says so.
#[test]
fn back_edge_to_the_entry() {
    let lines = "dec %edi\n add $1,%eax\n test %edi,%edi\n jne f\n ret";
    assert_golden!(changed(lines));
}

/// The loop begins at the `endbr64` before the jump.
#[test]
fn back_edge_to_endbr64() {
    let lines = "endbr64\n dec %edi\n add $1,%eax\n test %edi,%edi\n jne f\n ret";
    assert_golden!(changed(lines));
}

#[test]
fn displaced_call() {
    assert_golden!(changed("call neighbour\n add $1,%eax\n ret"));
}

#[test]
fn displaced_load() {
    assert_golden!(changed_between("", "mov counter(%rip),%eax\n add $1,%eax\n ret", COUNTER));
}

/// A rip-relative field with a number behind it.
#[test]
fn displaced_comparison_with_a_number() {
    assert_golden!(changed_between("", "cmpl $7,counter+4(%rip)\n add $1,%eax\n ret", COUNTER));
}

/// The short conditional jump becomes a near one into the old code.
#[test]
fn displaced_short_conditional_jump() {
    let lines = "test %edi,%edi\n je 1f\n add $1,%eax\n ret\n1: xor %eax,%eax\n ret";
    assert_golden!(changed(lines));
}

/// A jump is the end of what is moved, whatever lies behind it.
#[test]
fn displaced_jump() {
    let lines = "jmp 1f\n.byte 0xcc,0xcc,0xcc,0xcc\n1: add $1,%eax\n ret";
    assert_golden!(changed(lines));
}

/// A function that is one tail call.
#[test]
fn displaced_tail_call() {
    let f = function("f", "jmp neighbour");
    let other = function("other", "push %rbx\n mov %rsp,%rbx\n pop %rbx\n ret");
    let source = format!(".text\n.p2align 4\n{f}.p2align 4\n{}{other}", neighbour());
    assert_golden!(Pair::asm_edit(&source, "jmp neighbour", "jmp other").build().diff());
}

/// `jrcxz` reaches 127 bytes and has no longer form.
#[test]
fn jrcxz() {
    let lines = "jrcxz 1f\n mov %edi,%eax\n add $1,%eax\n ret\n1: xor %eax,%eax\n ret";
    assert_golden!(changed(lines));
}

#[test]
fn loop_instruction() {
    let lines = "mov %edi,%ecx\n loop 1f\n mov %edi,%eax\n add $1,%eax\n ret\n1: xor %eax,%eax\n ret";
    assert_golden!(changed(lines));
}

/// What would have to be moved runs into the next function.
#[test]
fn falls_through() {
    let f = function("f", "mov $1,%eax");
    let source = format!(".text\n.p2align 4\n{f}{}", neighbour());
    assert_golden!(Pair::asm_edit(&source, "mov $1", "mov $2").build().diff());
}

/// The old version returns within the overwritten bytes.
#[test]
fn early_return() {
    let lines = "test %edi,%edi\n ret\n nop\n add $1,%eax\n ret";
    assert_golden!(changed(lines));
}
