// changed: local_namesakes::fill
// new: <local_namesakes::fill::Scale as local_namesakes::Device>::read
// line-only: local_namesakes::step
// new: local_namesakes::fill::call
// same-output:
//! Functions and types of one name in one function, one more in front: their symbols count them, and live objects and
//! pointers go on with what they had.

#[path = "case.rs"]
mod case;

use std::hint::black_box;
use std::sync::Mutex;

trait Device: Send {
    fn read(&self, at: usize) -> usize;
}

macro_rules! device {
    ($factor:expr) => {{
        struct Scale(usize);
        impl Device for Scale {
            fn read(&self, at: usize) -> usize {
                black_box(at) * $factor + self.0
            }
        }
        fn call(n: usize) -> usize {
            black_box(n) * ($factor + 1)
        }
        (Box::new(Scale(1)), call)
    }};
}

type Pair = (Box<dyn Device>, fn(usize) -> usize);

static PAIRS: Mutex<Vec<Pair>> = Mutex::new(Vec::new());

#[inline(never)]
fn fill(n: usize) {
    let mut pairs = PAIRS.lock().unwrap();
    if pairs.is_empty() {
        //new: if n == 99 { pairs.push(device!(5)); }
        pairs.push(device!(17));
        pairs.push(device!(23));
    }
}

#[inline(never)]
fn step(n: usize) {
    fill(n);
    for (device, call) in black_box(&*PAIRS.lock().unwrap()) {
        print!("{} {} ", device.read(n), call(n));
    }
}

fn main() {
    case::run(step);
}
