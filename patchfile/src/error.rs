//! Why a patch file was not accepted.

/// What is wrong with a patch file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PatchFileError {
    /// The file is not an ELF relocatable object for x86-64, or its ELF structures are damaged.
    #[error("Not a readable x86-64 ELF object: {0}")]
    Elf(String),
    /// The file is an ELF object but carries no patch metadata.
    #[error("No {0} section: this is not a Tardigrade patch")]
    NoMetadata(&'static str),
    /// The metadata is not what its version promises.
    #[error("Damaged patch metadata: {0}")]
    Metadata(String),
    /// The patch was written by a newer generator.
    #[error("Patch format \"{found}\" is not supported, this program reads \"{supported}\"")]
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
