//! Damage of any kind is an error or harmless, never a crash. In a patch every flipped bit and every missing byte is
//! an error; what a hostile writer seals with a right digest is read with the same care.

use patchfile::{Patch, PatchFileError, digest};
use patchgen::verdict::{Inputs, diff};
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use tardigrade_tests::{Form, Pair, patchgen};

/// A small patch with code, strings, a variable and a table.
fn small_patch() -> Vec<u8> {
    let source = |f: &str, rest: &str| {
        format!(
            ".text\n.p2align 4\n.type f,@function\nf: {f}\n ret\n.size f,.-f\n.p2align 4\n.type g,@function\n\
             g: push %rbp\n pop %rbp\n ret\n.size g,.-g\n{rest}"
        )
    };
    let rest = ".section .data.rel.ro,\"aw\"\n.p2align 3\n.type table,@object\ntable: .quad g,7\n.size table,16\n\
                .section .bss\n.type count,@object\ncount: .skip 8\n.size count,8\n\
                .section .rodata,\"a\"\n.Larray: .long 1,2,3,4,5,6,7,8\n";
    let new =
        "call g\n lea table(%rip),%rax\n incl count(%rip)\n lea .Larray(%rip),%rdx\n mov (%rdx,%rdi,4),%eax";
    let diff = Pair::asm(&source("call g\n nop", ""), &source(new, rest)).build().diff();
    diff.patch.unwrap_or_else(|| panic!("no patch:\n{}", diff.verdict))
}

/// The file is refused because its digest does not fit.
fn damaged(bytes: &[u8], what: &str) {
    let read = Patch::parse(bytes);
    assert!(matches!(read, Err(PatchFileError::Damaged)), "{what}: {:?}", read.map(|_| "accepted"));
}

/// Each bit of the file: ELF header, note, code, metadata, relocations, symbols, strings, section headers, and what
/// lies between them.
#[test]
fn every_flipped_bit_of_a_patch_is_refused() {
    let patch = small_patch();
    assert!(Patch::parse(&patch).is_ok());
    let mut flipped = patch.clone();
    for at in 0..patch.len() {
        for bit in 0..8 {
            flipped[at] ^= 1 << bit;
            damaged(&flipped, &format!("bit {bit} of byte {at:#x}"));
            flipped[at] = patch[at];
        }
    }
}

#[test]
fn bytes_behind_a_patch_are_refused() {
    let patch = small_patch();
    for more in [1, 7, 32, 100, patch.len()] {
        for value in [0, 0xff] {
            let mut longer = patch.clone();
            longer.resize(patch.len() + more, value);
            damaged(&longer, &format!("{more} bytes of {value:#x} behind the end"));
        }
    }
}

/// Both programs read patches with the same reader; this is what a user sees.
#[test]
fn a_damaged_patch_is_named() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let path = folder.path().join("fix.tgp");
    let mut patch = small_patch();
    let last = patch.len() - 1;
    patch[last] ^= 1;
    fs::write(&path, patch).expect("written");
    let ran = patchgen(&["inspect".as_ref(), path.as_os_str()]);
    assert_eq!(ran.status, Some(2), "{ran:?}");
    assert!(ran.stderr.contains("fix.tgp: Damaged: "), "{ran:?}");
    assert!(ran.stdout.is_empty() && ran.stderr.lines().count() == 1, "{ran:?}");
}

/// What the reader accepts can be written and read again. The file gets a digest that fits, so that the rest is read.
fn survives(bytes: &[u8], what: &str) {
    let mut bytes = bytes.to_vec();
    digest::seal(&mut bytes);
    let read = catch_unwind(AssertUnwindSafe(|| match Patch::parse(&bytes) {
        Ok(patch) => patch.to_bytes().map(|again| Patch::parse(&again).map(|_| ())).map(|_| ()).is_ok(),
        Err(error) => !error.to_string().is_empty(),
    }));
    assert!(read.is_ok(), "the reader panics: {what}");
}

#[test]
fn flipped_bytes_of_a_patch() {
    let patch = small_patch();
    let mut damaged = patch.clone();
    for at in 0..patch.len() {
        for value in [patch[at] ^ 0x01, patch[at] ^ 0x80, 0, 0xff] {
            damaged[at] = value;
            survives(&damaged, &format!("byte {at:#x} is {value:#x} instead of {:#x}", patch[at]));
        }
        damaged[at] = patch[at];
    }
}

#[test]
fn truncated_patches() {
    let patch = small_patch();
    for len in 0..patch.len() {
        assert!(Patch::parse(&patch[..len]).is_err(), "the first {len} bytes");
        survives(&patch[..len], &format!("the first {len} bytes"));
    }
    let mut longer = patch.clone();
    longer.extend_from_slice(&[0; 100]);
    survives(&longer, "bytes behind the end");
}

/// A file whose null section header claims to be the metadata, or another section.
#[test]
fn metadata_in_section_zero() {
    let patch = small_patch();
    let headers = u64::from_le_bytes(patch[40..48].try_into().expect("eight bytes")) as usize;
    let count = usize::from(u16::from_le_bytes([patch[60], patch[61]]));
    for index in 1..count {
        let mut copied = patch.clone();
        copied.copy_within(headers + 64 * index..headers + 64 * (index + 1), headers);
        survives(&copied, &format!("section header 0 is that of section {index}"));
    }
}

/// Fields of 8 bytes with values at the edges.
#[test]
fn extreme_words_in_a_patch() {
    let patch = small_patch();
    let mut damaged = patch.clone();
    for at in (0..patch.len() - 8).step_by(8) {
        for value in [u64::MAX, 1 << 63, (1 << 63) - 1, u64::MAX - 4095, 1 << 32] {
            damaged[at..at + 8].copy_from_slice(&value.to_le_bytes());
            survives(&damaged, &format!("word {at:#x} is {value:#x}"));
        }
        damaged[at..at + 8].copy_from_slice(&patch[at..at + 8]);
    }
}

/// Runs the generator on the damaged file, as the target and as the replacement.
fn compare(damaged: &Path, whole: &Path, what: &str) {
    for (old, new) in [(damaged, whole), (whole, damaged)] {
        let inputs = Inputs { old, new, old_debug: None, new_debug: None };
        let result = catch_unwind(AssertUnwindSafe(|| diff(&inputs).map(|_| ())));
        assert!(result.is_ok(), "the generator panics: {what}");
    }
}

fn damaged_builds(form: Form, debug_info: bool, flip: u8) {
    let source = "#include <stdio.h>
        static int counts[4]; static const char *const names[] = {\"a\", \"bc\", \"def\"};
        __attribute__((noinline)) int f(int k) {
            switch (k) { case 0: return puts(\"a\"); case 1: return puts(\"b\") + 3; case 2: return k * 77;
                         case 3: return puts(names[k & 1]); case 4: return counts[k & 3]++; case 5: return puts(\"e\") * 9; }
            return 0; }
        int main(int c, char **v) { return f(c); }";
    let mut pair = Pair::edit(source, "k * 77", "k * 79").form(form);
    if debug_info {
        pair = pair.debug_info();
    }
    let built = pair.build();
    let bytes = fs::read(&built.old).expect("readable");
    let path = built.path("damaged");
    // Every 64th byte, another one of the 64 in each row, so that all fields of headers and tables are met.
    for (row, start) in (0..bytes.len()).step_by(64).enumerate() {
        let at = start + row * 13 % 64;
        if at >= bytes.len() {
            break;
        }
        let mut damaged = bytes.clone();
        damaged[at] ^= flip;
        fs::write(&path, &damaged).expect("written");
        compare(&path, &built.new, &format!("{form:?}, byte {at:#x} flipped by {flip:#x}"));
    }
}

#[test]
fn flipped_bytes_of_a_program() {
    damaged_builds(Form::Pie, true, 0xff);
}

#[test]
fn flipped_bits_of_a_library() {
    damaged_builds(Form::Shared, false, 0x40);
}

#[test]
fn flipped_bytes_of_a_fixed_program() {
    damaged_builds(Form::FixedWithRelocations, false, 0x81);
}
