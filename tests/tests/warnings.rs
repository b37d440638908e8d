//! What a release engineer is told beside a patch, and that it is told only where it holds.

use patchgen::verdict::Diff;
use tardigrade_tests::{Expect as _, Pair};

/// The warnings that hold `word`.
fn warnings<'d>(diff: &'d Diff, word: &str) -> Vec<&'d str> {
    diff.verdict.warnings.iter().map(String::as_str).filter(|warning| warning.contains(word)).collect()
}

#[track_caller]
fn warned(diff: &Diff, words: [&str; 3]) {
    assert!(diff.patch.is_some(), "{}", diff.verdict);
    let found = warnings(diff, words[0]);
    let all_there = |warning: &&str| words.iter().all(|word| warning.contains(word));
    assert!(found.iter().any(all_there), "{words:?}: {}", diff.verdict);
}

const THREADS: &str = "#include <pthread.h>
    #include <unistd.h>
    int sum;
    __attribute__((noinline)) int add(int n) { return sum += n * 3; }
    void *worker(void *n) { for (int i = 0; i < 5; i++) add(*(int *)n * 7); return 0; }
    __attribute__((noinline)) void poll_all(int n) { for (;;) { add(n + 11); usleep(10); } }
    __attribute__((noinline)) void start(int *n) { pthread_t t; pthread_create(&t, 0, worker, n); pthread_join(t, 0); }
    int main(int c, char **v) { start(&c); poll_all(c); return c; }";

#[test]
fn start_routine_of_a_thread() {
    let diff = Pair::edit(THREADS, "n * 7", "n * 9").build().diff();
    warned(&diff, ["does not leave the stack", "`worker`", "`start` starts threads"]);
}

#[test]
fn loop_without_end() {
    let diff = Pair::edit(THREADS, "n + 11", "n + 13").build().diff();
    warned(&diff, ["does not leave the stack", "`poll_all`", "no way back"]);
}

#[test]
fn main_function() {
    let diff = Pair::edit(THREADS, "start(&c); poll", "c += 3; start(&c); poll").build().diff();
    warned(&diff, ["does not leave the stack", "`main`", "first thread"]);
}

#[test]
fn ordinary_function() {
    let diff = Pair::edit(THREADS, "n * 3", "n * 5").flags(&["-fno-inline"]).debug_info().build().diff();
    diff.patched(&["add"]);
    assert_eq!(diff.verdict.warnings, Vec::<String>::new());
}

#[test]
fn function_that_switches_stacks() {
    let source = "#include <ucontext.h>
        ucontext_t here, there; int x;
        __attribute__((noinline)) int yield(int n) { x += n; return swapcontext(&here, &there); }
        __attribute__((noinline)) int f(int n) { return yield(n) + n * 3; }
        int main(int c, char **v) { return f(c); }";
    let diff = Pair::edit(source, "n * 3", "n * 5").build().diff();
    warned(&diff, ["suspended in a coroutine", "`f`", "`yield`, which calls `swapcontext`"]);
}

/// What the live variable holds is lost to the new code.
#[test]
fn variable_that_the_replacement_does_not_have() {
    let source = "static int mode; void set(int n) { mode = n; }
        __attribute__((noinline)) int f(int n) { return n * (mode ? 3 : 2); }
        int main(int c, char **v) { set(c); return f(c); }";
    let diff = Pair::edit(source, "(mode ? 3 : 2)", "2").build().diff();
    warned(&diff, ["is not in the replacement", "`mode` of", "not seen by the new code"]);
}

const REPEATED: &str = "__attribute__((naked, noinline)) int f(int n)
    {
        __asm__(\"imull $3, %edi, %eax\\n addl $7, %eax\\n xorl $5, %eax\\n subl $2, %eax\\n notl %eax\\n ret\");
    }
    __asm__(\".text\\n .globl copy\\n .type copy, @function\\n copy: push %rbx\\n imull $3, %edi, %eax\\n\"
        \"addl $7, %eax\\n xorl $5, %eax\\n subl $2, %eax\\n notl %eax\\n pop %rbx\\n ret\\n .size copy, . - copy\");
    int copy(int n);
    int main(int c, char **v) { return f(c) + copy(c); }";

/// Whoever wrote the code into assembly too has to change it there.
#[test]
fn code_repeated_in_assembly() {
    let diff = Pair::edit(REPEATED, "%eax\\n subl $2, %eax\\n notl %eax\\n ret", "%eax\\n notl %eax\\n ret")
        .debug_info()
        .build()
        .diff();
    warned(&diff, ["assembly", "`copy`", "`f`"]);
}

/// What a compiler made would have changed too, had it been inlined.
#[test]
fn code_repeated_by_the_compiler() {
    let source = "__attribute__((naked, noinline)) int f(int n)
        { __asm__(\"imull $3, %edi, %eax\\n addl $7, %eax\\n xorl $5, %eax\\n subl $2, %eax\\n notl %eax\\n ret\"); }
        __attribute__((naked, noinline)) int g(int n)
        { __asm__(\"imull $3, %edi, %eax\\n addl $7, %eax\\n xorl $5, %eax\\n subl $2, %eax\\n notl %eax\\n nop\\n ret\"); }
        int main(int c, char **v) { return f(c) + g(c); }";
    let diff =
        Pair::edit(source, "notl %eax\\n ret", "notl %eax\\n incl %eax\\n ret").debug_info().build().diff();
    diff.patched(&["f"]);
    assert_eq!(warnings(&diff, "assembly"), Vec::<&str>::new());
}
