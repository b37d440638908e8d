// changed: static_namesakes::step
// refused: ambiguous-variable 16static_namesakes4step5COUNT
// refused: ambiguous-variable 16static_namesakes4step5COUNT
// refused: ambiguous-variable 16static_namesakes4step5COUNT
// same-output:
//! Statics of one name in one function, one more in front: their symbols count them.

#[path = "case.rs"]
mod case;

use std::sync::atomic::{AtomicUsize, Ordering};

macro_rules! count {
    () => {{
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        COUNT.fetch_add(1, Ordering::Relaxed)
    }};
}

#[inline(never)]
fn step(n: usize) {
    //new: if n == 99 { print!("never {} ", count!()); }
    if n % 3 == 0 {
        print!("first {} ", count!());
    } else {
        print!("others {} ", count!());
    }
}

fn main() {
    case::run(step);
}
