// changed: event_lines::log::{{closure}}
//! Statics as the macros of crate tracing make them: only lines move in those that exist.

#[path = "case.rs"]
mod case;

use std::hint::black_box;
use std::sync::atomic::{AtomicUsize, Ordering};

pub struct Metadata {
    name: &'static str,
    target: &'static str,
    level: usize,
    module_path: Option<&'static str>,
    file: Option<&'static str>,
    line: Option<u32>,
    fields: &'static [&'static str],
    callsite: &'static Callsite,
}

pub struct Callsite {
    count: AtomicUsize,
    meta: &'static Metadata,
}

macro_rules! event {
    ($level:expr, $field:expr) => {{
        static __CALLSITE: Callsite = {
            static META: Metadata = Metadata {
                name: concat!("event ", file!(), ":", line!()),
                target: module_path!(),
                level: $level,
                module_path: Some(module_path!()),
                file: Some(file!()),
                line: Some(line!()),
                fields: &[$field],
                callsite: &__CALLSITE,
            };
            Callsite { count: AtomicUsize::new(0), meta: &META }
        };
        let meta = black_box(&__CALLSITE).meta;
        assert!(meta.name.starts_with("event ") && meta.line.is_some() && meta.module_path.is_some());
        assert!(meta.file.is_some_and(|file| meta.name.contains(file)));
        let count = meta.callsite.count.fetch_add(1, Ordering::Relaxed);
        print!("{} {} {} {count} ", meta.target, meta.level, meta.fields[0]);
    }};
}
//new: // One line more.

#[inline(never)]
fn log(n: usize) -> usize {
    let each: &dyn Fn(usize) -> usize = &|n| {
        event!(3, "number");
        if n % 2 == 0 {
            event!(3, "number");
        } else {
            event!(4, "odd");
        }
        if cfg!(new) { n * 2 } else { n }
    };
    black_box(each)(n)
}

#[inline(never)]
fn step(n: usize) {
    print!("{}", log(n));
}

fn main() {
    case::run(step);
}
