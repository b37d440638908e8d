//! Accelerator on /dev/kvm.

use super::{Accelerator, Exit, VcpuBackend};
use crate::error::{Error, Result};
use crate::guest::GUEST_ENTRY;
use crate::memory::Ram;
use kvm_bindings::{KVM_API_VERSION, kvm_regs, kvm_segment, kvm_userspace_memory_region};
use kvm_ioctls::{Cap, VcpuExit, VcpuFd, VmFd};
use vm_memory::{Address as _, GuestMemoryBackend as _, GuestMemoryRegion as _, MemoryRegionAddress};

/// Intel without unrestricted guest needs three pages of address space outside RAM.
const TSS_ADDRESS: usize = 0xfffb_d000;

/// A virtual machine of the kernel's.
pub(crate) struct Kvm {
    vm: VmFd,
    /// Mapped as long as the kernel may use it.
    _ram: Ram,
}

/// For `map_err`: which request failed.
fn failed(what: &'static str) -> impl Fn(kvm_ioctls::Error) -> Error {
    move |error| Error::Kvm(what, error)
}

impl Kvm {
    pub(crate) fn new(ram: Ram) -> Result<Self> {
        let kvm = kvm_ioctls::Kvm::new().map_err(failed("cannot open /dev/kvm"))?;
        let version = kvm.get_api_version();
        if version != KVM_API_VERSION as i32 {
            return Err(Error::KvmVersion(version));
        }
        let vm = kvm.create_vm().map_err(failed("KVM_CREATE_VM"))?;
        if kvm.check_extension(Cap::SetTssAddr) {
            vm.set_tss_address(TSS_ADDRESS).map_err(failed("KVM_SET_TSS_ADDR"))?;
        }
        for (slot, region) in (0..).zip(ram.iter()) {
            let host = region.get_host_address(MemoryRegionAddress(0));
            let memory = kvm_userspace_memory_region {
                slot,
                flags: 0,
                guest_phys_addr: region.start_addr().raw_value(),
                memory_size: region.len(),
                userspace_addr: host.map_err(|error| Error::GuestMemory(error.to_string()))? as u64,
            };
            // SAFETY: the memory is mapped, and stays so as long as `self` lives.
            unsafe { vm.set_user_memory_region(memory) }.map_err(failed("KVM_SET_USER_MEMORY_REGION"))?;
        }
        Ok(Kvm { vm, _ram: ram })
    }
}

impl Accelerator for Kvm {
    fn name(&self) -> &'static str {
        "kvm"
    }

    fn create_vcpu(&self, index: u8) -> Result<Box<dyn VcpuBackend>> {
        let vcpu = self.vm.create_vcpu(index.into()).map_err(failed("KVM_CREATE_VCPU"))?;
        set_flat_mode(&vcpu)?;
        let regs = kvm_regs { rip: GUEST_ENTRY.into(), rax: index.into(), rflags: 2, ..Default::default() };
        vcpu.set_regs(&regs).map_err(failed("KVM_SET_REGS"))?;
        Ok(Box::new(vcpu))
    }
}

/// Straight into 32-bit flat protected mode: the guest never loads a segment register.
fn set_flat_mode(vcpu: &VcpuFd) -> Result<()> {
    let data = kvm_segment {
        limit: 0xffff_ffff,
        selector: 0x10,
        type_: 3,
        present: 1,
        db: 1,
        s: 1,
        g: 1,
        ..Default::default()
    };
    let mut sregs = vcpu.get_sregs().map_err(failed("KVM_GET_SREGS"))?;
    for segment in [&mut sregs.ds, &mut sregs.es, &mut sregs.fs, &mut sregs.gs, &mut sregs.ss] {
        *segment = data;
    }
    sregs.cs = kvm_segment { selector: 0x08, type_: 11, ..data };
    sregs.cr0 |= 1; // PE
    vcpu.set_sregs(&sregs).map_err(failed("KVM_SET_SREGS"))
}

impl VcpuBackend for VcpuFd {
    fn run(&mut self) -> std::result::Result<Exit<'_>, String> {
        match VcpuFd::run(self) {
            Ok(VcpuExit::IoIn(port, data)) => Ok(Exit::In { port, data }),
            Ok(VcpuExit::IoOut(port, data)) => Ok(Exit::Out { port, data }),
            Ok(VcpuExit::Intr) => Ok(Exit::Interrupted),
            Ok(other) => Err(format!("KVM exit {other:?}")),
            Err(error) if matches!(error.errno(), libc::EINTR | libc::EAGAIN) => Ok(Exit::Interrupted),
            Err(error) => Err(format!("KVM_RUN: {error}")),
        }
    }
}
