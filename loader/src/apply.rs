//! Applying a patch to a process.

use crate::address::{AddressRange, LoadBias, RuntimeAddr};
use crate::code::CodeSet;
use crate::combine::{Reliance, refuse_conflicts};
use crate::compare::compare_old_code;
use crate::error::{LoaderError, Result};
use crate::image::Image;
use crate::imports::Imports;
use crate::payload::{self, Layout};
use crate::place::{self, Demand};
use crate::presence::{self, Presence};
use crate::record::{HEADER_LEN, Header, Record, RegionState, Table};
use crate::redirect::{Form, PatchState, Redirects, RuntimeRedirect, SiteState, prepare_pages};
use crate::register::Registration;
use crate::report::{Effort, Outcome};
use crate::target::Target;
use crate::transition::Transition;
use patchfile::decode::SecondReader;
use patchfile::{Extent, Patch, PatchId, Place, Redirect, RedirectKind, SectionKind};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// An address that no place exceeds: makes tables as long as they can get.
const FAR: RuntimeAddr = RuntimeAddr(0x7fff_ffff_f000);

/// A patch with the ID of its file.
#[derive(Clone, Debug)]
pub struct LoadedPatch {
    /// Its contents.
    pub patch: Patch,
    /// Its ID.
    pub id: PatchId,
}

impl LoadedPatch {
    /// Reads a patch file.
    pub fn from_file(path: &str) -> Result<Self> {
        let bytes = patchfile::read_file(path.as_ref())
            .map_err(|source| LoaderError::Read { path: path.to_owned(), source })?;
        let patch = Patch::parse(&bytes)
            .map_err(|source| LoaderError::PatchFile { path: path.to_owned(), source })?;
        Ok(LoadedPatch { patch, id: PatchId::of_file(&bytes) })
    }

    /// Takes a patch that is in memory.
    pub fn from_patch(patch: Patch) -> std::result::Result<Self, patchfile::PatchFileError> {
        let id = PatchId::of_file(&patch.to_bytes()?);
        Ok(LoadedPatch { patch, id })
    }
}

/// How to apply.
#[derive(Clone, Copy, Debug)]
pub struct ApplyOptions {
    /// How long to go on trying.
    pub timeout: Duration,
    /// Check everything that can be checked without stopping or changing anything.
    pub dry_run: bool,
}

/// Applies `loaded` to process `pid`.
pub fn apply(pid: i32, loaded: &LoadedPatch, options: &ApplyOptions) -> Result<(Outcome, Effort)> {
    let deadline = Instant::now() + options.timeout;
    let target =
        if options.dry_run { Target::open_untraced(pid)? } else { Target::open_locked(pid, deadline)? };
    let image = Image::find(&target.images, &loaded.patch.target, target.process.pid());
    let image = image.map_err(|error| target.explain(error))?.clone();
    let (imports, reliance) = (Imports::default(), Reliance::default());
    let mut application =
        Application { target, image, imports, reliance, loaded, deadline, injection: Duration::ZERO };
    application.run(options.dry_run).map_err(|error| application.target.explain(error))
}

struct Application<'a> {
    target: Target,
    image: Image,
    imports: Imports,
    reliance: Reliance,
    loaded: &'a LoadedPatch,
    deadline: Instant,
    injection: Duration,
}

/// The patch made ready for one place in the target.
struct Prepared {
    record: Record,
    table: Vec<u8>,
    layout: Layout,
    contents: Vec<Vec<u8>>,
}

impl Application<'_> {
    fn run(&mut self, dry_run: bool) -> Result<(Outcome, Effort)> {
        let functions = self.redirected().count();
        let existing = presence::record_of(self.loaded.id, &self.image, &self.target)?;
        let mut own = Vec::new();
        let mut reloaded = false;
        if let Some(record) = &existing {
            let presence = Presence::of(record, &self.target)?;
            if presence.state == PatchState::Applied {
                return Ok((Outcome::Already, Effort { functions, ..Effort::default() }));
            }
            reloaded = presence.reloaded;
            let redirects = record.redirects();
            let (states, _) = redirects.read(&self.target.memory)?;
            // Where another patch redirects a function by now, the comparison below names it.
            if presence.state != PatchState::Inert {
                redirects.refuse_foreign(&states)?;
            }
            let is_own = |state: &SiteState| !matches!(state, SiteState::Foreign(..));
            let functions = record.table.functions.iter().zip(states);
            own.extend(functions.filter(|(_, state)| is_own(state)));
        }
        self.reliance = Reliance::of(&self.loaded.patch, &self.image, &self.target.memory)?;
        let table = self.table(FAR, &Layout::new(&self.loaded.patch, HEADER_LEN)).0;
        refuse_conflicts(self.loaded.id, &table, &self.image, &self.target)?;
        self.imports = Imports::find(&self.loaded.patch, &self.image, &self.target)?;
        compare_old_code(&self.target, &self.loaded.patch, self.image.bias, &own)?;
        if !dry_run {
            // Before anything is mapped: text that cannot be written is a refusal.
            let places = self.redirected().filter_map(|function| function.redirect.as_ref());
            let places = places.flat_map(|redirect| self.written_places(redirect));
            prepare_pages(places, &self.target.memory)?;
        }
        let record = match existing {
            Some(record) => self.verify_existing(record, reloaded && !dry_run)?,
            None if dry_run => {
                self.rehearse()?;
                return Ok((Outcome::Applied, Effort { functions, ..Effort::default() }));
            }
            None => self.load()?,
        };
        if dry_run {
            return Ok((Outcome::Applied, Effort { functions, ..Effort::default() }));
        }
        self.register(&record)?;
        let pause = self.redirect(&record)?;
        Ok((Outcome::Applied, Effort { functions, pause, injection: self.injection }))
    }

    fn redirected(&self) -> impl Iterator<Item = &patchfile::Function> {
        self.loaded.patch.functions.iter().filter(|function| function.redirect.is_some())
    }

    fn written_places(&self, redirect: &Redirect) -> Vec<(RuntimeAddr, usize)> {
        let mut places = vec![(self.bias().at(redirect.site), redirect.original.len())];
        if let RedirectKind::Short { island, original } = &redirect.kind {
            places.push((self.bias().at(*island), original.len()));
        }
        places
    }

    fn bias(&self) -> LoadBias {
        self.image.bias
    }

    /// The record's table for a region at `base`, as bytes of a length that does not depend on `base`.
    fn table(&self, base: RuntimeAddr, layout: &Layout) -> (Table, Vec<u8>) {
        let (patch, bias) = (&self.loaded.patch, self.bias());
        let functions = self.redirected().filter_map(|function| {
            let redirect = function.redirect.as_ref()?;
            let form = match &redirect.kind {
                RedirectKind::Near => Form::Near,
                RedirectKind::Short { island, original } => {
                    Form::Short { island: bias.at(*island), island_original: original.clone() }
                }
            };
            Some(RuntimeRedirect {
                name: function.name.clone(),
                site: bias.at(redirect.site),
                form,
                original: redirect.original.clone(),
                old: function
                    .old
                    .iter()
                    .map(|range| AddressRange::sized(bias.at(range.address), range.size))
                    .collect(),
                new: layout.symbol(patch, function.symbol, base, bias),
                trampoline: layout.symbol(patch, redirect.trampoline, base, bias),
            })
        });
        // Named as the patch names it: the file may be renamed or replaced before the record is needed again.
        let (functions, reliance) = (functions.collect(), self.reliance.clone());
        let table = Table { image: patch.target.name.clone(), functions, reliance };
        let bytes = serde_json::to_vec(&table).unwrap_or_default();
        (table, bytes)
    }

    /// The layout of the patch; `executable_len` makes the first part longer than it need be.
    fn layout(&self) -> (Layout, usize) {
        let patch = &self.loaded.patch;
        // Addresses in the table are decimal numbers: reserve room for the longest.
        let first = Layout::new(patch, HEADER_LEN);
        let table_len = self.table(FAR, &first).1.len();
        (Layout::new(patch, HEADER_LEN + table_len as u64), table_len)
    }

    /// Makes everything ready that depends on the place, and lets the second disassembler read it.
    fn prepare(&self, base: RuntimeAddr, layout: Layout, table_len: usize) -> Result<Prepared> {
        let (patch, bias) = (&self.loaded.patch, self.bias());
        let mut contents = payload::contents(patch, bias, &self.target.memory)?;
        payload::relocate(patch, &layout, base, bias, &self.imports, &mut contents)?;
        let reader = SecondReader::new();
        payload::check_code(patch, &layout, base, &contents, &reader)?;
        let (table, mut bytes) = self.table(base, &layout);
        for function in &table.functions {
            for (address, jump) in function.jumps()? {
                reader
                    .check(&jump, address.0)
                    .map_err(|source| LoaderError::Decode { name: function.name.clone(), source })?;
            }
        }
        // Trailing white space is part of JSON.
        bytes.resize(table_len, b' ');
        let executable = AddressRange::sized(base, layout.executable_len);
        let mut header = Header::empty(executable).with_table(&bytes);
        header.state = RegionState::Filled;
        header.writable_len = layout.writable_len;
        header.bias = bias;
        header.gate = layout.symbol(patch, patch.gate, base, bias);
        if let Some(unwinding) = &patch.unwinding {
            let start = layout.symbol(patch, unwinding.frames, base, bias);
            header.frames = AddressRange::sized(start, patch.symbols[unwinding.frames].size);
            if let Some(frames) = &unwinding.target_frames {
                header.image_frames = AddressRange::sized(bias.at(frames.address), frames.size);
            }
        }
        header.patch = self.loaded.id;
        header.build_id = patch.target.build_id.clone();
        header.code = AddressRange { start: base.plus(layout.text.0), end: base.plus(layout.text.1) };
        Ok(Prepared { record: Record { header, table }, table: bytes, layout, contents })
    }

    fn demand(&self, layout: &Layout) -> Demand {
        let patch = &self.loaded.patch;
        let near = payload::neighbours(patch, self.bias());
        Demand { len: layout.len(), near, low: payload::needs_low_memory(patch) }
    }

    /// Free places, the best first.
    fn places(&self, layout: &Layout) -> Result<Vec<RuntimeAddr>> {
        let process = &self.target.process;
        let start_brk = process.task_stat(process.pid()).map_or(0, |stat| stat.start_brk);
        let demand = self.demand(layout);
        let places = place::candidates(&self.target.map, &self.image, RuntimeAddr(start_brk), &demand);
        if places.is_empty() {
            return Err(LoaderError::NoRoom {
                pid: process.pid(),
                bytes: demand.len,
                image: self.image.name.clone(),
            });
        }
        Ok(places)
    }

    /// What a dry run can tell: there is a place, and the patch fits there.
    fn rehearse(&self) -> Result<()> {
        let (layout, table_len) = self.layout();
        let place = self.places(&layout)?[0];
        self.prepare(place, layout, table_len).map(drop)
    }

    /// Gets memory in the target and fills it.
    fn load(&mut self) -> Result<Record> {
        let (layout, table_len) = self.layout();
        if let Some((base, layout)) = self.reuse_empty(&layout)? {
            let prepared = self.prepare(base, layout, table_len)?;
            return self.fill(prepared);
        }
        let mut last = None;
        for base in self.places(&layout)? {
            // Before anything is mapped: if the patch does not fit there, nothing is left behind.
            let prepared = self.prepare(base, layout.clone(), table_len)?;
            let (executable, writable) = (layout.executable_len, layout.writable_len);
            match self.target.map_region(base, executable, writable, self.deadline) {
                Ok(stopped) => {
                    self.injection += stopped;
                    return self.fill(prepared);
                }
                // The target mapped something there meanwhile.
                Err(LoaderError::InjectedCall { error, .. })
                    if error.raw_os_error() == Some(libc::EEXIST) =>
                {
                    last = Some(error);
                }
                Err(error) => return Err(error),
            }
        }
        Err(LoaderError::InjectedCall {
            pid: self.target.process.pid(),
            call: "mmap",
            error: last.unwrap_or_else(|| std::io::ErrorKind::NotFound.into()),
        })
    }

    /// A region that an interrupted loader mapped but did not fill, if it can take this patch.
    fn reuse_empty(&mut self, layout: &Layout) -> Result<Option<(RuntimeAddr, Layout)>> {
        let demand = self.demand(layout);
        for region in self.target.regions()? {
            let base = region.executable.start;
            let usable = region.state == RegionState::Empty && demand.admits(base);
            let same = region.executable.len() == layout.executable_len
                && region.writable_len == layout.writable_len;
            let splittable = region.writable_len == 0 && region.executable.len() == layout.len();
            if usable && same {
                return Ok(Some((base, layout.clone())));
            }
            if usable && splittable {
                let len = layout.writable_len;
                self.injection += self.target.split_region(region.executable, len, self.deadline)?;
                return Ok(Some((base, layout.clone())));
            }
        }
        Ok(None)
    }

    /// Writes the payload into its region, which has an empty record, reads it back, and completes the record.
    fn fill(&self, prepared: Prepared) -> Result<Record> {
        let Prepared { record, table, layout, contents } = prepared;
        let memory = &self.target.memory;
        let base = record.header.executable.start;
        let mut pieces = vec![(base.plus(HEADER_LEN), table)];
        pieces.extend(layout.sections.iter().map(|offset| base.plus(*offset)).zip(contents));
        for (address, bytes) in &pieces {
            memory.write(*address, bytes)?;
        }
        for (address, bytes) in &pieces {
            if memory.read_vec(*address, bytes.len() as u64)? != *bytes {
                return Err(LoaderError::ReadBack { pid: self.target.process.pid(), address: *address });
            }
        }
        memory.write_at_once(base, &record.header.to_bytes())?;
        Ok(record)
    }

    /// Makes sure that a payload which an earlier apply left is the one that this patch makes. With `begin_anew`
    /// its variables get their initial values again.
    fn verify_existing(&self, record: Record, begin_anew: bool) -> Result<Record> {
        let (layout, table_len) = self.layout();
        let base = record.header.executable.start;
        let damaged = |what: &str| LoaderError::DamagedRecord {
            pid: self.target.process.pid(),
            address: base,
            what: what.to_owned(),
        };
        let prepared = self.prepare(base, layout, table_len)?;
        let mut expected = prepared.record.header.clone();
        expected.applied_at = record.header.applied_at;
        if expected != record.header {
            return Err(damaged("it does not describe this patch"));
        }
        let gate = record.header.gate;
        let state = self.registration(base, &prepared.layout).map(|registration| registration.state);
        let sections = self.loaded.patch.sections.iter().zip(&prepared.layout.sections);
        for ((section, offset), mut bytes) in sections.zip(prepared.contents) {
            let address = base.plus(*offset);
            if state == Some(address) {
                // What the unwinder knows.
                continue;
            }
            if section.kind == SectionKind::Data {
                // Variables keep the values that they have, unless those of the image itself begin anew too.
                if begin_anew {
                    self.target.memory.write(address, &bytes)?;
                }
                continue;
            }
            let mut found = self.target.memory.read_vec(address, bytes.len() as u64)?;
            if AddressRange::sized(address, bytes.len() as u64).contains(gate) {
                let at = (gate.0 - address.0) as usize;
                bytes[at] = 0;
                found[at] = 0;
            }
            if found != bytes {
                return Err(damaged(&format!("section {} was changed", section.name)));
            }
        }
        Ok(record)
    }

    /// Where the code is that makes the unwind tables known, for a payload at `base`.
    fn registration(&self, base: RuntimeAddr, layout: &Layout) -> Option<Registration> {
        let (patch, bias) = (&self.loaded.patch, self.bias());
        let unwinding = patch.unwinding.as_ref()?;
        let stub = layout.symbol(patch, unwinding.stub, base, bias);
        let range = |range: &Extent| AddressRange::sized(bias.at(range.address), range.size);
        Some(Registration {
            stub: AddressRange::sized(stub, patch.symbols[unwinding.stub].size),
            state: layout.symbol(patch, unwinding.state, base, bias),
            inside: !patch
                .symbols
                .iter()
                .any(|symbol| symbol.place == Place::Import && symbol.name.starts_with("__register_frame@")),
            avoid: unwinding.avoid.iter().map(range).collect(),
        })
    }

    /// Lets the target's unwinder know the patch's unwind tables.
    fn register(&mut self, record: &Record) -> Result<()> {
        let (layout, _) = self.layout();
        let Some(registration) = self.registration(record.header.executable.start, &layout) else {
            return Ok(());
        };
        self.injection += registration.complete(&self.target, &self.image, self.deadline)?;
        Ok(())
    }

    /// Redirects the functions.
    fn redirect(&self, record: &Record) -> Result<crate::transition::Pause> {
        let (process, memory) = (&self.target.process, &self.target.memory);
        let redirects = record.redirects();
        let code = record.code_set();
        let mut header = record.header.clone();
        let patches: Vec<Header> = self.target.filled_regions()?.collect();
        let images = (&self.target.images[..], &patches[..]);
        let mut transition = Transition::prepare(process, memory, images, &code, Some(&self.image))?;
        transition.run(self.deadline, || {
            header.applied_at =
                SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
            let spent = match redirects.install(memory) {
                Ok(spent) => spent,
                Err(error) => {
                    // All or nothing: what was written goes back, as far as that is possible.
                    let _ = redirects.remove(memory);
                    return Err(error);
                }
            };
            memory.write_at_once(header.executable.start, &header.to_bytes())?;
            Ok(spent)
        })
    }
}

impl Record {
    /// The redirects with their gate.
    pub fn redirects(&self) -> Redirects<'_> {
        Redirects { all: &self.table.functions, gate: self.header.gate }
    }

    /// All code that is old in one state and new in the other: nobody may be inside when the state changes.
    pub fn code_set(&self) -> CodeSet {
        let old = self
            .table
            .functions
            .iter()
            .flat_map(|function| function.old.iter().map(|range| (*range, function.name.clone())));
        let name = format!("code of patch {}", self.header.patch);
        CodeSet::new(old.chain([(self.header.code, name)]))
    }
}
