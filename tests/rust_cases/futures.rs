// changed: futures::answer
//! A future whose function is called; the state machines stay as they are.

#[path = "case.rs"]
mod case;

use std::future::Future;
use std::hint::black_box;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

#[inline(never)]
fn answer(n: usize) -> usize {
    if cfg!(new) { n * 5 } else { n + 5 }
}

struct Yield(bool);

impl Future for Yield {
    type Output = ();
    fn poll(mut self: std::pin::Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        if std::mem::replace(&mut self.0, true) { Poll::Ready(()) } else { Poll::Pending }
    }
}

async fn twice(n: usize) -> usize {
    let first = answer(black_box(n));
    Yield(false).await;
    first + answer(black_box(n + 1))
}

#[inline(never)]
fn step(n: usize) {
    let mut future = pin!(twice(n));
    let mut context = Context::from_waker(Waker::noop());
    let mut polls = 0;
    loop {
        polls += 1;
        if let Poll::Ready(value) = future.as_mut().poll(&mut context) {
            print!("{value} after {polls}");
            return;
        }
    }
}

fn main() {
    case::run(step);
}
