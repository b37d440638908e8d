//! Comparing data: initial values of variables and contents of constants.

use super::matching::is_constant;
use super::{Matching, Pair, Sameness};
use crate::image::ObjectId;
use rayon::prelude::*;

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
    let ids: Vec<ObjectId> = pair.old.image.object_ids().collect();
    ids.par_iter()
        .filter_map(|old| {
            let new = matching.new_object(*old)?;
            let (a, b) = (&pair.old.image.object(*old).range, &pair.new.image.object(new).range);
            // Symbols without a size mark places, `_end` and the like; `_DYNAMIC` describes the file itself.
            if (a.is_empty() && b.is_empty()) || is_file_structure(pair, *old) {
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

/// True for symbols of what the linker makes for the dynamic linker and the unwinder, and for the start files' handle
/// of the image, which has no size.
fn is_file_structure(pair: &Pair<'_, '_>, old: ObjectId) -> bool {
    let object = pair.old.image.object(old);
    let section = &pair.old.image.sections[object.section].name;
    if object.name == "__dso_handle" && !object.sized {
        return true;
    }
    [".dynamic", ".got", ".got.plt", ".eh_frame", ".eh_frame_hdr", ".interp", ".note"]
        .iter()
        .any(|prefix| section.starts_with(prefix))
}
