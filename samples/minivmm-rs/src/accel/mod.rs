//! What runs guest code: KVM, or the built-in software CPU.

mod kvm;
mod soft;

use crate::complain;
use crate::config::AccelChoice;
use crate::error::Result;
use crate::memory::Ram;

/// Why a vCPU left the guest.
pub(crate) enum Exit<'a> {
    /// The guest reads from a port; the data go in with the next run.
    In {
        /// Which port.
        port: u16,
        /// To be filled.
        data: &'a mut [u8],
    },
    /// The guest writes to a port.
    Out {
        /// Which port.
        port: u16,
        /// What it writes.
        data: &'a [u8],
    },
    /// A signal or a debugger stopped the thread: go in again.
    Interrupted,
    /// The software CPU ran long enough without an exit.
    Slice,
}

/// Makes vCPUs.
pub(crate) trait Accelerator {
    /// "kvm" or "soft".
    fn name(&self) -> &'static str;

    /// A vCPU at the guest's entry point, with its index in eax.
    fn create_vcpu(&self, index: u8) -> Result<Box<dyn VcpuBackend>>;
}

/// A vCPU.
pub(crate) trait VcpuBackend: Send {
    /// Runs guest code up to an exit, or tells why the guest cannot go on.
    fn run(&mut self) -> std::result::Result<Exit<'_>, String>;
}

/// Without an explicit choice a host that has no usable KVM still runs the guest, slowly.
pub(crate) fn choose(choice: AccelChoice, ram: &Ram) -> Result<Box<dyn Accelerator>> {
    let soft = || Box::new(soft::Soft::new(ram.clone()));
    if choice == AccelChoice::Soft {
        complain("running the guest on the built-in software CPU");
        return Ok(soft());
    }
    match kvm::Kvm::new(ram.clone()) {
        Ok(kvm) => Ok(Box::new(kvm)),
        Err(error) if choice == AccelChoice::Auto => {
            complain(error);
            complain("/dev/kvm not available: running the guest on the built-in software CPU");
            Ok(soft())
        }
        Err(error) => Err(error),
    }
}
