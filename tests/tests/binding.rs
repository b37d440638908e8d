//! New builds that the dynamic linker would bind otherwise: what libraries find in the executable, and it in them.

use patchgen::report::{Outcome, RefusalKind};
use patchgen::verdict::{Diff, Inputs, diff};
use std::path::Path;
use std::process::Command;
use tardigrade_tests::{Built, Expect as _, Pair};

/// `call` uses what the executable defines, if it does.
const HOOKED: &str = "__attribute__((weak)) int hook(int); int call(int n) { return hook ? hook(n) : n; }
    int own(int n) { return n; } int through(int n) { return own(n); }";

fn gcc(folder: &Path, source: &str, arguments: &[&str]) {
    std::fs::write(folder.join("code.c"), source).expect("the source is written");
    let mut gcc = Command::new("gcc");
    gcc.current_dir(folder).args(["-O2", "-w", "-fcf-protection=none", "code.c"]).args(arguments);
    let ran = gcc.output().expect("gcc is installed");
    assert!(ran.status.success(), "{gcc:?}:\n{}", String::from_utf8_lossy(&ran.stderr));
}

/// Two builds of `source`, with `-DNEW` in the new one, each linked with libraries in this order.
fn between(source: &str, old: &[&str], new: &[&str]) -> Diff {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let folder = directory.path();
    for (name, code) in
        [("hooked", HOOKED), ("a", "int which(void) { return 1; }"), ("b", "int which(void) { return 2; }")]
    {
        gcc(folder, code, &["-shared", "-fPIC", "-o", &format!("lib{name}.so")]);
    }
    for (output, flags, libraries) in [("old", &[][..], old), ("new", &["-DNEW"][..], new)] {
        let more = ["-fPIE", "-pie", "-Wl,--build-id=sha1", "-Wl,--no-as-needed", "-L.", "-o", output];
        gcc(folder, source, &[&more[..], flags, libraries].concat());
    }
    let [old, new] = ["old", "new"].map(|name| folder.join(name));
    diff(&Inputs { old: &old, new: &new, old_debug: None, new_debug: None }).expect("readable builds")
}

fn warned(diff: &Diff, words: &str) {
    assert_eq!(diff.verdict.verdict, Outcome::Unchanged, "{}", diff.verdict);
    assert!(diff.verdict.warnings.iter().any(|warning| warning.contains(words)), "{}", diff.verdict);
    assert!(diff.verdict.to_string().contains(words), "{}", diff.verdict);
}

const CALLS: &str = "int call(int), through(int);
#ifdef NEW
    DEFINED
#endif
    __attribute__((noinline, noipa)) int g(int n) { __asm__ volatile(\"nop; nop; nop; nop; nop; nop\"); return n CHANGE; }
    int main(int c, char **v) { return call(c) + through(c) + g(c); }";

fn calls(defined: &str, change: &str) -> String {
    let change = if change.is_empty() { String::new() } else { format!("\n#ifdef NEW\n{change}\n#endif\n") };
    CALLS.replace("DEFINED", defined).replace("CHANGE", &change)
}

/// Nothing that the target has changed, but the libraries of the new build call its function.
#[test]
fn a_hook_alone() {
    let hook = "int hook(int n) { return n + 1000; }";
    warned(&between(&calls(hook, ""), &["-lhooked"], &["-lhooked"]), "defines hook for its libraries");
    let own = "int own(int n) { return n + 1000; }";
    warned(&between(&calls(own, ""), &["-lhooked"], &["-lhooked"]), "defines own for its libraries");
}

/// A patch would bring the other change and leave the hook out.
#[test]
fn a_hook_beside_a_change() {
    for name in ["hook", "own"] {
        let defined = format!("int {name}(int n) {{ return n + 1000; }}");
        let diff = between(&calls(&defined, "+ 1"), &["-lhooked"], &["-lhooked"]);
        diff.refused(RefusalKind::BoundOtherwise, name);
        let diff = between(&calls(&defined, "+ 1"), &["-lhooked", "-rdynamic"], &["-lhooked", "-rdynamic"]);
        diff.refused(RefusalKind::BoundOtherwise, name);
    }
}

/// The patched function would be called by the library too, which calls its own one in the new build.
#[test]
fn a_hook_that_becomes_static() {
    let source = "int call(int);
#ifdef NEW
        static
#endif
        __attribute__((noinline, noipa, used)) int hook(int n) { __asm__ volatile(\"nop; nop; nop; nop; nop; nop\"); return n
#ifdef NEW
        + 1
#endif
        ; }
        int main(int c, char **v) { return call(c) + hook(c); }";
    between(source, &["-lhooked"], &["-lhooked"]).refused(RefusalKind::BoundOtherwise, "hook");
}

/// What nobody else sees is an ordinary change, exported or not.
#[test]
fn new_functions_of_ones_own() {
    for (function, flags) in [("static int", &[][..]), ("int", &[]), ("int", &["-rdynamic"])] {
        let new = format!("__attribute__((noinline, noipa)) {function} more(int n) {{ return n * 7; }}");
        let source = format!(
            "#ifdef NEW\n{new}\n#endif\n__attribute__((noinline, noipa)) int g(int n) {{ __asm__ volatile(\"nop; nop; nop; nop; nop; nop\"); \n#ifdef NEW\nreturn more(n);\n\
             #endif\nreturn n; }}\nint main(int c, char **v) {{ return g(c); }}"
        );
        let built: Built = Pair::c(&source, &source).flags(flags).new_flags(&["-DNEW"]).build();
        built.diff().patched(&["g"]);
    }
}

const WHICH: &str = "int which(void);
    __attribute__((noinline, noipa)) int f(int n) { __asm__ volatile(\"nop; nop; nop; nop; nop; nop\"); 
#ifdef NEW
    return which();
#endif
    return n; }
    int main(int c, char **v) { return f(c); }";

/// Another library defines the same import.
#[test]
fn another_order_of_libraries() {
    let both =
        between("int which(void); int main(void) { return which(); }", &["-la", "-lb"], &["-lb", "-la"]);
    warned(&both, "is linked with libb.so, liba.so");
    between(WHICH, &["-la"], &["-lb", "-la"]).refused(RefusalKind::BoundOtherwise, "which");
    between(WHICH, &["-la", "-lb"], &["-lb", "-la"]).refused(RefusalKind::BoundOtherwise, "which");
}

/// A library behind those that were there takes nothing away from them.
#[test]
fn one_more_library() {
    between(WHICH, &["-la"], &["-la", "-lb"]).patched(&["f"]);
}
