//! Unwind tables of a patch, made known to the target's unwinder before anything is redirected.
//!
//! The patch brings the code for it, which a thread of the target runs. A byte in the patch's variables says how far
//! that got (`patchfile::format::registration`); it is the target's own record, and only that code writes to it.

use crate::address::{AddressRange, RuntimeAddr};
use crate::call;
use crate::error::{LoaderError, Result};
use crate::image::Image;
use crate::locks::Locks;
use crate::target::Target;
use crate::unwind::Unwinder;
use patchfile::format::registration::{BEGUN, DONE, NONE};
use std::time::{Duration, Instant};

/// Where the parts of the registration are in the target.
pub(crate) struct Registration {
    /// The code.
    pub(crate) stub: AddressRange,
    /// How far it got.
    pub(crate) state: RuntimeAddr,
    /// The unwinder is part of the patched image.
    pub(crate) inside: bool,
    /// Code of the patched image that takes the locks which the unwinder needs.
    pub(crate) avoid: Vec<AddressRange>,
}

impl Registration {
    /// Sees to it that the unwinder knows the tables. Returns how long a thread was stopped for it.
    pub(crate) fn complete(&self, target: &Target, image: &Image, deadline: Instant) -> Result<Duration> {
        let memory = &target.memory;
        let pid = target.process.pid();
        let state = || {
            let mut byte = [0];
            memory.read(self.state, &mut byte).map(|()| byte[0])
        };
        if state()? == DONE {
            let headers = target.process.program_headers();
            if headers.is_some_and(|at| image.extent().contains(at)) {
                return Ok(Duration::ZERO);
            }
            // A library may have been unloaded meanwhile, and the unwinder with it: the code finds that out.
            memory.write(self.state, &[NONE])?;
        }
        while state()? == BEGUN {
            if Instant::now() >= deadline {
                let reason = "a thread still registers unwind tables for an interrupted command".to_owned();
                return Err(LoaderError::Busy { pid, reason });
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        if state()? == DONE {
            return Ok(Duration::ZERO);
        }
        self.refuse_another(target)?;
        let locks = Locks::read(target, self.avoid.clone())?;
        let patches: Vec<_> = target.filled_regions()?.collect();
        let unwinder = Unwinder::new(&target.images, &patches, memory);
        let stopped =
            call::run(target.workers(), self.stub, &|regs| locks.free(regs, &unwinder, memory), deadline)?;
        if state()? == DONE {
            return Ok(stopped);
        }
        let reason = "its unwinder did not take the unwind tables".to_owned();
        Err(LoaderError::Busy { pid, reason })
    }

    /// Two unwinders in a process: an exception that one of them takes through patched code is not known to the other.
    fn refuse_another(&self, target: &Target) -> Result<()> {
        let other = target.images.iter().find(|image| image.name.starts_with("libgcc_s"));
        match other {
            Some(other) if self.inside => Err(LoaderError::Import {
                pid: target.process.pid(),
                symbol: "__register_frame".to_owned(),
                reason: format!("the image has an unwinder of its own, and {} is there too", other.name),
            }),
            _ => Ok(()),
        }
    }
}
