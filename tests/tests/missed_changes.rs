//! Changes that are easy to overlook: each must be found, and patched or refused; "unchanged" is wrong.

use patchgen::report::{ChangeKind, Outcome, RefusalKind};
use tardigrade_tests::{Expect as _, Form, Pair};

#[test]
fn initial_value_of_a_thread_local_variable() {
    let source =
        "__thread int depth = 5; int get(int x) { return depth + x; } int main(void) { return get(1); }";
    Pair::edit(source, "depth = 5", "depth = 6").build().diff().refused(RefusalKind::ThreadLocal, "depth");
}

/// The same bytes read another thread-local variable: it has the place that the first one had.
#[test]
fn thread_local_variable_in_the_place_of_another() {
    let source = |order: &str, read: &str, more: &str| {
        format!(
            "static __thread long {order};
             __attribute__((noinline)) long *first(void) {{ return &a; }}
             __attribute__((noinline)) long *second(void) {{ return &b; }}
             __attribute__((noinline)) long get(int n) {{ return {read}; }}
             __attribute__((noinline)) int f(int n) {{ return n * {more}; }}
             int main(int c, char **v) {{ *first() = 1; *second() = 2; return get(c) + f(c); }}"
        )
    };
    let built = Pair::c(&source("a = 0, b = 0", "a", "3"), &source("b = 0, a = 0", "b", "5")).build();
    let diff = built.diff();
    diff.patched(&["f", "get"]);
}

/// Bytes that are no instruction hide what stands behind them.
#[test]
fn bytes_that_are_no_instruction() {
    let source = |more: &str| {
        format!(
            "__attribute__((noinline)) int odd(int n) {{ __asm__ goto(\"jmp %l0; .byte 0x06\" : : : : out); out: return n; }}
             __attribute__((noinline)) int f(int n) {{ return n * {more}; }}
             int main(int c, char **v) {{ return odd(c) + f(c); }}"
        )
    };
    let diff = Pair::c(&source("3"), &source("5")).build().diff();
    diff.refused(RefusalKind::Undecided, "odd");
    assert_eq!(diff.verdict.coverage.undecided, 1, "{}", diff.verdict);
}

/// Wide strings share their tails too: the end of the longer one is another function's constant.
#[test]
fn tail_of_a_wide_string_that_another_string_shares() {
    let source = |long: &str, short: &str| {
        format!(
            "#include <wchar.h>
             const wchar_t *last; void use(const wchar_t *s) {{ last = s; }}
             __attribute__((noinline)) void f(int n) {{ while (n--) use(L\"{long}\"); }}
             __attribute__((noinline)) void g(int n) {{ while (n--) use(L\"{short}\"); }}
             int main(int c, char **v) {{ f(c); g(c); return 0; }}"
        )
    };
    let pair = Pair::c(&source("hello", "lo"), &source("helXo", "Xo")).flags(&["-fno-inline"]);
    let diff = pair.build().diff();
    if diff.patch.is_some() {
        diff.has(ChangeKind::Changed, &["f", "g"]);
    } else {
        diff.not_patched();
    }
}

/// A library's own global constant is reached through its GOT.
#[test]
fn global_constant_of_a_library() {
    let source = "const int limits[4] = {1, 2, 3, 4}; int get(int i) { return limits[i & 3]; }";
    let diff = Pair::edit(source, "3, 4}", "3, 9}").form(Form::Shared).build().diff();
    assert_ne!(diff.verdict.verdict, Outcome::Unchanged, "{}", diff.verdict);
}

/// `movl $imm32, table(,%rax,4)` holds an address and a number.
#[test]
fn number_stored_through_an_absolute_address() {
    let source = "int table[100]; __attribute__((noinline)) int f(int i, int j) { table[i] = 0x11111; return table[j] * 3; }
                  int main(int c, char **v) { return f(c, 1); }";
    let pair = Pair::edit(source, "0x11111", "0x22222").form(Form::FixedWithRelocations);
    pair.build().diff().patched(&["f"]);
}

/// Code that no symbol covers is compared all the same, and cannot be patched.
#[test]
fn code_without_a_symbol() {
    let source =
        ".text\n.globl f\n.type f,@function\nf: mov $3,%eax\n ret\n.size f,.-f\n mov $3,%edx\n ret\n";
    let diff = Pair::asm_edit(source, "mov $3,%edx", "mov $4,%edx").build().diff();
    diff.refused(RefusalKind::NotAFunction, "code behind f");
}

/// A constructor has run: its fix would never take effect.
#[test]
fn body_of_a_constructor() {
    let source = "int v = 1; __attribute__((constructor, noinline)) void begin(void) { v = v * 3 + v; }
                  int main(void) { return v; }";
    Pair::edit(source, "v * 3", "v * 9").build().diff().refused(RefusalKind::Constructor, "begin");
}

/// `--emit-relocs` keeps the compiler's labels of strings in the symbol table: they name nothing.
#[test]
fn string_with_relocations_kept() {
    let source = "extern int puts(const char *); __attribute__((noinline)) void f(void) { puts(\"hello\"); }
                  int main(void) { f(); return 0; }";
    let diff = Pair::edit(source, "hello", "WORLD").flags(&["-Wl,--emit-relocs"]).build().diff();
    diff.patched(&["f"]);
}

/// Data of assembly without a size: what it holds is compared all the same.
#[test]
fn data_without_a_size() {
    let source = "extern const char msg[]; extern int lim; extern int puts(const char *);
        __asm__(\".section .rodata\\nmsg: .string \\\"hello\\\"\\n.data\\n.p2align 2\\nlim: .long 20\\n.text\");
        __attribute__((noinline)) int f(void) { puts(msg); return lim; } int main(void) { return f(); }";
    let constant = Pair::edit(source, "hello", "WORLD").build().diff();
    assert_ne!(constant.verdict.verdict, Outcome::Unchanged, "{}", constant.verdict);
    Pair::edit(source, ".long 20", ".long 10").build().diff().refused(RefusalKind::DataChanged, "lim");
}

/// Without relocations a pointer in data looks like a number.
#[test]
fn string_behind_a_pointer_at_a_fixed_address() {
    let source = "static const char *format = \"old%d\"; const char *const volatile *p = &format;
                  int main(void) { return p[0][0]; }";
    let diff = Pair::edit(source, "old%d", "new%d").form(Form::Fixed).build().diff();
    diff.refused(RefusalKind::DataChanged, "format");
}

/// clang's tables of distances from their own beginning (`reltable.f`): the same bytes lead to another string.
#[test]
fn string_behind_a_relative_table() {
    let source = ".section .rodata\n.p2align 2\n.type reltable.f,@object\nreltable.f: .long .L1-reltable.f\n .long .L2-reltable.f
 .size reltable.f,8\n.L1: .string \"one\"\n.L2: .string \"two\"
 .text\n.globl f\n.type f,@function\nf: lea reltable.f(%rip),%rcx\n movslq (%rcx,%rdi,4),%rax\n add %rcx,%rax\n ret\n.size f,.-f\n";
    for named in [source.to_owned(), source.replace(".L1", "one").replace(".L2", "two")] {
        let diff = Pair::asm_edit(&named, "\"one\"", "\"uno\"").build().diff();
        assert_ne!(diff.verdict.verdict, Outcome::Unchanged, "{}", diff.verdict);
        // The table comes along, and so does the new string.
        if let Some(patch) = &diff.patch {
            assert!(patch.windows(3).any(|bytes| bytes == b"uno"), "{}", diff.verdict);
            diff.patched(&["f"]);
        }
    }
}
