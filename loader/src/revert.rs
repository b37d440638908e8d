//! Reverting a patch.

use crate::error::{LoaderError, Result};
use crate::presence::{Presence, image_of};
use crate::record::{Header, Record};
use crate::redirect::{PatchState, prepare_pages};
use crate::report::{Effort, Outcome};
use crate::target::Target;
use crate::transition::Transition;
use patchfile::PatchId;
use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};

/// Digits of a full ID.
const ID_DIGITS: usize = 64;
/// Digits that a prefix needs: fewer are easily those of another patch.
const PREFIX_DIGITS: usize = 8;

/// How a user names a patch: hex digits from the start of its ID.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PatchName(String);

impl PatchName {
    /// Reads an ID or a prefix of one, or takes the ID of the patch file that `text` is the path of.
    pub fn parse(text: &str) -> Result<Self> {
        let is_id = (PREFIX_DIGITS..=ID_DIGITS).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        match (Path::new(text).exists(), is_id) {
            (true, _) => Ok(PatchName::of(crate::apply::LoadedPatch::from_file(text)?.id)),
            (false, true) => Ok(PatchName(text.to_ascii_lowercase())),
            (false, false) => Err(LoaderError::BadPatchName(text.to_owned())),
        }
    }

    /// Refuses if `found`, the IDs that this fits, are those of more than one patch.
    pub fn refuse_ambiguous(&self, found: impl Iterator<Item = String>) -> Result<()> {
        let found: BTreeSet<String> = found.collect();
        if found.len() <= 1 {
            return Ok(());
        }
        Err(LoaderError::AmbiguousId { prefix: self.shown().to_owned(), found: found.into_iter().collect() })
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
    revert_in(&target, name, deadline).map_err(|error| target.explain(error))
}

fn revert_in(target: &Target, name: &PatchName, deadline: Instant) -> Result<(Outcome, Effort)> {
    let fitting: Vec<Header> = target.filled_regions()?.filter(|region| name.fits(region.patch)).collect();
    name.refuse_ambiguous(fitting.iter().map(|header| header.patch.to_string()))?;
    let mut found = None;
    for header in fitting {
        let table = header.read_table(&target.memory, target.process.pid())?;
        let record = Record { header, table };
        // Several records of one patch: its image was unloaded, and loaded again elsewhere.
        if Presence::of(&record, target)?.state != PatchState::Inert {
            found = Some(record);
        }
    }
    let Some(record) = found else { return Ok((Outcome::Absent, Effort::default())) };
    let redirects = record.redirects();
    let (states, _) = redirects.read(&target.memory)?;
    redirects.refuse_foreign(&states)?;
    let functions = record.table.functions.len();
    let code = record.code_set();
    prepare_pages(redirects.places(), &target.memory)?;
    let image = image_of(&record.header, target);
    let (process, memory) = (&target.process, &target.memory);
    let patches: Vec<Header> = target.filled_regions()?.collect();
    let mut transition = Transition::prepare(process, memory, (&target.images, &patches), &code, image)?;
    let pause = transition.run(deadline, || redirects.remove(&target.memory))?;
    Ok((Outcome::Reverted, Effort { functions, pause, injection: Duration::ZERO }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        let id = PatchId([0xab; 32]);
        assert!(PatchName::parse("ABABABAB").unwrap().fits(id));
        assert!(!PatchName::parse("abababac").unwrap().fits(id));
        for bad in ["no such file", "", "abababa", &"ab".repeat(33)] {
            assert!(matches!(PatchName::parse(bad), Err(LoaderError::BadPatchName(_))), "{bad}");
        }
        assert_eq!(PatchName::of(id).shown().len(), 16);
    }
}
