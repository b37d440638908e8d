//! What has become of a patch in its target: how its redirects stand, and whether its image is still there.

use crate::address::RuntimeAddr;
use crate::error::Result;
use crate::image::Image;
use crate::record::{Header, Record};
use crate::redirect::{PatchState, RuntimeRedirect, SiteState, describe};
use crate::target::Target;
use patchfile::PatchId;
use std::collections::HashSet;

/// How a patch stands in a process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Presence {
    /// What its redirects amount to.
    pub state: PatchState,
    /// Its image was unloaded (dlclose(3)), and the redirects with it.
    pub unloaded: bool,
    /// Its image was unloaded while the patch was applied, and is loaded again at the same place.
    pub reloaded: bool,
    /// What stands where redirects were, or should be, and is neither: a breakpoint, another tool's jump.
    pub foreign: Vec<Foreign>,
}

/// Bytes that somebody else wrote over a function's entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Foreign {
    /// The function.
    pub function: String,
    /// Where they are.
    pub address: RuntimeAddr,
    /// What they are.
    pub what: String,
}

impl Presence {
    /// Of text that cannot be read it is only known that it is neither as before nor as it should be.
    pub fn unknown() -> Self {
        Presence { state: PatchState::Interrupted, unloaded: false, reloaded: false, foreign: Vec::new() }
    }

    /// Looks at the text.
    pub fn of(record: &Record, target: &Target) -> Result<Self> {
        if is_unloaded(record, target) {
            return Ok(Presence { state: PatchState::Inert, unloaded: true, ..Presence::unknown() });
        }
        let redirects = record.redirects();
        let (states, gate_open) = redirects.read(&target.memory)?;
        // No order of the loader's writes leaves the gate open without a redirect: the text came anew from the file.
        let reloaded = gate_open && states.iter().all(|state| *state == SiteState::Original);
        let state = match PatchState::of(&states, gate_open) {
            PatchState::Interrupted
                if reloaded || (!gate_open && is_replaced(&states, record.header.patch, target)?) =>
            {
                PatchState::Inert
            }
            state => state,
        };
        let foreign = match state {
            PatchState::Interrupted => foreign(&record.table.functions, &states),
            _ => Vec::new(),
        };
        Ok(Presence { state, unloaded: false, reloaded, foreign })
    }
}

fn foreign(redirects: &[RuntimeRedirect], states: &[SiteState]) -> Vec<Foreign> {
    let found = redirects.iter().zip(states).filter_map(|(redirect, state)| {
        let SiteState::Foreign(address, bytes) = state else { return None };
        Some(Foreign { function: redirect.name.clone(), address: *address, what: describe(bytes) })
    });
    found.collect()
}

/// The image that a record was made for.
pub fn image_of<'a>(header: &Header, target: &'a Target) -> Option<&'a Image> {
    let is_it =
        |image: &&Image| image.bias == header.bias && image.build_id.as_ref() == Some(&header.build_id);
    target.images.iter().find(is_it)
}

/// True if no redirect of the record can be in the process: where they were, nothing is executable, or it belongs to
/// another image. In doubt they are there.
fn is_unloaded(record: &Record, target: &Target) -> bool {
    let is_code = |address| target.map.find(address).is_some_and(|mapping| mapping.execute);
    let has_owner = |address| target.images.iter().any(|image| image.extent().contains(address));
    image_of(&record.header, target).is_none()
        && record.redirects().places().all(|(place, _)| !is_code(place) || has_owner(place))
}

/// True if nothing of a patch is left in the text: its places hold the original bytes, or the redirects of other
/// patches that came later.
fn is_replaced(states: &[SiteState], patch: PatchId, target: &Target) -> Result<bool> {
    let others = places_of_others(patch, target)?;
    Ok(states.iter().all(|state| match state {
        SiteState::Original => true,
        SiteState::Foreign(address, _) => others.contains(address),
        _ => false,
    }))
}

/// Where all patches but one have redirects now.
fn places_of_others(patch: PatchId, target: &Target) -> Result<HashSet<RuntimeAddr>> {
    let mut places = HashSet::new();
    for header in target.filled_regions()?.filter(|header| header.patch != patch) {
        let other = Record { table: header.read_table(&target.memory, target.process.pid())?, header };
        let redirects = other.redirects();
        let (states, _) = redirects.read(&target.memory)?;
        for (redirect, state) in redirects.all.iter().zip(states) {
            if matches!(state, SiteState::New | SiteState::Trampoline) {
                places.extend(redirect.places().into_iter().map(|(place, _)| place));
            }
        }
    }
    Ok(places)
}

/// The record of a patch for an image as it is loaded now.
pub fn record_of(patch: PatchId, image: &Image, target: &Target) -> Result<Option<Record>> {
    for header in target.filled_regions()? {
        if header.patch == patch && header.bias == image.bias {
            let table = header.read_table(&target.memory, target.process.pid())?;
            return Ok(Some(Record { header, table }));
        }
    }
    Ok(None)
}
