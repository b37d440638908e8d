//! Reverting a patch.

use crate::error::{LoaderError, Result};
use crate::record::{Record, RegionState};
use crate::redirect::{PatchState, prepare_pages};
use crate::report::{Effort, Outcome};
use crate::target::Target;
use crate::transition::Transition;
use patchfile::PatchId;
use std::path::Path;
use std::time::{Duration, Instant};

/// Digits of a full ID.
const ID_DIGITS: usize = 64;

/// How a user names a patch: hex digits from the start of its ID.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PatchName(String);

impl PatchName {
    /// Reads an ID or a prefix of one, or takes the ID of the patch file that `text` is the path of.
    pub fn parse(text: &str) -> Result<Self> {
        let is_id =
            !text.is_empty() && text.len() <= ID_DIGITS && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        if is_id && !Path::new(text).exists() {
            return Ok(PatchName(text.to_ascii_lowercase()));
        }
        match crate::apply::LoadedPatch::from_file(text) {
            Ok(loaded) => Ok(PatchName::of(loaded.id)),
            Err(LoaderError::Read { .. }) => Err(LoaderError::BadPatchName(text.to_owned())),
            Err(error) => Err(error),
        }
    }

    /// The full name of a patch.
    pub fn of(id: PatchId) -> Self {
        PatchName(hex::encode(id.0))
    }

    /// True if this names `id`.
    pub fn fits(&self, id: PatchId) -> bool {
        hex::encode(id.0).starts_with(&self.0)
    }

    /// The digits, as many as IDs are shown with.
    pub fn shown(&self) -> &str {
        self.0.get(..16).unwrap_or(&self.0)
    }
}

/// Reverts the patch that `name` fits in process `pid`.
pub fn revert(pid: i32, name: &PatchName, timeout: Duration) -> Result<(Outcome, Effort)> {
    let deadline = Instant::now() + timeout;
    let target = Target::open_locked(pid, deadline)?;
    let regions = target.regions().into_iter();
    let fitting: Vec<_> =
        regions.filter(|region| region.state == RegionState::Filled && name.fits(region.patch)).collect();
    let header = match fitting.as_slice() {
        [] => return Ok((Outcome::Absent, Effort::default())),
        [header] => header.clone(),
        several => {
            return Err(LoaderError::AmbiguousId {
                pid: target.process.pid(),
                prefix: name.shown().to_owned(),
                found: several.iter().map(|header| header.patch).collect(),
            });
        }
    };
    let table = header.read_table(&target.memory, target.process.pid())?;
    let record = Record { header, table };
    let redirects = record.redirects();
    let (states, _) = redirects.read(&target.memory)?;
    redirects.refuse_foreign(&states)?;
    if redirects.state(&target.memory)? == PatchState::Inert {
        return Ok((Outcome::Absent, Effort::default()));
    }
    let functions = record.table.functions.len();
    let code = record.code_set();
    prepare_pages(redirects.places(), &target.memory)?;
    let mut transition = Transition::prepare(&target.process, &target.memory, &target.images, &code)?;
    let pause = transition.run(deadline, || redirects.remove(&target.memory))?;
    Ok((Outcome::Reverted, Effort { functions, pause, injection: Duration::ZERO }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        let id = PatchId([0xab; 32]);
        assert!(PatchName::parse("ABAB").unwrap().fits(id));
        assert!(!PatchName::parse("abac").unwrap().fits(id));
        assert!(matches!(PatchName::parse("no such file"), Err(LoaderError::BadPatchName(_))));
        assert_eq!(PatchName::of(id).shown().len(), 16);
    }
}
