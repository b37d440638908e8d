//! Patches as text: a summary, and code with symbolic addresses, so that a difference between two listings shows
//! what it means.

use crate::references::{self, References};
use iced_x86::{Decoder, DecoderOptions, Formatter as _, Instruction, IntelFormatter, OpKind};
use patchfile::{
    Function, Patch, PatchId, Place, RedirectKind, Relocation, RelocationKind, Section, SectionContents,
    SectionKind,
};
use std::fmt::Write as _;

/// What a patch is for and what it replaces.
pub fn summary(patch: &Patch, id: PatchId) -> String {
    let mut out = String::new();
    let _ = writeln!(out, "patch        {id}, made by {}", patch.generator);
    let _ = writeln!(out, "target       {} (build ID {})", patch.target.name, patch.target.build_id);
    let _ =
        writeln!(out, "replacement  {} (build ID {})", patch.replacement.name, patch.replacement.build_id);
    for (function, references) in patch.functions.iter().zip(references::of(patch)) {
        let source = function.source.as_ref().map(|source| format!(" ({source})")).unwrap_or_default();
        match &function.redirect {
            Some(redirect) => {
                let old = &function.old[0];
                let _ = writeln!(
                    out,
                    "changed      {}{source}: {} bytes at {}, now {} bytes; {}",
                    function.name,
                    function.old.iter().map(|range| range.size).sum::<u64>(),
                    old.address,
                    function.new_size,
                    redirect_text(function, redirect.site.0 - old.address.0),
                );
            }
            None => {
                let _ = writeln!(out, "new          {}{source}: {} bytes", function.name, function.new_size);
            }
        }
        for reason in &function.reasons {
            let _ = writeln!(out, "             - {reason}");
        }
        let References { target, patch, imports, .. } = &references;
        for (place, names) in [("the target", target), ("the patch", patch), ("the libraries", imports)] {
            if !names.is_empty() {
                let unnamed =
                    |name: &&String| ["text_", "constant_"].iter().any(|stem| name.starts_with(stem));
                let mut shown: Vec<String> = names.iter().filter(|name| !unnamed(name)).cloned().collect();
                let rest = names.len() - shown.len();
                shown.extend((rest > 0).then(|| format!("{rest} strings or constants")));
                let _ = writeln!(out, "             refers to {} in {place}", shown.join(", "));
            }
        }
    }
    let total = |kind: SectionKind| -> u64 {
        patch
            .sections
            .iter()
            .filter(|section| section.kind == kind)
            .map(|section| section.contents.len())
            .sum()
    };
    let _ = writeln!(
        out,
        "memory       {} bytes of code, {} of constants, {} of variables",
        total(SectionKind::Text),
        total(SectionKind::ReadOnly),
        total(SectionKind::Data)
    );
    if patch.unwinding.is_some() {
        let _ = writeln!(out, "unwinding    tables for new code are given to the target's unwinder");
    }
    out
}

fn redirect_text(function: &Function, offset: u64) -> String {
    let Some(redirect) = &function.redirect else { return String::new() };
    let back = if redirect.back_edge { ", branched to from inside" } else { "" };
    match redirect.kind {
        RedirectKind::Near => format!("near jump at +{offset}{back}"),
        RedirectKind::Short { .. } => format!("short jump at +{offset} to an island{back}"),
    }
}

/// The sections of a patch that are `wanted`, by their numbers, as listings in their order.
pub fn disassembly(patch: &Patch, wanted: impl Fn(usize) -> bool) -> String {
    let mut out = String::new();
    for (index, section) in patch.sections.iter().enumerate().filter(|(index, _)| wanted(*index)) {
        out.push_str(&section_listing(patch, index, section));
        out.push('\n');
    }
    out
}

/// One section: instructions, or what data holds.
pub fn section_listing(patch: &Patch, index: usize, section: &Section) -> String {
    let mut out = format!("{} (align {})\n", section.name, section.align);
    for symbol in &patch.symbols {
        if symbol.place == (Place::Patch { section: index, offset: 0 }) {
            let _ = writeln!(out, "{}:", symbol.name);
        }
    }
    match (&section.contents, section.kind) {
        (SectionContents::Bytes(bytes), SectionKind::Text) => code_listing(patch, section, bytes, &mut out),
        (SectionContents::Bytes(bytes), _) => data_listing(patch, section, bytes, &mut out),
        (SectionContents::Zero(len), _) => {
            let _ = writeln!(out, "    {len} zero bytes");
        }
        (SectionContents::Delta(delta), _) => {
            let _ = writeln!(out, "    {} bytes from the target's memory", delta.len);
        }
    }
    out
}

fn place_text(patch: &Patch, relocation: &Relocation, end: u64) -> String {
    let symbol = &patch.symbols[relocation.symbol];
    // A rip-relative field's addend includes the distance from the field to the next instruction.
    let addend = match relocation.kind {
        RelocationKind::Pc32 => relocation.addend + (end as i64 - relocation.offset as i64),
        _ => relocation.addend,
    };
    let place = match symbol.place {
        Place::Target(_) => "target",
        Place::Patch { .. } => "patch",
        Place::Import => "import",
    };
    match addend {
        0 => format!("<{place}:{}>", symbol.name),
        addend => format!("<{place}:{}{addend:+#x}>", symbol.name),
    }
}

fn code_listing(patch: &Patch, section: &Section, bytes: &[u8], out: &mut String) {
    let mut formatter = IntelFormatter::new();
    formatter.options_mut().set_space_after_operand_separator(true);
    formatter.options_mut().set_rip_relative_addresses(true);
    formatter.options_mut().set_branch_leading_zeros(false);
    formatter.options_mut().set_hex_prefix("0x");
    formatter.options_mut().set_hex_suffix("");
    let mut relocations = section.relocations.iter().peekable();
    let mut decoder = Decoder::with_ip(64, bytes, 0, DecoderOptions::NONE);
    let mut instruction = Instruction::default();
    while decoder.can_decode() {
        decoder.decode_out(&mut instruction);
        let end = instruction.next_ip();
        let mut places = Vec::new();
        while let Some(relocation) = relocations.next_if(|relocation| relocation.offset < end) {
            places.push(place_text(patch, relocation, end));
        }
        let branch = instruction.op_count() > 0 && instruction.op0_kind() == OpKind::NearBranch64;
        let mut text = String::new();
        if branch && !places.is_empty() {
            text = format!("{:?}", instruction.mnemonic()).to_ascii_lowercase();
        } else {
            if instruction.is_ip_rel_memory_operand() && !places.is_empty() {
                instruction.set_memory_displacement64(end);
            }
            formatter.format(&instruction, &mut text);
        }
        let _ = writeln!(out, "  {:4x}: {}", instruction.ip(), [vec![text], places].concat().join("  "));
    }
}

fn data_listing(patch: &Patch, section: &Section, bytes: &[u8], out: &mut String) {
    for relocation in &section.relocations {
        let end = relocation.offset + relocation.kind.width();
        let symbol = &patch.symbols[relocation.symbol];
        let text = match relocation.kind {
            // Entry of a relative jump table: the distance from the table's start.
            RelocationKind::Pc32 => {
                format!("<patch:{}{:+#x}> - table", symbol.name, relocation.addend - relocation.offset as i64)
            }
            _ => place_text(patch, relocation, end),
        };
        let _ = writeln!(out, "  {:4x}: {text}", relocation.offset);
    }
    if section.relocations.is_empty() {
        let printable =
            bytes.strip_suffix(&[0]).filter(|text| text.iter().all(|byte| (0x20..0x7f).contains(byte)));
        let _ = match printable {
            Some(text) if !text.is_empty() => writeln!(out, "    {:?}", String::from_utf8_lossy(text)),
            _ => writeln!(out, "    {}", hex::encode(&bytes[..bytes.len().min(64)])),
        };
    }
}
