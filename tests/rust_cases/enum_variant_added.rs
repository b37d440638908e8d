// changed: enum_variant_added::advance
// changed: enum_variant_added::step
// refused: type-layout enum_variant_added::State
//! A variant in the middle of an enum of which live objects exist.

#[path = "case.rs"]
mod case;

use std::sync::Mutex;

#[derive(Clone, Copy)]
enum State {
    Idle,
    #[cfg(new)]
    Paused,
    Running(u32),
    Stopped { code: u16 },
}

static STATE: Mutex<State> = Mutex::new(State::Idle);

#[inline(never)]
fn advance(state: &mut State) -> u32 {
    let (next, value) = match *state {
        State::Idle => (State::Running(1), 0),
        #[cfg(new)]
        State::Paused => (State::Idle, 7),
        State::Running(n) if n > 2 => (State::Stopped { code: 9 }, n),
        State::Running(n) => (State::Running(n + 1), n),
        State::Stopped { code } => (State::Idle, code.into()),
    };
    *state = next;
    value
}

#[inline(never)]
fn step(_: usize) {
    #[cfg(new)]
    print!("new ");
    print!("{}", advance(&mut STATE.lock().unwrap()));
}

fn main() {
    case::run(step);
}
