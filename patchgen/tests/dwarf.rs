//! Debug information of small programs, compiled here in two versions.

use std::path::Path;
use std::process::Command;

use object::{Object, ObjectSymbol};
use patchgen::dwarf::{
    DebugInfo, DebugSections, DwarfError, LayoutChange, LayoutChangeKind as Kind, LayoutReport,
    StaticLocation, Surroundings, compare_layouts,
};

/// What every C source starts with: the compiler must not see through what is passed here.
const PRELUDE: &str = "extern void sink(void *);\n";

/// Compiles sources to a shared library, each build in a directory of its own.
fn compile(compiler: &str, sources: &[(&str, &str)], flags: &[&str]) -> Vec<u8> {
    let directory = tempfile::tempdir().expect("a temporary directory");
    for (name, text) in sources {
        let prelude = if has_extension(name, "c") { PRELUDE } else { "" };
        std::fs::write(directory.path().join(name), format!("{prelude}{text}")).expect("writing a source");
    }
    let inputs = sources.iter().map(|(name, _)| *name).filter(|name| !has_extension(name, "h"));
    let output = Command::new(compiler)
        .args(["-shared", "-fPIC", "-O2", "-g", "-o", "library.so"])
        .args(flags)
        .args(inputs)
        .current_dir(directory.path())
        .output()
        .expect("running the compiler");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    std::fs::read(directory.path().join("library.so")).expect("reading the result")
}

fn has_extension(name: &str, wanted: &str) -> bool {
    Path::new(name).extension().is_some_and(|extension| extension == wanted)
}

fn gcc(source: &str) -> Vec<u8> {
    compile("gcc", &[("unit.c", source)], &[])
}

/// Name and address of every defined function whose name starts with `f`, `_Z` mangling aside.
fn functions(image: &[u8]) -> Vec<(String, u64)> {
    let file = object::File::parse(image).expect("an ELF file");
    file.symbols()
        .filter(|symbol| symbol.is_definition() && symbol.kind() == object::SymbolKind::Text)
        .filter_map(|symbol| Some((symbol.name().ok()?.to_owned(), symbol.address())))
        .filter(|(name, _)| name.starts_with('f') && name != "frame_dummy" || name.starts_with("_Z"))
        .collect()
}

fn address_of(image: &[u8], function: &str) -> u64 {
    functions(image).into_iter().find(|(name, _)| name == function).expect("the function").1
}

fn compare_images(old: &[u8], new: &[u8]) -> Result<LayoutReport, DwarfError> {
    let old_sections = DebugSections::load(old)?.expect("debug sections");
    let new_sections = DebugSections::load(new)?.expect("debug sections");
    let (old_debug, new_debug) = (DebugInfo::new(&old_sections), DebugInfo::new(&new_sections));
    compare_layouts(&old_debug, &functions(old), &new_debug, &functions(new), &Surroundings::default())
}

fn compare(old: &str, new: &str) -> LayoutReport {
    compare_images(&gcc(old), &gcc(new)).expect("readable debug information")
}

/// The only change of two sources that must differ in one type.
fn single_change(old: &str, new: &str) -> LayoutChange {
    let report = compare(old, new);
    assert!(report.checked, "{report:?}");
    assert_eq!(report.changes.len(), 1, "{report:#?}");
    report.changes[0].clone()
}

/// A function that takes a pointer to the type, behind the type's definition.
fn using(definition: &str) -> String {
    format!("{definition}\nint f(struct s *p) {{ sink(p); return 1; }}")
}

fn single_struct_change(old: &str, new: &str) -> LayoutChange {
    single_change(&using(old), &using(new))
}

#[test]
fn member_added_in_the_middle_moves_the_next() {
    let change =
        single_struct_change("struct s { long a; long b; };", "struct s { long a; long x; long b; };");
    assert_eq!(change.type_name, "struct s");
    assert_eq!(change.file.as_deref(), Some("unit.c"));
    assert_eq!(change.kind, Kind::SizeChanged);
    assert_eq!(change.kinds, [Kind::SizeChanged, Kind::MemberMoved, Kind::MemberAdded]);
    assert_eq!(
        change.detail,
        "size 16 -> 24 bytes; member `x` (long int) added at offset 8; member `b` moved from offset 8 to 16"
    );
    assert_eq!(change.functions, ["f"]);
}

#[test]
fn member_added_at_the_end_changes_the_size() {
    let change = single_struct_change("struct s { int a; };", "struct s { int a; int b; };");
    assert_eq!(change.kinds, [Kind::SizeChanged, Kind::MemberAdded]);
}

#[test]
fn member_in_padding_is_told_apart() {
    let old = "struct s { int a; long b; char c; };";
    let hole = single_struct_change(old, "struct s { int a; int x; long b; char c; };");
    assert_eq!(hole.kinds, [Kind::PaddingFilled]);
    assert!(hole.kind.keeps_old_members());
    let tail = single_struct_change(old, "struct s { int a; long b; char c; char x; };");
    assert_eq!(tail.kinds, [Kind::PaddingFilled]);
    let bits = single_struct_change("struct s { unsigned a:3; };", "struct s { unsigned a:3, x:4; };");
    assert_eq!(bits.kinds, [Kind::PaddingFilled]);
    assert_eq!(bits.detail, "member `x` (unsigned int) added in padding at offset 0 bit 3");
    let nested = "struct s { struct { char a; long b; } in[2]; };";
    let nested = single_struct_change(nested, "struct s { struct { char a; char x; long b; } in[2]; };");
    assert_eq!(nested.kinds, [Kind::PaddingFilled]);
    assert_eq!(nested.detail, "member `in[].x` (char) added in padding at offset 1");
}

#[test]
fn bit_field_moves_in_both_encodings() {
    let old = using("struct s { unsigned a:3, b:5; };");
    let new = using("struct s { unsigned a:4, b:4; };");
    for flags in [&["-gdwarf-5"], &["-gdwarf-4"]] {
        let old = compile("gcc", &[("unit.c", &old)], flags);
        let new = compile("gcc", &[("unit.c", &new)], flags);
        let report = compare_images(&old, &new).expect("readable debug information");
        assert_eq!(report.changes[0].kind, Kind::MemberMoved);
        assert!(report.changes[0].detail.contains("`b` moved from offset 0 bit 3 to 0 bit 4"), "{report:?}");
    }
    // Between the encodings there is no difference.
    let dwarf4 = compile("gcc", &[("unit.c", &old)], &["-gdwarf-4"]);
    let dwarf5 = compile("gcc", &[("unit.c", &old)], &["-gdwarf-5"]);
    assert!(compare_images(&dwarf4, &dwarf5).expect("readable").changes.is_empty());
}

#[test]
fn enum_values_are_compared() {
    let source = |values: &str| format!("enum e {{ {values} }}; int f(enum e v) {{ return v; }}");
    let change = single_change(&source("A, B, C"), &source("A, X, B, C"));
    assert_eq!(change.type_name, "enum e");
    assert_eq!(change.kinds, [Kind::EnumValueChanged, Kind::EnumeratorAdded]);
    assert!(change.detail.contains("enumerator `B` changed from 1 to 2"));
    assert_eq!(single_change(&source("A, B"), &source("A, B, C")).kinds, [Kind::EnumeratorAdded]);
    assert_eq!(single_change(&source("A, B"), &source("A")).kinds, [Kind::EnumeratorRemoved]);
}

#[test]
fn unions_have_no_padding_in_their_members() {
    let source = |body: &str| format!("union u {{ {body} }}; int f(union u *p) {{ sink(p); return 1; }}");
    let change = single_change(&source("int a; char b;"), &source("int a; char b; short c;"));
    assert_eq!((change.type_name.as_str(), change.kind), ("union u", Kind::MemberAdded));
    let change = single_change(&source("int a;"), &source("int a; long b;"));
    assert_eq!(change.kind, Kind::SizeChanged);
}

#[test]
fn unnamed_nested_types_are_seen_through() {
    let change = single_struct_change(
        "struct s { int k; union { int a; struct { int b, c; }; } in; };",
        "struct s { int k; union { int a; struct { int c, b; }; } in; };",
    );
    assert_eq!(change.kinds, [Kind::MemberMoved]);
    assert!(change.detail.contains("member `in.b` moved from offset 4 to 8"), "{}", change.detail);
}

#[test]
fn typedef_names_an_unnamed_struct() {
    let source = |body: &str| {
        format!(
            "typedef struct {{ {body} }} t, *tp; struct s {{ t *p; }}; int f(tp p) {{ sink(p); return 1; }}"
        )
    };
    let (old, new) = (source("int a;"), source("int a, b;"));
    // The compiler leaves the typedef `t` out where nothing uses it.
    let report = compare(&old, &new);
    assert_eq!(report.changes.len(), 1, "{report:#?}");
    assert_eq!(report.changes[0].type_name, "target of tp (*)");
    assert_eq!(report.changes[0].functions, ["f"]);
    let used = |source: String| format!("{source} int f2(t *p) {{ sink(p); return 1; }}");
    let change = single_change(&used(old.clone()), &used(new.clone()));
    assert_eq!((change.type_name.as_str(), change.kind), ("t", Kind::SizeChanged));
    assert_eq!(change.functions, ["f", "f2"]);
    assert_eq!(compare(&old, &used(new)).changes.len(), 1, "used in one build only");
}

#[test]
fn what_is_no_change_is_not_reported() {
    let old = "struct opaque; struct gone { int a; }; typedef unsigned number;
               struct s { number a; const char *b; struct opaque *c; int (*d)(int); struct s *next; };
               struct t { int a; }; int f(struct s *p, struct t *q, struct gone *g) { sink(p); sink(q); sink(g); return 1; }";
    let new = "struct t { int a; }; struct opaque { int inside; }; struct come { int a, b; };
               struct s { unsigned a; char *b; struct opaque *c; int (*d)(int x); struct s *next; };
               int f(struct s *p, struct t *q, struct come *g) { sink(p); sink(q); sink(g); return p->c->inside; }";
    let report = compare(old, new);
    assert_eq!(report.changes, []);
    assert_eq!(report.prototypes.len(), 1, "one pointee is another type: {report:?}");
}

#[test]
fn function_pointer_members_compare_by_prototype() {
    let change = single_struct_change("struct s { void (*f)(int); };", "struct s { void (*f)(long); };");
    assert_eq!(change.kinds, [Kind::MemberTypeChanged]);
    assert_eq!(change.detail, "member `f` changed from void (*)(int) to void (*)(long int)");
}

#[test]
fn renamed_members_are_told_from_added_ones() {
    let change = single_struct_change("struct s { int a, b; };", "struct s { int a, c; };");
    assert_eq!(change.kinds, [Kind::MemberRenamed]);
}

#[test]
fn functions_are_found_through_pointers_arrays_and_inlined_calls() {
    let source = |extra: &str| {
        format!(
            "struct deep {{ int a; {extra} }}; struct mid {{ struct deep *d[2]; }}; struct top {{ struct mid m; }};
             static inline int in(void *o) {{ struct deep *d = o; return d->a; }}
             int f_top(struct top *t) {{ sink(t); return 1; }}
             int f_inlined(void *o) {{ return in(o) + 1; }}
             int f_other(int x) {{ return x + 1; }}"
        )
    };
    let change = single_change(&source(""), &source("int b;"));
    assert_eq!(change.type_name, "struct deep");
    assert_eq!(change.functions, ["f_inlined", "f_top"]);
}

#[test]
fn a_type_that_no_function_touches_is_still_reported() {
    let source = |extra: &str| {
        format!("struct s {{ int a; {extra} }}; struct s *global; int f(int x) {{ return x + 1; }}")
    };
    let change = single_change(&source(""), &source("int b;"));
    assert!(change.functions.is_empty());
    assert_eq!(change.variables, ["global"], "a function might use it without a trace");
}

#[test]
fn a_function_that_is_not_described_is_taken_to_touch_everything() {
    let source = |extra: &str| {
        format!(
            "struct s {{ int a; {extra} }}; int f(int x) {{ return x + 1; }} int f2(struct s *p) {{ return p->a; }}"
        )
    };
    let (old, new) = (gcc(&source("")), gcc(&source("int b;")));
    // The padding behind the first function stands for code that a linker or the compiler made up.
    let thunk = |image: &[u8]| [("thunk".to_owned(), address_of(image, "f") + 15)];
    let old_sections = DebugSections::load(&old).expect("readable").expect("debug sections");
    let new_sections = DebugSections::load(&new).expect("readable").expect("debug sections");
    let (old_debug, new_debug) = (DebugInfo::new(&old_sections), DebugInfo::new(&new_sections));
    let report =
        compare_layouts(&old_debug, &thunk(&old), &new_debug, &thunk(&new), &Surroundings::default())
            .expect("readable");
    assert!(report.checked);
    assert_eq!(report.changes[0].functions, ["thunk"]);
}

#[test]
fn one_header_in_two_units_makes_one_change() {
    let build = |extra: &str| {
        let header = format!("struct s {{ int a; {extra} }};");
        let unit = |name: &str| {
            format!(
                "#include \"s.h\"\nstruct own {{ char {name}; }};\nint {name}(struct s *p, struct own *q) {{ sink(p); sink(q); return 1; }}"
            )
        };
        let (one, two) = (unit("f_one"), unit("f_two"));
        compile("gcc", &[("s.h", &header), ("one.c", &one), ("two.c", &two)], &[])
    };
    let report = compare_images(&build(""), &build("int b;")).expect("readable debug information");
    assert_eq!(report.changes.len(), 1, "{report:#?}");
    assert_eq!(report.changes[0].functions, ["f_one", "f_two"]);
}

#[test]
fn link_time_optimisation_is_followed() {
    let build = |extra: &str| {
        let header = format!("struct s {{ int a; {extra} }};");
        let one = "#include \"s.h\"\nint f_one(struct s *p) { sink(p); return 1; }";
        let two = "#include \"s.h\"\nint f_two(int x) { return x + 1; }";
        compile("gcc", &[("s.h", &header), ("one.c", one), ("two.c", two)], &["-flto"])
    };
    let (old, new) = (build(""), build("int b;"));
    let report = compare_images(&old, &new).expect("readable debug information");
    assert!(report.checked);
    assert_eq!(report.changes.len(), 1, "{report:#?}");
    assert_eq!(report.changes[0].functions, ["f_one"]);
}

#[test]
fn classes_have_namespaces_bases_and_virtual_tables() {
    let source = |data: &str, methods: &str| {
        format!(
            "namespace a {{ namespace b {{ struct base {{ int k; }}; class c : public base {{ {data} public:
             virtual int one(); {methods} }}; int c::one() {{ return k; }} }} }}
             int free_function(a::b::c &o) {{ return o.one(); }}"
        )
    };
    let build = |data, methods| compile("g++", &[("unit.cc", &source(data, methods))], &[]);
    let old = build("int d;", "");
    let report = compare_images(&old, &build("int d; long e;", "")).expect("readable debug information");
    assert_eq!(report.changes.len(), 1, "{report:#?}");
    assert_eq!(report.changes[0].type_name, "struct a::b::c");
    assert_eq!(report.changes[0].kind, Kind::SizeChanged);
    assert!(report.changes[0].functions.iter().any(|name| name.contains("free_function")), "{report:?}");
    let report = compare_images(&old, &build("int d;", "virtual int two() { return 2; }")).expect("readable");
    assert_eq!(report.changes[0].kinds, [Kind::VirtualTableChanged], "{report:?}");
}

#[test]
fn rust_enums_are_compared_by_variant() {
    let build = |extra: &str| {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let source = format!(
            "pub enum Command {{ Stop, {extra} Go {{ x: u32 }} }}
             #[unsafe(no_mangle)] pub extern \"C\" fn f(c: &Command) -> u32 {{ match c {{ Command::Go {{ x, .. }} => *x, _ => 0 }} }}"
        );
        std::fs::write(directory.path().join("unit.rs"), source).expect("writing a source");
        let output = Command::new("rustc")
            .args([
                "--edition",
                "2024",
                "--crate-type",
                "cdylib",
                "-Copt-level=2",
                "-Cpanic=abort",
                "-g",
                "-o",
                "library.so",
            ])
            .arg("unit.rs")
            .current_dir(directory.path())
            .output()
            .expect("running the compiler");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let image = std::fs::read(directory.path().join("library.so")).expect("reading the result");
        let address = [("f".to_owned(), address_of(&image, "f"))];
        (image, address)
    };
    let ((old, old_function), (new, new_function)) = (build(""), build("Pause,"));
    let old_sections = DebugSections::load(&old).expect("readable").expect("debug sections");
    let new_sections = DebugSections::load(&new).expect("readable").expect("debug sections");
    let (old_debug, new_debug) = (DebugInfo::new(&old_sections), DebugInfo::new(&new_sections));
    let report =
        compare_layouts(&old_debug, &old_function, &new_debug, &new_function, &Surroundings::default())
            .expect("readable");
    let change = &report.changes[0];
    assert_eq!((change.type_name.as_str(), change.kind), ("enum unit::Command", Kind::EnumValueChanged));
    assert!(
        change.detail.contains("the value that selects variant `Go` changed from 1 to 2"),
        "{}",
        change.detail
    );
    assert_eq!(change.functions, ["f"]);
}

#[test]
fn prototypes_of_functions_in_both_builds_are_compared() {
    let report = compare("int f(int a) { return a; }", "int f(long a) { return a; }");
    assert_eq!(report.changes, []);
    let change = &report.prototypes[0];
    assert_eq!((change.old.as_str(), change.new.as_str()), ("int (int)", "int (long int)"));
}

#[test]
fn variables_whose_type_changed_are_found() {
    let source = |kind: &str| {
        format!("static {kind} v; int f(int x) {{ static {kind} w; sink(&v); sink(&w); return x; }}")
    };
    let report = compare(&source("struct { int a, b; }"), &source("struct { int b, a; }"));
    assert_eq!(report.variables.iter().map(|change| &change.name).collect::<Vec<_>>(), ["f::w", "v"]);
    assert!(compare(&source("const int"), &source("int")).variables.is_empty());
}

#[test]
fn static_locals_keep_their_path_when_they_are_renumbered() {
    let old = "static inline __attribute__((always_inline)) int g(int x) { static int count; return count += x; }
               int f(int x) { static int count; if (x > 3) { static int count; sink(&count); } return count += g(x); }
               int f2(int x) { static __thread int t; sink((void *)__func__); return (t += x) + g(x); }";
    let new = format!("int f0(int x) {{ static int count; return count += x; }}\n{old}");
    let paths = |image: &[u8]| {
        let sections = DebugSections::load(image).expect("readable").expect("debug sections");
        let debug = DebugInfo::new(&sections);
        let units = debug.units_of(&[address_of(image, "f")]).expect("readable");
        let locals = debug.static_locals(units[0]).expect("readable");
        let mut places: Vec<_> = locals.iter().map(|local| local.location).collect();
        places.dedup();
        assert_eq!(places.len(), locals.len(), "each variable once");
        let mut paths: Vec<_> =
            locals.iter().map(|local| format!("{}/{}", local.path.join("/"), local.name)).collect();
        paths.sort();
        let thread_local = locals.iter().find(|local| local.name == "t").expect("the thread-local variable");
        assert!(matches!(thread_local.location, StaticLocation::ThreadLocal(_)));
        paths
    };
    let expected = ["f/count", "f/{0}/count", "f2/__func__", "f2/t", "g/count"];
    assert_eq!(paths(&gcc(old)), expected);
    assert_eq!(paths(&gcc(&new))[0], "f/count");
    assert_eq!(paths(&gcc(&new)).len(), expected.len() + 1);
}

#[test]
fn lines_files_and_inlined_calls_are_known() {
    let header = "static inline __attribute__((always_inline)) int in(int x)\n{ sink(&x);\n return x; }\n";
    let unit = "#include \"in.h\"\nint f(int a)\n{\n  int b = a;\n  return in(b) * 3;\n}\n";
    for flags in [&["-gdwarf-5"], &["-gdwarf-4"]] {
        let image = compile("gcc", &[("in.h", header), ("unit.c", unit)], flags);
        let sections = DebugSections::load(&image).expect("readable").expect("debug sections");
        let debug = DebugInfo::new(&sections);
        let address = address_of(&image, "f");
        let units = debug.units_of(&[address, address]).expect("readable");
        assert_eq!(units.len(), 1);
        assert_eq!(debug.unit_name(units[0]).expect("readable"), "unit.c");
        let table = debug.lines(units[0]).expect("readable");
        let first = table.line_at(address).expect("a line");
        assert_eq!((first.file, first.line), ("unit.c", 4), "one line of prelude before");
        let inside =
            table.lines_in(address..address + 64).any(|(_, line)| (line.file, line.line) == ("in.h", 2));
        assert!(inside);
        assert_eq!(table.line_at(1), None);
        assert_eq!(debug.decl_file(address).expect("readable").as_deref(), Some("unit.c"));
        let inlined = &debug.inlined_functions(address).expect("readable")[0];
        assert_eq!((inlined.name.as_str(), inlined.file.as_deref()), ("in", Some("in.h")));
        assert_eq!((inlined.call_file.as_deref(), inlined.call_line), (Some("unit.c"), Some(6)));
    }
}

#[test]
fn compressed_sections_and_other_build_directories_make_no_difference() {
    let source = using("struct s { int a; };");
    let plain = gcc(&source);
    let compressed = compile("gcc", &[("unit.c", &source)], &["-gz=zlib"]);
    let report = compare_images(&plain, &compressed).expect("readable debug information");
    assert!(report.checked && report.changes.is_empty() && report.prototypes.is_empty());
}

#[test]
fn missing_debug_information_is_said() {
    let source = using("struct s { int a; };");
    let bare = compile("gcc", &[("unit.c", &source)], &["-g0"]);
    assert!(DebugSections::load(&bare).expect("readable").is_none());
    let image = gcc(&source);
    let sections = DebugSections::load(&image).expect("readable").expect("debug sections");
    let debug = DebugInfo::new(&sections);
    let unknown = [("assembly".to_owned(), 1)];
    let report = compare_layouts(&debug, &unknown, &debug, &functions(&image), &Surroundings::default())
        .expect("readable");
    assert!(!report.checked);
    assert_eq!(report.unchecked_functions, ["assembly"]);
}

#[test]
fn what_is_not_followed_is_an_error() {
    let source = using("struct s { int a; };");
    let error = |flags: &[&str]| {
        let image = compile("gcc", &[("unit.c", &source)], flags);
        compare_images(&image, &image).expect_err("not supported")
    };
    assert!(matches!(error(&["-gsplit-dwarf"]), DwarfError::SplitDwarf { .. }));
    let relocatable = compile("gcc", &[("unit.c", &source)], &["-r", "-nostdlib", "-no-pie", "-fno-lto"]);
    assert_eq!(DebugSections::load(&relocatable).expect_err("not linked"), DwarfError::Relocatable);
}

/// A unit whose function refers to a type in the file that `.gnu_debugaltlink` names, as `dwz -m` leaves it.
const SUPPLEMENTARY: &str = r#"
    .text
    .globl f
    .type f, @function
f:  ret
.Lend:
    .size f, . - f
    .section .gnu_debugaltlink, "", @progbits
    .asciz "common.debug"
    .zero 20
    .section .debug_abbrev, "", @progbits
    .uleb128 1, 0x11; .byte 1; .uleb128 0x03, 0x08, 0x11, 0x01, 0x12, 0x07, 0, 0
    .uleb128 2, 0x2e; .byte 0; .uleb128 0x03, 0x1f21, 0x49, 0x1f20, 0x11, 0x01, 0x12, 0x07, 0, 0
    .byte 0
    .section .debug_info, "", @progbits
    .long .Linfo_end - .Linfo
.Linfo:
    .value 4; .long 0; .byte 8
    .uleb128 1; .asciz "unit.c"; .quad f; .quad .Lend - f
    .uleb128 2; .long 0; .long 64; .quad f; .quad .Lend - f
    .byte 0
.Linfo_end:
"#;

#[test]
fn a_supplementary_file_is_asked_for() {
    let image = compile("gcc", &[("unit.s", SUPPLEMENTARY)], &["-g0"]);
    assert_eq!(compare_images(&image, &image).expect_err("not given"), DwarfError::SupplementaryFile);
}
