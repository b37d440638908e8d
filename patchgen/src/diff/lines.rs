//! Line numbers passed as immediates: `__LINE__` in `assert`, `error_setg` and the like.

/// Looks up source lines of both builds.
pub trait LineNumbers: Sync {
    /// True if `old_value` in the instruction at `old_address` and `new_value` in the one at `new_address` are the
    /// lines that the line tables of the two builds give for these places.
    fn are_lines(&self, old_address: u64, old_value: u64, new_address: u64, new_value: u64) -> bool;

    /// True if `name` is what `__FILE__` may be for the code at `address` of the replacement.
    fn is_own_file(&self, address: u64, name: &str) -> bool;

    /// What a parameter of the replacement's function at `callee` is by its name. Without a position: whether any of
    /// them is a line.
    fn parameter(&self, callee: u64, position: Option<usize>) -> Parameter;
}

/// What a parameter is by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parameter {
    /// A line number.
    Line,
    /// Something else.
    Other,
    /// Nothing describes the function, or the parameter has no name (`...`).
    Unknown,
}

/// Without debugging information no number is a line number.
impl LineNumbers for () {
    fn are_lines(&self, _: u64, _: u64, _: u64, _: u64) -> bool {
        false
    }

    fn is_own_file(&self, _: u64, _: &str) -> bool {
        false
    }

    fn parameter(&self, _: u64, _: Option<usize>) -> Parameter {
        Parameter::Unknown
    }
}
