//! What a comparison of code leaves open although every byte is the same.

use super::Pair;
use crate::code::{Obstacle, instructions};
use crate::image::{FunctionId, Image};
use iced_x86::Register;

/// Why it is not known that two functions, of which no difference was found, are the same. None if it is.
pub(super) fn undecided(pair: &Pair<'_, '_>, old: FunctionId, new: FunctionId) -> Option<String> {
    let (olds, news) = (&pair.old.code(old).obstacles, &pair.new.code(new).obstacles);
    if olds.is_empty() && news.is_empty() {
        return None;
    }
    let same_layout = pair.old.image.tls == pair.new.image.tls;
    let mut old_variables = Vec::new();
    let mut new_variables = Vec::new();
    for (obstacles, image, variables) in
        [(olds, &pair.old.image, &mut old_variables), (news, &pair.new.image, &mut new_variables)]
    {
        for obstacle in obstacles {
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
                Obstacle::ThreadLocal { address } if !same_layout => match variable(image, address) {
                    Some(variable) => variables.push(variable),
                    None => return Some(moved(address)),
                },
                // Where a jump leads and what a number means was compared: tables and references.
                _ => {}
            }
        }
    }
    (old_variables != new_variables)
        .then(|| "another thread-local variable has the place of its own".to_owned())
}

fn moved(address: u64) -> String {
    format!(
        "the thread-local access at {address:#x} is a plain number, and the layout of thread-local storage is not the \
         same in both builds"
    )
}

/// The thread-local variable, and the place in it, that an instruction names by its distance from the thread pointer.
fn variable<'i>(image: &'i Image<'_>, address: u64) -> Option<(&'i str, i64)> {
    let instruction = instructions(image, address..address + 16).into_iter().next()?;
    let direct = instruction.memory_base() == Register::None && instruction.memory_index() == Register::None;
    // An instruction with a 32-bit displacement names a negative distance.
    let at = i64::from(instruction.memory_displacement64() as u32 as i32);
    let holds = |offset: i64, size: u64| at >= offset && at < offset + size as i64;
    let found = image.tls.iter().find(|variable| holds(variable.offset, variable.size))?;
    (direct && image.tls_is_fixed).then_some((found.name.as_str(), at - found.offset))
}
