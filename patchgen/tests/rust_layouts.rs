//! What a change of a Rust program means for the types of its live data.

use std::collections::HashMap;
use std::path::Path;
use std::process::Command;

use object::{Object, ObjectSymbol};
use patchgen::dwarf::{DebugInfo, DebugSections, LayoutReport, Surroundings, compare_layouts};

/// The builds that a change is looked at in.
const PROFILES: [&[&str]; 4] = [
    &["-Copt-level=0"],
    &["-Copt-level=3"],
    &["-Copt-level=3", "-Ccodegen-units=1"],
    &["-Copt-level=s", "-Ccodegen-units=1", "-Clto=fat", "-Cpanic=abort"],
];

/// Compiles a program, with `--cfg new` if asked for.
fn compile(source: &str, new: bool, flags: &[&str]) -> Vec<u8> {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let prelude = "#![allow(dead_code, unused, unexpected_cfgs, static_mut_refs)]\n";
    std::fs::write(directory.path().join("unit.rs"), format!("{prelude}{source}")).expect("writing a source");
    let mut command = Command::new("rustc");
    command.args(["--edition=2021", "--crate-name=unit", "-Cdebuginfo=2", "-o", "program", "unit.rs"]);
    command.args(flags).args(if new { &["--cfg", "new"][..] } else { &[] });
    let output = command.current_dir(directory.path()).output().expect("running rustc");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    std::fs::read(directory.path().join("program")).expect("reading the result")
}

/// All functions of the program's own crate, by a name that both builds share.
fn functions(image: &[u8]) -> Vec<(String, u64)> {
    let file = object::File::parse(image).expect("an ELF file");
    let texts = file.symbols().filter(|symbol| symbol.is_definition() && symbol.kind() == object::SymbolKind::Text);
    let named = texts.filter_map(|symbol| Some((symbol.name().ok()?.to_owned(), symbol.address())));
    let own = named.filter(|(name, _)| name.starts_with("_ZN4unit") || name.contains("unit.."));
    own.map(|(name, address)| (name[..name.len() - 20].to_owned(), address)).collect()
}

fn report(source: &str, flags: &[&str]) -> LayoutReport {
    let (old, new) = (compile(source, false, flags), compile(source, true, flags));
    let old_sections = DebugSections::load(&old).expect("readable").expect("debug sections");
    let new_sections = DebugSections::load(&new).expect("readable").expect("debug sections");
    let (old_debug, new_debug) = (DebugInfo::new(&old_sections), DebugInfo::new(&new_sections));
    let around = Surroundings::default();
    compare_layouts(&old_debug, &functions(&old), &new_debug, &functions(&new), &around).expect("readable")
}

/// The differences of each type in all profiles.
fn changes(source: &str) -> Vec<HashMap<String, String>> {
    let all = PROFILES.iter().map(|flags| report(source, flags));
    all.map(|report| report.changes.into_iter().map(|change| (change.type_name, change.detail)).collect()).collect()
}
#[test]
fn look() {
    for name in std::env::var("LOOK").unwrap_or_default().split(',').filter(|name| !name.is_empty()) {
        let source = std::fs::read_to_string(Path::new("/tmp/rt/p").join(format!("{name}.rs"))).expect("source");
        for flags in PROFILES {
            println!("== {name} {flags:?}");
            let report = report(&source, flags);
            for change in &report.changes {
                println!("{} {:?} {:?} {:?}: {}\n     {:?} beside {}", change.type_name, change.file, change.crate_name, change.kind, change.detail, change.functions, change.beside.len());
            }
            println!("{:#?} {:?} {:?}", report.prototypes, report.variables, report.unchecked_functions);
        }
    }
}
