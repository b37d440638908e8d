//! Changed functions that may be suspended: no thread is inside, but a coroutine goes on in old code later.

use super::Callee;
use crate::code::{Form, Program};
use crate::emit::Change;
use crate::image::FunctionId;
use std::collections::{BTreeSet, VecDeque};

/// Functions that leave a stack to come back to it: ucontext, QEMU, Boost.Context, libcoro.
const SWITCHES: [&str; 6] = [
    "swapcontext",
    "qemu_coroutine_yield",
    "qemu_coroutine_switch",
    "qemu_aio_coroutine_enter",
    "jump_fcontext",
    "coro_transfer",
];
/// Calls from a changed function down to such a function.
const DEPTH: usize = 3;

/// One warning for each changed function that a coroutine may be suspended in.
pub(super) fn may_be_suspended(program: &Program<'_>, changes: &[Change]) -> Vec<String> {
    let warning = |change: &Change| {
        let name = &program.image.function(change.old).name;
        // The body of a C++20 coroutine as gcc and clang name it.
        let is_body = name.split('.').skip(1).any(|piece| piece == "actor" || piece == "resume");
        if is_body {
            return Some(format!(
                "`{name}` is the body of a coroutine: one that is suspended goes on in the new code, with the frame that it has"
            ));
        }
        let how = format!("it calls {}", way_to_switch(program, change.old)?);
        Some(format!(
            "`{name}` may be suspended in a coroutine ({how}): the apply is busy as long as one is, and one whose \
             frames do not lie on a stack of their own goes on in old code"
        ))
    };
    changes.iter().filter_map(warning).collect()
}

/// The shortest way of direct calls from a function to one that switches stacks.
fn way_to_switch(program: &Program<'_>, from: FunctionId) -> Option<String> {
    let mut seen = BTreeSet::from([from]);
    let mut open = VecDeque::from([(from, Vec::new())]);
    while let Some((id, way)) = open.pop_front() {
        for reference in &program.code(id).references {
            if !matches!(reference.form, Form::Branch { .. }) {
                continue;
            }
            let Some(callee) = Callee::of(&program.image, &reference.referent) else { continue };
            let name = callee.name(&program.image);
            let mut way: Vec<&str> = way.clone();
            way.push(name);
            if SWITCHES.contains(&name) {
                let names: Vec<String> = way.iter().map(|name| format!("`{name}`")).collect();
                return Some(names.join(", which calls "));
            }
            if let Callee::Function(id) = callee
                && way.len() < DEPTH
                && seen.insert(id)
            {
                open.push_back((id, way));
            }
        }
    }
    None
}
