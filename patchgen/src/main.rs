//! `patchgen`: the build-pipeline step. See `patchgen --help`.

use clap::Parser as _;
use patchgen::cli::{self, Cli};
use std::process::ExitCode;

fn main() -> ExitCode {
    let exit = match cli::run(&Cli::parse()) {
        Ok(exit) => exit,
        Err(error) => {
            eprintln!("patchgen: {error:#}");
            cli::Exit::of_error(&error)
        }
    };
    ExitCode::from(exit as u8)
}
