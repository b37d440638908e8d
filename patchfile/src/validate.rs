//! What every patch upholds, written or read.

use crate::format::{GATE_SYMBOL, NEAR_JUMP_LEN, PAGE_SIZE, SHORT_JUMP_LEN};
use crate::{
    Change, Delta, DeltaOp, Function, LinkAddr, Patch, PatchFileError, Place, Redirect, RedirectKind,
    RelocationKind, Section, SectionContents, SectionKind,
};

type Result<T> = std::result::Result<T, PatchFileError>;

fn fail<T>(what: String) -> Result<T> {
    Err(PatchFileError::Inconsistent(what))
}

fn within(offset: u64, len: u64, total: u64) -> bool {
    offset.checked_add(len).is_some_and(|end| end <= total)
}

/// True if the `len` bytes at `address` lie in one page, so that one copy by the kernel writes them all.
fn in_one_page(address: LinkAddr, len: usize) -> bool {
    address.0 % PAGE_SIZE + len as u64 <= PAGE_SIZE
}

impl Patch {
    /// Checks indices, sizes and the invariants that the loader relies on.
    pub(crate) fn validate(&self) -> Result<()> {
        for section in &self.sections {
            self.validate_section(section)?;
        }
        if !self.symbols.is_sorted_by_key(|symbol| symbol.place == Place::Import) {
            return fail("an import stands before other symbols".to_owned());
        }
        for symbol in &self.symbols {
            if symbol.place == Place::Import && (symbol.name.is_empty() || symbol.size != 0) {
                return fail(format!("the import {} has no name or a size", symbol.name));
            }
            if let Place::Patch { section, offset } = symbol.place {
                let Some(section) = self.sections.get(section) else {
                    return fail(format!("symbol {} lies in no section", symbol.name));
                };
                if !within(offset, symbol.size, section.contents.len()) {
                    return fail(format!("symbol {} lies outside {}", symbol.name, section.name));
                }
            }
        }
        self.validate_gate()?;
        self.validate_unwinding()?;
        if self.functions.iter().all(|function| function.redirect.is_none()) {
            return fail("no function is redirected".to_owned());
        }
        for function in &self.functions {
            self.validate_function(function)?;
        }
        self.validate_writes()
    }

    fn validate_section(&self, section: &Section) -> Result<()> {
        let name = &section.name;
        if !section.align.is_power_of_two() || section.align > PAGE_SIZE {
            return fail(format!("section {name} has alignment {}", section.align));
        }
        match (&section.kind, &section.contents) {
            (_, SectionContents::Bytes(_)) | (SectionKind::Data, SectionContents::Zero(_)) => {}
            (SectionKind::ReadOnly, SectionContents::Delta(delta)) => validate_delta(name, delta)?,
            _ => return fail(format!("section {name} cannot have such contents")),
        }
        let mut free = 0;
        for relocation in &section.relocations {
            let width = relocation.kind.width();
            if relocation.offset < free || !within(relocation.offset, width, section.contents.len()) {
                return fail(format!(
                    "relocation at {:#x} of section {name} is misplaced",
                    relocation.offset
                ));
            }
            let Some(symbol) = self.symbols.get(relocation.symbol) else {
                return fail(format!(
                    "relocation at {:#x} of section {name} names no symbol",
                    relocation.offset
                ));
            };
            // Another image may be anywhere.
            if symbol.place == Place::Import && relocation.kind != RelocationKind::Abs64 {
                return fail(format!("the reference to {} in section {name} has not 64 bits", symbol.name));
            }
            free = relocation.offset + width;
        }
        Ok(())
    }

    fn validate_gate(&self) -> Result<()> {
        let Some(gate) = self.symbols.get(self.gate) else { return fail("no gate symbol".to_owned()) };
        let Place::Patch { section, offset } = gate.place else {
            return fail("the gate is outside the patch".to_owned());
        };
        let section = &self.sections[section];
        let closed = matches!(&section.contents, SectionContents::Bytes(bytes) if bytes.get(offset as usize) == Some(&0));
        if gate.name != GATE_SYMBOL || gate.size != 1 || section.kind != SectionKind::ReadOnly || !closed {
            return fail("the gate is not one read-only zero byte".to_owned());
        }
        Ok(())
    }

    fn validate_unwinding(&self) -> Result<()> {
        let Some(unwinding) = &self.unwinding else { return Ok(()) };
        self.validate_code_symbol("of the registration of unwind tables", unwinding.stub)?;
        let section_of = |symbol: usize| match self.symbols.get(symbol)?.place {
            Place::Patch { section, offset } => Some((&self.sections[section], offset)),
            _ => None,
        };
        let tables = section_of(unwinding.frames).is_some_and(|(section, offset)| {
            section.kind == SectionKind::ReadOnly
                && matches!(section.contents, SectionContents::Bytes(_))
                && offset == 0
                && self.symbols[unwinding.frames].size == section.contents.len()
        });
        let state = section_of(unwinding.state).is_some_and(|(section, offset)| {
            section.kind == SectionKind::Data
                && matches!(section.contents, SectionContents::Zero(_))
                && offset == 0
                && self.symbols[unwinding.state].size > 0
        });
        let mut ranges = unwinding.avoid.iter().chain(&unwinding.target_frames);
        let ranges = ranges.all(|range| range.address.0.checked_add(range.size).is_some());
        if tables && state && ranges {
            return Ok(());
        }
        fail("the unwind tables and what registers them do not fit together".to_owned())
    }

    fn validate_function(&self, function: &Function) -> Result<()> {
        let name = &function.name;
        self.validate_code_symbol(name, function.symbol)?;
        match (function.change, &function.redirect) {
            (Change::New, None) if function.old.is_empty() => Ok(()),
            (Change::Changed, Some(redirect)) if !function.old.is_empty() => {
                self.validate_code_symbol(name, redirect.trampoline)?;
                if function
                    .old
                    .iter()
                    .any(|range| range.size == 0 || range.address.0.checked_add(range.size).is_none())
                {
                    return fail(format!("function {name} has an empty code range"));
                }
                validate_redirect(function, redirect)
            }
            _ => fail(format!("function {name}: change, old code and redirect do not fit together")),
        }
    }

    fn validate_code_symbol(&self, function: &str, symbol: usize) -> Result<()> {
        match self.symbols.get(symbol).map(|symbol| symbol.place) {
            Some(Place::Patch { section, .. }) if self.sections[section].kind == SectionKind::Text => Ok(()),
            _ => fail(format!("function {function} has no code in the patch")),
        }
    }

    /// No two writes to the target's text overlap.
    fn validate_writes(&self) -> Result<()> {
        let mut writes: Vec<(u64, u64)> = Vec::new();
        for redirect in self.functions.iter().filter_map(|function| function.redirect.as_ref()) {
            writes.push((redirect.site.0, redirect.original.len() as u64));
            if let RedirectKind::Short { island, original } = &redirect.kind {
                writes.push((island.0, original.len() as u64));
            }
        }
        writes.sort_unstable();
        match writes.windows(2).find(|pair| pair[0].0 + pair[0].1 > pair[1].0) {
            Some(pair) => fail(format!("two redirects overlap at {}", LinkAddr(pair[1].0))),
            None => Ok(()),
        }
    }
}

fn validate_delta(name: &str, delta: &Delta) -> Result<()> {
    let mut made = 0_u64;
    for op in &delta.ops {
        made = made.saturating_add(match op {
            DeltaOp::Copy { len, .. } => *len,
            DeltaOp::Literal(bytes) => bytes.len() as u64,
        });
    }
    if made != delta.len {
        return fail(format!("the delta of section {name} makes {made} of {} bytes", delta.len));
    }
    Ok(())
}

fn validate_redirect(function: &Function, redirect: &Redirect) -> Result<()> {
    let name = &function.name;
    let body = &function.old[0];
    let entry_offset = redirect.site.0.wrapping_sub(body.address.0);
    if entry_offset >= body.size {
        return fail(format!("the redirect of {name} is not at its entry"));
    }
    let (site_len, island) = match &redirect.kind {
        RedirectKind::Near => (NEAR_JUMP_LEN, None),
        RedirectKind::Short { island, original } => (SHORT_JUMP_LEN, Some((*island, original))),
    };
    if redirect.original.len() != site_len || !in_one_page(redirect.site, site_len) {
        return fail(format!("the redirect of {name} is not one write of {site_len} bytes in one page"));
    }
    if let Some((island, original)) = island {
        let distance = island.0.wrapping_sub(redirect.site.0.wrapping_add(SHORT_JUMP_LEN as u64)) as i64;
        if original.len() != NEAR_JUMP_LEN
            || !in_one_page(island, NEAR_JUMP_LEN)
            || i8::try_from(distance).is_err()
        {
            return fail(format!("the jump island of {name} is out of place"));
        }
    }
    Ok(())
}
