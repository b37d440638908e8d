//! The command line.

use crate::guest::MAX_CPUS;
use std::path::PathBuf;
use std::time::Duration;

/// What `--help` prints.
pub(crate) const USAGE: &str = "\
Usage: minivmm-rs [options]
  minivmm-rs --disk disk.img --control vm.sock --serial vm.log

  --cpus N          number of vCPUs, 1 to 8 (default 2)
  --accel NAME      kvm, soft or auto (default auto: kvm if /dev/kvm works)
  --disk FILE       block device's file, created or extended to 64 KiB
  --serial FILE     serial output (default standard output)
  --control SOCKET  unix socket that answers \"status\" and \"quit\"
  --pace-us N       sleep of a vCPU thread after each yield (default 200)
  --help            this text
";

/// What runs guest code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AccelChoice {
    Auto,
    Kvm,
    Soft,
}

/// How the machine is made.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    pub(crate) cpus: u8,
    pub(crate) accel: AccelChoice,
    pub(crate) disk: Option<PathBuf>,
    pub(crate) serial: Option<PathBuf>,
    pub(crate) control: Option<PathBuf>,
    /// How long a vCPU thread sleeps when its guest yields.
    pub(crate) pace: Duration,
}

/// What the command line asks for.
pub(crate) enum Parsed {
    Run(Config),
    Help,
    Wrong(String),
}

/// Reads the arguments, without the program's name.
pub(crate) fn parse(mut arguments: impl Iterator<Item = String>) -> Parsed {
    let mut config = Config {
        cpus: 2,
        accel: AccelChoice::Auto,
        disk: None,
        serial: None,
        control: None,
        pace: Duration::from_micros(200),
    };
    while let Some(argument) = arguments.next() {
        if argument == "--help" {
            return Parsed::Help;
        }
        let (option, value) = match argument.split_once('=') {
            Some((option, value)) => (option.to_owned(), Some(value.to_owned())),
            None => (argument, None),
        };
        let Some(value) = value.or_else(|| arguments.next()) else {
            return Parsed::Wrong(format!("\"{option}\" is unknown or lacks its value"));
        };
        if let Err(what) = set(&mut config, &option, &value) {
            return Parsed::Wrong(what);
        }
    }
    Parsed::Run(config)
}

fn set(config: &mut Config, option: &str, value: &str) -> Result<(), String> {
    let wrong = || format!("wrong value \"{value}\" of {option}");
    let number = |least: u32, most: u32| {
        value.parse().ok().filter(|number| (least..=most).contains(number)).ok_or_else(wrong)
    };
    match option {
        "--cpus" => config.cpus = number(1, MAX_CPUS)? as u8,
        "--pace-us" => config.pace = Duration::from_micros(number(0, 1_000_000)?.into()),
        "--disk" => config.disk = Some(value.into()),
        "--serial" => config.serial = Some(value.into()),
        "--control" => config.control = Some(value.into()),
        "--accel" => {
            config.accel = match value {
                "auto" => AccelChoice::Auto,
                "kvm" => AccelChoice::Kvm,
                "soft" => AccelChoice::Soft,
                _ => return Err(wrong()),
            }
        }
        _ => return Err(format!("unknown option \"{option}\"")),
    }
    Ok(())
}
