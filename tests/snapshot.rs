//! Everything about a process that a patch must not change, seen from outside.

use crate::live::Memory;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::FileExt as _;
use std::thread::sleep;
use std::time::Duration;

/// What the kernel tells of each thread that has to do with signals and tracers.
const THREAD_FIELDS: &[&str] =
    &["Name", "TracerPid", "SigPnd", "ShdPnd", "SigBlk", "SigIgn", "SigCgt", "Seccomp", "NoNewPrivs"];
/// How often a look is taken until what changes by itself has come to rest.
const LOOKS: usize = 50;
/// How long to wait between two looks.
const BETWEEN_LOOKS: Duration = Duration::from_millis(20);

/// One look at a process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// The lines of `/proc/PID/maps`.
    pub maps: Vec<String>,
    /// Number, target and flags of each open file.
    pub files: BTreeMap<u32, String>,
    /// Signal masks and the like of each thread.
    pub threads: BTreeMap<u32, Vec<String>>,
    /// The bytes of each executable mapping that a file or the kernel backs, by its line.
    pub text: BTreeMap<String, Vec<u8>>,
}

/// Memory in use, in KiB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// Resident.
    pub resident: u64,
    /// Private and writable.
    pub data: u64,
}

/// What differs between two looks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Difference {
    /// Mappings that are new.
    pub new_maps: Vec<String>,
    /// Everything else, in words.
    pub other: Vec<String>,
}

impl Snapshot {
    /// Looks at process `pid`, leaving out threads that are called `passing`.
    pub fn of(pid: u32, passing: &str) -> Self {
        let maps: Vec<String> = read(pid, "maps").lines().map(str::to_owned).collect();
        Snapshot { text: text(pid, &maps), maps, files: files(pid), threads: threads(pid, passing) }
    }

    /// Looks at the process until two looks show the same.
    #[track_caller]
    pub fn at_rest(pid: u32, passing: &str) -> Self {
        let mut last = Snapshot::of(pid, passing);
        for _ in 0..LOOKS {
            sleep(BETWEEN_LOOKS);
            let now = Snapshot::of(pid, passing);
            if now == last {
                return now;
            }
            last = now;
        }
        panic!("process {pid} does not come to rest");
    }

    /// What is different in `later`.
    pub fn difference(&self, later: &Snapshot) -> Difference {
        let known: BTreeSet<&String> = self.maps.iter().collect();
        let still: BTreeSet<&String> = later.maps.iter().collect();
        let mut other = Vec::new();
        other.extend(known.difference(&still).map(|line| format!("mapping is gone: {line}")));
        other.extend(differences("file", &self.files, &later.files));
        other.extend(differences("thread", &self.threads, &later.threads));
        for (line, bytes) in &self.text {
            let now = later.text.get(line);
            let at =
                now.map(|now| now.iter().zip(bytes).position(|(now, then)| now != then).unwrap_or(now.len()));
            if at != Some(bytes.len()) {
                other.push(format!("text differs at {at:x?} of {line}"));
            }
        }
        let new_maps = later.maps.iter().filter(|line| !known.contains(line)).cloned().collect();
        Difference { new_maps, other }
    }

    /// Looks at the process again until nothing but mappings differs from this, and returns the new mappings.
    #[track_caller]
    pub fn assert_same(&self, pid: u32, passing: &str) -> Vec<String> {
        let mut difference = Difference::default();
        for _ in 0..LOOKS {
            difference = self.difference(&Snapshot::of(pid, passing));
            if difference.other.is_empty() {
                return difference.new_maps;
            }
            sleep(BETWEEN_LOOKS);
        }
        panic!("process {pid} is not as before:\n{}", difference.other.join("\n"));
    }

    /// Asserts that the text is what the files on disk hold.
    #[track_caller]
    pub fn assert_text_is_of_files(&self) {
        let mut compared = 0;
        for (line, bytes) in &self.text {
            let fields: Vec<&str> = line.split_whitespace().collect();
            let Some(path) = fields.get(5).filter(|path| path.starts_with('/')) else { continue };
            let offset = u64::from_str_radix(fields[2], 16).expect("an offset");
            let file = fs::File::open(path).expect("the file is there");
            let mut original = vec![0; bytes.len()];
            let mut len = 0;
            while let Ok(count @ 1..) = file.read_at(&mut original[len..], offset + len as u64) {
                len += count;
            }
            let at = bytes.iter().zip(&original).position(|(now, file)| now != file);
            assert_eq!(at, None, "differs from the file: {line}");
            compared += 1;
        }
        assert!(compared > 0, "nothing was compared");
    }
}

impl Usage {
    /// Memory that `pid` uses now.
    pub fn of(pid: u32) -> Self {
        let status = read(pid, "status");
        let kib = |name| {
            field(&status, name).trim_end_matches(" kB").trim().parse().expect("a number of kibibytes")
        };
        Usage { resident: kib("VmRSS"), data: kib("VmData") }
    }
}

/// States of the threads of a process (`R`, `S`, `T` and so on) by their numbers.
pub fn thread_states(pid: u32) -> BTreeMap<u32, char> {
    let state = |tid| {
        let status = fs::read_to_string(format!("/proc/{pid}/task/{tid}/status")).ok()?;
        Some((tid, field(&status, "State").chars().next()?))
    };
    tasks(pid).into_iter().filter_map(state).collect()
}

/// The threads of a process.
pub fn tasks(pid: u32) -> Vec<u32> {
    numbers(&format!("/proc/{pid}/task"))
}

fn read(pid: u32, name: &str) -> String {
    let path = format!("/proc/{pid}/{name}");
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn numbers(directory: &str) -> Vec<u32> {
    let entries = fs::read_dir(directory).unwrap_or_else(|error| panic!("{directory}: {error}")).flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

fn field<'a>(status: &'a str, name: &str) -> &'a str {
    let lines = status.lines().filter_map(|line| line.split_once(':'));
    lines.filter(|(key, _)| *key == name).map(|(_, value)| value.trim()).next().unwrap_or_default()
}

fn files(pid: u32) -> BTreeMap<u32, String> {
    let describe = |fd: u32| {
        let target = fs::read_link(format!("/proc/{pid}/fd/{fd}")).ok()?;
        let info = fs::read_to_string(format!("/proc/{pid}/fdinfo/{fd}")).ok()?;
        Some((fd, format!("{} flags {}", target.display(), field(&info, "flags"))))
    };
    numbers(&format!("/proc/{pid}/fd")).into_iter().filter_map(describe).collect()
}

fn threads(pid: u32, passing: &str) -> BTreeMap<u32, Vec<String>> {
    let describe = |tid: u32| {
        // A thread may end meanwhile.
        let status = fs::read_to_string(format!("/proc/{pid}/task/{tid}/status")).ok()?;
        let fields = THREAD_FIELDS.iter().map(|name| format!("{name} {}", field(&status, name)));
        (field(&status, "Name") != passing).then(|| (tid, fields.collect()))
    };
    tasks(pid).into_iter().filter_map(describe).collect()
}

fn text(pid: u32, maps: &[String]) -> BTreeMap<String, Vec<u8>> {
    let memory = Memory::of(pid);
    let is_text = |line: &&String| line.contains(" r-xp ") && (line.contains('/') || line.contains("[vdso]"));
    let read = |line: &String| {
        let (start, end) = line.split(' ').next()?.split_once('-')?;
        let (start, end) = (u64::from_str_radix(start, 16).ok()?, u64::from_str_radix(end, 16).ok()?);
        Some((line.clone(), memory.read(start, end - start)))
    };
    maps.iter().filter(is_text).filter_map(read).collect()
}

fn differences<T: PartialEq + std::fmt::Debug>(
    what: &str,
    before: &BTreeMap<u32, T>,
    later: &BTreeMap<u32, T>,
) -> Vec<String> {
    let keys: BTreeSet<&u32> = before.keys().chain(later.keys()).collect();
    let changed = keys.into_iter().filter(|key| before.get(key) != later.get(key));
    changed.map(|key| format!("{what} {key}: {:?} became {:?}", before.get(key), later.get(key))).collect()
}
