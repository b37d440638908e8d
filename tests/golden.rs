//! A patch as text for golden tests.

use patchfile::{Function, Patch, PatchId, RedirectKind, Relocation, SectionContents, SectionKind};
use patchgen::listing;
use patchgen::verdict::Diff;
use std::fmt::Write as _;

/// What insta masks in a golden: IDs, and numbers that depend on where the linker puts things.
pub const MASKS: [(&str, &str); 8] = [
    (r"patch        [0-9a-f]{16}, made by patchgen \S+", "patch        ID, made by patchgen"),
    (r"build ID [0-9a-f]{40}", "build ID ID"),
    (r"\b(at|to|in) 0x[0-9a-f]+\b", "$1 ADDRESS"),
    (r"\b(text|target)_[0-9a-f]+", "${1}_ADDRESS"),
    (r"\.got\.[0-9a-f]+", ".got.ADDRESS"),
    (r"\b[0-9a-fA-F]{16}h", "ADDRESS"),
    // Absolute operands, in the two notations of listings and reasons.
    (r"\[(0x[0-9A-F]{4,8}|[0-9A-F]{4,8}h)\]", "[ADDRESS]"),
    (r"\b(00){64}\b", "64 zero bytes"),
];

/// Compares the golden text of a [`Diff`] with the snapshot that is named after the test.
#[macro_export]
macro_rules! assert_golden {
    ($diff:expr) => {
        insta::with_settings!({filters => $crate::MASKS, omit_expression => true}, {
            insta::assert_snapshot!($crate::golden(&$diff));
        });
    };
}

/// The summary of the patch in `diff`, what it writes into the target's text, and all its sections as listings;
/// the refusals where there is no patch.
///
/// Addresses and IDs are left in; [`MASKS`] hides them.
pub fn golden(diff: &Diff) -> String {
    let Some(bytes) = &diff.patch else {
        let refusals = diff.verdict.refusals.iter();
        let lines = refusals
            .map(|refusal| format!("refused {}: {}: {}\n", refusal.kind, refusal.subject, refusal.detail));
        return lines.collect();
    };
    let patch = Patch::parse(bytes).expect("what the generator writes can be read");
    let mut text = listing::summary(&patch, PatchId::of_file(bytes));
    for function in &patch.functions {
        writes(function, &mut text);
    }
    for (index, section) in patch.sections.iter().enumerate() {
        text.push('\n');
        text.push_str(&listing::section_listing(&patch, index, section));
        // What a listing of data with pointers leaves out, and what the section may be used for.
        if let (false, SectionContents::Bytes(contents)) =
            (section.kind == SectionKind::Text, &section.contents)
            && !section.relocations.is_empty()
            && section.relocations.iter().map(|r| r.kind.width()).sum::<u64>() < contents.len() as u64
        {
            let _ = writeln!(text, "    bytes{}", spaced_between(contents, &section.relocations));
        }
        if section.kind == SectionKind::Data {
            text.push_str("    writable\n");
        }
    }
    text.trim_end().to_owned() + "\n"
}

/// The bytes that the redirect of `function` overwrites, by their distance from its entry.
fn writes(function: &Function, out: &mut String) {
    let Some(redirect) = &function.redirect else { return };
    let entry = function.old[0].address.0;
    let name = &function.name;
    let place = |address: u64| format!("{name}{:+#x}", address.wrapping_sub(entry) as i64);
    let (site, original) = (place(redirect.site.0), spaced(&redirect.original));
    let _ = match &redirect.kind {
        RedirectKind::Near => writeln!(out, "overwrites   {site}:{original}"),
        RedirectKind::Short { island, original: padding } => {
            writeln!(out, "overwrites   {site}:{original}, {}:{}", place(island.0), spaced(padding))
        }
    };
}

/// The bytes, with dots for those that are relocated.
fn spaced_between(bytes: &[u8], relocations: &[Relocation]) -> String {
    let relocated = |at: u64| relocations.iter().any(|r| (r.offset..r.offset + r.kind.width()).contains(&at));
    let mut out = String::new();
    for (at, byte) in bytes.iter().enumerate() {
        let _ = if relocated(at as u64) { write!(out, " ..") } else { write!(out, " {byte:02x}") };
    }
    out
}

fn spaced(bytes: &[u8]) -> String {
    spaced_between(bytes, &[])
}
