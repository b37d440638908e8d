// changed: thread_local_namesakes::step
// refused: ambiguous-function FnOnce9call_once
// same-output:
//! Two thread-local variables of one name in one function, whose code changes places.

#[path = "case.rs"]
mod case;

use std::cell::Cell;

macro_rules! count {
    () => {{
        thread_local! { static COUNT: Cell<usize> = const { Cell::new(0) } }
        COUNT.set(COUNT.get() + 1);
        COUNT.get()
    }};
}

#[inline(never)]
fn step(n: usize) {
    #[cfg(not(new))]
    if n % 3 == 0 {
        print!("first {} ", count!());
    } else {
        print!("others {} ", count!());
    }
    #[cfg(new)]
    if n % 3 != 0 {
        print!("others {} ", count!());
    } else {
        print!("first {} ", count!());
    }
}

fn main() {
    case::run(step);
}
