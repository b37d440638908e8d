// changed: bounds_check::read
//! A missing comparison.

#[path = "case.rs"]
mod case;

static CONFIG: [u8; 8] = *b"serialPW";

#[inline(never)]
fn read(config: &[u8], limit: usize, at: usize) -> u8 {
    #[cfg(new)]
    if at >= limit {
        return 0xff;
    }
    config[at]
}

#[inline(never)]
fn step(n: usize) {
    print!("{}", read(std::hint::black_box(&CONFIG), 6, n));
}

fn main() {
    case::run(step);
}
