//! Variables that only one of the builds has although the source of both may have them.

use crate::diff::{Matching, Pair, is_constant};
use crate::dwarf::DebugInfo;
use crate::emit::Change;
use crate::image::Referent;
use std::collections::BTreeSet;

/// One warning for each variable of the target's source that its compiler dropped because nobody read it: what the
/// program stored there is not known, and new code begins with the initial value.
pub fn dropped(
    pair: &Pair<'_, '_>,
    matching: &Matching,
    changes: &[Change],
    debug: &DebugInfo<'_>,
) -> Vec<String> {
    let image = &pair.new.image;
    let mut warned = BTreeSet::new();
    let mut warnings = Vec::new();
    for change in changes {
        let units = debug.units_at(pair.old.image.function(change.old).address()).unwrap_or_default();
        for reference in &pair.new.code(change.new).references {
            let Referent::Object { id, .. } = reference.referent else { continue };
            let name = &image.object(id).name;
            let is_new = matching.old_object(id).is_none() && !is_constant(image, id);
            let lacking = || units.iter().any(|unit| debug.lacks_variable(*unit, name).unwrap_or(false));
            if is_new && lacking() && warned.insert(id) {
                warnings.push(format!(
                    "variable `{name}` of `{}` is in the target's source but not in the target, where nothing read it: new \
                     code finds its initial value, not what the program stored",
                    image.function(change.new).name
                ));
            }
        }
    }
    warnings
}

/// One warning for each variable that is given up: what the running process keeps there, new code does not see. The
/// compiler may have dropped it because nothing in the replacement's file changes it, although the live one was.
pub(super) fn given_up(pair: &Pair<'_, '_>, matching: &Matching, changes: &[Change]) -> Vec<String> {
    let image = &pair.old.image;
    let mut warned = BTreeSet::new();
    let mut warnings = Vec::new();
    for change in changes {
        for reference in &pair.old.code(change.old).references {
            let Referent::Object { id, .. } = reference.referent else { continue };
            let given_up = matching.new_object(id).is_none() && !is_constant(image, id);
            if given_up && !image.object(id).is_mark() && warned.insert(id) {
                warnings.push(format!(
                    "variable `{}` of `{}` is not in the replacement: what it holds now is not seen by the new code",
                    image.object(id).name,
                    image.function(change.old).name
                ));
            }
        }
    }
    warnings
}
