//! Why a patch file was not accepted.

/// What is wrong with a patch file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PatchFileError {
    /// The file is something else.
    #[error("This is {0}, not a patch; `patchgen diff OLD NEW -o FIX.tgp` makes one")]
    NotAPatch(&'static str),
    /// The file does not have the digest that it carries.
    #[error("Damaged: the digest in the file is not that of its contents; copy it again or make it anew")]
    Damaged,
    /// The ELF structures are not what the ELF specification says.
    #[error("Not a readable ELF object: {0}")]
    Elf(String),
    /// The metadata is not what its version promises.
    #[error("Damaged patch metadata: {0}")]
    Metadata(String),
    /// The patch was written by an older or newer generator.
    #[error(
        "Patch format \"{found}\" is not supported, this program reads \"{supported}\"; make it with the patchgen of this release"
    )]
    Version {
        /// The schema named by the file.
        found: String,
        /// The schema that this crate reads.
        supported: &'static str,
    },
    /// A part of the patch contradicts another one.
    #[error("Inconsistent patch: {0}")]
    Inconsistent(String),
    /// The patch could not be written.
    #[error("Cannot write patch: {0}")]
    Write(String),
}
