//! The virtual machine monitors of a host, with their builds and patches.

use crate::error::{LoaderError, Result};
use crate::image::Image;
use crate::list;
use crate::process::Process;
use crate::report::{ProcessStatus, StatusReport};
use crate::sharers::all_pids;
use crate::target::Target;
use nix::dir::Dir;
use nix::fcntl::{OFlag, readlinkat};
use nix::sys::stat::Mode;

/// Reports every process that runs virtual machines or holds patches; and those of which it is not known whether they
/// hold patches, with the reasons.
pub fn status() -> (StatusReport, Vec<(i32, LoaderError)>) {
    let list::Survey { found, unknown } = list::processes_with_patches();
    let patched: Vec<i32> = found.iter().map(|process| process.pid).collect();
    let processes = all_pids().into_iter().filter_map(|pid| {
        let vmm = Process::open(pid).is_ok_and(|process| has_virtual_machine(&process));
        if vmm || patched.contains(&pid) { process_status(pid, vmm).ok() } else { None }
    });
    (StatusReport { schema: "tardigrade.status/1", processes: processes.collect() }, unknown)
}

fn process_status(pid: i32, vmm: bool) -> Result<ProcessStatus> {
    let target = Target::open(pid)?;
    let exe = target.process.exe();
    // The mappings' paths stand without the kernel's mark of a file that was removed or replaced.
    let path = exe.as_ref().map(|exe| exe.to_string_lossy().trim_end_matches(" (deleted)").to_owned());
    let is_exe =
        |image: &&Image| image.path.as_ref().map(|path| path.to_string_lossy()).as_deref() == path.as_deref();
    let image = target.images.iter().filter(|image| image.path.is_some()).find(is_exe);
    let build_id = image.and_then(|image| image.build_id.as_ref()).map(ToString::to_string);
    let patches = list::patches(&target)?;
    let exe = exe.map_or_else(String::new, |exe| exe.display().to_string());
    Ok(ProcessStatus { pid, exe, build_id, vmm, patches })
}

/// True if the process has a KVM device or a virtual machine open.
fn has_virtual_machine(process: &Process) -> bool {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let Ok(mut directory) = Dir::openat(process.directory(), "fd", flags, Mode::empty()) else {
        return false;
    };
    let names: Vec<_> = directory.iter().flatten().map(|entry| entry.file_name().to_owned()).collect();
    names.iter().any(|name| {
        let link = readlinkat(&directory, name.as_c_str()).unwrap_or_default();
        let link = link.to_string_lossy();
        link == "/dev/kvm" || link.starts_with("anon_inode:kvm-vm")
    })
}
