//! Input that the generator cannot work with: exit status 2, one line on standard error that names the file, and no
//! patch file.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use tardigrade_tests::{Built, Form, Pair, patchgen, patchgen_command, run};

const SOURCE: &str = "int limit = 7;
    __attribute__((noinline)) int f(int x) { return x * 3 + limit; }
    int main(int c, char **v) { return f(c); }";

fn program() -> Built {
    Pair::edit(SOURCE, "x * 3", "x * 5").debug_info().build()
}

/// Asserts that `patchgen diff` refuses these files and says why, with all of `words`.
#[track_caller]
fn unreadable(built: &Built, old: &Path, new: &Path, more: &[&str], words: &[&str]) {
    let output = built.path("fix.tgp");
    let mut command = patchgen_command(&["diff".as_ref(), old.as_os_str(), new.as_os_str(), "-o".as_ref()]);
    let ran = run(command.arg(&output).args(more));
    assert_eq!(ran.status, Some(2), "{ran:?}");
    assert_eq!(ran.stderr.lines().count(), 1, "one line says why: {ran:?}");
    assert!(ran.stderr.starts_with("patchgen: "), "{ran:?}");
    for word in words {
        assert!(ran.stderr.contains(word), "\"{word}\" is missing: {ran:?}");
    }
    assert_eq!(ran.stdout, "", "{ran:?}");
    assert!(!output.exists(), "a patch was written");
}

/// A file in the pair's directory, refused on both sides.
#[track_caller]
fn unreadable_bytes(built: &Built, name: &str, bytes: &[u8], words: &[&str]) {
    let path = built.path(name);
    fs::write(&path, bytes).expect("written");
    let words: Vec<&str> = words.iter().copied().chain([name]).collect();
    unreadable(built, &path, &built.new, &[], &words);
    unreadable(built, &built.old, &path, &[], &words);
}

fn succeed(command: &mut Command) {
    let ran = run(command);
    assert_eq!(ran.status, Some(0), "{command:?}: {ran:?}");
}

/// A copy of `file` on which `objcopy` has worked.
fn objcopy(built: &Built, file: &Path, options: &[&str], name: &str) -> PathBuf {
    let out = built.path(name);
    succeed(Command::new("objcopy").args(options).arg(file).arg(&out));
    out
}

#[test]
fn missing_file() {
    let built = program();
    let path = built.path("nowhere");
    unreadable(&built, &path, &built.new, &[], &["nowhere", "No such file"]);
    unreadable(&built, &built.old, &path, &[], &["nowhere", "No such file"]);
    unreadable(&built, &built.directory.path().join("old"), &built.new, &[], &["directory"]);
}

#[test]
fn no_elf_file() {
    let built = program();
    unreadable_bytes(&built, "empty", b"", &["not a readable ELF file"]);
    unreadable_bytes(&built, "text", b"#!/bin/sh\nexec true\n", &["not a readable ELF file"]);
    unreadable_bytes(&built, "magic", b"\x7fELF", &["not a readable ELF file"]);
}

/// A download that broke off.
#[test]
fn truncated_file() {
    let built = program();
    let bytes = fs::read(&built.old).expect("readable");
    for len in [16, 63, 64, 65, 500, 4096, 8000, bytes.len() / 2, bytes.len() - 2000, bytes.len() - 1] {
        unreadable_bytes(&built, "truncated", &bytes[..len], &[]);
    }
}

#[test]
fn other_machine() {
    let built = program();
    let mut bytes = fs::read(&built.old).expect("readable");
    // e_machine: EM_AARCH64.
    bytes[18..20].copy_from_slice(&183_u16.to_le_bytes());
    unreadable_bytes(&built, "aarch64", &bytes, &["183", "x86-64"]);
}

/// x32 and i386 have 32-bit files.
#[test]
fn other_class() {
    let built = program();
    let object = built.path("object32.o");
    let source = built.path("code32.c");
    fs::write(&source, "int f(int x) { return x; }").expect("written");
    succeed(Command::new("gcc").args(["-m32", "-c", "-o"]).arg(&object).arg(&source));
    unreadable(&built, &object, &built.new, &[], &["object32.o", "64-bit"]);
}

#[test]
fn relocatable_object() {
    let built = program();
    let object = built.path("old/code.c.o");
    unreadable(&built, &object, &built.new, &[], &["code.c.o"]);
    let with_id = built.path("with_id.o");
    succeed(Command::new("ld").args(["-r", "--build-id=sha1", "-o"]).arg(&with_id).arg(&object));
    unreadable(&built, &with_id, &built.new, &[], &["with_id.o", "not a linked executable"]);
}

#[test]
fn no_build_id() {
    let built = program();
    let path = objcopy(&built, &built.old, &["--remove-section=.note.gnu.build-id"], "anonymous");
    unreadable(&built, &path, &built.new, &[], &["anonymous", "build ID", "--build-id"]);
    unreadable(&built, &built.old, &path, &[], &["anonymous"]);
}

#[test]
fn no_symbols() {
    let built = program();
    let path = objcopy(&built, &built.old, &["--strip-all"], "stripped");
    unreadable(&built, &path, &built.new, &[], &["stripped", "--old-debug"]);
}

/// A debug file that belongs to another build is not used, however it was found.
#[test]
fn wrong_debug_file() {
    let built = program();
    let debug = objcopy(&built, &built.new, &["--only-keep-debug"], "new.debug");
    let stripped = objcopy(&built, &built.old, &["--strip-all"], "stripped");
    let option = format!("--old-debug={}", debug.display());
    unreadable(&built, &stripped, &built.new, &[&option], &["new.debug", "build ID"]);
    let missing = format!("--old-debug={}", built.path("none.debug").display());
    unreadable(&built, &stripped, &built.new, &[&missing], &["none.debug"]);
    let link = format!("--add-gnu-debuglink={}", debug.display());
    let linked = objcopy(&built, &stripped, &[&link], "linked");
    unreadable(&built, &linked, &built.new, &[], &["linked"]);
}

/// Forty functions of these names.
fn many(name: &str) -> Built {
    let mut source = String::new();
    for number in 0..40 {
        let _ = writeln!(source, "int {name}_{number}(int x) {{ return x * {number}; }}");
    }
    Pair::c(&source, &source).form(Form::Shared).build()
}

#[test]
fn unrelated_programs() {
    let (one, other) = (many("one"), many("other"));
    unreadable(&one, &one.old, &other.old, &[], &["two builds of one program"]);
}

#[test]
fn wrong_usage() {
    for arguments in
        [&[][..], &["diff"], &["diff", "one"], &["frobnicate"], &["diff", "a", "b", "--frob"], &["inspect"]]
    {
        let ran = patchgen(arguments);
        assert_eq!(ran.status, Some(2), "{arguments:?}: {ran:?}");
        assert!(!ran.stderr.is_empty() && ran.stdout.is_empty(), "{ran:?}");
    }
    assert_eq!(patchgen(&["--help"]).status, Some(0));
    assert_eq!(patchgen(&["--version"]).status, Some(0));
}

/// The output cannot be written: this is no fault of the input.
#[test]
fn output_in_a_missing_directory() {
    let built = program();
    let output = built.path("none/fix.tgp");
    let ran = patchgen(&[
        "diff".as_ref(),
        built.old.as_os_str(),
        built.new.as_os_str(),
        "-o".as_ref(),
        output.as_os_str(),
    ]);
    assert_eq!(ran.status, Some(1), "{ran:?}");
    assert!(ran.stderr.contains("fix.tgp"), "{ran:?}");
    assert_eq!(ran.stderr.lines().count(), 1, "{ran:?}");
}

/// `patchgen inspect FIX.tgp | head -1` ends in silence.
#[test]
fn closed_output() {
    let built = program();
    let output = built.path("fix.tgp");
    let made = run(patchgen_command(&["diff"]).args([&built.old, &built.new]).arg("-o").arg(&output));
    assert_eq!(made.status, Some(0), "{made:?}");
    let mut command = patchgen_command(&["inspect", "--disasm"]);
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let ran = command.arg(&output).stdout(writer).output().expect("it runs");
    let said = String::from_utf8_lossy(&ran.stderr);
    assert!(!said.contains("panicked"), "{said}");
}

/// A patch is never written over a build, and what is no file stays what it is.
#[test]
fn output_that_is_no_new_file() {
    let built = Pair::edit(SOURCE, "x * 3", "x * 5").build();
    let [old, new] = [&built.old, &built.new].map(|path| path.to_str().expect("a path in UTF-8"));
    let before = std::fs::read(old).expect("the build");
    let ran = patchgen(&["diff", old, new, "-o", old]);
    assert_eq!(ran.status, Some(2), "{ran:?}");
    assert!(ran.stderr.contains("give the patch another name"), "{ran:?}");
    assert_eq!(std::fs::read(old).expect("the build"), before);

    let device = built.path("null");
    let made = std::process::Command::new("mknod").arg(&device).args(["c", "1", "3"]).status();
    assert!(made.is_ok_and(|status| status.success()), "mknod");
    let ran = patchgen(&["diff", old, new, "-o", device.to_str().expect("a path in UTF-8")]);
    assert_eq!(ran.status, Some(0), "{ran:?}");
    assert!(!std::fs::metadata(&device).expect("the device").is_file());

    let ran = patchgen(&["diff", old, "/dev/zero"]);
    assert_eq!(ran.status, Some(2), "{ran:?}");
    assert!(ran.stderr.contains("/dev/zero") && ran.stderr.contains("device"), "{ran:?}");
}
