//! The same inputs give the same bytes, and what moved without changing is unchanged.

use std::fs;
use std::path::Path;
use std::process::Command;
use tardigrade_tests::{Built, Expect as _, Form, Pair, patchgen_command, run};

const SOURCE: &str = "#include <stdio.h>
    static int calls; static const char *names[] = {\"zero\", \"one\", \"two\"};
    __attribute__((noinline)) int price(int x) { calls++; printf(\"%s %d\\n\", names[x % 3], calls); return x * 3; }
    __attribute__((noinline)) int tax(int x) { return price(x) / 5 + calls; }
    int main(int c, char **v) { return tax(c); }";

const FORMS: [Form; 3] = [Form::Pie, Form::FixedWithRelocations, Form::Shared];

fn fixed(form: Form) -> Built {
    Pair::edit(SOURCE, "x * 3", "x * 7 + c_tax(x)")
        .form(form)
        .flags(&["-Dc_tax(x)=(printf(\"taxed %d\\n\",x),1)"])
        .debug_info()
        .build()
}

fn patch_of(old: &Path, new: &Path, threads: &str) -> Vec<u8> {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let output = directory.path().join("fix.tgp");
    let mut command = patchgen_command(&["diff".as_ref(), old.as_os_str(), new.as_os_str(), "-o".as_ref()]);
    command.arg(&output).env("RAYON_NUM_THREADS", threads).env("LC_ALL", "C").current_dir(directory.path());
    let ran = run(&mut command);
    assert_eq!(ran.status, Some(0), "{ran:?}");
    fs::read(&output).expect("a patch was written")
}

#[test]
fn threads_and_folders_do_not_matter() {
    for form in FORMS {
        let built = fixed(form);
        let first = patch_of(&built.old, &built.new, "1");
        let elsewhere = tempfile::tempdir().expect("a temporary directory");
        let copy = |from: &Path, folder: &str| {
            let folder = elsewhere.path().join(folder);
            fs::create_dir(&folder).expect("a directory");
            let to = folder.join(from.file_name().expect("a file name"));
            fs::copy(from, &to).expect("a copy");
            to
        };
        let (old, new) = (copy(&built.old, "before"), copy(&built.new, "after"));
        assert!(first == patch_of(&old, &new, "2"), "{form:?}: two patches from the same files");
    }
}

#[test]
fn each_form_is_patched() {
    for form in FORMS {
        fixed(form).diff().patched(&["price"]);
    }
}

/// New functions and variables in front shift every address; nothing that was there changes.
#[test]
fn shifted_addresses_are_no_change() {
    for form in FORMS {
        let new = format!(
            "int more[100]; const char *extra(int i) {{ return i ? \"something new\" : \"zero and more\"; }}\n{SOURCE}"
        );
        Pair::c(SOURCE, &new).form(form).debug_info().build().diff().unchanged();
    }
}

#[test]
fn the_same_file_is_unchanged() {
    let built = fixed(Form::Pie);
    let ran = run(&mut patchgen_command(&["diff".as_ref(), built.old.as_os_str(), built.old.as_os_str()]));
    assert_eq!(ran.status, Some(3), "{ran:?}");
}

/// As distributions ship them: symbols and debugging information in a file of their own.
#[test]
fn separate_debug_files() {
    let stripped = fixed(Form::Pie);
    let from_whole_files = patch_of(&stripped.old, &stripped.new, "2");
    for image in [&stripped.old, &stripped.new] {
        let debug = image.with_extension("debug");
        let objcopy = |arguments: &[&std::ffi::OsStr]| {
            let ran = run(Command::new("objcopy").args(arguments));
            assert_eq!(ran.status, Some(0), "{ran:?}");
        };
        objcopy(&["--only-keep-debug".as_ref(), image.as_os_str(), debug.as_os_str()]);
        objcopy(&["--strip-all".as_ref(), image.as_os_str()]);
        let mut link = std::ffi::OsString::from("--add-gnu-debuglink=");
        link.push(&debug);
        objcopy(&[&link, image.as_os_str()]);
    }
    // Found by .gnu_debuglink, and the same patch as from the whole files.
    assert!(patch_of(&stripped.old, &stripped.new, "2") == from_whole_files);
    // Named, where they would not be found.
    let moved = |image: &Path| {
        let to = image.with_file_name("elsewhere.dbg");
        fs::rename(image.with_extension("debug"), &to).expect("the debug file moves");
        to
    };
    let (old_debug, new_debug) = (moved(&stripped.old), moved(&stripped.new));
    let diff = |more: &[&std::ffi::OsStr]| {
        let mut command =
            patchgen_command(&["diff".as_ref(), stripped.old.as_os_str(), stripped.new.as_os_str()]);
        run(command.args(more))
    };
    assert_eq!(diff(&[]).status, Some(2), "no symbols");
    let named =
        diff(&["--old-debug".as_ref(), old_debug.as_os_str(), "--new-debug".as_ref(), new_debug.as_os_str()]);
    assert_eq!(named.status, Some(0), "{named:?}");
    let swapped = diff(&["--old-debug".as_ref(), new_debug.as_os_str()]);
    assert_eq!(swapped.status, Some(2), "a debug file of another build: {swapped:?}");
}
