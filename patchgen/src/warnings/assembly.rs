//! Code of a changed function that assembly repeats.

use crate::code::{Program, instructions};
use crate::emit::Change;
use crate::image::{Function, FunctionId};
use iced_x86::Mnemonic;
use rayon::prelude::*;

/// Fewest instructions that are no coincidence.
const MIN_INSTRUCTIONS: usize = 5;

/// Most changed functions that are looked for: a patch of more is no fix of single functions.
const MAX_CHANGES: usize = 32;

/// Warns of assembly that holds all that the target's version of a changed function does: who wrote it by hand has to
/// change it by hand.
///
/// `is_assembly` tells which functions no compiler made. Assembly that does the same in other instructions is not
/// found: nothing in a linked build says so.
pub(super) fn repeated(
    program: &Program<'_>,
    changes: &[Change],
    is_assembly: &(dyn Fn(&Function) -> bool + Sync),
) -> Vec<String> {
    let image = &program.image;
    let bodies: Vec<(FunctionId, Body)> = changes
        .iter()
        .take(MAX_CHANGES)
        .filter_map(|change| Some((change.old, Body::of(program, change.old)?)))
        .collect();
    let repeats = |id: &FunctionId| -> Vec<String> {
        let function = image.function(*id);
        let bytes = image.bytes(function.parts[0].clone()).unwrap_or_default();
        let found: Vec<_> =
            bodies.iter().filter(|(_, body)| body.is_in(bytes)).map(|(changed, _)| *changed).collect();
        if found.is_empty() || changes.iter().any(|change| change.old == *id) || !is_assembly(function) {
            return Vec::new();
        }
        let text = |changed: FunctionId| {
            format!(
                "the assembly of `{}` repeats the old code of `{}`, and does not change with it",
                function.name,
                image.function(changed).name
            )
        };
        found.into_iter().map(text).collect()
    };
    let ids: Vec<FunctionId> = image.function_ids().collect();
    ids.par_iter().flat_map_iter(repeats).collect()
}

/// What a function does: its bytes without `endbr64`, the return and all behind it.
struct Body {
    /// None is what depends on addresses.
    bytes: Vec<Option<u8>>,
    /// Eight bytes that do not, and where they stand.
    anchor: (usize, u64),
}

impl Body {
    fn of(program: &Program<'_>, id: FunctionId) -> Option<Self> {
        let part = program.image.function(id).parts[0].clone();
        let mut bytes: Vec<Option<u8>> =
            program.image.bytes(part.clone())?.iter().copied().map(Some).collect();
        for reference in program.code(id).references.iter().filter(|reference| reference.part == 0) {
            let field = reference.offset as usize;
            bytes.get_mut(field..field + usize::from(reference.width))?.fill(None);
        }
        let listed: Vec<_> = instructions(&program.image, part.clone()).into_iter().collect();
        let begins = usize::from(listed.first()?.mnemonic() == Mnemonic::Endbr64);
        let last = listed.iter().rposition(|instruction| instruction.mnemonic() == Mnemonic::Ret)?;
        if last < begins + MIN_INSTRUCTIONS {
            return None;
        }
        let offset = |index: usize| (listed[index].ip() - part.start) as usize;
        let bytes = bytes[offset(begins)..offset(last)].to_vec();
        let anchor = bytes.windows(8).enumerate().find_map(|(at, window)| {
            let word: Option<Vec<u8>> = window.iter().copied().collect();
            Some((at, u64::from_le_bytes(word?.try_into().ok()?)))
        })?;
        Some(Body { bytes, anchor })
    }

    fn is_in(&self, code: &[u8]) -> bool {
        let (before, anchor) = self.anchor;
        let matches = |at: usize| {
            let window = at.checked_sub(before).and_then(|start| code.get(start..start + self.bytes.len()));
            window.is_some_and(|window| {
                window
                    .iter()
                    .zip(&self.bytes)
                    .all(|(byte, wanted)| wanted.is_none_or(|wanted| wanted == *byte))
            })
        };
        let is_anchor = |word: &[u8]| word.try_into().is_ok_and(|word| u64::from_le_bytes(word) == anchor);
        code.windows(8).enumerate().any(|(at, word)| is_anchor(word) && matches(at))
    }
}
