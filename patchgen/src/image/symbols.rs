//! Functions and data objects from the symbol table.

use super::load::Elf;
use super::{Access, Function, Object, Section};
use object::LittleEndian as LE;
use object::elf;
use object::read::elf::Sym as _;
use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

pub(super) struct Symbols {
    pub(super) functions: Vec<Function>,
    pub(super) objects: Vec<Object>,
    pub(super) labels: Vec<u64>,
    /// Constants with names that the compiler made up.
    pub(super) unnamed: Vec<Range<u64>>,
}

/// True for what has no name in the source and got one when it was made visible to other units (LLVM, "NameAnonGlobals").
fn is_made_up(name: &str) -> bool {
    name.starts_with("anon.") && name.contains(".llvm.")
}

/// A symbol as far as this module needs it.
struct Raw<'a> {
    name: &'a str,
    source: Option<Arc<str>>,
    address: u64,
    size: u64,
    kind: elf::SymbolType,
    global: bool,
}

/// Reads the symbol table. Local symbols belong to the `STT_FILE` symbol before them (gABI, symbol table).
fn raw_symbols<'a>(elf: &Elf<'a>) -> object::Result<Vec<Raw<'a>>> {
    let table = elf.elf_symbol_table();
    let mut source: Option<Arc<str>> = None;
    let mut out = Vec::new();
    for symbol in table.iter() {
        let name = std::str::from_utf8(table.symbol_name(LE, symbol)?).unwrap_or_default();
        let kind = symbol.st_type();
        if kind == elf::STT_FILE {
            source = (!name.is_empty()).then(|| Arc::from(name));
            continue;
        }
        if symbol.is_undefined(LE) || kind == elf::STT_SECTION || name.is_empty() {
            continue;
        }
        let index = symbol.st_shndx(LE);
        if index.0 >= elf::SHN_LORESERVE && index != elf::SHN_XINDEX {
            continue;
        }
        let global = symbol.st_bind() != elf::STB_LOCAL;
        out.push(Raw {
            name,
            source: if global { None } else { source.clone() },
            address: symbol.st_value(LE),
            size: symbol.st_size(LE),
            kind,
            global,
        });
    }
    Ok(out)
}

/// True if `name` is the split-off part of a function: `f.cold`, `f.cold.7`; gives the function's name.
fn cold_parent(name: &str) -> Option<&str> {
    let position = name.find(".cold")?;
    let rest = &name[position + ".cold".len()..];
    let numbered =
        rest.strip_prefix('.').is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()));
    (rest.is_empty() || numbered).then(|| &name[..position])
}

pub(super) fn read(elf: &Elf<'_>, sections: &[Section<'_>]) -> object::Result<Symbols> {
    let section_of = |address: u64| {
        let index = sections.partition_point(|section| section.range.start <= address).checked_sub(1)?;
        sections[index].range.contains(&address).then_some(index)
    };
    let mut code: Vec<Raw<'_>> = Vec::new();
    let mut objects = Vec::new();
    let mut unnamed = Vec::new();
    for raw in raw_symbols(elf)? {
        if raw.kind == elf::STT_TLS {
            continue;
        }
        let section = section_of(raw.address);
        if section.is_some_and(|index| sections[index].access == Access::Execute) {
            // Labels of assembly: those of compilers (`.L`) do not survive, others name code.
            code.push(raw);
            continue;
        }
        let Some(section) = section.or_else(|| end_section(sections, raw.address, raw.name)) else {
            continue;
        };
        // `--emit-relocs` keeps labels (`.L`) in the symbol table; what they name has no name.
        let data = [elf::STT_OBJECT, elf::STT_NOTYPE, elf::STT_COMMON].contains(&raw.kind);
        // A static without a size names a place in Rust, not what lies behind it.
        let is_empty = raw.size == 0 && super::is_rust(raw.name);
        if is_empty {
            continue;
        }
        if data && is_made_up(raw.name) {
            unnamed.push(raw.address..raw.address.saturating_add(raw.size));
        } else if data && !raw.name.starts_with(".L") {
            // The start files' handle of the image is one pointer, of which assembly does not tell the size.
            let size = if raw.size == 0 && raw.name == "__dso_handle" { 8 } else { raw.size };
            let end = raw.address.saturating_add(size).min(sections[section].range.end);
            objects.push(Object {
                name: raw.name.split('@').next().unwrap_or_default().to_owned(),
                source: raw.source,
                range: raw.address..end.max(raw.address),
                section,
                sized: size > 0,
            });
        }
    }
    objects.sort_by(|a, b| {
        (a.range.start, std::cmp::Reverse(a.range.end), &a.name).cmp(&(
            b.range.start,
            std::cmp::Reverse(b.range.end),
            &b.name,
        ))
    });
    extend_unsized(&mut objects, sections);
    let (mut functions, labels) = functions(code, sections);
    functions.extend(unnamed_code(&functions, sections));
    functions.sort_by_key(Function::address);
    Ok(Symbols { functions, objects, labels, unnamed })
}

/// Data of assembly without a size reaches to the next symbol, or to its section's end.
fn extend_unsized(objects: &mut [Object], sections: &[Section<'_>]) {
    let starts: Vec<u64> = objects.iter().map(|object| object.range.start).collect();
    for object in objects.iter_mut().filter(|object| object.range.is_empty() && !object.is_mark()) {
        let next = starts.partition_point(|start| *start <= object.range.start);
        let limit = sections[object.section].range.end;
        object.range.end = starts.get(next).copied().unwrap_or(limit).min(limit).max(object.range.start);
    }
}

/// The section that ends at `address` or shortly before it: `_end` and the like lie behind it.
fn end_section(sections: &[Section<'_>], address: u64, name: &str) -> Option<usize> {
    /// The linker aligns a mark (`__TMC_END__`), so that it may lie in the gap to the next section.
    const MARK_ALIGNMENT: u64 = 64;
    /// A mark of an empty section may be the first thing of its segment (lld).
    const SEGMENT_ALIGNMENT: u64 = 1 << 16;
    let most = if super::is_mark(name) { SEGMENT_ALIGNMENT } else { MARK_ALIGNMENT };
    sections.iter().rposition(|section| {
        let gap = address.checked_sub(section.range.end);
        gap.is_some_and(|gap| gap < most) && section.access != Access::Execute
    })
}

fn functions(mut code: Vec<Raw<'_>>, sections: &[Section<'_>]) -> (Vec<Function>, Vec<u64>) {
    // At one address: functions before labels, global before local, sized before unsized, then by name.
    code.sort_by(|a, b| {
        let rank = |raw: &Raw<'_>| {
            let label = raw.kind != elf::STT_FUNC && raw.kind != elf::STT_GNU_IFUNC;
            (raw.address, label, raw.size == 0, cold_parent(raw.name).is_some(), !raw.global)
        };
        (rank(a), a.name).cmp(&(rank(b), b.name))
    });
    let starts: Vec<u64> = code.iter().map(|raw| raw.address).collect();
    let extent = |raw: &Raw<'_>| -> Range<u64> {
        let section = &sections[sections.partition_point(|section| section.range.start <= raw.address) - 1];
        let end = if raw.size > 0 {
            raw.address.saturating_add(raw.size)
        } else {
            let next = starts.partition_point(|start| *start <= raw.address);
            starts.get(next).copied().unwrap_or(section.range.end)
        };
        raw.address..end.min(section.range.end)
    };

    let mut functions: Vec<Function> = Vec::new();
    let mut cold: Vec<(&Raw<'_>, Range<u64>)> = Vec::new();
    let mut labels = Vec::new();
    let mut covered = 0_u64;
    for raw in &code {
        let range = extent(raw);
        let is_function = raw.kind == elf::STT_FUNC || raw.kind == elf::STT_GNU_IFUNC;
        if let Some(last) = functions.last_mut().filter(|last| last.parts[0].start == raw.address) {
            last.aliases.push(raw.name.to_owned());
            continue;
        }
        if cold.last().is_some_and(|(_, range)| range.start == raw.address) {
            continue;
        }
        // A label inside a function is not a function.
        if range.is_empty() || (!is_function && raw.address < covered) {
            labels.push(raw.address);
            continue;
        }
        covered = covered.max(range.end);
        if cold_parent(raw.name).is_some() {
            cold.push((raw, range));
            continue;
        }
        functions.push(Function {
            name: raw.name.split('@').next().unwrap_or_default().to_owned(),
            aliases: Vec::new(),
            source: raw.source.clone(),
            local: !raw.global,
            parts: vec![range],
            sized: raw.size > 0 && is_function,
            ifunc: raw.kind == elf::STT_GNU_IFUNC,
        });
    }
    attach_cold_parts(&mut functions, cold);
    functions.sort_by_key(Function::address);
    (functions, labels)
}

/// Code that no symbol covers, as functions of its own: it is compared, and refused if it changed.
fn unnamed_code(functions: &[Function], sections: &[Section<'_>]) -> Vec<Function> {
    let mut parts: Vec<(Range<u64>, &str)> = functions
        .iter()
        .flat_map(|function| function.parts.iter().map(|part| (part.clone(), function.name.as_str())))
        .collect();
    parts.sort_by_key(|(range, _)| range.start);
    let mut found = Vec::new();
    for section in sections.iter().filter(|section| section.access == Access::Execute) {
        // `.init` and `.fini` hold fragments of one function that the start files share.
        if section.name.starts_with(".plt") || [".iplt", ".init", ".fini"].contains(&section.name.as_str()) {
            continue;
        }
        let mut at = (section.range.start, section.name.as_str());
        let inside = parts.iter().filter(|(range, _)| section.range.contains(&range.start));
        let end = (section.range.end..section.range.end, "");
        for (range, name) in inside.chain(std::iter::once(&end)) {
            if range.start > at.0 {
                let gap = &section.data
                    [(at.0 - section.range.start) as usize..(range.start - section.range.start) as usize];
                let padding = padding_len(gap);
                if padding < gap.len() as u64 {
                    let part = at.0 + padding..range.start;
                    found.push(Function {
                        name: format!("code behind {}", at.1),
                        aliases: Vec::new(),
                        source: None,
                        local: true,
                        parts: vec![part],
                        sized: false,
                        ifunc: false,
                    });
                }
            }
            if range.end > at.0 {
                at = (range.end, name);
            }
        }
    }
    found
}

/// How many leading bytes are padding: `int3`, zeros, or whole `nop`s of any length.
pub(crate) fn padding_len(bytes: &[u8]) -> u64 {
    let mut at = 0;
    while at < bytes.len() {
        if bytes[at] == 0xcc || bytes[at] == 0 {
            at += 1;
            continue;
        }
        let mut decoder = iced_x86::Decoder::new(64, &bytes[at..], iced_x86::DecoderOptions::NONE);
        let instruction = decoder.decode();
        if instruction.is_invalid() || instruction.mnemonic() != iced_x86::Mnemonic::Nop {
            break;
        }
        at += instruction.len();
    }
    at as u64
}

/// Gives each `.cold` part to its function: the one of that name in the same file, else the global one.
fn attach_cold_parts(functions: &mut Vec<Function>, cold: Vec<(&Raw<'_>, Range<u64>)>) {
    let mut by_name: HashMap<String, Vec<usize>> = HashMap::new();
    for (index, function) in functions.iter().enumerate() {
        for name in std::iter::once(&function.name).chain(&function.aliases) {
            by_name.entry(name.clone()).or_default().push(index);
        }
    }
    for (raw, range) in cold {
        let parent = cold_parent(raw.name).unwrap_or_default();
        let candidates = by_name.get(parent).map_or(&[][..], Vec::as_slice);
        let same_file = candidates.iter().copied().find(|index| functions[*index].source == raw.source);
        let global = candidates.iter().copied().find(|index| functions[*index].source.is_none());
        match same_file.or(global) {
            Some(index) => functions[index].parts.push(range),
            None => functions.push(Function {
                name: raw.name.to_owned(),
                aliases: Vec::new(),
                source: raw.source.clone(),
                local: !raw.global,
                parts: vec![range],
                sized: raw.size > 0,
                ifunc: false,
            }),
        }
    }
}
