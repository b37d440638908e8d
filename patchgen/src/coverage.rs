//! Code that no symbol covers: nothing can be said about it, so it must not be there.

use crate::code::Program;
use crate::emit::padding_len;
use crate::image::Access;
use std::ops::Range;

/// Stretches of code that belong to no function and no PLT stub and are not padding.
pub fn uncovered(program: &Program<'_>) -> Vec<Range<u64>> {
    let image = &program.image;
    let mut found = Vec::new();
    for section in image.sections.iter().filter(|section| section.access == Access::Execute) {
        let linkage = section.name.starts_with(".plt") || section.name == ".iplt";
        // Fragments of one function that crti and crtn share; they have no symbol of their own in every build.
        let start_files = section.name == ".init" || section.name == ".fini";
        if linkage || start_files {
            continue;
        }
        let mut at = section.range.start;
        let inside = image.code_parts().filter(|range| section.range.contains(&range.start));
        for range in inside.chain(std::iter::once(section.range.end..section.range.end)) {
            if range.start > at {
                let bytes = image.bytes(at..range.start).unwrap_or_default();
                let padding = padding_len(bytes);
                if padding < bytes.len() as u64 {
                    found.push(at + padding..range.start);
                }
            }
            at = at.max(range.end);
        }
    }
    found
}
