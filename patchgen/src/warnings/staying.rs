//! Changed functions that are never left: the running ones go on in old code, and in strict mode the apply is busy
//! as long as a thread is in one.

use super::Callee;
use crate::code::{Form, Program, Use, instructions};
use crate::emit::Change;
use crate::image::{FunctionId, Referent};
use iced_x86::FlowControl;
use std::collections::BTreeMap;

/// How many references behind the one to a function the call that starts a thread with it may stand.
const NEARBY: usize = 8;

/// One warning for each changed function that stays on a stack.
pub(super) fn stay_on_stacks(program: &Program<'_>, changes: &[Change]) -> Vec<String> {
    let starters = thread_starters(program, changes);
    let warning = |change: &Change| {
        let name = &program.image.function(change.old).name;
        let why = if let Some(starter) = starters.get(&change.old) {
            format!("`{starter}` starts threads with it")
        } else if name == "main" {
            "the first thread is inside it until the program ends".to_owned()
        } else if never_returns(program, change.old) {
            "it loops and has no way back to its caller".to_owned()
        } else {
            return None;
        };
        Some(format!("`{name}` does not leave the stack ({why}): where it runs, the patch cannot be applied"))
    };
    changes.iter().filter_map(warning).collect()
}

/// Which function passes a changed one to a call that starts a thread.
fn thread_starters<'p>(program: &'p Program<'_>, changes: &[Change]) -> BTreeMap<FunctionId, &'p str> {
    let mut starters = BTreeMap::new();
    for (code, caller) in program.code.iter().zip(&program.image.functions) {
        for (index, reference) in code.references.iter().enumerate() {
            let Referent::Code { function, part: 0, offset: 0 } = reference.referent else { continue };
            if reference.usage != Use::Address || !changes.iter().any(|change| change.old == function) {
                continue;
            }
            let starts = code.references[index + 1..].iter().take(NEARBY).any(|later| {
                Callee::of(&program.image, &later.referent)
                    .map(|callee| callee.name(&program.image))
                    .is_some_and(|name| name.ends_with("thread_create") || name == "thrd_create")
            });
            if starts {
                starters.insert(function, caller.name.as_str());
            }
        }
    }
    starters
}

/// True if a function has a loop, and neither a return nor a jump that leads out of it.
fn never_returns(program: &Program<'_>, id: FunctionId) -> bool {
    let function = program.image.function(id);
    let inside = |address: u64| function.parts.iter().any(|part| part.contains(&address));
    let code = program.code(id);
    let leaves = code
        .references
        .iter()
        .any(|reference| matches!(reference.form, Form::Branch { call: false }) && !inside(reference.target));
    if leaves {
        return false;
    }
    let mut loops = false;
    for instruction in function.parts.iter().flat_map(|part| instructions(&program.image, part.clone())) {
        match instruction.flow_control() {
            FlowControl::Return => return false,
            // A switch stays inside; what else an indirect jump does is not known.
            FlowControl::IndirectBranch if code.tables.is_empty() => return false,
            FlowControl::UnconditionalBranch | FlowControl::ConditionalBranch => {
                loops |= instruction.near_branch_target() <= instruction.ip();
            }
            _ => {}
        }
    }
    loops
}
