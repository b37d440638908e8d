//! References that are easy to misread. A patch that reads them wrongly is the worst result: each test accepts a
//! refusal or the one right reading.

use patchfile::{Patch, Place};
use patchgen::report::RefusalKind;
use patchgen::verdict::Diff;
use tardigrade_tests::{Expect as _, Form, Pair, golden};

fn patch(diff: &Diff) -> Patch {
    Patch::parse(diff.patch.as_ref().expect("a patch")).expect("a readable patch")
}

/// `memcmp(p, "KDMV\0\0...", n)` reads behind the first NUL.
#[test]
fn string_constant_with_zeros_behind_its_end() {
    let source = r#"#include <string.h>
        __attribute__((noinline)) int f(const char *p, int n) { return n * 77 + p[3]; }
        int main(int c, char **v) { return f(v[0], c) + memcmp(v[0], "other", c); }"#;
    let fixed = r#"return memcmp(p, "KDMV\0\0\0\0\0\0\0\0\0\0\0\0\0", n) + 1;"#;
    let diff = Pair::edit(source, "return n * 77 + p[3];", fixed).build().diff();
    if diff.patch.is_some() {
        let longest = patch(&diff)
            .sections
            .iter()
            .filter(|s| s.name.starts_with(".rodata") && !s.name.contains("gate"))
            .map(|section| section.contents.len())
            .max();
        assert!(longest >= Some(18), "the constant is cut short:\n{}", golden(&diff));
    }
}

/// The target has the same characters, but fewer zeros behind them.
#[test]
fn string_constant_with_more_zeros_than_the_target_has() {
    let source = r#"#include <string.h>
        __attribute__((noinline)) int f(const char *p, int n) { return memcmp(p, "KDMV", n) * 2 + n * 77; }
        int main(int c, char **v) { return f(v[0], c) + memcmp(v[0], "other", c); }"#;
    let diff =
        Pair::edit(source, r#""KDMV", n) * 2"#, r#""KDMV\0\0\0\0\0\0\0\0\0\0\0\0\0", n) + 1"#).build().diff();
    if diff.patch.is_some() {
        let in_target = patch(&diff)
            .symbols
            .iter()
            .any(|s| s.name.starts_with("text_") && matches!(s.place, Place::Target(_)));
        assert!(!in_target, "leads to the target's shorter constant:\n{}", golden(&diff));
    }
}

/// `cmp $table + 100, %rdx` with nothing behind the table: the address lies behind the last section.
#[test]
fn end_of_the_last_variable_as_an_absolute_number() {
    let source = "__attribute__((noinline)) int work(int *p) { return *p; }
        static int table[100];
        __attribute__((noinline)) int f(int n) { int s = n; for (int *p = table; p != table + 100; p++) s += work(p); return s + 1; }
        int main(int c, char **v) { table[c] = 3; return f(c); }";
    let diff = Pair::edit(source, "s + 1", "s + 2").form(Form::FixedWithRelocations).build().diff();
    if diff.patch.is_some() {
        let patch = patch(&diff);
        let f = patch.sections.iter().find(|section| section.name == ".text.f").expect("the code of f");
        let absolute = f.relocations.iter().filter(|r| {
            matches!(patch.symbols[r.symbol].place, Place::Target(_))
                && patch.symbols[r.symbol].name == "table"
        });
        assert_eq!(
            absolute.count(),
            2,
            "one of two references to the table is a plain number:\n{}",
            golden(&diff)
        );
    }
}

/// `cmp $table - 4, %rdx` is the end of a loop that runs down; the address is that of the variable before.
#[test]
fn address_before_the_first_element() {
    let source = |inserted: &str, bytes: u32| {
        // Sections of assembly keep the order: `inserted` lies between the others in the new build.
        format!(
            ".text\n.globl f\n.type f,@function\nf: mov $table+12,%edx\n1: add (%rdx),%eax\n sub $4,%rdx\n cmp $table-4,%rdx\n \
                 jne 1b\n add ${bytes},%eax\n ret\n.size f,.-f\n.data\n.p2align 4\n.type before,@object\nbefore: .long 1,2,3,4\n\
                 .size before,.-before\n{inserted}.type table,@object\ntable: .long 1,2,3,4\n.size table,.-table\n"
        )
    };
    let new = source(".type inserted,@object\ninserted: .long 7,7,7,7\n.size inserted,.-inserted\n", 2);
    let diff = Pair::asm(&source("", 1), &new).form(Form::FixedWithRelocations).build().diff();
    if diff.patch.is_some() {
        let text = golden(&diff);
        assert!(!text.contains("inserted") && !text.contains("before"), "read as another variable:\n{text}");
    }
}

/// The same in position-independent code.
#[test]
fn address_before_the_first_element_without_relocations() {
    let source = |inserted: &str, bytes: u32| {
        format!(
            ".text\n.globl f\n.type f,@function\nf: lea table+12(%rip),%rdx\n lea table-4(%rip),%rcx\n1: add (%rdx),%eax\n sub $4,%rdx\n \
                 cmp %rcx,%rdx\n jne 1b\n add ${bytes},%eax\n ret\n.size f,.-f\n.data\n.p2align 4\n.type before,@object\n\
                 before: .long 1,2,3,4\n.size before,.-before\n{inserted}.type table,@object\ntable: .long 1,2,3,4\n.size table,.-table\n"
        )
    };
    let new = source(".type inserted,@object\ninserted: .long 7,7,7,7\n.size inserted,.-inserted\n", 2);
    let diff = Pair::asm(&source("", 1), &new).build().diff();
    if diff.patch.is_some() {
        let text = golden(&diff);
        assert!(!text.contains("inserted") && !text.contains("before"), "read as another variable:\n{text}");
    }
}

/// A label that an earlier call stored leads into the code of the version that stored it.
#[test]
fn stored_label_leads_into_the_function() {
    let source = r#"__attribute__((noinline)) int f(const unsigned char *p, int a) {
            static const void *const labels[] = {&&inc, &&dec, &&end};
            static const void *next;
            if (!next) next = labels[*p++];
            goto *next;
            inc: a += 1; goto *labels[*p++];
            dec: a -= 1; goto *labels[*p++];
            end: return a;
        }
        int main(int c, char **v) { return f((const unsigned char *)"\0\0\1\2", c); }"#;
    Pair::edit(source, "a += 1", "a += 3").build().diff().refused(RefusalKind::InteriorReference, "f");
}

const TABLE: &str = ".text\n.globl f\n.type f,@function\nf: cmp $3,%edi\n ja 9f\n mov %edi,%edi\n lea .Lt(%rip),%rdx\n \
    movslq (%rdx,%rdi,4),%rax\n add %rdx,%rax\n jmp *%rax\n1: mov $1,%eax\n ret\n2: mov $2,%eax\n ret\n9: xor %eax,%eax\n ret\n\
    .Lend:\n.size f,.-f\n.p2align 4\n.globl g\n.type g,@function\ng: mov $77,%eax\n ret\n.size g,.-g\n.section .rodata,\"a\"\n.p2align 2\n\
    .Lt: .long ENTRIES\n";

/// Compilers let impossible cases lead to the end of the function, which is no instruction of it.
#[test]
fn jump_table_that_begins_with_an_impossible_case() {
    let source = TABLE.replace("ENTRIES", ".Lend-.Lt, 1b-.Lt, 2b-.Lt, 9b-.Lt");
    let diff = Pair::asm_edit(&source, "mov $2,%eax", "mov $3,%eax").build().diff();
    if diff.patch.is_some() {
        let table =
            patch(&diff).sections.iter().find(|s| s.name == ".rodata.f.table").map(|s| s.contents.len());
        assert_eq!(table, Some(16), "the table is not whole:\n{}", golden(&diff));
    } else {
        diff.refused(RefusalKind::JumpTable, "f");
    }
}

/// The table must not end at the impossible case: the entries behind it are used.
#[test]
fn jump_table_with_an_impossible_case_in_the_middle() {
    let source = TABLE.replace("ENTRIES", "1b-.Lt, .Lend-.Lt, 2b-.Lt, 9b-.Lt");
    let diff = Pair::asm_edit(&source, "mov $2,%eax", "mov $3,%eax").build().diff();
    if diff.patch.is_some() {
        let table =
            patch(&diff).sections.iter().find(|s| s.name == ".rodata.f.table").map(|s| s.contents.len());
        assert_eq!(table, Some(16), "the table is cut short:\n{}", golden(&diff));
    }
}
