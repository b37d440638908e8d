//! What a comparison of code leaves open although every byte is the same.

use super::Pair;
use crate::code::{Form, Obstacle, Program, instructions};
use crate::image::FunctionId;
use iced_x86::FlowControl;

/// Why it is not known that two functions, of which no difference was found, are the same. None if it is.
pub(super) fn undecided(pair: &Pair<'_, '_>, old: FunctionId, new: FunctionId) -> Option<String> {
    let (olds, news) = (&pair.old.code(old).obstacles, &pair.new.code(new).obstacles);
    if olds.is_empty() && news.is_empty() {
        return None;
    }
    for obstacle in olds.iter().chain(news) {
        match *obstacle {
            Obstacle::Undecodable { .. } if is_data(pair.old, old) && is_data(pair.new, new) => {}
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

/// True for a table that hand-written assembly has behind a function: no size says that a label names code, nothing branches
/// to it, and the code before it does not run into it. All of its bytes were compared.
fn is_data(program: &Program<'_>, id: FunctionId) -> bool {
    let image = &program.image;
    let is_label = |id: FunctionId| {
        let function = image.function(id);
        function.local && !function.sized && function.parts.len() == 1
    };
    let mut before = id;
    let mut labels = Vec::new();
    while is_label(before) && before.0 > 0 {
        labels.push(image.function(before).parts[0].clone());
        before = FunctionId(before.0 - 1);
    }
    let Some(code) = image.function(before).parts.first().filter(|_| !labels.is_empty()) else {
        return false;
    };
    let runs_on = instructions(image, code.clone()).into_iter().last().is_none_or(|last| {
        !matches!(
            last.flow_control(),
            FlowControl::Return | FlowControl::UnconditionalBranch | FlowControl::Exception
        )
    });
    // What reads as branches in tables is none.
    let tables = |other: FunctionId| {
        let obstacles = &program.code(other).obstacles;
        is_label(other) && obstacles.iter().any(|obstacle| matches!(obstacle, Obstacle::Undecodable { .. }))
    };
    let behind =
        image.function_ids().skip(id.0 as usize).take_while(|behind| is_label(*behind)).count() as u32;
    let run = before.0 + 1..id.0 + behind;
    let others = image.function_ids().filter(|other| !run.contains(&other.0) && !tables(*other));
    let mut branches = others.flat_map(|other| &program.code(other).references).filter(|reference| {
        matches!(reference.form, Form::Branch { .. })
            && labels.iter().any(|label| label.contains(&reference.target))
    });
    !runs_on && branches.next().is_none()
}
