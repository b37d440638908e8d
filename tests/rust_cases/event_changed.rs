// changed: event_changed::step
// refused: data-changed __CALLSITE4META
//! A static as the macros of crate tracing make them, of which more than the line changes.

#[path = "case.rs"]
mod case;

use std::hint::black_box;
use std::sync::atomic::{AtomicUsize, Ordering};

pub struct Metadata {
    name: &'static str,
    level: usize,
    file: Option<&'static str>,
    line: Option<u32>,
    callsite: &'static Callsite,
}

pub struct Callsite {
    count: AtomicUsize,
    meta: &'static Metadata,
}

macro_rules! callsite {
    ($level:expr) => {{
        static __CALLSITE: Callsite = {
            static META: Metadata = Metadata {
                name: concat!("event ", file!(), ":", line!()),
                level: $level,
                file: Some(file!()),
                line: Some(line!()),
                callsite: &__CALLSITE,
            };
            Callsite { count: AtomicUsize::new(0), meta: &META }
        };
        black_box(&__CALLSITE).meta
    }};
}

//new: // One line more.
#[inline(never)]
fn step(n: usize) {
    let meta = callsite!(if cfg!(new) { 3 } else { 4 });
    assert!(meta.line.is_some() && meta.file.is_some_and(|file| meta.name.contains(file)));
    let count = meta.callsite.count.fetch_add(1, Ordering::Relaxed);
    print!("{n} {} {count}{}", meta.level, if cfg!(new) { "!" } else { "" });
}

fn main() {
    case::run(step);
}
