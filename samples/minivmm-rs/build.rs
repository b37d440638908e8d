//! Assembles the guest, and turns the header that it shares with the machine into Rust. Both are minivmm's, in the
//! directory `MINIVMM_SOURCES`.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

/// The entry point is the first byte of the first one.
const GUEST: [&str; 4] = ["guest", "guest_console", "guest_disk", "guest_probe"];
const HEADER: &str = "guest_abi.h";

fn main() {
    println!("cargo::rerun-if-env-changed=MINIVMM_SOURCES");
    let sources =
        env::var_os("MINIVMM_SOURCES").map_or_else(|| PathBuf::from("../minivmm/src"), PathBuf::from);
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it"));
    for file in GUEST.iter().map(|name| format!("{name}.S")).chain([HEADER.to_owned()]) {
        println!("cargo::rerun-if-changed={}", sources.join(file).display());
    }
    assemble(&sources, &out);
    let header = sources.join(HEADER);
    let text = fs::read_to_string(&header).unwrap_or_else(|error| panic!("{}: {error}", header.display()));
    fs::write(out.join("guest_abi.rs"), constants(&text)).expect("the output directory can be written");
}

fn assemble(sources: &Path, out: &Path) {
    let objects: Vec<PathBuf> = GUEST.iter().map(|name| out.join(format!("{name}.o"))).collect();
    for (name, object) in GUEST.iter().zip(&objects) {
        let source = sources.join(format!("{name}.S"));
        run(Command::new("gcc").args(["-m32", "-c", "-o"]).arg(object).arg(source));
    }
    let elf = out.join("guest.elf");
    let layout = ["-m", "elf_i386", "-Ttext=0x1000", "-e", "_start", "--build-id=none", "-o"];
    run(Command::new("ld").args(layout).arg(&elf).args(&objects));
    let binary = ["-O", "binary", "-j", ".text"];
    run(Command::new("objcopy").args(binary).arg(&elf).arg(out.join("guest.bin")));
}

fn run(command: &mut Command) {
    let status = command.status().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(status.success(), "{command:?}: {status}");
}

/// `#define NAME VALUE /* meaning */` of the header as constants. Its values are expressions in Rust as well.
fn constants(header: &str) -> String {
    let mut text = String::new();
    for line in header.lines() {
        let Some((name, rest)) = line.strip_prefix("#define ").and_then(|rest| rest.split_once(' ')) else {
            continue;
        };
        let value = rest.split("/*").next().unwrap_or_default().trim();
        let value = value.strip_prefix('(').and_then(|value| value.strip_suffix(')')).unwrap_or(value);
        writeln!(text, "pub const {name}: u32 = {value};").expect("text can be appended");
    }
    text
}
