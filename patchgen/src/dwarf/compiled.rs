//! What a compiler saw at once: within it, the code of one function rests on that of others.

use super::DwarfError;
use super::debug_info::DebugInfo;
use super::unit::UnitId;
use crate::image::is_codegen_unit;
use std::collections::HashMap;

/// Stands for everything that link-time optimisation compiled together.
const LINKED: &str = "link-time optimisation";

impl DebugInfo<'_> {
    /// What the code at an address was compiled with: the name of its unit's file without directories, which may not be
    /// the same in two builds, `crate NAME` for Rust, or one name for all of a program with link-time optimisation. None
    /// if that is not known.
    pub fn compiled_with(&self, address: u64) -> Result<Option<String>, DwarfError> {
        let [unit] = self.units_at(address)?[..] else { return Ok(None) };
        if self.is_optimised_at_link()? {
            return Ok(Some(LINKED.to_owned()));
        }
        self.unit_label(unit).map(Some)
    }

    fn unit_label(&self, unit: UnitId) -> Result<String, DwarfError> {
        let unit = self.full_unit(unit)?;
        let (_, producer) = self.unit(unit)?.tag_and_producer(self)?;
        let name = self.unit_name(unit)?;
        // gcc tells its flags; what it compiles at the link has no file.
        let linked = producer.contains(" -flto") || producer.contains(" -fltrans") || name.starts_with('<');
        Ok(if linked { LINKED.to_owned() } else { label(name) })
    }

    /// True if units of several files come from one object file, as only link-time optimisation makes them: units of one
    /// object file share its table of abbreviations.
    fn is_optimised_at_link(&self) -> Result<bool, DwarfError> {
        self.merged
            .get_or_init(|| {
                let mut tables: HashMap<usize, String> = HashMap::new();
                for id in self.unit_ids()? {
                    let unit = self.unit(id)?;
                    // Partial units are parts of others.
                    if unit.tag_and_producer(self)?.0 == gimli::DW_TAG_partial_unit {
                        continue;
                    }
                    let label = self.unit_label(id)?;
                    let table = unit.gimli().header.debug_abbrev_offset().0;
                    let other = tables.entry(table).or_insert_with(|| label.clone());
                    if *other != label || label == LINKED {
                        return Ok(true);
                    }
                }
                Ok(false)
            })
            .clone()
    }
}

/// What a unit is called, whichever directory a build was made in and whichever piece of a crate it is.
pub(crate) fn label(name: &str) -> String {
    // rustc: `src/main.rs/@/CRATE.HASH-cgu.N`, and without debugging information `CRATE.HASH-cgu.N`.
    let last = name.rsplit('/').next().unwrap_or(name);
    if name.contains("/@/") || is_codegen_unit(last) {
        return format!("crate {}", last.split('.').next().unwrap_or(last));
    }
    last.to_owned()
}

#[cfg(test)]
mod tests {
    use super::label;

    #[test]
    fn names_of_units() {
        assert_eq!(label("src/a.c"), "a.c");
        assert_eq!(label("/build/src/a.c"), "a.c");
        assert_eq!(label("src/main.rs/@/tool.5e7a-cgu.0"), "crate tool");
        assert_eq!(label("src/main.rs/@/tool.5e7a-cgu.11"), "crate tool");
        assert_eq!(label("tool.5e7a-cgu.3"), "crate tool");
    }
}
