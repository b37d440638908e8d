//! What a change of a Rust program means for the types of its live data.

use std::collections::BTreeMap;
use std::process::Command;

use object::{Object, ObjectSymbol};
use patchgen::dwarf::{DebugInfo, DebugSections, LayoutReport, Surroundings, compare_layouts};
use patchgen::report::RefusalKind;
use patchgen::verdict::{Inputs, diff};

const OPTIMISED: &[&str] = &["-Copt-level=3"];
const SHIPPED: &[&str] = &["-Copt-level=s", "-Ccodegen-units=1", "-Clto=fat", "-Cpanic=abort"];

/// The builds that a change is looked at in.
const PROFILES: [&[&str]; 2] = [&["-Copt-level=0"], OPTIMISED];

/// Two builds of one source, `--cfg new` in the second.
struct Builds {
    directory: tempfile::TempDir,
}

impl Builds {
    fn make(source: &str, flags: &[&str]) -> Self {
        Self::make_each(source, flags, |_| String::new())
    }

    /// With a flag of each version's own, unless it is empty.
    fn make_each(source: &str, flags: &[&str], own: impl Fn(&str) -> String) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let builds = Self { directory };
        let prelude = "#![allow(dead_code, unused, unexpected_cfgs)]\n";
        for version in ["old", "new"] {
            let directory = builds.directory.path().join(version);
            std::fs::create_dir(&directory).expect("a directory");
            std::fs::write(directory.join("unit.rs"), format!("{prelude}{source}"))
                .expect("writing a source");
            let mut command = Command::new("rustc");
            command.args(["--edition=2021", "--crate-name=unit", "-Cdebuginfo=2"]);
            command.args(["-Clink-arg=-Wl,--build-id=sha1", "-o", "program", "unit.rs", "--cfg", version]);
            command.args(Some(own(version)).filter(|flag| !flag.is_empty()));
            let output = command.args(flags).current_dir(&directory).output().expect("running rustc");
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        }
        builds
    }

    fn bytes(&self, version: &str) -> Vec<u8> {
        std::fs::read(self.directory.path().join(version).join("program")).expect("reading a build")
    }

    /// Compares the types around all functions of the program's own crate.
    fn report(&self) -> LayoutReport {
        let (old, new) = (self.bytes("old"), self.bytes("new"));
        let old_sections = DebugSections::load(&old).expect("readable").expect("debug sections");
        let new_sections = DebugSections::load(&new).expect("readable").expect("debug sections");
        let (old_debug, new_debug) = (DebugInfo::new(&old_sections), DebugInfo::new(&new_sections));
        let around = Surroundings::default();
        compare_layouts(&old_debug, &functions(&old), &new_debug, &functions(&new), &around)
            .expect("readable")
    }

    /// The types that a verdict names as changed, with what it says.
    fn refused(&self) -> BTreeMap<String, String> {
        let [old, new] = ["old", "new"].map(|version| self.directory.path().join(version).join("program"));
        let inputs = Inputs { old: &old, new: &new, old_debug: None, new_debug: None };
        let verdict = diff(&inputs).expect("readable builds").verdict;
        assert!(verdict.coverage.changed > 0, "{verdict:#?}");
        let layouts = verdict.refusals.into_iter().filter(|refusal| refusal.kind == RefusalKind::TypeLayout);
        layouts.map(|refusal| (refusal.subject, refusal.detail)).collect()
    }
}

/// Functions of the program's own crate, by a name that both builds share.
fn functions(image: &[u8]) -> Vec<(String, u64)> {
    let file = object::File::parse(image).expect("an ELF file");
    let texts =
        file.symbols().filter(|symbol| symbol.is_definition() && symbol.kind() == object::SymbolKind::Text);
    let named = texts.filter_map(|symbol| Some((symbol.name().ok()?.to_owned(), symbol.address())));
    let own = named
        .filter(|(name, _)| name.starts_with("_ZN4unit") || name.contains("unit..") || name == "callback");
    own.collect()
}

/// The types that differ, with what differs, checked to be so in each profile.
fn changes(source: &str) -> BTreeMap<String, String> {
    let mut all = PROFILES.iter().map(|flags| {
        let report = Builds::make(source, flags).report();
        assert!(report.checked, "{:?}", report.unchecked_functions);
        report.changes.into_iter().map(|change| (change.type_name, change.detail)).collect::<BTreeMap<_, _>>()
    });
    let first = all.next().expect("a profile");
    for other in all {
        // What is only used by code that is optimised away is not described.
        for (name, detail) in &other {
            assert_eq!(first.get(name), Some(detail), "{name}");
        }
    }
    first
}

#[test]
fn structs_and_enums() {
    let source = "
        use std::num::NonZeroU32;
        use std::sync::Mutex;
        pub mod m {
            #[cfg(new)] pub fn lines_move() -> u32 {
                7
            }
            #[derive(Debug)] pub struct Block { pub id: u8, pub len: u64, #[cfg(new)] pub more: u64, pub name: String }
            #[derive(Debug)] pub enum Shape { Circle(u32), Rect { w: u32, #[cfg(new)] x: u32, h: u64 } }
            #[derive(Debug)] pub enum Added { A, B(u32), #[cfg(new)] C(u32) }
            #[derive(Debug, Clone, Copy)] pub enum Plain { X, Y, #[cfg(new)] Z }
            #[derive(Debug)] pub enum Gone { X, #[cfg(old)] Y, Z }
            #[derive(Debug)] pub struct Pair(pub u32, #[cfg(new)] pub u32, pub u64);
            #[derive(Debug)] pub struct Wrap<T, const N: usize> { pub held: [T; N] }
            #[derive(Debug)] pub struct Outer { #[cfg(old)] pub w: Wrap<u8, 4>, #[cfg(new)] pub w: Wrap<u16, 2> }
            #[derive(Debug)] pub struct Same { pub n: Option<std::num::NonZeroU32>, pub b: Option<Box<u128>>, pub c: char }
            #[inline(never)] pub fn show(b: &Block, s: &Shape) { println!(\"{b:?} {s:?}\"); }
        }
        use m::*;
        static BLOCKS: Mutex<Vec<Block>> = Mutex::new(Vec::new());
        #[inline(never)] fn f(a: &Added, p: Option<Plain>, q: Option<&Plain>, g: &Gone, t: &Pair, o: &Outer, s: &Same) {
            println!(\"{a:?} {p:?} {q:?} {g:?} {t:?} {o:?} {s:?}\");
        }
        fn main() {
            let block = Block { id: 1, len: 2, #[cfg(new)] more: 3, name: String::new() };
            show(&block, &Shape::Circle(3));
            BLOCKS.lock().unwrap().push(block);
            f(&Added::B(4), Some(Plain::X), None, &Gone::Z, &Pair(1, #[cfg(new)] 2, 3),
              &Outer { w: Wrap { held: Default::default() } }, &Same { n: NonZeroU32::new(3), b: None, c: 'x' });
        }";
    let changes = changes(source);
    let expected = [
        (
            "enum core::option::Option<unit::m::Plain>",
            "the value that selects variant `None` changed from 2 to 3",
        ),
        ("enum unit::m::Added", "variant `C` added"),
        ("enum unit::m::Gone", "enumerator `Z` changed from 2 to 1; enumerator `Y` = 1 removed"),
        ("enum unit::m::Plain", "enumerator `Z` = 2 added"),
        ("struct unit::m::Block", "member `more` (u64) added"),
        (
            "struct unit::m::Outer",
            "member `w` changed from struct unit::m::Wrap<u8, 4> to struct unit::m::Wrap<u16, 2>",
        ),
        ("struct unit::m::Pair", "member `__1` changed from u64 to u32"),
        ("variant unit::m::Shape::Rect", "member `x` (u32) added"),
    ];
    for (name, detail) in expected {
        assert!(changes.get(name).is_some_and(|found| found.contains(detail)), "{name}: {changes:#?}");
    }
    let shape = "enum unit::m::Shape".to_owned();
    let others: Vec<_> =
        changes.keys().filter(|name| !expected.iter().any(|(known, _)| known == name)).collect();
    assert!(others.iter().all(|name| **name == shape), "{others:?}");

    let refused = Builds::make(source, SHIPPED).refused();
    let block = &refused["struct unit::m::Block"];
    assert!(
        block.starts_with("its layout in unit.rs (crate unit) changes and live objects have the old one: "),
        "{block}"
    );
    assert!(!refused.contains_key("enum unit::m::Added"), "{refused:#?}");
}

#[test]
fn closures_have_no_fixed_numbers() {
    let source = "
        pub struct Block { pub len: u64, pub id: u64 }
        #[inline(never)] fn hold(f: Box<dyn Fn(u64) -> u64>) -> u64 { f(3) + f(4) }
        #[cfg(new)]
        impl Block {
            #[inline(never)] pub fn first(&self) -> u64 { let k = self.id; let f = move |x: u64| x + k; f(self.len) }
        }
        impl Block {
            #[inline(never)] pub fn sum(&self, k: &[u8]) -> u64 {
                #[cfg(new)]
                let extra = { let y = self.id as u8; k.iter().filter(|x| **x > y).count() as u64 };
                #[cfg(old)]
                let extra = 0;
                let z = self.len;
                k.iter().map(|x| *x as u64 + self.len).sum::<u64>() + extra + hold(Box::new(move |x| x + z))
            }
        }
        fn main() {
            let block = Block { len: 3, id: std::env::args().count() as u64 };
            #[cfg(new)]
            println!(\"{}\", block.first());
            println!(\"{}\", block.sum(&[1, 2, 3]));
        }";
    assert_eq!(changes(source), BTreeMap::new());
}

/// A closure that captures one value more, and what is done with it.
fn capturing(with: &str) -> String {
    format!(
        "pub struct Block {{ pub len: u64, pub id: u64 }}
         #[inline(never)] fn hold(f: Box<dyn Fn(u64) -> u64>) -> u64 {{ f(3) + f(4) }}
         #[inline(never)] fn ask<F: Fn(u64) -> u64>(f: &F) -> u64 {{ f(3) }}
         static KEPT: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
         pub struct Cursor {{ #[cfg(new)] pub step: u64, pub at: u64 }}
         impl Block {{
             #[inline(never)] pub fn sum(&self, k: &[u8]) -> u64 {{
                 let (y, z) = (self.id, self.len);
                 #[cfg(new)] let f = move |x: u64| x.wrapping_mul(y) + z;
                 #[cfg(old)] let f = move |x: u64| x + z;
                 {with}
             }}
         }}
         fn main() {{
             let block = Block {{ len: 3, id: std::env::args().count() as u64 }};
             println!(\"{{}}\", block.sum(&[1, 2, 3]));
         }}"
    )
}

#[test]
fn what_lives_in_replaced_frames_only_may_change() {
    for with in ["k.iter().map(|x| f(*x as u64)).sum::<u64>()", "ask(&f)"] {
        for flags in [OPTIMISED, SHIPPED] {
            let refused = Builds::make(&capturing(with), flags).refused();
            assert_eq!(refused, BTreeMap::new(), "{with} {flags:?}");
        }
    }
}

#[test]
fn what_may_be_kept_elsewhere_may_not() {
    for (with, subject) in [
        ("hold(Box::new(f))", "struct unit::{impl}::sum::{closure_env}"),
        (
            "std::hint::black_box(&KEPT).store(Box::into_raw(Box::new(f)) as usize, std::sync::atomic::Ordering::Relaxed); z",
            "struct unit::{impl}::sum::{closure_env}",
        ),
        (
            "let c = Box::new(Cursor { at: z, #[cfg(new)] step: y });
             std::hint::black_box(&KEPT).store(Box::into_raw(c) as usize, std::sync::atomic::Ordering::Relaxed); f(z)",
            "struct unit::Cursor",
        ),
    ] {
        for flags in [OPTIMISED, SHIPPED] {
            let refused = Builds::make(&capturing(with), flags).refused();
            assert!(refused.contains_key(subject), "{with} {flags:?} {refused:#?}");
        }
    }
}

#[test]
fn futures_are_refused_if_they_keep_something_else() {
    let source = "
        use std::future::Future; use std::pin::Pin; use std::task::{Context, Poll, Waker};
        struct Yield(bool);
        impl Future for Yield {
            type Output = ();
            fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
                if std::mem::replace(&mut self.0, true) { Poll::Ready(()) } else { Poll::Pending }
            }
        }
        async fn same(x: u32) -> u32 {
            Yield(false).await;
            #[cfg(new)]
            { let y = x * 3; println!(\"{y}\"); }
            x + 1
        }
        async fn local(x: u32) -> u32 {
            #[cfg(new)]
            let y = x * 3;
            Yield(false).await;
            #[cfg(new)]
            println!(\"{y}\");
            x + 1
        }
        async fn more(x: u32) -> u32 { Yield(false).await; #[cfg(new)] Yield(false).await; x + 2 }
        fn all(x: u32) -> [Pin<Box<dyn Future<Output = u32>>>; 3] { [Box::pin(same(x)), Box::pin(local(x)), Box::pin(more(x))] }
        fn main() {
            let mut cx = Context::from_waker(Waker::noop());
            for mut f in all(std::env::args().count() as u32) {
                while f.as_mut().poll(&mut cx).is_pending() {}
            }
        }";
    let changes = changes(source);
    assert!(
        changes["variant unit::local::{async_fn_env}::Suspend0"].contains("member `y` (u32) added"),
        "{changes:?}"
    );
    assert!(changes["enum unit::more::{async_fn_env}"].contains("variant `Suspend1` added"), "{changes:?}");
    assert!(changes.keys().all(|name| !name.contains("same")), "{changes:?}");
}

#[test]
fn methods_of_trait_objects() {
    let source = "
        pub trait More { fn read(&self, x: u32) -> u32; #[cfg(new)] fn reset(&self) -> u32 { 3 } }
        pub trait Swap {
            #[cfg(old)] fn a(&self) -> u32;
            fn b(&self) -> u32;
            #[cfg(new)] fn a(&self) -> u32;
        }
        pub trait Same { #[cfg(new)] fn fixed(x: u32) -> u32 where Self: Sized { x + 1 } fn read(&self) -> u32; }
        pub struct P(u32);
        impl More for P { #[inline(never)] fn read(&self, x: u32) -> u32 { x + self.0 } }
        impl Swap for P { #[inline(never)] fn a(&self) -> u32 { self.0 } #[inline(never)] fn b(&self) -> u32 { self.0 + 1 } }
        impl Same for P { #[inline(never)] fn read(&self) -> u32 { self.0 * 5 } }
        #[inline(never)] fn go(d: &mut Vec<Box<dyn More>>, s: &dyn Swap, t: &dyn Same) -> u32 {
            #[cfg(new)]
            d.iter().for_each(|d| println!(\"{}\", d.reset()));
            d.iter().map(|d| d.read(2)).sum::<u32>() + s.b() * s.a() + t.read()
        }
        fn main() {
            let n = std::env::args().count() as u32;
            let (a, b): (&dyn Swap, &dyn Same) = (&P(n), &P(n));
            let mut all: Vec<Box<dyn More>> = std::hint::black_box(vec![Box::new(P(n))]);
            println!(\"{}\", go(&mut all, std::hint::black_box(a), std::hint::black_box(b)));
        }";
    for flags in PROFILES.into_iter().chain([SHIPPED]) {
        let refused = Builds::make(source, flags).refused();
        let table = |name: &str| refused.get(&format!("vtable of <unit::P as unit::{name}>")).cloned();
        assert!(
            table("More").is_some_and(|text| text.contains("2 methods instead of 1")),
            "{flags:?} {refused:#?}"
        );
        assert!(
            table("Swap").is_some_and(|text| text.contains("method 0 is `b` instead of `a`")),
            "{refused:#?}"
        );
        assert_eq!(table("Same"), None, "{refused:#?}");
    }
}

#[test]
fn prototypes_of_functions_that_others_call() {
    let source = "
        pub struct A(u32);
        pub struct B(u64);
        #[cfg(old)] #[no_mangle] #[inline(never)] pub extern \"C\" fn callback(a: &A) -> u64 { a.0 as u64 }
        #[cfg(new)] #[no_mangle] #[inline(never)] pub extern \"C\" fn callback(b: &B) -> u64 { b.0 }
        fn main() {
            let n = std::env::args().count();
            #[cfg(old)] println!(\"{}\", callback(&A(n as u32)));
            #[cfg(new)] println!(\"{}\", callback(&B(n as u64)));
        }";
    for flags in PROFILES.into_iter().chain([SHIPPED]) {
        let report = Builds::make(source, flags).report();
        let found =
            report.prototypes.iter().find(|change| change.function == "callback").expect("a prototype");
        assert!(found.called_otherwise);
        assert_eq!(found.old, "u64 (struct unit::A *)");
        assert_eq!(found.new, "u64 (struct unit::B *)");
    }
}

#[test]
fn builds_for_backtraces_are_said_to_be_unchecked() {
    let source = "
        #[inline(never)] fn f(x: usize) -> usize { #[cfg(new)] println!(\"{x}\"); x + 1 }
        fn main() { std::process::exit(f(std::env::args().count()) as i32) }";
    for level in ["-Cdebuginfo=line-tables-only", "-Cdebuginfo=1"] {
        let report = Builds::make(source, &["-Copt-level=3", level]).report();
        assert!(!report.checked, "{report:#?}");
        assert!(report.unchecked_functions.iter().any(|name| name.contains("unit1f")), "{report:#?}");
    }
}

#[test]
fn type_ids_move_with_the_version_of_a_package() {
    let source = "
        use std::any::{Any, TypeId};
        use std::sync::Mutex;
        pub struct Meter(pub usize);
        static EXTENSIONS: Mutex<Vec<(TypeId, Box<dyn Any + Send>)>> = Mutex::new(Vec::new());
        #[inline(never)] fn put(n: usize) {
            EXTENSIONS.lock().unwrap().push((TypeId::of::<Meter>(), Box::new(Meter(n))));
        }
        #[inline(never)] fn get() -> usize {
            let extensions = EXTENSIONS.lock().unwrap();
            let own = extensions.iter().filter(|(id, _)| *id == TypeId::of::<Meter>());
            own.map(|(_, value)| value.downcast_ref::<Meter>().map_or(1000, |meter| meter.0)).sum()
        }
        #[inline(never)] fn total(n: usize) -> usize { if cfg!(new) { get() + n * 3 } else { get() + n * 2 } }
        fn main() { put(1); println!(\"{}\", total(2)); }";
    for flags in [OPTIMISED, SHIPPED] {
        let moved = Builds::make_each(source, flags, |version| format!("-Cmetadata={version}"));
        assert_eq!(moved.refused().keys().collect::<Vec<_>>(), ["TypeId of crate unit"], "{flags:?}");
        assert!(Builds::make(source, flags).refused().is_empty(), "{flags:?}");
    }
    // Where nothing asks for one, nothing moves.
    let source = "
        #[inline(never)] fn total(n: usize) -> usize {
            if cfg!(new) { n.wrapping_mul(0x9E37_79B9_7F4A_7C15) + 1 } else { n.wrapping_mul(0x9E37_79B9_7F4A_7C15) }
        }
        fn main() { println!(\"{}\", total(std::env::args().count())); }";
    let moved = Builds::make_each(source, OPTIMISED, |version| format!("-Cmetadata={version}"));
    assert!(moved.refused().is_empty());
}
