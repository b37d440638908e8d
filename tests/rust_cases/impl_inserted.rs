// changed: <impl_inserted::Circle as impl_inserted::Area>::area
//! An `impl` block before others moves the numbers of those behind it.

#[path = "case.rs"]
mod case;

use std::hint::black_box;

trait Area {
    fn area(&self) -> usize;
}

struct Square(usize);
struct Circle(usize);

#[cfg(new)]
#[allow(dead_code)]
impl Square {
    fn side(&self) -> usize {
        self.0
    }
}

#[cfg(new)]
impl Clone for Square {
    fn clone(&self) -> Self {
        Square(self.0)
    }
}

impl Area for Square {
    #[inline(never)]
    fn area(&self) -> usize {
        self.0 * self.0
    }
}

impl Area for Circle {
    #[inline(never)]
    fn area(&self) -> usize {
        if cfg!(new) { self.0 * self.0 * 3 } else { self.0 * 3 }
    }
}

#[inline(never)]
fn step(n: usize) {
    let shapes: [&dyn Area; 2] = [&Square(n), &Circle(n)];
    for shape in black_box(shapes) {
        print!("{} ", shape.area());
    }
}

fn main() {
    case::run(step);
}
