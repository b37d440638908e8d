//! Exception tables: the instructions stay, and other exceptions are caught.

use patchfile::Patch;
use patchgen::report::{ChangeKind, FunctionReport, Outcome, RefusalKind};
use patchgen::verdict::Diff;
use tardigrade_tests::{Expect as _, Form, Pair};

const FORMS: [Form; 4] = [Form::Pie, Form::Fixed, Form::FixedWithRelocations, Form::Shared];

const THROWER: &str =
    "__attribute__((noinline)) void thrower(int n) { if (n & 1) throw 1; if (n & 2) throw 2L; }";

#[track_caller]
fn cpp_edit(source: &str, from: &str, to: &str) -> Pair {
    assert!(source.contains(from), "`{from}` does not occur in the source");
    cpp(source, &source.replace(from, to))
}

fn cpp(old: &str, new: &str) -> Pair {
    Pair::cpp(old, new).flags(&["-lstdc++"])
}

/// The function's reasons, if it changed.
fn reasons<'d>(diff: &'d Diff, name: &str) -> Option<&'d [String]> {
    let changed =
        |function: &&FunctionReport| function.change == ChangeKind::Changed && function.name == name;
    diff.verdict.functions.iter().find(changed).map(|function| function.reasons.as_slice())
}

#[track_caller]
fn assert_reason(diff: &Diff, name: &str, reason: &str) {
    let reasons = reasons(diff, name).unwrap_or_default();
    assert!(reasons.iter().any(|known| known == reason), "{reasons:?}\n{}", diff.verdict);
    assert_ne!(diff.verdict.verdict, Outcome::Unchanged, "{}", diff.verdict);
}

#[test]
fn caught_type() {
    let source = format!(
        "{THROWER} __attribute__((noinline)) int f(int n) {{ try {{ thrower(n); }} catch (int &) {{ return 1; }} return 2; }}
         int main(int c, char **v) {{ return f(c); }}"
    );
    for form in FORMS {
        let diff = cpp_edit(&source, "catch (int &)", "catch (long &)").form(form).build().diff();
        assert_reason(&diff, "_Z1fi", "the exception table changed");
    }
}

#[test]
fn everything_is_caught() {
    let source = format!(
        "{THROWER} __attribute__((noinline)) int f(int n) {{ try {{ thrower(n); }} catch (const int &) {{ return 1; }} return 2; }}
         int main(int c, char **v) {{ return f(c); }}"
    );
    let diff = cpp_edit(&source, "catch (const int &)", "catch (...)").build().diff();
    assert_ne!(diff.verdict.verdict, Outcome::Unchanged, "{}", diff.verdict);
}

/// What may leave a function is a list behind the type table.
#[test]
fn exception_specification() {
    let source = format!(
        "{THROWER} __attribute__((noinline)) void f(int n) throw(int, char) {{ thrower(n); thrower(n + 1); }}
         int main(int c, char **v) {{ f(c); return 0; }}"
    );
    for form in FORMS {
        let pair = cpp_edit(&source, "throw(int, char)", "throw(int, long)").form(form);
        let diff = pair.flags(&["-std=c++14", "-Wno-deprecated"]).build().diff();
        assert_reason(&diff, "_Z1fi", "the exception table changed");
    }
}

/// Tables, types and functions move; what the tables say stays.
#[test]
fn tables_that_only_moved() {
    let source = |more: &str| {
        format!(
            "{THROWER} struct Guard {{ int *count; ~Guard() {{ ++*count; }} }};
             {more}
             __attribute__((noinline)) int f(int n, int *count) {{
                 Guard guard{{count}};
                 try {{ thrower(n); thrower(n + 1); }} catch (int &) {{ return 1; }} catch (long &) {{ return 3; }}
                 for (int i = 0; i < n; i++) {{
                     try {{ Guard inner{{count}}; thrower(i); }} catch (...) {{ count[1]++; }}
                 }}
                 return 2;
             }}
             int main(int c, char **v) {{ int count[2] = {{}}; return f(c, count); }}"
        )
    };
    let new = "struct Another { int value; };
               __attribute__((noinline, used)) int g(int n) {
                   try { thrower(n); if (n == 7) throw Another{n}; } catch (Another &) { return 5; } catch (long &) { return 6; }
                   return 0;
               }";
    for form in FORMS {
        let diff = cpp(&source(""), &source(new)).form(form).build().diff();
        assert_eq!(reasons(&diff, "_Z1fiPi"), None, "{}", diff.verdict);
        diff.has(ChangeKind::New, &["_Z1gi"]);
        let diff = cpp(&source(new), &source("")).form(form).build().diff();
        assert_eq!(reasons(&diff, "_Z1fiPi"), None, "{}", diff.verdict);
    }
}

/// Only an exception table leads to the type whose base is another one.
#[test]
fn base_of_a_type_that_is_only_caught() {
    let source = "struct A {}; struct B {}; struct U : A {};
                  extern void thrower(int n);
                  __attribute__((noinline)) int f(int n) { try { thrower(n); } catch (U &) { return 1; } return 2; }
                  void thrower(int n) { if (n & 1) throw 1; }
                  int main(int c, char **v) { return f(c); }";
    for form in FORMS {
        let diff = cpp_edit(source, "struct U : A", "struct U : B").form(form).build().diff();
        diff.refused(RefusalKind::DataChanged, "_ZTI1U");
    }
}

/// C code that is unwound through because of a cleanup has a table too.
#[test]
fn cleanup_in_c() {
    let source = "void (*volatile work)(int *); static void done(int *p) { work(p); }
                  __attribute__((noinline)) int f(int n) {
                      int first = n, x __attribute__((cleanup(done))) = n;
                      work(&first); work(&x); return first + x;
                  }
                  int main(int c, char **v) { return f(c); }";
    let diff = Pair::c(source, source).flags(&["-fexceptions"]).build().diff();
    assert_eq!(diff.verdict.verdict, Outcome::Unchanged, "{}", diff.verdict);
    let diff = Pair::c(source, source).new_flags(&["-fexceptions"]).build().diff();
    assert_ne!(diff.verdict.verdict, Outcome::Unchanged, "{}", diff.verdict);
}

fn assembly(routine: &str, table: &str) -> String {
    format!(
        ".text\n.globl {routine}\n.hidden {routine}\n.type {routine},@function\n{routine}: ret\n.size {routine},.-{routine}\n
         .globl f\n.type f,@function\nf: .cfi_startproc\n.cfi_personality 0x1b,{routine}\n.cfi_lsda 0x1b,.Ltable\n
         mov $3,%eax\n ret\n .cfi_endproc\n.size f,.-f\n
         .section .gcc_except_table,\"a\",@progbits\n.Ltable: {table}\n"
    )
}

/// Nobody knows what a table says to a routine that is not known: a function too many is changed, not one too few.
#[test]
fn table_of_an_unknown_routine() {
    let source = assembly("my_routine", ".byte 1, 2, 3, 4");
    let diff = Pair::asm(&source, &source).build().diff();
    let known = reasons(&diff, "f").unwrap_or_default();
    assert_eq!(known, ["its exception table cannot be compared"], "{}", diff.verdict);
}

/// The table says that it reaches further than its section.
#[test]
fn damaged_table() {
    let good = assembly("rust_eh_personality", ".byte 0xff, 0xff, 1, 0");
    let diff = Pair::asm(&good, &good).build().diff();
    assert_eq!(diff.verdict.verdict, Outcome::Unchanged, "{}", diff.verdict);
    let bad = assembly("rust_eh_personality", ".byte 0xff, 0xff, 1, 120");
    let diff = Pair::asm(&bad, &bad).build().diff();
    assert_reason(&diff, "f", "its exception table cannot be compared");
}

/// A library that only throws: its callers catch, and find the way to them through its frames.
#[test]
fn library_that_throws() {
    let source = "int f(int n) { if (n > 3) throw n; return n + 1; }";
    let diff = cpp_edit(source, "n + 1", "n + 2").form(Form::Shared).build().diff();
    diff.patched(&["_Z1fi"]);
    let patch = Patch::parse(&diff.patch.expect("a patch")).expect("a readable patch");
    assert!(patch.unwinding.is_some());
}

/// What the patch would need is not there: an unwinder that is not known.
#[test]
fn unknown_unwinder() {
    let source = "void other(int); void f(int n) { other(n + 1); }
        __attribute__((noinline)) void _Unwind_Resume(void) { __asm__(\"\"); }";
    let diff = Pair::edit(source, "n + 1", "n + 2").form(Form::Shared).build().diff();
    diff.refused(RefusalKind::Unwinding, "_Unwind_Resume");
}
