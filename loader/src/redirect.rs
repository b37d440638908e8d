//! Redirects in the target's text: their bytes, their state, and the order in which they are written.
//!
//! Applying writes islands (padding, which nothing executes), then each redirect to its trampoline while the
//! gate is closed, so that all calls still run old code; then opens the gate by one store, and all calls run
//! new code; then settles the redirects to jump to the new code directly. Reverting does the same backwards.
//! Each step is one write within one page, and at each point every function is old or every function is new.
//! Both sequences may start from whatever an interrupted one left.

use crate::address::{AddressRange, PAGE, RuntimeAddr};
use crate::error::{LoaderError, Result};
use crate::memory::RemoteMemory;
use patchfile::format::{NEAR_JUMP_LEN, SHORT_JUMP_LEN};
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use std::time::{Duration, Instant};

/// Form of a redirect, with what is needed to undo it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "form")]
pub enum Form {
    /// A near jump at the site.
    Near,
    /// A short jump at the site to a near jump in padding.
    Short {
        /// The padding.
        island: RuntimeAddr,
        /// Its bytes before.
        #[serde(with = "hex")]
        island_original: Vec<u8>,
    },
}

/// A redirect at its place in a process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuntimeRedirect {
    /// The function.
    pub name: String,
    /// First byte overwritten.
    pub site: RuntimeAddr,
    /// How.
    pub form: Form,
    /// The bytes at the site before.
    #[serde(with = "hex")]
    pub original: Vec<u8>,
    /// The old code, all parts.
    pub old: Vec<AddressRange>,
    /// The new code.
    pub new: RuntimeAddr,
    /// The trampoline.
    pub trampoline: RuntimeAddr,
}

/// What is at a redirect's place now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SiteState {
    /// The original bytes.
    Original,
    /// The original bytes, but the island is written already, or still.
    Prepared,
    /// A jump to the trampoline.
    Trampoline,
    /// A jump to the new code.
    New,
    /// Something else: these bytes at the site or the island.
    Foreign(RuntimeAddr, Vec<u8>),
}

/// What all redirects of a patch amount to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum PatchState {
    /// Every call runs new code.
    Applied,
    /// The text is as it was before.
    Inert,
    /// Something in between: an interrupted command, or somebody else's writes.
    Interrupted,
}

impl PatchState {
    /// What redirects in these states amount to.
    pub fn of(states: &[SiteState], gate_open: bool) -> Self {
        let all = |wanted: &[SiteState]| states.iter().all(|state| wanted.contains(state));
        if all(&[SiteState::New]) || (gate_open && all(&[SiteState::New, SiteState::Trampoline])) {
            PatchState::Applied
        } else if all(&[SiteState::Original]) && !gate_open {
            PatchState::Inert
        } else {
            PatchState::Interrupted
        }
    }
}

/// `e9 rel32` from `at` to `to`.
fn near_jump(at: RuntimeAddr, to: RuntimeAddr) -> Option<[u8; NEAR_JUMP_LEN]> {
    let distance = to.0.wrapping_sub(at.0).wrapping_sub(NEAR_JUMP_LEN as u64) as i64;
    let [a, b, c, d] = i32::try_from(distance).ok()?.to_le_bytes();
    Some([0xe9, a, b, c, d])
}

/// `eb rel8` from `at` to `to`.
fn short_jump(at: RuntimeAddr, to: RuntimeAddr) -> Option<[u8; SHORT_JUMP_LEN]> {
    let distance = to.0.wrapping_sub(at.0).wrapping_sub(SHORT_JUMP_LEN as u64) as i64;
    Some([0xeb, i8::try_from(distance).ok()? as u8])
}

impl RuntimeRedirect {
    /// Where the near jump is.
    fn jump_place(&self) -> RuntimeAddr {
        match self.form {
            Form::Near => self.site,
            Form::Short { island, .. } => island,
        }
    }

    /// The near jump to `to`.
    fn jump(&self, to: RuntimeAddr) -> Result<[u8; NEAR_JUMP_LEN]> {
        near_jump(self.jump_place(), to).ok_or_else(|| self.unreachable())
    }

    /// The bytes at the site that lead into the island.
    fn entry_jump(&self, island: RuntimeAddr) -> Result<[u8; SHORT_JUMP_LEN]> {
        short_jump(self.site, island).ok_or_else(|| self.unreachable())
    }

    fn unreachable(&self) -> LoaderError {
        LoaderError::OutOfReach { section: self.name.clone(), offset: 0, symbol: "its redirect".to_owned() }
    }

    /// All jumps that may be written, with their addresses, for a second reading beforehand.
    pub fn jumps(&self) -> Result<Vec<(RuntimeAddr, Vec<u8>)>> {
        let place = self.jump_place();
        let mut jumps =
            vec![(place, self.jump(self.trampoline)?.to_vec()), (place, self.jump(self.new)?.to_vec())];
        if let Form::Short { island, .. } = self.form {
            jumps.push((self.site, self.entry_jump(island)?.to_vec()));
        }
        Ok(jumps)
    }

    /// True if lengths fit the form, and each write lies in one page.
    pub(crate) fn is_sound(&self) -> bool {
        let lengths = match &self.form {
            Form::Near => self.original.len() == NEAR_JUMP_LEN,
            Form::Short { island_original, .. } => {
                self.original.len() == SHORT_JUMP_LEN && island_original.len() == NEAR_JUMP_LEN
            }
        };
        let in_one_page = |(place, len): (RuntimeAddr, usize)| place.0 % PAGE + len as u64 <= PAGE;
        lengths && self.places().into_iter().all(in_one_page)
    }

    /// The places whose bytes tell the state.
    pub fn places(&self) -> Vec<(RuntimeAddr, usize)> {
        let site = (self.site, self.original.len());
        match &self.form {
            Form::Near => vec![site],
            Form::Short { island, island_original } => vec![site, (*island, island_original.len())],
        }
    }

    /// The state that `bytes`, read from [`Self::places`], tell.
    fn state_of(&self, bytes: &[u8]) -> Result<SiteState> {
        let (site, island_bytes) = bytes.split_at(self.original.len());
        let (to_trampoline, to_new) = (self.jump(self.trampoline)?, self.jump(self.new)?);
        Ok(match &self.form {
            Form::Near if site == self.original => SiteState::Original,
            Form::Near if site == to_trampoline => SiteState::Trampoline,
            Form::Near if site == to_new => SiteState::New,
            Form::Near => SiteState::Foreign(self.site, site.to_vec()),
            Form::Short { island, island_original } => {
                let ours = island_bytes == to_trampoline || island_bytes == to_new;
                if !ours && island_bytes != island_original {
                    SiteState::Foreign(*island, island_bytes.to_vec())
                } else if site == self.original {
                    if ours { SiteState::Prepared } else { SiteState::Original }
                } else if site != self.entry_jump(*island)? || !ours {
                    SiteState::Foreign(self.site, site.to_vec())
                } else if island_bytes == to_new {
                    SiteState::New
                } else {
                    SiteState::Trampoline
                }
            }
        })
    }
}

/// The redirects of one patch, with its gate.
#[derive(Debug)]
pub struct Redirects<'a> {
    /// All of them.
    pub all: &'a [RuntimeRedirect],
    /// The gate byte.
    pub gate: RuntimeAddr,
}

impl Redirects<'_> {
    /// The state of each redirect, and whether the gate is open. Few system calls, fit for a stop.
    pub fn read(&self, memory: &RemoteMemory) -> Result<(Vec<SiteState>, bool)> {
        let mut places = vec![(self.gate, 1)];
        places.extend(self.all.iter().flat_map(RuntimeRedirect::places));
        let bytes = memory.read_pieces(&places)?;
        let (gate, mut rest) = bytes.split_at(1);
        let mut states = Vec::with_capacity(self.all.len());
        for redirect in self.all {
            let len = redirect.places().iter().map(|(_, len)| len).sum();
            let (mine, behind) = rest.split_at(len);
            states.push(redirect.state_of(mine)?);
            rest = behind;
        }
        Ok((states, gate != [0]))
    }

    /// What they amount to.
    pub fn state(&self, memory: &RemoteMemory) -> Result<PatchState> {
        let (states, gate_open) = self.read(memory)?;
        Ok(PatchState::of(&states, gate_open))
    }

    /// An error that names the first redirect which is neither original nor the patch's.
    pub fn refuse_foreign(&self, states: &[SiteState]) -> Result<()> {
        for (redirect, state) in self.all.iter().zip(states) {
            if let SiteState::Foreign(address, bytes) = state {
                return Err(LoaderError::ForeignRedirect {
                    function: redirect.name.clone(),
                    address: *address,
                    what: describe(bytes),
                });
            }
        }
        Ok(())
    }

    /// Redirects every function. Call it only while every thread is stopped outside of all code concerned.
    pub fn install(&self, memory: &RemoteMemory) -> Result<Duration> {
        let (states, gate_open) = self.read(memory)?;
        self.refuse_foreign(&states)?;
        let begin = Instant::now();
        let to_do = || self.all.iter().zip(&states);
        if gate_open && states.iter().any(|state| matches!(state, SiteState::Original | SiteState::Prepared))
        {
            // Nothing of the loader's leaves this, but a mixture must not grow.
            self.set_gate(memory, false)?;
        }
        for (redirect, state) in to_do() {
            if let (Form::Short { island, .. }, SiteState::Original | SiteState::Prepared) =
                (&redirect.form, state)
            {
                memory.write_at_once(*island, &redirect.jump(redirect.trampoline)?)?;
            }
        }
        for (redirect, state) in to_do() {
            if matches!(state, SiteState::Original | SiteState::Prepared) {
                match redirect.form {
                    Form::Near => {
                        memory.write_at_once(redirect.site, &redirect.jump(redirect.trampoline)?)?;
                    }
                    Form::Short { island, .. } => {
                        memory.write_at_once(redirect.site, &redirect.entry_jump(island)?)?;
                    }
                }
            }
        }
        self.set_gate(memory, true)?;
        for (redirect, state) in to_do() {
            if *state != SiteState::New {
                memory.write_at_once(redirect.jump_place(), &redirect.jump(redirect.new)?)?;
            }
        }
        Ok(begin.elapsed())
    }

    /// Puts the original text back. Call it only while every thread is stopped outside of all code concerned.
    pub fn remove(&self, memory: &RemoteMemory) -> Result<Duration> {
        let (states, _) = self.read(memory)?;
        self.refuse_foreign(&states)?;
        let begin = Instant::now();
        let to_do = || self.all.iter().zip(&states);
        for (redirect, state) in to_do() {
            if *state == SiteState::New {
                memory.write_at_once(redirect.jump_place(), &redirect.jump(redirect.trampoline)?)?;
            }
        }
        self.set_gate(memory, false)?;
        for (redirect, state) in to_do() {
            if matches!(state, SiteState::New | SiteState::Trampoline) {
                memory.write_at_once(redirect.site, &redirect.original)?;
            }
        }
        for (redirect, state) in to_do() {
            if let (Form::Short { island, island_original }, true) =
                (&redirect.form, *state != SiteState::Original)
            {
                memory.write_at_once(*island, island_original)?;
            }
        }
        Ok(begin.elapsed())
    }

    /// The places in the target's text that are written to.
    pub fn places(&self) -> impl Iterator<Item = (RuntimeAddr, usize)> {
        self.all.iter().flat_map(RuntimeRedirect::places)
    }

    fn set_gate(&self, memory: &RemoteMemory, open: bool) -> Result<()> {
        memory.write_at_once(self.gate, &[u8::from(open)])
    }
}

/// Writes the same bytes back, so that the kernel makes its private copy of each page before the stop. Fails
/// where text cannot be written at all (huge pages of a file).
pub fn prepare_pages(
    places: impl Iterator<Item = (RuntimeAddr, usize)>,
    memory: &RemoteMemory,
) -> Result<()> {
    let mut prepared = HashSet::new();
    for (place, _) in places {
        if prepared.insert(place.page()) {
            let byte = memory.read_vec(place, 1)?;
            memory.write_at_once(place, &byte)?;
        }
    }
    Ok(())
}

/// Says what bytes in place of code are.
pub(crate) fn describe(bytes: &[u8]) -> String {
    let what = match bytes.first() {
        Some(0xcc) => " (a breakpoint)",
        Some(0xe9 | 0xeb) => " (a jump)",
        _ => "",
    };
    format!("found {}{what}", hex::encode(bytes))
}
