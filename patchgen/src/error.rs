//! Why the inputs could not be read. What is read but cannot be patched is a [`crate::report::Refusal`].

use std::path::PathBuf;

/// An input that the generator cannot work with.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InputError {
    /// The file could not be opened or read.
    #[error("Cannot read {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// The operating system's reason.
        source: std::io::Error,
    },
    /// The patch would be written over a build that it is made from.
    #[error("{path} is one of the builds; give the patch another name")]
    OutputIsInput {
        /// The file.
        path: PathBuf,
    },
    /// The file is not ELF, or its structures are damaged.
    #[error("{path} is not a readable ELF file: {reason}")]
    Elf {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The file is for another processor.
    #[error("{path} is for machine type {machine}, only x86-64 ({expected}) is supported")]
    Machine {
        /// The file.
        path: PathBuf,
        /// `e_machine` of the file.
        machine: u16,
        /// `EM_X86_64`.
        expected: u16,
    },
    /// The file is an object or a core, not a linked image.
    #[error("{path} is not a linked executable or shared library (ELF type {elf_type})")]
    NotLinked {
        /// The file.
        path: PathBuf,
        /// `e_type` of the file.
        elf_type: u16,
    },
    /// The image cannot be identified in a process.
    #[error("{path} has no build ID: link it with -Wl,--build-id")]
    NoBuildId {
        /// The file.
        path: PathBuf,
    },
    /// No function names.
    #[error(
        "{path} has no symbol table and no separate debug file was found (build ID {build_id}): \
         name it with --old-debug or --new-debug"
    )]
    NoSymbols {
        /// The file.
        path: PathBuf,
        /// Its build ID.
        build_id: String,
    },
    /// A separate debug file that belongs to another build.
    #[error("{debug} has build ID {found}, but {path} has {expected}")]
    WrongDebugFile {
        /// The debug file.
        debug: PathBuf,
        /// Its build ID.
        found: String,
        /// The image.
        path: PathBuf,
        /// The image's build ID.
        expected: String,
    },
    /// The image is not the one that a patch is for.
    #[error("{path} has build ID {found}, but the patch is for the build with {expected}")]
    NotTheTarget {
        /// The image.
        path: PathBuf,
        /// Its build ID.
        found: String,
        /// The build ID in the patch.
        expected: String,
    },
    /// The image has the right build ID, but not the code that the patch replaces.
    #[error("{path} does not hold the code of {function} that the patch replaces")]
    OtherCode {
        /// The image.
        path: PathBuf,
        /// The function.
        function: String,
    },
    /// The two files are not two builds of one program.
    #[error(
        "{old} and {new} do not look like two builds of one program: {matched} of {total} functions of the \
         smaller one have a counterpart"
    )]
    Unrelated {
        /// The target.
        old: PathBuf,
        /// The replacement.
        new: PathBuf,
        /// Functions with a counterpart.
        matched: usize,
        /// Functions of the smaller image.
        total: usize,
    },
}
