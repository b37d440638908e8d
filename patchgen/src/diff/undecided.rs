//! What a comparison of code leaves open although every byte is the same.

use super::Pair;
use crate::code::Obstacle;
use crate::image::FunctionId;

/// Why it is not known that two functions, of which no difference was found, are the same. None if it is.
pub(super) fn undecided(pair: &Pair<'_, '_>, old: FunctionId, new: FunctionId) -> Option<String> {
    let (olds, news) = (&pair.old.code(old).obstacles, &pair.new.code(new).obstacles);
    if olds.is_empty() && news.is_empty() {
        return None;
    }
    for obstacle in olds.iter().chain(news) {
        match *obstacle {
            Obstacle::Undecodable { address } => {
                return Some(format!(
                    "the bytes at {address:#x} are no instruction, so references behind them are not known"
                ));
            }
            Obstacle::Relocation { address } => {
                return Some(format!(
                    "the linker relocated the bytes at {address:#x}, which are not understood"
                ));
            }
            Obstacle::CodeModel { address } => {
                return Some(format!("distances from the base at {address:#x} are plain numbers"));
            }
            // Where a jump leads and what a number means was compared: tables, references, thread-local variables.
            _ => {}
        }
    }
    None
}
