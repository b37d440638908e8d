//! Variables of the target that changed functions used and the replacement does not have.

use crate::diff::{Matching, Pair, is_constant};
use crate::emit::Change;
use crate::image::Referent;
use std::collections::BTreeSet;

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
