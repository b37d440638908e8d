//! The crates of Rust that a build is made of, and what tells two builds of one crate apart.

use std::collections::{BTreeMap, BTreeSet};

use super::DwarfError;
use super::debug_info::DebugInfo;
use crate::image::is_codegen_unit;

impl DebugInfo<'_> {
    /// The crates with code, and the hash of each crate's identity: rustc makes it of the name and of what `-C metadata`
    /// says, to which cargo gives a package's version and source. Several of one name may be in a program.
    pub fn crate_identities(&self) -> Result<BTreeMap<String, BTreeSet<String>>, DwarfError> {
        let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for id in self.unit_ids()? {
            if self.unit(id)?.is_rust()
                && let Some((name, hash)) = identity(self.unit_name(id)?)
            {
                found.entry(name.to_owned()).or_default().insert(hash.to_owned());
            }
        }
        Ok(found)
    }
}

/// Crate and hash of a unit that rustc calls `src/main.rs/@/CRATE.HASH-cgu.0`.
fn identity(unit: &str) -> Option<(&str, &str)> {
    let (_, unit) = unit.rsplit_once("/@/")?;
    if !is_codegen_unit(unit) {
        return None;
    }
    let (name, rest) = unit.split_once('.')?;
    Some((name, rest.split_once("-cgu")?.0))
}

#[cfg(test)]
mod tests {
    use super::identity;

    #[test]
    fn identities_of_units() {
        let hash = Some(("tool", "3bc657c07316ee4a"));
        assert_eq!(identity("src/main.rs/@/tool.3bc657c07316ee4a-cgu.00"), hash);
        assert_eq!(identity("src/main.rs"), None);
        assert_eq!(identity("src/main.rs/@/tool"), None);
    }
}
