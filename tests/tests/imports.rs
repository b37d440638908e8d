//! Symbols that the target does not import: where the loader takes them from, and when it does not.

use std::path::PathBuf;
use std::process::Command;
use std::sync::LazyLock;
use tardigrade_tests::live::{Fix, Live, refused};
use tardigrade_tests::{Form, Pair};
use tempfile::TempDir;

/// `o N` opens the N-th argument, `a` prints the answer.
const PROGRAM: &str = "
#include <dlfcn.h>
#include <stdio.h>
int extra(int);
__attribute__((noinline, noipa)) int answer(int x) { return x / 3 + 1; }
int main(int argc, char **argv)
{
	char command;
	int n;
	setvbuf(stdout, NULL, _IONBF, 0);
	puts(\"ready\");
	while (scanf(\" %c %d\", &command, &n) == 2) {
		if (command == 'o')
			printf(\"%d\\n\", dlopen(argv[n], RTLD_NOW) != NULL);
		else
			printf(\"%d\\n\", answer(n));
	}
	return 0;
}";

/// Where the libraries are made.
static FOLDER: LazyLock<TempDir> = LazyLock::new(|| tempfile::tempdir().expect("a temporary directory"));

/// Only the new build is linked with a library that defines `extra`.
static FIX: LazyLock<Fix> = LazyLock::new(|| {
    let linked = library("linked", "int extra(int x) { return x; }", &[]);
    let pair = Pair::edit(PROGRAM, "return x / 3 + 1", "return extra(x) + 2");
    Fix::of(pair.new_flags(&["-Wl,--no-as-needed", &linked.to_string_lossy()]))
});

/// A library that defines `extra`.
fn library(name: &str, definition: &str, flags: &[&str]) -> PathBuf {
    let folder = FOLDER.path();
    let source = folder.join(format!("{name}.c"));
    std::fs::write(&source, definition).expect("the source is written");
    let library = folder.join(format!("lib{name}.so"));
    let mut gcc = Command::new("gcc");
    gcc.args(["-shared", "-fPIC", "-w"]).args(flags).arg("-o").arg(&library).arg(&source);
    assert!(gcc.status().expect("gcc is installed").success());
    library
}

/// The old build with these libraries opened.
fn running(libraries: &[&PathBuf]) -> Live {
    let arguments: Vec<String> = libraries.iter().map(|path| path.to_string_lossy().into_owned()).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let mut live = FIX.start(&arguments);
    for number in 1..=libraries.len() {
        assert_eq!(live.number(&format!("o {number}\n")), 1);
    }
    live
}

#[track_caller]
fn refuses(mut live: Live, reason: &str) {
    live.unchanged_by(|pid| {
        let ran = FIX.operate("apply", pid, &[]);
        refused(&ran, 4, &["extra", reason]);
        ran
    });
    assert_eq!(live.number("a 3\n"), 2);
    live.quit();
}

#[test]
fn nobody_defines_it() {
    refuses(running(&[]), "no library of the process defines it");
}

#[test]
fn a_library_that_stays_defines_it() {
    let mut live = running(&[&library("stays", "int extra(int x) { return x * 10; }", &["-Wl,-z,nodelete"])]);
    for _ in 0..3 {
        FIX.succeeds("apply", live.pid(), "applied");
        assert_eq!(live.number("a 4\n"), 42);
        FIX.succeeds("revert", live.pid(), "reverted");
        assert_eq!(live.number("a 3\n"), 2);
    }
    live.quit();
}

#[test]
fn a_library_that_may_go_defines_it() {
    refuses(running(&[&library("goes", "int extra(int x) { return x; }", &[])]), "may be unloaded");
}

#[test]
fn two_libraries_define_it() {
    let flags = ["-Wl,-z,nodelete"];
    let first = library("first", "int extra(int x) { return x; }", &flags);
    let second = library("second", "int extra(int x) { return -x; }", &flags);
    refuses(running(&[&first, &second]), "define it, and which one is meant");
}

#[test]
fn what_is_hidden_does_not_count() {
    let hidden = "__attribute__((visibility(\"hidden\"))) int extra(int x) { return x; } int f(void) { return extra(1); }";
    let hidden = library("hidden", hidden, &["-Wl,-z,nodelete"]);
    refuses(running(&[&hidden]), "no library of the process defines it");
    let stays = library("counts", "int extra(int x) { return x * 10; }", &["-Wl,-z,nodelete"]);
    let mut live = running(&[&hidden, &stays]);
    FIX.succeeds("apply", live.pid(), "applied");
    assert_eq!(live.number("a 4\n"), 42);
    live.quit();
}

#[test]
fn a_thread_local_one_is_refused() {
    let variable = library("variable", "__thread int extra = 1;", &["-Wl,-z,nodelete"]);
    refuses(running(&[&variable]), "it is thread-local");
}

/// A variant for this processor is taken from a slot that the dynamic linker has filled, and only from there.
#[test]
fn a_variant_that_nobody_uses_is_refused() {
    let variants = "
        static int one(int x) { return x * 10; }
        static int (*choose(void))(int) { return one; }
        int extra(int x) __attribute__((ifunc(\"choose\")));";
    let flags = ["-Wl,-z,nodelete"];
    let unused = library("variants", variants, &flags);
    refuses(running(&[&unused]), "nothing in the process uses it yet");
    let user = library(
        "user",
        "int extra(int); int (*kept)(int) = extra;",
        &["-Wl,--unresolved-symbols=ignore-all"],
    );
    // Both in the global scope, so that the second one's pointer is the first one's variant.
    let program = FIX.built.old.to_string_lossy().into_owned();
    let preload = format!("{}:{}", unused.display(), user.display());
    let mut live = Live::start("/usr/bin/env".as_ref(), &[&format!("LD_PRELOAD={preload}"), &program]);
    FIX.succeeds("apply", live.pid(), "applied");
    assert_eq!(live.number("a 4\n"), 42);
    live.quit();
}

/// The program that loads the library defines what the library's new build calls through its own PLT: the new build
/// would call that one.
#[test]
fn a_new_export_that_somebody_else_defines() {
    let old = "__attribute__((noinline, noipa)) int answer(int x) { return x / 3 + 1; } int used(void) { return 1; }";
    let new = "
        __attribute__((noinline, noipa)) int extra(int x) { return x * 2; }
        __attribute__((noinline, noipa)) int answer(int x) { return extra(x) + 2; } int used(void) { return 1; }";
    let fix = Fix::of(Pair::c(old, new).form(Form::Shared));
    let host = |flags: &[&str]| {
        let source = format!("{}\nint extra(int x) {{ return -x; }}\n", include_str!("targets/host.c"));
        let (file, program) =
            (FOLDER.path().join("host.c"), FOLDER.path().join(format!("host{}", flags.len())));
        std::fs::write(&file, source).expect("the source is written");
        let mut gcc = Command::new("gcc");
        gcc.args(["-w"]).args(flags).arg("-o").arg(&program).arg(&file);
        assert!(gcc.status().expect("gcc is installed").success());
        let mut live = Live::start(&program, &[&fix.built.old.to_string_lossy()]);
        assert_eq!(live.number("o"), 1);
        live
    };
    let mut live = host(&["-rdynamic"]);
    live.unchanged_by(|pid| {
        let ran = fix.operate("apply", pid, &[]);
        refused(&ran, 4, &["extra", "host1 defines it too"]);
        ran
    });
    live.quit();
    let mut live = host(&[]);
    fix.succeeds("apply", live.pid(), "applied");
    assert_eq!(live.number("a"), 2);
    live.quit();
}
