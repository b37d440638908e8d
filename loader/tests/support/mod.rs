//! A helper that starts a target, makes a patch for it by hand, and talks to it.
#![allow(dead_code, unreachable_pub, reason = "each test binary uses a part")]

use loader::apply::{ApplyOptions, LoadedPatch, apply};
use loader::error::Result as LoaderResult;
use loader::report::{Effort, Outcome};
use loader::revert::{PatchName, revert};
use patchfile::{
    BuildId, Change, CodeRange, Delta, DeltaOp, Function, ImageRef, LinkAddr, Patch, Place, Redirect,
    RedirectKind, Relocation, RelocationKind, Section, SectionContents, SectionKind, Sha256, Symbol,
    SymbolKind,
};
use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Output, Stdio};
use std::sync::{Mutex, MutexGuard, OnceLock};
use std::time::Duration;

/// How the target is linked.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Link {
    Pie,
    NonPie,
    StaticPie,
    Static,
}

/// A built target.
pub struct Image {
    pub path: PathBuf,
    pub build_id: BuildId,
    symbols: HashMap<String, (u64, u64)>,
    bytes: Vec<u8>,
    segments: Vec<(u64, u64, u64)>,
}

const SOURCE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/victim.c");

/// A directory of its own for this test binary.
pub fn scratch() -> &'static Path {
    static SCRATCH: OnceLock<PathBuf> = OnceLock::new();
    SCRATCH.get_or_init(|| {
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("loader-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        path
    })
}

/// Builds the target, once for each way of linking.
pub fn image(link: Link) -> &'static Image {
    static IMAGES: OnceLock<Mutex<HashMap<Link, &'static Image>>> = OnceLock::new();
    let mut images = IMAGES.get_or_init(Mutex::default).lock().unwrap();
    images.entry(link).or_insert_with(|| Box::leak(Box::new(build(link))))
}

fn build(link: Link) -> Image {
    let path = scratch().join(format!("victim-{link:?}"));
    let flags: &[&str] = match link {
        Link::Pie => &["-fPIE", "-pie"],
        Link::NonPie => &["-fno-pie", "-no-pie"],
        Link::StaticPie => &["-fPIE", "-static-pie"],
        Link::Static => &["-fno-pie", "-static"],
    };
    let status = Command::new("gcc")
        .args(["-O2", "-pthread", "-Wl,--build-id", "-o"])
        .arg(&path)
        .args(flags)
        .arg(SOURCE)
        .status()
        .expect("gcc runs");
    assert!(status.success(), "the target compiles");
    Image::read(path)
}

impl Image {
    pub fn read(path: PathBuf) -> Image {
        let bytes = std::fs::read(&path).unwrap();
        let elf = goblin::elf::Elf::parse(&bytes).unwrap();
        let note = elf
            .iter_note_headers(&bytes)
            .unwrap()
            .filter_map(Result::ok)
            .find(|note| note.name == "GNU" && note.n_type == goblin::elf::note::NT_GNU_BUILD_ID)
            .expect("a build ID");
        let build_id = BuildId(note.desc.to_vec());
        let symbols = elf
            .syms
            .iter()
            .filter_map(|symbol| {
                let name = elf.strtab.get_at(symbol.st_name)?.to_owned();
                Some((name, (symbol.st_value, symbol.st_size)))
            })
            .collect();
        let segments = elf
            .program_headers
            .iter()
            .filter(|header| header.p_type == goblin::elf::program_header::PT_LOAD)
            .map(|header| (header.p_vaddr, header.p_filesz, header.p_offset))
            .collect();
        drop(elf);
        Image { path, build_id, symbols, bytes, segments }
    }

    /// Link address and size of a symbol.
    pub fn symbol(&self, name: &str) -> (u64, u64) {
        *self.symbols.get(name).unwrap_or_else(|| panic!("no symbol {name}"))
    }

    pub fn bytes_at(&self, address: u64, len: u64) -> &[u8] {
        let (start, _, offset) = self
            .segments
            .iter()
            .find(|(start, len, _)| (*start..start + len).contains(&address))
            .expect("an address in the image");
        let at = (address - start + offset) as usize;
        &self.bytes[at..at + len as usize]
    }
}

/// One function of a hand-made patch.
#[derive(Clone, Copy)]
pub struct Replacement {
    pub name: &'static str,
    /// Bytes of whole, position-independent instructions at the entry that the redirect covers.
    pub entry_len: u64,
    /// Symbol of the padding for a short jump.
    pub island: Option<&'static str>,
    pub returns: u32,
}

pub const ANSWER: Replacement = Replacement { name: "answer", entry_len: 5, island: None, returns: 2 };
pub const TWIN: Replacement = Replacement { name: "twin", entry_len: 5, island: None, returns: 2 };
pub const TINY: Replacement =
    Replacement { name: "tiny", entry_len: 2, island: Some("tiny_padding"), returns: 2 };
pub const SLOW: Replacement = Replacement { name: "slow", entry_len: 5, island: None, returns: 2 };

/// The patch for the functions that the target checks all the time.
pub fn checked_patch(image: &Image) -> Patch {
    patch(image, &[ANSWER, TWIN, TINY])
}

/// The same with something to register: the stub calls a function of the target.
pub fn registered_patch(image: &Image) -> Patch {
    let mut patch = checked_patch(image);
    let mut add = |name: &str, kind, contents: SectionContents, relocations| {
        let (section, size) = (patch.sections.len(), contents.len());
        patch.sections.push(Section { name: name.to_owned(), kind, align: 16, contents, relocations });
        let place = Place::Patch { section, offset: 0 };
        let kind = if kind == SectionKind::Text { SymbolKind::Function } else { SymbolKind::Object };
        patch.symbols.push(Symbol { name: name.to_owned(), place, size, kind });
        patch.symbols.len() - 1
    };
    let frames = add(".eh_frame", SectionKind::ReadOnly, SectionContents::Bytes(vec![0; 4]), vec![]);
    let state = add(".data.unwinding", SectionKind::Data, SectionContents::Zero(32), vec![]);
    // xor %eax,%eax; mov $1,%ecx; lock cmpxchg %cl,state(%rip); jne 1f; call register_tables;
    // movb $2,state(%rip); 1: mov $15,%eax; syscall
    let mut code = vec![0x31, 0xc0, 0xb9, 1, 0, 0, 0, 0xf0, 0x0f, 0xb0, 0x0d, 0, 0, 0, 0, 0x75, 12];
    code.extend([0xe8, 0, 0, 0, 0, 0xc6, 0x05, 0, 0, 0, 0, 2, 0xb8, 15, 0, 0, 0, 0x0f, 0x05]);
    // Behind the state's symbol and the stub's own.
    let function = state + 2;
    let field = |offset, symbol, addend| Relocation { offset, kind: RelocationKind::Pc32, symbol, addend };
    let relocations = vec![field(11, state, -4), field(18, function, -4), field(24, state, -5)];
    let stub = add(".text.unwinding", SectionKind::Text, SectionContents::Bytes(code), relocations);
    let place = Place::Target(LinkAddr(image.symbol("register_tables").0));
    patch.symbols.push(Symbol {
        name: "register_tables".to_owned(),
        place,
        size: 0,
        kind: SymbolKind::Function,
    });
    patch.unwinding = Some(patchfile::Unwinding { frames, stub, state, target_frames: None, avoid: vec![] });
    patch
}

/// A patch made by hand: gate, counter, a constant copied from the target, and for each function its new code
/// and its trampoline.
pub fn patch(image: &Image, replacements: &[Replacement]) -> Patch {
    let symbol = |name: &str, place, size, kind| Symbol { name: name.to_owned(), place, size, kind };
    let (constant, constant_len) = image.symbol("constant");
    let constant_bytes = image.bytes_at(constant, constant_len).to_vec();
    let mut sections = vec![
        Section {
            name: ".rodata.gate".to_owned(),
            kind: SectionKind::ReadOnly,
            align: 1,
            contents: SectionContents::Bytes(vec![0]),
            relocations: vec![],
        },
        Section {
            name: ".data.counter".to_owned(),
            kind: SectionKind::Data,
            align: 8,
            contents: SectionContents::Bytes(vec![0; 8]),
            relocations: vec![],
        },
        Section {
            name: ".bss".to_owned(),
            kind: SectionKind::Data,
            align: 64,
            contents: SectionContents::Zero(100),
            relocations: vec![],
        },
        Section {
            name: ".rodata.delta".to_owned(),
            kind: SectionKind::ReadOnly,
            align: 16,
            contents: SectionContents::Delta(Delta {
                len: constant_len + 4,
                sha256: Sha256::of(&[b"new ".as_slice(), &constant_bytes].concat()),
                ops: vec![
                    DeltaOp::Literal(b"new ".to_vec()),
                    DeltaOp::Copy { from: LinkAddr(constant), len: constant_len },
                ],
            }),
            relocations: vec![],
        },
    ];
    let mut symbols = vec![
        symbol(patchfile::format::GATE_SYMBOL, Place::Patch { section: 0, offset: 0 }, 1, SymbolKind::Object),
        symbol("counter", Place::Patch { section: 1, offset: 0 }, 8, SymbolKind::Object),
    ];
    let mut functions = Vec::new();
    for replacement in replacements {
        let (address, size) = image.symbol(replacement.name);
        let relocation =
            |offset, symbol, addend| Relocation { offset, kind: RelocationKind::Pc32, symbol, addend };
        let entry = image.bytes_at(address, replacement.entry_len);

        // lock incl counter(%rip); mov $N,%eax; ret
        let mut new = vec![0xf0, 0xff, 0x05, 0, 0, 0, 0, 0xb8];
        new.extend(replacement.returns.to_le_bytes());
        new.push(0xc3);
        let new_symbol = symbols.len();
        let place = Place::Patch { section: sections.len(), offset: 0 };
        symbols.push(symbol(replacement.name, place, new.len() as u64, SymbolKind::Function));
        sections.push(Section {
            name: format!(".text.{}", replacement.name),
            kind: SectionKind::Text,
            align: 16,
            contents: SectionContents::Bytes(new.clone()),
            relocations: vec![relocation(3, 1, -4)],
        });

        let back = symbols.len();
        let place = Place::Target(LinkAddr(address + replacement.entry_len));
        symbols.push(symbol(&format!("{}+entry", replacement.name), place, 0, SymbolKind::None));
        // cmpb $0,gate(%rip); je 1f; jmp new; 1: entry; jmp back
        let mut trampoline = vec![0x80, 0x3d, 0, 0, 0, 0, 0, 0x74, 5, 0xe9, 0, 0, 0, 0];
        trampoline.extend(entry);
        trampoline.extend([0xe9, 0, 0, 0, 0]);
        let len = trampoline.len() as u64;
        let trampoline_symbol = symbols.len();
        let place = Place::Patch { section: sections.len(), offset: 0 };
        symbols.push(symbol(&format!("{}.trampoline", replacement.name), place, len, SymbolKind::Function));
        sections.push(Section {
            name: format!(".text.{}.trampoline", replacement.name),
            kind: SectionKind::Text,
            align: 16,
            contents: SectionContents::Bytes(trampoline),
            relocations: vec![
                relocation(2, 0, -5),
                relocation(10, new_symbol, -4),
                relocation(len - 4, back, -4),
            ],
        });

        let (kind, site_len) = match replacement.island {
            None => (RedirectKind::Near, 5),
            Some(padding) => {
                let (island, _) = image.symbol(padding);
                let original = image.bytes_at(island, 5).to_vec();
                (RedirectKind::Short { island: LinkAddr(island), original }, 2)
            }
        };
        functions.push(Function {
            unit: None,
            name: replacement.name.to_owned(),
            source: Some("victim.c".to_owned()),
            change: Change::Changed,
            reasons: vec!["made by hand".to_owned()],
            symbol: new_symbol,
            new_size: new.len() as u64,
            old: vec![CodeRange {
                address: LinkAddr(address),
                size,
                sha256: Sha256::of(image.bytes_at(address, size)),
            }],
            redirect: Some(Redirect {
                site: LinkAddr(address),
                kind,
                original: image.bytes_at(address, site_len).to_vec(),
                trampoline: trampoline_symbol,
                back_edge: false,
            }),
        });
    }
    let name = image.path.file_name().unwrap().to_string_lossy().into_owned();
    let reference = ImageRef { name, build_id: image.build_id.clone() };
    Patch {
        target: reference.clone(),
        replacement: reference,
        generator: "by hand".to_owned(),
        functions,
        sections,
        symbols,
        gate: 0,
        exports: Vec::new(),
        unwinding: None,
    }
}

/// A running target.
pub struct Victim {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    _turn: MutexGuard<'static, ()>,
}

/// Targets keep the processors busy: one at a time.
fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

impl Victim {
    pub fn start(image: &Image, arguments: &[&str]) -> Victim {
        let turn = turn();
        let mut child = Command::new(&image.path)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let input = child.stdin.take().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let mut victim = Victim { child, input, output, _turn: turn };
        assert_eq!(victim.line(), "ready");
        victim
    }

    pub fn pid(&self) -> i32 {
        self.child.id() as i32
    }

    /// Runtime address of a symbol.
    pub fn address(&self, image: &Image, symbol: &str) -> u64 {
        let path = image.path.to_string_lossy();
        let map = self.mappings();
        let first = map.iter().find(|line| line.contains(&*path)).unwrap();
        let start = u64::from_str_radix(first.split_once('-').unwrap().0, 16).unwrap();
        let (link, _, _) = image.segments[0];
        image.symbol(symbol).0 - (link & !4095) + start
    }

    /// Reads one word of the target's memory.
    pub fn peek(&self, address: u64) -> u64 {
        let mem = std::fs::File::open(format!("/proc/{}/mem", self.pid())).unwrap();
        let mut bytes = [0; 8];
        std::os::unix::fs::FileExt::read_exact_at(&mem, &mut bytes, address).unwrap();
        u64::from_le_bytes(bytes)
    }

    /// Writes into the target's memory behind the loader's back.
    pub fn poke(&self, address: u64, bytes: &[u8]) {
        let mem = std::fs::OpenOptions::new().write(true).open(format!("/proc/{}/mem", self.pid())).unwrap();
        std::os::unix::fs::FileExt::write_all_at(&mem, bytes, address).unwrap();
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    /// Sends a command and returns the answer.
    pub fn ask(&mut self, command: &str) -> String {
        writeln!(self.input, "{command}").unwrap();
        self.line()
    }

    pub fn report(&mut self) -> HashMap<String, i64> {
        let line = self.ask("r");
        assert!(!line.is_empty(), "the target is alive");
        line.split(' ')
            .map(|field| {
                let (name, value) = field.split_once('=').unwrap();
                (name.to_owned(), value.parse().unwrap())
            })
            .collect()
    }

    /// Asserts that the target noticed nothing, and returns its report.
    #[track_caller]
    pub fn unharmed(&mut self) -> HashMap<String, i64> {
        let report = self.unharmed_but_mixed();
        assert_eq!(report["mixed"], 0, "{report:?}");
        report
    }

    /// The same for a patch of only some of the functions.
    #[track_caller]
    pub fn unharmed_but_mixed(&mut self) -> HashMap<String, i64> {
        let report = self.report();
        for name in ["wrong", "interrupted", "off_stack", "corrupted", "late"] {
            assert_eq!(report[name], 0, "{name} of {report:?}");
        }
        report
    }

    pub fn answer(&mut self) -> i64 {
        self.unharmed()["answer"]
    }

    pub fn apply(&self, loaded: &LoadedPatch) -> LoaderResult<(Outcome, Effort)> {
        self.apply_within(loaded, Duration::from_secs(10))
    }

    pub fn apply_within(&self, loaded: &LoadedPatch, timeout: Duration) -> LoaderResult<(Outcome, Effort)> {
        apply(self.pid(), loaded, &ApplyOptions { timeout, dry_run: false })
    }

    pub fn revert(&self, loaded: &LoadedPatch) -> LoaderResult<(Outcome, Effort)> {
        revert(self.pid(), &PatchName::of(loaded.id), Duration::from_secs(10))
    }

    /// State of the only patch, if there is one.
    pub fn state(&self) -> Option<String> {
        let listed = loader::list::list_process(self.pid()).unwrap();
        assert!(listed.patches.len() <= 1);
        listed.patches.first().map(|patch| format!("{:?}", patch.state))
    }

    /// All bytes of the mapped text of the image.
    pub fn text(&self, image: &Image) -> Vec<u8> {
        let maps = std::fs::read_to_string(format!("/proc/{}/maps", self.pid())).unwrap();
        let path = image.path.to_string_lossy();
        let line =
            maps.lines().find(|line| line.contains(&*path) && line.contains("r-xp")).expect("a text mapping");
        let (start, end) = line.split_once(' ').unwrap().0.split_once('-').unwrap();
        let hex = |text| u64::from_str_radix(text, 16).unwrap();
        let (start, end) = (hex(start), hex(end));
        let mem = std::fs::File::open(format!("/proc/{}/mem", self.pid())).unwrap();
        let mut bytes = vec![0; (end - start) as usize];
        std::os::unix::fs::FileExt::read_exact_at(&mem, &mut bytes, start).unwrap();
        bytes
    }

    /// The mappings, without what changes by itself.
    pub fn mappings(&self) -> Vec<String> {
        let maps = std::fs::read_to_string(format!("/proc/{}/maps", self.pid())).unwrap();
        maps.lines().map(str::to_owned).collect()
    }

    /// Mappings, open files, and the signal masks and tracers of all threads.
    pub fn visible_state(&self) -> Vec<String> {
        // glibc blocks the program's signals for a moment while it makes a thread or raises a signal.
        const GLIBC_CRITICAL: &str = "SigBlk:\tfffffffe7ffbfeff";
        let mut state = self.sample_state();
        for _ in 0..500 {
            if !state.iter().any(|line| line.contains(GLIBC_CRITICAL)) {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(2));
            state = self.sample_state();
        }
        state
    }

    fn sample_state(&self) -> Vec<String> {
        let mut state = self.mappings();
        let path = |name: &str| format!("/proc/{}/{name}", self.pid());
        for entry in std::fs::read_dir(path("fd")).unwrap() {
            let entry = entry.unwrap().path();
            state.push(format!("{} {}", entry.display(), std::fs::read_link(&entry).unwrap().display()));
        }
        for task in std::fs::read_dir(path("task")).unwrap() {
            let task = task.unwrap().path();
            let status = std::fs::read_to_string(task.join("status")).unwrap();
            let fields = ["Sig", "TracerPid", "Seccomp", "Pid"];
            let lines = status.lines().filter(|line| fields.iter().any(|field| line.starts_with(field)));
            // Signals that wait come and go.
            let lines = lines.filter(|line| !line.starts_with("SigPnd") && !line.starts_with("SigQ"));
            state.push(lines.collect::<Vec<_>>().join(" "));
        }
        state
    }

    pub fn quit(mut self) {
        writeln!(self.input, "q").unwrap();
        assert!(self.child.wait().unwrap().success(), "the target ends well");
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs `tardigrade`.
pub fn tardigrade(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tardigrade")).args(arguments).output().unwrap()
}

/// Runs `tardigrade`, which must end with this exit status and say `message`.
#[track_caller]
pub fn expect(arguments: &[&str], code: i32, message: &str) {
    let output = tardigrade(arguments);
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {text}");
    assert!(text.contains(message), "{arguments:?}: {text}");
}

/// Waits until `condition` holds, as long as a busy machine may need.
#[track_caller]
pub fn eventually(condition: impl Fn() -> bool) {
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while !condition() {
        assert!(std::time::Instant::now() < deadline, "waited in vain");
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
}

/// The states of a process's threads, as letters (`man 5 proc_pid_stat`); none if it has gone.
pub fn thread_states(pid: i32) -> Vec<char> {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let stats = tasks.filter_map(|task| std::fs::read_to_string(task.path().join("stat")).ok());
    stats.filter_map(|stat| stat.rsplit(')').next()?.trim_start().chars().next()).collect()
}

/// Processes whose memory is hidden even from this user.
pub fn hidden_processes() -> Vec<i32> {
    let names = std::fs::read_dir("/proc").unwrap().map(|entry| entry.unwrap().file_name());
    let pids = names.filter_map(|name| name.to_str()?.parse().ok());
    let is_hidden = |pid: &i32| {
        let denied = std::fs::File::open(format!("/proc/{pid}/maps")).err();
        denied.is_some_and(|error| error.kind() == std::io::ErrorKind::PermissionDenied)
    };
    let mut hidden: Vec<i32> = pids.filter(is_hidden).collect();
    hidden.sort_unstable();
    hidden
}

/// Writes a patch to a file of this name and returns the path.
pub fn written(patch: &Patch, name: &str) -> String {
    let path = scratch().join(name);
    std::fs::write(&path, patch.to_bytes().unwrap()).unwrap();
    path.to_string_lossy().into_owned()
}

pub fn loaded(patch: Patch) -> LoadedPatch {
    LoadedPatch::from_patch(patch).unwrap()
}
