//! `patchgen inspect --disasm --old`: old and new code of changed functions side by side.

use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;
use tardigrade_tests::{Built, Form, Pair, Ran, patchgen, run};

const SOURCE: &str = "#include <stdio.h>
    static const char *const names[] = {\"zero\", \"one\"};
    static int calls;
    __attribute__((noinline)) int other(int x) { return x * 3; }
    __attribute__((noinline)) int f(int k) {
        calls++;
        switch (k) { case 0: return puts(\"first one\"); case 1: return puts(\"second one\") + 3; case 2: return k * 77;
                     case 3: return puts(names[k & 1]); case 4: return other(calls); case 5: return puts(\"e\") * 9; }
        return 0; }
    int main(int c, char **v) { return f(c) + other(c); }";

/// The patch of a pair in a file.
fn patch_of(built: &Built) -> PathBuf {
    let file = built.path("fix.tgp");
    let ran = patchgen(&[
        "diff".as_ref(),
        built.old.as_os_str(),
        built.new.as_os_str(),
        "-o".as_ref(),
        file.as_os_str(),
    ]);
    assert_eq!(ran.status, Some(0), "{ran:?}");
    file
}

fn inspect(patch: &Path, old: &Path, more: &[&str]) -> Ran {
    let mut command = tardigrade_tests::patchgen_command(&["inspect", "--disasm"]);
    run(command.arg(patch).arg("--old").arg(old).args(more))
}

/// The rows of the only changed function: mark, old and new text without offsets.
fn rows(built: &Built) -> Vec<(String, String, String)> {
    let ran = inspect(&patch_of(built), &built.old, &["--json"]);
    assert_eq!(ran.status, Some(0), "{ran:?}");
    let document = ran.json();
    let functions = document["disassembly"].as_array().expect("a list of functions");
    assert_eq!(functions.len(), 1, "{document}");
    let text = |side: &Value| {
        let line = side.as_str().unwrap_or_default().trim_start();
        line.split_once("  ").map(|(_, text)| text.to_owned()).unwrap_or_default()
    };
    let rows = functions[0]["rows"].as_array().expect("rows");
    rows.iter()
        .map(|row| {
            (row["mark"].as_str().unwrap_or_default().to_owned(), text(&row["old"]), text(&row["new"]))
        })
        .collect()
}

/// The instructions of a function and its cold part as objdump counts them, without padding.
fn count(image: &Path, function: &str) -> usize {
    let mut found = 0;
    for symbol in [function.to_owned(), format!("{function}.cold")] {
        let output = Command::new("objdump")
            .args(["-d", "-w"])
            .arg(format!("--disassemble={symbol}"))
            .arg(image)
            .output();
        let text = String::from_utf8_lossy(&output.expect("objdump is installed").stdout).into_owned();
        let instructions =
            text.lines().filter(|line| line.starts_with("  ") && line.matches('\t').count() == 2);
        // objdump calls the padding `66 90` an exchange.
        found +=
            instructions.filter(|line| !line.contains("nop") && !line.contains("xchg   %ax,%ax")).count();
    }
    found
}

/// Every instruction of both builds is shown once, and what was not edited is the same on both sides.
#[test]
fn an_edited_case() {
    for form in [Form::Pie, Form::FixedWithRelocations, Form::Shared] {
        let built = Pair::edit(SOURCE, "k * 77", "other(k) + 79").form(form).build();
        let rows = rows(&built);
        let shown = |side: fn(&(String, String, String)) -> &String| {
            rows.iter().filter(|row| !side(row).is_empty()).count()
        };
        assert_eq!(shown(|row| &row.1), count(&built.old, "f"), "{form:?} {rows:#?}");
        assert_eq!(shown(|row| &row.2), count(&built.new, "f"), "{form:?} {rows:#?}");
        let differing: Vec<_> = rows.iter().filter(|row| row.0 != "same").collect();
        assert!(!differing.is_empty() && differing.len() * 2 < rows.len(), "{form:?} {rows:#?}");
        assert!(
            differing.iter().any(|row| row.2.contains("0x4f")),
            "the new number is marked: {differing:#?}"
        );
        for (mark, old, new) in &rows {
            assert!(mark != "same" || old.split(" +").next() == new.split(" +").next(), "{old} {new}");
        }
        for name in ["\"first one\"", "calls", "jump table of f", "puts"] {
            assert!(
                rows.iter().any(|row| row.0 == "same" && row.1.contains(name)),
                "{form:?} {name}: {rows:#?}"
            );
        }
    }
}

/// The same instructions, and one branch that leads elsewhere.
#[test]
fn a_branch_that_leads_elsewhere() {
    let source = ".text\n.globl f\n.type f,@function\nf: push %rbx\n test %edi,%edi\n je 1f\n inc %eax\n1: inc %ecx\n\
                  2: inc %edx\n pop %rbx\n ret\n.size f,.-f\n";
    let rows = rows(&Pair::asm_edit(source, "je 1f", "je 2f").build());
    let differing: Vec<_> = rows.iter().filter(|row| row.0 != "same").collect();
    let [(mark, old, new)] = differing[..] else { panic!("{rows:#?}") };
    assert_eq!((mark.as_str(), old.as_str(), new.as_str()), ("changed", "je +7", "je +9"), "{rows:#?}");
}

/// The same text, but a string, a callee or a variable of another kind: each is marked.
#[test]
fn another_operand() {
    let edits = [
        ("second one", "third one", "\"third one\""),
        ("other(calls)", "f(calls)", ""),
        ("names[k & 1]", "names[k & 0]", ""),
    ];
    for (from, to, shown) in edits {
        let rows = rows(&Pair::edit(SOURCE, from, to).build());
        let differing: Vec<_> = rows.iter().filter(|row| row.0 != "same").collect();
        assert!(differing.iter().any(|row| row.2.contains(shown)), "{from}: {rows:#?}");
        assert!(!differing.is_empty(), "{from}: {rows:#?}");
    }
}

/// For people: a legend, the function's name, marks between the columns, then the rest of the patch.
#[test]
fn as_text() {
    let built = Pair::edit(SOURCE, "k * 77", "other(k) + 79").debug_info().build();
    let ran = inspect(&patch_of(&built), &built.old, &[]);
    assert_eq!(ran.status, Some(0), "{ran:?}");
    for part in ["old code on the left", "\nf (code.c): of ", " | ", ".text.f@trampoline"] {
        assert!(ran.stdout.contains(part), "\"{part}\" is missing:\n{}", ran.stdout);
    }
    let listings = ran.stdout.lines().filter(|line| *line == ".text.f (align 16)").count();
    assert_eq!(listings, 0, "the new code stands in the comparison only:\n{}", ran.stdout);
}

#[test]
fn only_the_target_will_do() {
    let built = Pair::edit(SOURCE, "k * 77", "k * 79").build();
    let patch = patch_of(&built);
    let ran = inspect(&patch, &built.new, &[]);
    assert_eq!(ran.status, Some(2), "{ran:?}");
    assert!(ran.stderr.contains("build ID") && ran.stdout.is_empty(), "{ran:?}");
    // The right build ID, but another instruction in the function that is replaced.
    let table = patchgen(&["inspect".as_ref(), patch.as_os_str(), "--json".as_ref()]).json();
    let address = table["functions"][0]["old"][0]["address"].as_u64().expect("a link address");
    let mut bytes = std::fs::read(&built.old).expect("readable");
    // In position-independent executables text lies in the file where it does in memory.
    bytes[address as usize + 4] ^= 1;
    let altered = built.path("altered");
    std::fs::write(&altered, bytes).expect("written");
    let ran = inspect(&patch, &altered, &[]);
    assert_eq!(ran.status, Some(2), "{ran:?}");
    assert!(ran.stderr.contains("code of f") && ran.stdout.is_empty(), "{ran:?}");
}

/// Files that are no patch are called what they are.
#[test]
fn no_patch() {
    let built = Pair::edit(SOURCE, "k * 77", "k * 79").build();
    let text = built.path("text");
    std::fs::write(&text, "#!/bin/sh\n").expect("written");
    let empty = built.path("empty");
    std::fs::write(&empty, "").expect("written");
    let files = [
        (built.old.clone(), "an executable or a shared library"),
        (built.path("old/code.c.o"), "an object file"),
        (text, "a file of another kind"),
        (empty, "an empty file"),
    ];
    for (path, what) in files {
        let ran = patchgen(&["inspect".as_ref(), path.as_os_str()]);
        assert_eq!(ran.status, Some(2), "{ran:?}");
        assert!(ran.stderr.contains(what) && ran.stderr.contains("patchgen diff OLD NEW"), "{ran:?}");
        assert!(ran.stderr.lines().count() == 1 && ran.stdout.is_empty(), "{ran:?}");
    }
}
