//! Hot patches in running processes: apply, list, revert.
//!
//! The loader may refuse too often, and never patches when unsure. It redirects functions only while every
//! thread of the target is stopped and none is inside code that changes, and it can be killed at any instant:
//! the target then runs all-old or all-new code, and the next command finishes or undoes what was begun.
//!
//! The modules are in the order of the way of the data: a [`process`] has [`maps`] and [`memory`], in which an
//! [`image`] is found. [`threads`] stops its threads, `inject` makes system calls in one of them, `call` has one that
//! holds no `locks` run a function, to `register` unwind tables. A [`payload`] gets its [`place`],
//! the [`imports`] that other images define ([`dynamic`]), and its [`record`], which tells other patches whether
//! they [`combine`]; [`quiesce`] judges with [`code`], [`unwind`] and [`parked`] whether [`redirect`] may write;
//! [`transition`] puts these together for [`mod@apply`] and [`mod@revert`]. [`mod@list`] and [`mod@status`]
//! only look.
#![deny(unsafe_code)]

pub mod address;
pub mod apply;
mod call;
pub mod cli;
pub mod code;
pub mod combine;
pub mod compare;
pub mod dynamic;
pub mod error;
pub mod image;
pub mod imports;
mod inject;
pub mod list;
pub mod lock;
mod locks;
pub mod maps;
pub mod memory;
pub mod parked;
pub mod payload;
pub mod place;
pub mod presence;
pub mod process;
pub mod quiesce;
pub mod record;
pub mod redirect;
mod register;
pub mod report;
mod restart;
pub mod revert;
pub mod sharers;
mod sigframe;
mod slack;
pub mod status;
mod sys;
pub mod target;
pub mod threads;
pub mod transition;
pub mod unwind;
