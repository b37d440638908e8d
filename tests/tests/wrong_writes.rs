//! Redirects and islands that are easy to put where they do harm.

use patchfile::Patch;
use patchgen::report::RefusalKind;
use tardigrade_tests::{Expect as _, Form, Pair, patchgen};

/// A second function begins two bytes into the first one: a jump at the first entry would destroy it.
#[test]
fn entry_inside_the_overwritten_bytes() {
    let source = ".text\n.globl f,g\n.type f,@function\n.type g,@function\nf: mov $1,%al\ng: movzbl %al,%eax\n add $5,%eax\n ret\n\
        .size f,.-f\n.size g,.-g\n.p2align 4\n.globl h\n.type h,@function\nh: mov $7,%eax\n ret\n.size h,.-h\n";
    let diff = Pair::asm_edit(source, "mov $1,%al", "mov $2,%al").build().diff();
    diff.refused(RefusalKind::InteriorReference, "f");
}

/// The padding behind `h` is run through: `h` falls through into `k`. `f` crosses a page and has no other padding near.
#[test]
fn island_in_padding_that_is_executed() {
    let source = ".text\n.globl f,h,k,z\n.p2align 12\n.skip 4064,0xcc\n.type h,@function\nh: mov $7,%eax\n inc %eax\n.size h,.-h\n\
        .p2align 4,0x90\n.type k,@function\nk: add %edi,%eax\n add $0x11111111,%eax\n sub $0x11,%eax\n nop\n nop\n ret\n.size k,.-k\n\
        .type f,@function\nf: mov $1,%eax\n add $1,%eax\n ret\n.size f,.-f\n.type z,@function\nz: push %rbp\n pop %rbp\n ret\n.size z,.-z\n";
    Pair::asm_edit(source, "add $1,%eax", "add $2,%eax")
        .build()
        .diff()
        .refused(RefusalKind::EntryTooShort, "f");
}

/// Two functions that both need an island must not share one.
#[test]
fn two_islands_in_one_gap() {
    // Both entries cross a page's end by one byte; the only padding is between them and after.
    let source = ".text\n.globl f,g\n.p2align 12\n.skip 4093,0xcc\n.type f,@function\nf: mov $1,%eax\n add $1,%eax\n ret\n.size f,.-f\n\
        .skip 10,0xcc\n.type g,@function\ng: .byte 0xeb,0x00\n ret\n.size g,.-g\n.skip 2,0xcc\n.globl h\n.type h,@function\nh: mov $7,%eax\n ret\n.size h,.-h\n";
    let new = source.replace("add $1,%eax", "add $2,%eax");
    let diff = Pair::asm(source, &new).build().diff();
    diff.patched(&["f"]);
}

/// `imul $1000003, %edi, %eax` has its number in the third operand.
#[test]
fn three_operand_multiplication_in_fixed_code() {
    let source = "__attribute__((noinline)) int f(int i) { return i * 1000003; } int main(int c, char **v) { return f(c); }";
    Pair::edit(source, "1000003", "1000033").form(Form::FixedWithRelocations).build().diff().patched(&["f"]);
    Pair::edit(source, "1000003", "1000033").form(Form::Fixed).build().diff().patched(&["f"]);
}

/// A file whose null section header claims to be the metadata.
#[test]
fn metadata_in_section_zero() {
    let source = ".text\n.globl f\n.type f,@function\nf: mov $1,%eax\n add $1,%eax\n ret\n.size f,.-f\n";
    let built = Pair::asm_edit(source, "add $1,%eax", "add $2,%eax").build();
    let mut bytes = built.diff().patch.expect("a patch");
    let word =
        |bytes: &[u8], at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"));
    let headers = word(&bytes, 40) as usize;
    let count = usize::from(u16::from_le_bytes([bytes[60], bytes[61]]));
    let text = String::from_utf8_lossy(&bytes).into_owned();
    assert!(text.contains(".tardigrade.meta"));
    for index in 1..count {
        let mut damaged = bytes.clone();
        damaged.copy_within(headers + 64 * index..headers + 64 * (index + 1), headers);
        let _ = Patch::parse(&damaged);
    }
    bytes.truncate(headers);
    assert!(Patch::parse(&bytes).is_err());
    let ran = patchgen(&["inspect", "/dev/null"]);
    assert_eq!(ran.status, Some(2), "{}", ran.stderr);
}
