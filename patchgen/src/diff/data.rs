//! Comparing data: initial values of variables and contents of constants.

use super::matching::is_constant;
use super::{Matching, Pair, Sameness, data_pointers};
use crate::code::Program;
use crate::image::{FunctionId, ObjectId, Pointer};
use rayon::prelude::*;
use std::collections::HashMap;

/// A named object that is not the same in both builds.
#[derive(Clone, Debug)]
pub struct DataChange {
    /// The object in the target.
    pub old: ObjectId,
    /// The object in the replacement.
    pub new: ObjectId,
    /// True if it is never written.
    pub constant: bool,
    /// True if its size is another one.
    pub resized: bool,
    /// What changed, for people.
    pub detail: String,
}

/// Compares all matched objects.
pub fn compare_data(pair: &Pair<'_, '_>, matching: &Matching) -> Vec<DataChange> {
    let same = Sameness::strict(pair, matching);
    let (old_labels, new_labels) = (label_tables(pair.old), label_tables(pair.new));
    let ids: Vec<ObjectId> = pair.old.image.object_ids().collect();
    ids.par_iter()
        .filter_map(|old| {
            let new = matching.new_object(*old)?;
            let (a, b) = (&pair.old.image.object(*old).range, &pair.new.image.object(new).range);
            // Symbols without a size mark places, `_end` and the like; `_DYNAMIC` describes the file itself.
            if (a.is_empty() && b.is_empty()) || is_file_structure(pair, *old) {
                return None;
            }
            // Such a table goes with its function, of which it is a part.
            if let (Some(old), Some(new)) = (old_labels.get(old), new_labels.get(&new))
                && matching.new_function(*old) == Some(*new)
            {
                return None;
            }
            let (was, is) = (is_constant(&pair.old.image, *old), is_constant(&pair.new.image, new));
            let detail = match (was, is) {
                (true, false) => "it was a constant and is a variable now".to_owned(),
                (false, true) => "it was a variable and is a constant now".to_owned(),
                _ => same.object_contents(*old, new).err()?,
            };
            Some(DataChange {
                old: *old,
                new,
                constant: was && is,
                resized: a.end - a.start != b.end - b.start,
                detail,
            })
        })
        .collect()
}

/// The named tables of labels that only the function around the labels refers to.
fn label_tables(program: &Program<'_>) -> HashMap<ObjectId, FunctionId> {
    let image = &program.image;
    let mut found = HashMap::new();
    for (index, code) in program.code.iter().enumerate() {
        for table in code.tables.iter().filter(|table| table.absolute) {
            if let Some((id, 0)) = image.object_at(table.address)
                && !image.exports.contains(&image.object(id).name)
            {
                found.insert(id, FunctionId(index as u32));
            }
        }
    }
    if found.is_empty() {
        return found;
    }
    let table_at = |address| image.object_at(address).map(|(id, _)| id);
    for (index, code) in program.code.iter().enumerate() {
        for reference in &code.references {
            if let Some(id) = table_at(reference.target)
                && let Some(function) = found.get(&id)
                && (function.0 as usize != index || code.table_at(reference.target).is_none())
            {
                found.remove(&id);
            }
        }
    }
    for (_, pointer) in data_pointers(image, 0..u64::MAX) {
        if let Pointer::Address(address) = pointer
            && let Some(id) = table_at(address)
        {
            found.remove(&id);
        }
    }
    found
}

/// True for symbols of what the linker makes for the dynamic linker and the unwinder, and for those that LLVM gives to
/// exception tables: these belong to functions, and are compared with them.
fn is_file_structure(pair: &Pair<'_, '_>, old: ObjectId) -> bool {
    let object = pair.old.image.object(old);
    let section = &pair.old.image.sections[object.section].name;
    // Exception tables are compared with the functions that they are for.
    [".dynamic", ".got", ".got.plt", ".eh_frame", ".eh_frame_hdr", ".gcc_except_table", ".interp", ".note"]
        .iter()
        .any(|prefix| section.starts_with(prefix))
}
