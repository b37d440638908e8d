// changed: collections::tally
//! Collections of the library, grown before and after.

#[path = "case.rs"]
mod case;

use std::collections::{BTreeMap, HashMap};
use std::sync::Mutex;

static SEEN: Mutex<Option<HashMap<String, usize>>> = Mutex::new(None);

#[inline(never)]
fn tally(n: usize) -> String {
    let mut seen = SEEN.lock().unwrap();
    let seen = seen.get_or_insert_with(HashMap::new);
    let key = if cfg!(new) { format!("key {}", n % 3) } else { format!("key {}", n % 3).to_uppercase() };
    *seen.entry(key.to_lowercase()).or_default() += n;
    let sorted: BTreeMap<_, _> = seen.iter().collect();
    format!("{key} {sorted:?}")
}

#[inline(never)]
fn step(n: usize) {
    print!("{}", tally(n));
}

fn main() {
    case::run(step);
}
