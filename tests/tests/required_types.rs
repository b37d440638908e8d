//! `patchgen diff --require-types`: no patch if the layouts of types could not be compared.

use tardigrade_tests::{Built, Pair, Ran, patchgen};

const SOURCE: &str = "struct state { int a, b; } state;
    __attribute__((noinline)) int f(int x) { return x * 3 + state.b; }
    int main(int c, char **v) { return f(c); }";

fn diff(built: &Built, more: &[&str]) -> Ran {
    let output = built.path("fix.tgp");
    let _ = std::fs::remove_file(&output);
    let mut arguments = vec!["diff".as_ref(), built.old.as_os_str(), built.new.as_os_str()];
    arguments.extend(["-o".as_ref(), output.as_os_str(), "--json".as_ref()]);
    arguments.extend(more.iter().map(std::ffi::OsStr::new));
    let ran = patchgen(&arguments);
    assert_eq!(output.exists(), ran.status == Some(0), "{ran:?}");
    ran
}

#[test]
fn without_debugging_information() {
    let built = Pair::edit(SOURCE, "x * 3", "x * 5").build();
    let warned = diff(&built, &[]);
    assert_eq!(warned.status, Some(0), "{warned:?}");
    let verdict = warned.json();
    assert_eq!(verdict["types_checked"], false);
    assert!(verdict["warnings"].to_string().contains("types were not checked"), "{verdict}");

    let refused = diff(&built, &["--require-types"]);
    assert_eq!(refused.status, Some(4), "{refused:?}");
    let verdict = refused.json();
    assert_eq!(verdict["verdict"], "unpatchable");
    assert!(verdict["patch"].is_null(), "{verdict}");
    assert_eq!(verdict["refusals"][0]["kind"], "types-unchecked", "{verdict}");
    assert!(verdict["warnings"].to_string().contains("types were not checked"), "{verdict}");
}

#[test]
fn with_debugging_information() {
    let built = Pair::edit(SOURCE, "x * 3", "x * 5").debug_info().build();
    let ran = diff(&built, &["--require-types"]);
    assert_eq!(ran.status, Some(0), "{ran:?}");
    assert_eq!(ran.json()["types_checked"], true);
}

/// Debugging information for backtraces has functions and lines, but no types.
#[test]
fn lines_only() {
    let built = Pair::edit(SOURCE, "x * 3", "x * 5").flags(&["-g1"]).build();
    let ran = diff(&built, &["--require-types"]);
    assert_eq!(ran.status, Some(4), "{ran:?}");
    assert_eq!(ran.json()["types_checked"], false);
}

/// A changed function of assembly beside C that is described.
#[test]
fn assembly() {
    let described = "int g(int); int main(int c, char **v) { return g(c); }";
    let plain = |number: u32| {
        format!(
            ".text\n.globl g\n.type g,@function\n.p2align 4\ng: mov ${number},%eax\n add %edi,%eax\n ret\n.size g,.-g\n\
                 .section .note.GNU-stack,\"\",@progbits\n"
        )
    };
    let (old, new) = (plain(5), plain(6));
    let built = Pair::files(&[("main.c", described), ("g.S", &old)], &[("main.c", described), ("g.S", &new)])
        .debug_info()
        .build();
    let ran = diff(&built, &["--require-types"]);
    assert_eq!(ran.status, Some(4), "{ran:?}");
    assert!(ran.json()["warnings"].to_string().contains("not checked for g"), "{ran:?}");
}

/// Nothing to patch needs no types.
#[test]
fn unchanged_builds() {
    let built = Pair::c(SOURCE, SOURCE).build();
    let ran = diff(&built, &["--require-types"]);
    assert_eq!(ran.status, Some(3), "{ran:?}");
}
