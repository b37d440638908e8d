//! Why debug information could not be used.

/// A reason not to trust, or not to be able to read, the debug information of a build.
///
/// None of these is ever turned into "nothing found": a caller that gets an error knows nothing about the
/// types, and has to say so.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DwarfError {
    /// The file is not an object file that can be parsed, or one of its debug sections cannot be decompressed.
    #[error("Cannot read the object file: {0}")]
    Object(object::Error),

    /// The file is not linked: its debug sections still need relocations, and its addresses are relative to
    /// sections.
    #[error("The file is relocatable; debug information is only read from linked images")]
    Relocatable,

    /// The DWARF data is damaged, or uses an encoding that is not known.
    #[error("Cannot read the debug information ({section}): {cause}")]
    Malformed {
        /// What was being read.
        section: &'static str,
        /// The parser's reason.
        cause: gimli::Error,
    },

    /// A reference leads to a place where no debugging entry begins.
    #[error("Debug information refers to offset {offset:#x}, where no entry begins")]
    DanglingReference {
        /// The offset in `.debug_info`.
        offset: usize,
    },

    /// A type unit (`-fdebug-types-section`) is nowhere to be found.
    #[error("Debug information refers to the type unit {signature:#018x}, which it does not have")]
    MissingTypeUnit {
        /// Signature of the type.
        signature: u64,
    },

    /// Parts of the debug information are in a second file that `dwz` made (`.gnu_debugaltlink`, `.debug_sup`).
    #[error("Debug information needs a supplementary debug file; expand it with dwz or build without dwz -m")]
    SupplementaryFile,

    /// The unit's debug information is in a `.dwo` file (`-gsplit-dwarf`) that does not exist any more.
    #[error(
        "Debug information is in {}, which is missing or of another build; keep that file, or put the image's .dwp \
         file beside the image",
        path.display()
    )]
    SplitDwarf {
        /// Path of the `.dwo` file.
        path: std::path::PathBuf,
    },

    /// A type nests unnamed types deeper than any compiler does; the entries probably form a cycle.
    #[error("A type in {unit} nests too deeply")]
    TooDeep {
        /// Name of the compilation unit.
        unit: String,
    },
}

impl From<object::Error> for DwarfError {
    fn from(error: object::Error) -> Self {
        Self::Object(error)
    }
}
