//! Is the old code in memory the code that the patch was made for?

use crate::address::{LoadBias, RuntimeAddr};
use crate::error::{LoaderError, Result};
use crate::redirect::{RuntimeRedirect, SiteState, describe};
use crate::target::Target;
use nix::fcntl::OFlag;
use patchfile::{CodeRange, Function, Patch, RedirectKind, Sha256};
use std::os::unix::fs::FileExt;

/// Compares the old code of every function of `patch` with what it must be. Redirects of this very patch
/// (`own`, with their states) count as the original bytes.
pub fn compare_old_code(
    target: &Target,
    patch: &Patch,
    bias: LoadBias,
    own: &[(&RuntimeRedirect, SiteState)],
) -> Result<()> {
    for function in &patch.functions {
        let Some(redirect) = &function.redirect else { continue };
        check_mapping(target, function, bias.at(redirect.site))?;
        let is_own = |address: RuntimeAddr| {
            own.iter().any(|(own, state)| {
                own.places().iter().any(|(place, _)| *place == address)
                    && matches!(state, SiteState::Trampoline | SiteState::New | SiteState::Prepared)
            })
        };
        let site = bias.at(redirect.site);
        if !is_own(site) {
            compare_bytes(target, function, site, &redirect.original)?;
        }
        if let RedirectKind::Short { island, original } = &redirect.kind {
            let island = bias.at(*island);
            if !is_own(island) {
                compare_bytes(target, function, island, original)?;
            }
        }
        for range in &function.old {
            let start = bias.at(range.address);
            let mut bytes = target.memory.read_vec(start, range.size)?;
            if is_own(site) {
                let offset = site.0.wrapping_sub(start.0) as usize;
                if let Some(place) = bytes.get_mut(offset..offset.saturating_add(redirect.original.len())) {
                    place.copy_from_slice(&redirect.original);
                }
            }
            if Sha256::of(&bytes) != range.sha256 {
                return Err(explain(target, function, range, bias, &bytes));
            }
        }
    }
    Ok(())
}

/// Only private text that is not writable can be changed for this process alone.
fn check_mapping(target: &Target, function: &Function, site: RuntimeAddr) -> Result<()> {
    let fits = target.map.find(site).is_some_and(|mapping| {
        mapping.execute && mapping.read && !mapping.write && !mapping.shared && mapping.file_name().is_some()
    });
    if fits {
        Ok(())
    } else {
        Err(LoaderError::TextMapping { function: function.name.clone(), address: site })
    }
}

fn compare_bytes(target: &Target, function: &Function, address: RuntimeAddr, expected: &[u8]) -> Result<()> {
    let found = target.memory.read_vec(address, expected.len() as u64)?;
    if found == expected {
        return Ok(());
    }
    let what = match owner_of_jump(target, address, &found) {
        Some(owner) => format!("it is redirected by patch {owner}"),
        None => format!("{}, not {}", describe(&found), hex::encode(expected)),
    };
    Err(LoaderError::BytesDiffer { function: function.name.clone(), address, what })
}

/// The patch that a near jump leads into.
fn owner_of_jump(target: &Target, at: RuntimeAddr, bytes: &[u8]) -> Option<patchfile::PatchId> {
    let [0xe9, distance @ ..] = bytes.get(..5)? else { return None };
    let distance = i32::from_le_bytes(distance.try_into().ok()?);
    let destination = at.plus(5 + i64::from(distance) as u64);
    let mut regions = target.regions().ok()?.into_iter();
    regions.find(|region| region.executable.contains(destination)).map(|region| region.patch)
}

/// Finds the first byte that differs, with the help of the file if it still is the one that is mapped.
fn explain(
    target: &Target,
    function: &Function,
    range: &CodeRange,
    bias: LoadBias,
    found: &[u8],
) -> LoaderError {
    let start = bias.at(range.address);
    let difference = read_file_bytes(target, start, found.len())
        .filter(|bytes| Sha256::of(bytes) == range.sha256)
        .and_then(|bytes| bytes.iter().zip(found).position(|(file, memory)| file != memory));
    let (address, what) = match difference {
        Some(offset) => (start.plus(offset as u64), describe(&found[offset..=offset])),
        None => (start, format!("its {} bytes have another digest", range.size)),
    };
    LoaderError::BytesDiffer { function: function.name.clone(), address, what }
}

/// The bytes of the mapped file behind the memory at `start`.
fn read_file_bytes(target: &Target, start: RuntimeAddr, len: usize) -> Option<Vec<u8>> {
    let mapping = target.map.find(start)?;
    let name = format!("map_files/{:x}-{:x}", mapping.range.start.0, mapping.range.end.0);
    let file = target.process.open_file(&name, OFlag::O_RDONLY).ok()?;
    let mut bytes = vec![0; len];
    file.read_exact_at(&mut bytes, mapping.offset + (start.0 - mapping.range.start.0)).ok()?;
    Some(bytes)
}
