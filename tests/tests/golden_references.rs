//! Goldens of copied code and data: one for each kind of reference.
//!
//! The code is assembly, so that every byte is the same with any compiler. In each source `MARK` is a number that
//! differs between the builds, so that the function with it is changed; other differences are spelled out.

use patchfile::{Patch, SectionContents};
use patchgen::verdict::Diff;
use tardigrade_tests::{Form, Pair, assert_golden};

/// A local function of these lines.
fn function(name: &str, lines: &str) -> String {
    format!(".p2align 4\n.type {name},@function\n{name}:\n{lines}\n.size {name},.-{name}\n")
}

/// A local object of these lines in a section.
fn object(section: &str, name: &str, lines: &str) -> String {
    format!(
        ".section {section}\n.p2align 4\n.type {name},@object\n{name}:\n{lines}\n.size {name},.-{name}\n.text\n"
    )
}

/// The two builds of one source.
fn marked(form: Form, source: &str) -> Diff {
    assert!(source.contains("MARK"));
    let builds = [source.replace("MARK", "0x11"), source.replace("MARK", "0x22")];
    Pair::asm(&builds[0], &builds[1]).form(form).build().diff()
}

/// A library with a changed function `f` of these lines, and `rest` behind it.
fn library(lines: &str, rest: &str) -> Diff {
    marked(
        Form::Shared,
        &format!(".text\n{}{rest}", function("f", &format!("add $MARK,%eax\n{lines}\n ret"))),
    )
}

/// A library whose new build has other lines in `f`, and `rest` behind it in both builds.
fn replaced(old: &str, new: &str, rest: &str) -> Diff {
    let source = |lines: &str| format!(".text\n{}{rest}", function("f", &format!("{lines}\n ret")));
    Pair::asm(&source(old), &source(new)).build().diff()
}

const OTHER: &str = ".p2align 4\n.type other,@function\nother: push %rbp\n mov %rsp,%rbp\n pop %rbp\n ret\n.size other,.-other\n";

#[test]
fn call() {
    assert_golden!(library("call other", OTHER));
}

/// Recursion stays in the copy. In the target it counts as a branch to the entry.
#[test]
fn call_of_itself() {
    assert_golden!(library("call f", OTHER));
}

/// The copied code jumps to its copied `.cold` part, and that back.
#[test]
fn cold_part() {
    let cold = ".section .text.unlikely,\"ax\"\n.type f.cold,@function\nf.cold: sub $MARK,%eax\n jmp .Lback\n\
                .size f.cold,.-f.cold\n.text\n";
    let source = format!(
        ".text\n{}{OTHER}{cold}",
        function("f", "test %edi,%edi\n jne f.cold\n.Lback: add $MARK,%eax\n ret")
    );
    assert_golden!(marked(Form::Shared, &source));
}

/// The table comes along and leads to the copied cases.
#[test]
fn relative_jump_table() {
    let table =
        ".section .rodata,\"a\"\n.p2align 2\n.Ltable: .long 1f-.Ltable,2f-.Ltable,3f-.Ltable\n.text\n";
    let lines = "add $MARK,%eax\n cmp $2,%edi\n ja 3f\n mov %edi,%edi\n lea .Ltable(%rip),%rdx\n \
                 movslq (%rdx,%rdi,4),%rax\n add %rdx,%rax\n jmp *%rax\n\
                 1: mov $1,%eax\n ret\n2: mov $2,%eax\n ret\n3: xor %eax,%eax\n ret";
    // The labels are used behind the function, so they are looked for backwards.
    let table = table.replace("1f", "1b").replace("2f", "2b").replace("3f", "3b");
    assert_golden!(marked(Form::Shared, &format!(".text\n{}{table}{OTHER}", function("f", lines))));
}

#[test]
fn absolute_jump_table() {
    let lines = "add $MARK,%eax\n cmp $2,%edi\n ja 3f\n mov %edi,%edi\n jmp *.Ltable(,%rdi,8)\n\
                 1: mov $1,%eax\n ret\n2: mov $2,%eax\n ret\n3: xor %eax,%eax\n ret";
    let table = ".section .rodata,\"a\"\n.p2align 3\n.Ltable: .quad 1b,2b,3b\n.text\n";
    let source = format!(".text\n{}{table}{OTHER}", function("f", lines));
    assert_golden!(marked(Form::FixedWithRelocations, &source));
}

#[test]
fn tail_call() {
    let source = format!(".text\n{}.skip 200,0xcc\n{OTHER}", function("f", "add $MARK,%eax\n jmp other"));
    assert_golden!(marked(Form::Shared, &source));
}

/// Jumps of two bytes that leave the function go to a near jump behind its copy, one for each destination.
#[test]
fn short_tail_call() {
    let lines = "add $MARK,%eax\n je other\n test %edi,%edi\n js other\n jmp last";
    let last = function("last", "push %rbx\n mov %rsp,%rbx\n pop %rbx\n ret");
    assert_golden!(marked(Form::Shared, &format!(".text\n{}{OTHER}{last}", function("f", lines))));
}

/// The target's stub is called; the second function is imported without one, through its GOT slot only.
#[test]
fn imports() {
    assert_golden!(library(
        "call imported@PLT\n mov environ@GOTPCREL(%rip),%rdx\n call *slotted@GOTPCREL(%rip)",
        OTHER
    ));
}

/// The target has a GOT slot of the symbol, but no stub: the patch brings one.
#[test]
fn call_of_an_import_without_a_stub() {
    let rest = format!("{OTHER}{}", function("user", "call *imported@GOTPCREL(%rip)\n ret"));
    // With lazy binding off the linker would use one slot for both; it calls through `.plt.got` then.
    assert_golden!(replaced("add $1,%eax", "add $2,%eax\n call imported@PLT", &rest));
}

#[test]
fn import_that_the_target_does_not_have() {
    assert_golden!(replaced("add $1,%eax", "add $2,%eax\n call imported@PLT", OTHER));
}

#[test]
fn variables() {
    let data = object(".data", "settings", ".long 1,2,3,4");
    let zero = object(".bss,\"aw\",@nobits", "counter", ".skip 16");
    let rest = format!("{OTHER}{data}{zero}");
    let lines = "mov settings+8(%rip),%edx\n incl counter(%rip)\n lea settings+16(%rip),%rcx";
    assert_golden!(library(lines, &rest));
}

#[test]
fn variables_at_fixed_addresses() {
    let data = object(".data", "settings", ".long 1,2,3,4");
    let lines = "add $MARK,%eax\n mov settings+8,%edx\n mov $settings+4,%ecx\n mov settings(,%rdi,4),%edx\n \
                 movl $0x1234,settings(,%rdi,4)\n movabs $settings,%rdx\n ret";
    assert_golden!(marked(
        Form::FixedWithRelocations,
        &format!(".text\n{}{OTHER}{data}", function("f", lines))
    ));
}

const STRINGS: &str = ".section .rodata.str1.1,\"aMS\",@progbits,1\n.Lshared: .string \"shared\"\n.Lfresh: .string \"fresh\"\n.text\n";

/// A string that the old version uses too stays where it is; one that it does not use comes along.
#[test]
fn strings() {
    let rest = format!("{STRINGS}{OTHER}{}", function("user", "lea .Lfresh(%rip),%rax\n ret"));
    let old = "lea .Lshared(%rip),%rdi";
    assert_golden!(replaced(old, &format!("{old}\n lea .Lfresh(%rip),%rsi"), &rest));
}

/// Constants keep the alignment that their instructions need.
#[test]
fn constants() {
    let pool = ".section .rodata.cst8,\"aM\",@progbits,8\n.p2align 3\n.Leight: .quad 0x3ff8000000000000\n\
                .section .rodata.cst16,\"aM\",@progbits,16\n.p2align 4\n.Lsixteen: .quad 0x8000000000000000,0\n.text\n";
    let lines = "addsd .Leight(%rip),%xmm0\n xorps .Lsixteen(%rip),%xmm0\n comiss .Leight+4(%rip),%xmm0";
    assert_golden!(library(lines, &format!("{pool}{OTHER}")));
}

/// Nobody knows where the array ends: the whole section comes along as a difference to the target's.
#[test]
fn array_of_unknown_extent() {
    let rest = format!(
        "{OTHER}.section .rodata,\"a\"\n.p2align 5\n.fill 64,1,0x5a\n.Larray: .long 1,2,3,MARK,5,6,7,8\n.text\n"
    );
    assert_golden!(library("lea .Larray(%rip),%rdx\n mov (%rdx,%rdi,4),%eax", &rest));
}

/// A named table that is the same in both builds stays the target's: it may be compared by address.
#[test]
fn unchanged_table() {
    let rest = format!("{OTHER}{}", object(".rodata,\"a\"", "table", ".long 1,2,3,4"));
    assert_golden!(library("lea table(%rip),%rdx", &rest));
}

/// A named table with other contents comes along.
#[test]
fn changed_table() {
    let rest = format!("{OTHER}{}", object(".rodata,\"a\"", "table", ".long 1,2,3,MARK"));
    assert_golden!(library("lea table(%rip),%rdx\n mov (%rdx,%rdi,4),%edx", &rest));
}

/// A function that is only in the new build comes along with what it refers to.
#[test]
fn new_function() {
    let source = |call: &str, extra: &str| {
        format!(
            ".text\n{}{OTHER}{extra}{STRINGS}",
            function("f", &format!("xor %eax,%eax\n{call}\n ret\n.byte 0xcc,0xcc"))
        )
    };
    let extra = function("helper", "lea .Lfresh(%rip),%rax\n call other\n jmp helper");
    assert_golden!(Pair::asm(&source("nop", ""), &source("call helper", &extra)).build().diff());
}

/// New variables live in the patch, in the new function and the changed one alike.
#[test]
fn new_variables() {
    let source = |lines: &str, extra: &str| format!(".text\n{}{OTHER}{extra}", function("f", lines));
    let extra = object(".data", "limit", ".long 7") + &object(".bss,\"aw\",@nobits", "hits", ".skip 24");
    let new = source("add $2,%eax\n incl hits+8(%rip)\n cmp limit(%rip),%eax\n ret", &extra);
    assert_golden!(Pair::asm(&source("add $1,%eax\n sub $1,%eax\n ret", ""), &new).build().diff());
}

/// A new table of pointers: to an existing function, an existing variable, a new function and a new string.
fn table_of_pointers() -> Diff {
    let state = object(".data", "state", ".long 7");
    let source = |lines: &str, extra: &str| format!(".text\n{}{OTHER}{state}{extra}", function("f", lines));
    let extra = format!(
        "{}{}{STRINGS}",
        function("helper", "mov $7,%eax\n ret"),
        object(".data.rel.ro,\"aw\"", "table", ".quad other,state,helper,.Lfresh,12")
    );
    let new = source("add $2,%eax\n lea table(%rip),%rdx\n ret", &extra);
    Pair::asm(&source("add $1,%eax\n sub $1,%eax\n ret", ""), &new).build().diff()
}

#[test]
fn new_table_of_pointers() {
    assert_golden!(table_of_pointers());
}

/// Nothing in a section depends on addresses but through its relocations (docs/patch-format.md).
#[test]
fn relocated_fields_are_zero() {
    let patch = Patch::parse(&table_of_pointers().patch.expect("a patch")).expect("a readable patch");
    for section in &patch.sections {
        let SectionContents::Bytes(bytes) = &section.contents else { continue };
        for relocation in &section.relocations {
            let from = relocation.offset as usize;
            let field = &bytes[from..from + relocation.kind.width() as usize];
            assert!(field.iter().all(|byte| *byte == 0), "{} at {from:#x}: {field:02x?}", section.name);
        }
    }
}

/// The address of a function is that of its old version, also when it is taken by changed code.
#[test]
fn address_of_a_changed_function() {
    assert_golden!(library("lea f(%rip),%rdx", OTHER));
}

/// A slot of the library's own symbol: the patch brings one that holds the address.
#[test]
fn slot_of_an_own_variable() {
    let data = ".data\n.globl shown\n.type shown,@object\nshown: .long 7\n.size shown,4\n.text\n";
    assert_golden!(library("mov shown@GOTPCREL(%rip),%rdx", &format!("{OTHER}{data}")));
}

/// Offsets from the thread pointer are plain numbers in an executable: equal ones are taken as they are.
#[test]
fn thread_local_variable() {
    let variable =
        ".section .tbss,\"awT\",@nobits\n.type depth,@object\ndepth: .skip 8\n.size depth,8\n.text\n";
    let source = format!(
        ".text\n.globl _start\n.type _start,@function\n_start: ret\n.size _start,.-_start\n{}{OTHER}{variable}",
        function("f", "add $MARK,%eax\n mov %fs:depth@tpoff,%rdx\n ret")
    );
    assert_golden!(marked(Form::FixedWithRelocations, &source));
}

/// Unwind tables of new code, and the code that hands them to the unwinder, which is part of the image here. The call at
/// the entry returns to the old code.
#[test]
fn unwind_tables() {
    let routines =
        ["thrower", "_Unwind_RaiseException", "_Unwind_Find_FDE", "__register_frame", "__errno_location"];
    let routines: String = routines.map(|name| format!(".globl {name}\n{}", function(name, "ud2"))).concat();
    let personality = format!(".globl __gxx_personality_v0\n{}", function("__gxx_personality_v0", "ud2"));
    let slots = object(".data.rel.ro,\"aw\"", "DW.ref.__gxx_personality_v0", ".quad __gxx_personality_v0")
        + &object(".data.rel.ro,\"aw\"", "DW.ref.type", ".quad type")
        + &object(".data.rel.ro,\"aw\"", "type", ".quad 1,2");
    let table = ".section .gcc_except_table,\"a\"\n.Ltable: .byte 0xff,0x9b\n.uleb128 .Lbase-.Ltypes\n.Ltypes: .byte 1\n\
                 .uleb128 .Lsites_end-.Lsites\n.Lsites: .uleb128 .Lbegin-f\n.uleb128 .Lend-.Lbegin\n.uleb128 .Lpad-f\n\
                 .uleb128 1\n.Lsites_end: .byte 2,1,1,0\n.p2align 2\n.long DW.ref.type-.,0\n.Lbase:\n.text\n";
    let f = ".type f,@function\nf: .cfi_startproc\n.cfi_personality 0x9b,DW.ref.__gxx_personality_v0\n\
             .cfi_lsda 0x1b,.Ltable\npush %rbx\n.cfi_def_cfa_offset 16\n.cfi_offset 3,-16\n.Lbegin: call thrower\n\
             .Lend: add $MARK,%eax\n.cfi_remember_state\npop %rbx\n.cfi_def_cfa_offset 8\nret\n.Lpad: \
             .cfi_restore_state\nmov $3,%eax\npop %rbx\n.cfi_def_cfa_offset 8\nret\n.cfi_endproc\n.size f,.-f\n";
    assert_golden!(marked(Form::Shared, &format!(".text\n{f}{routines}{personality}{slots}{table}")));
}
