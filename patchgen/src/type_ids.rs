//! TypeIds of Rust that are not the same in both builds.
//!
//! A `TypeId` is a hash of 128 bits over the whole name of a type, in which the crate stands with its identity: with
//! another version of a package all of its types have others. Live maps that are keyed by them were filled with the
//! target's, and a box whose type is asked for says what the code says that it was made with. In code they are numbers like
//! any other; but where the identity of a crate moved, and a changed function has wide numbers in place of others, these
//! are what moved.

use crate::code::{Form, Program, Use, instructions};
use crate::diff::Pair;
use crate::dwarf::DebugInfo;
use crate::emit::Change;
use crate::image::{Access, FunctionId};
use crate::report::{Refusal, RefusalKind};
use std::collections::BTreeSet;

/// Halves of hashes are below that about once in 65,536 times.
const LEAST_HALF: u64 = 1 << 48;

/// Refuses changed functions that hold TypeIds which moved.
pub(crate) fn check(
    pair: &Pair<'_, '_>,
    changes: &[Change],
    debug: Option<(&DebugInfo<'_>, &DebugInfo<'_>)>,
) -> Option<Refusal> {
    let (old, new) = debug?;
    let (old, new) = (old.crate_identities().ok()?, new.crate_identities().ok()?);
    let mut moved = old.iter().filter(|(name, was)| new.get(*name).is_some_and(|is| is != *was));
    let first = moved.next()?.0;
    let others = moved.count();
    let holds = |change: &&Change| {
        let (was, is) = (wide_numbers(pair.old, change.old), wide_numbers(pair.new, change.new));
        was.difference(&is).count() >= 2 && is.difference(&was).count() >= 2
    };
    let functions: Vec<String> =
        changes.iter().filter(holds).map(|change| pair.old.image.function(change.old).name.clone()).collect();
    if functions.is_empty() {
        return None;
    }
    let more = if others == 0 { String::new() } else { format!(" and {others} more") };
    let detail = format!(
        "the TypeIds of its types are others in the new build, and changed functions hold them: what live data is keyed by \
         them, and boxes of `dyn Any` whose type is asked for, have those of the target. Crate {first}{more} was built with \
         another `-C metadata`; build both with the same version in Cargo.toml and the same source of the package"
    );
    Some(Refusal {
        kind: RefusalKind::TypeLayout,
        subject: format!("TypeId of crate {first}"),
        detail,
        functions,
    })
}

/// Numbers of a function that may be halves of hashes: loaded as such, or read with 16 bytes of a constant.
fn wide_numbers(program: &Program<'_>, id: FunctionId) -> BTreeSet<u64> {
    let image = &program.image;
    let mut found = BTreeSet::new();
    for part in &image.function(id).parts {
        for instruction in instructions(image, part.clone()) {
            for operand in 0..instruction.op_count() {
                if instruction.op_kind(operand) == iced_x86::OpKind::Immediate64 {
                    found.insert(instruction.immediate64());
                }
            }
        }
    }
    for reference in &program.code(id).references {
        let constant =
            image.section_at(reference.target).is_some_and(|section| section.access != Access::Write);
        if reference.form == Form::RipRelative
            && constant
            && reference.usage == Use::Read(16)
            && let Some(bytes) = image.bytes(reference.target..reference.target + 16)
        {
            let half = |at: usize| bytes[at..at + 8].try_into().map(u64::from_le_bytes);
            found.extend([half(0), half(8)].into_iter().flatten());
        }
    }
    found.retain(|number| is_hash_like(*number));
    found
}

/// Not a small number, not the negative of one, no text.
fn is_hash_like(number: u64) -> bool {
    let is_text = number.to_le_bytes().iter().all(|byte| *byte == 0 || byte.is_ascii());
    number >= LEAST_HALF && !number >= LEAST_HALF && !is_text
}

#[cfg(test)]
mod tests {
    use super::is_hash_like;

    #[test]
    fn halves_of_hashes() {
        assert!(is_hash_like(0xD3F8_82B5_CD8D_62E8));
        assert!(!is_hash_like(u64::from_le_bytes(*b"v1.2.3-a")));
        assert!(!is_hash_like(0x7F00_0000_1234));
        assert!(!is_hash_like(u64::MAX - 5));
    }
}
