//! Changed types of live data, found however the build describes its types, and said if they cannot be found.

use std::path::{Path, PathBuf};
use std::process::Command;

use patchgen::report::{Outcome, Refusal, RefusalKind, Verdict};
use patchgen::verdict::{Inputs, diff};

/// Two builds of one source, `-DNEW` in the second, that stay on disk as long as this lives.
struct Builds {
    directory: tempfile::TempDir,
}

impl Builds {
    fn make(compiler: &str, flags: &[&str], source: &str) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let builds = Self { directory };
        for (version, define) in [("old", "-DOLD"), ("new", "-DNEW")] {
            let directory = builds.directory.path().join(version);
            std::fs::create_dir(&directory).expect("a directory");
            let name = if compiler.ends_with("++") { "unit.cc" } else { "unit.c" };
            std::fs::write(directory.join(name), source).expect("writing a source");
            let common = ["-O2", "-g", "-fno-exceptions", "-Wl,--build-id=sha1", define];
            for arguments in [&["-c", name, "-o", "unit.o"][..], &["unit.o", "-o", "program"]] {
                let mut command = Command::new(compiler);
                command.args(common).args(flags).args(arguments).current_dir(&directory);
                let output = command.output().expect("running the compiler");
                assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            }
        }
        builds
    }

    fn path(&self, version: &str, name: &str) -> PathBuf {
        self.directory.path().join(version).join(name)
    }

    fn verdict(&self) -> Verdict {
        verdict(&self.path("old", "program"), &self.path("new", "program"))
    }
}

fn verdict(old: &Path, new: &Path) -> Verdict {
    let inputs = Inputs { old, new, old_debug: None, new_debug: None };
    diff(&inputs).expect("readable builds").verdict
}

/// The one refusal, which is that of `struct device`.
fn refused(verdict: &Verdict) -> &Refusal {
    let layouts: Vec<_> =
        verdict.refusals.iter().filter(|refusal| refusal.kind == RefusalKind::TypeLayout).collect();
    assert_eq!(layouts.len(), 1, "{verdict:#?}");
    assert_eq!(layouts[0].subject, "struct device");
    assert_eq!(verdict.verdict, Outcome::Unpatchable);
    layouts[0]
}

const DEVICE: &str = "
#include <stdio.h>
#include <stdlib.h>
struct device {
    char id;
#ifdef NEW
    char flags;
#endif
    int count;
};
#ifdef NEW
#define TOUCH(device) ((device)->count + (device)->flags++)
#define STEP 2
#else
#define STEP 1
#define TOUCH(device) ((device)->count)
#endif
";

/// A program whose function reaches the type through a variable only.
fn through(variable: &str, name: &str) -> String {
    format!(
        "{DEVICE}
         {variable}
         __attribute__((noipa)) void make(int n) {{ {name} = (struct device *)malloc(sizeof *{name}); {name}->count = n; }}
         __attribute__((noipa)) int f(int n) {{ {name}->count += n; return TOUCH({name}); }}
         int main(int argc, char **argv) {{ make(argc); return f(argc); }}"
    )
}

#[test]
fn a_variable_leads_to_the_type() {
    for flags in [&["-O2"][..], &["-O0"], &["-fno-pie", "-no-pie"], &["-shared", "-fPIC"]] {
        let builds = Builds::make("gcc", flags, &through("struct device *device;", "device"));
        refused(&builds.verdict());
    }
}

#[test]
fn link_time_optimisation_describes_types_in_other_units() {
    for variable in ["struct device *device;", "static struct device *device;"] {
        let builds = Builds::make("gcc", &["-flto"], &through(variable, "device"));
        let verdict = builds.verdict();
        assert!(verdict.types_checked);
        refused(&verdict);
    }
}

#[test]
fn a_parameter_of_an_inlined_function_leads_to_the_type() {
    let source = format!(
        "{DEVICE}
         static inline int touch(struct device *device) {{ return TOUCH(device); }}
         __attribute__((noipa)) int f(void *opaque) {{ return touch(opaque); }}
         int main(int argc, char **argv) {{ return f(argv); }}"
    );
    for flags in [&[][..], &["-flto"], &["-fdebug-types-section"], &["-gsplit-dwarf"]] {
        let verdict = Builds::make("gcc", flags, &source).verdict();
        assert_eq!(refused(&verdict).functions, ["f"], "{flags:?}");
    }
}

#[test]
fn thread_local_variables_lead_to_the_type() {
    let source = through("static __thread struct device *device;", "device");
    refused(&Builds::make("gcc", &[], &source).verdict());
    refused(&Builds::make("gcc", &["-flto"], &source).verdict());
}

#[test]
fn mangled_names_are_no_obstacle() {
    refused(&Builds::make("g++", &[], &through("namespace n { struct device *own; }", "n::own")).verdict());
    let member = "struct holder { static struct device *own; }; struct device *holder::own;";
    refused(&Builds::make("g++", &[], &through(member, "holder::own")).verdict());
    let source = format!(
        "{DEVICE}
         __attribute__((noinline)) int f(int n) {{
             static struct device *own = (struct device *)calloc(1, sizeof *own);
             own->count += n;
             return TOUCH(own);
         }}
         int main(int argc, char **argv) {{ return f(argc); }}"
    );
    refused(&Builds::make("g++", &["-fno-threadsafe-statics"], &source).verdict());
}

/// A changed function that uses data of the given name by assembly: no variable of that name is described.
fn through_symbol(symbol: &str, types: &str) -> String {
    format!(
        "{types}
         __asm__(\".data\\n.local {symbol}\\n.type {symbol}, @object\\n.size {symbol}, 8\\n.balign 8\\n\"
                 \"{symbol}: .quad 0\\n.text\\n\");
         __attribute__((noipa)) int f(int n) {{
             char *place;
             __asm__(\"movq {symbol}(%%rip), %0\" : \"=r\"(place));
             return place[n + STEP];
         }}
         int main(int argc, char **argv) {{ return f(argc); }}"
    )
}

#[test]
fn the_pieces_of_a_variable_belong_to_it() {
    for symbol in ["device.body", "device.body.1", "device.init"] {
        let source = through_symbol(symbol, &format!("{DEVICE} struct device *device;"));
        let verdict = Builds::make("gcc", &[], &source).verdict();
        let refusal = refused(&verdict);
        assert!(refusal.detail.contains("live objects have the old one"), "{refusal:?}");
    }
}

#[test]
fn data_without_a_description_leaves_types_undecided() {
    let source = through_symbol("hidden", &format!("{DEVICE} struct device *other;"));
    for flags in [&[][..], &["-flto"]] {
        let verdict = Builds::make("gcc", flags, &source).verdict();
        let refusal = refused(&verdict);
        assert!(
            refusal.detail.contains("it is not known whether live objects of it are used"),
            "{refusal:?}"
        );
        assert!(refusal.detail.contains("`hidden`, which f uses"), "{refusal:?}");
        assert_eq!(refusal.functions, ["f"]);
    }
}

#[test]
fn data_without_a_description_is_no_obstacle_where_no_type_changed() {
    let types =
        "#ifdef NEW\n#define STEP 2\n#else\n#define STEP 1\n#endif\nstruct device { int id; } *other;";
    let verdict = Builds::make("gcc", &[], &through_symbol("hidden", types)).verdict();
    assert_eq!(verdict.verdict, Outcome::Patchable, "{verdict:#?}");
    assert!(verdict.types_checked);
}

#[test]
fn a_function_beside_a_changed_type_may_cast_to_it() {
    let source = format!(
        "{DEVICE} struct device *other; static int total; int *where(void) {{ return &total; }}
         __attribute__((noipa)) int f(int n) {{ return total += n + STEP; }}
         int main(int argc, char **argv) {{ return f(argc) + *where(); }}"
    );
    for flags in [&[][..], &["-flto"], &["-gsplit-dwarf"], &["-fdebug-types-section"]] {
        let verdict = Builds::make("gcc", flags, &source).verdict();
        assert!(refused(&verdict).detail.contains("a cast to it would leave no trace"), "{verdict:#?}");
    }
}

#[test]
fn types_in_type_units_are_compared() {
    for version in ["-gdwarf-4", "-gdwarf-5"] {
        let flags = ["-fdebug-types-section", version];
        let verdict = Builds::make("gcc", &flags, &through("struct device *device;", "device")).verdict();
        assert!(verdict.types_checked);
        refused(&verdict);
        let class = "namespace n { class holder { public: struct device *own; int take(); }; holder one; }
                     int n::holder::take() { return TOUCH(own); }";
        refused(&Builds::make("g++", &flags, &through(class, "n::one.own")).verdict());
    }
}

#[test]
fn split_debug_information_is_read_where_the_build_left_it() {
    for version in ["-gdwarf-4", "-gdwarf-5"] {
        for types in ["-fno-debug-types-section", "-fdebug-types-section"] {
            let flags = ["-gsplit-dwarf", version, types];
            let verdict = Builds::make("gcc", &flags, &through("struct device *device;", "device")).verdict();
            assert!(verdict.types_checked, "{flags:?} {:?}", verdict.warnings);
            assert!(refused(&verdict).detail.contains("its layout in unit.c changes"), "{verdict:#?}");
            let f = verdict.functions.iter().find(|function| function.name == "f").expect("the function");
            assert_eq!(f.source.as_deref(), Some("unit.c"));
        }
    }
}

#[test]
fn split_debug_information_is_asked_for_by_name() {
    let builds = Builds::make("gcc", &["-gsplit-dwarf"], &through("struct device *device;", "device"));
    // That of another build is as good as none.
    std::fs::copy(builds.path("old", "unit.dwo"), builds.path("new", "unit.dwo")).expect("copying");
    let verdict = builds.verdict();
    assert!(!verdict.types_checked);
    let path = builds.path("new", "unit.dwo").display().to_string();
    assert!(verdict.warnings.iter().any(|warning| warning.contains(&path)), "{:?}", verdict.warnings);
}

#[test]
fn split_debug_information_is_found_beside_the_image() {
    for version in ["-gdwarf-4", "-gdwarf-5"] {
        let builds =
            Builds::make("gcc", &["-gsplit-dwarf", version], &through("struct device *device;", "device"));
        let moved = tempfile::tempdir().expect("a temporary directory");
        for version in ["old", "new"] {
            std::fs::create_dir(moved.path().join(version)).expect("a directory");
            for name in ["program", "unit.dwo"] {
                let to = moved.path().join(version).join(name);
                std::fs::rename(builds.path(version, name), to).expect("moving");
            }
        }
        let (old, new) = (moved.path().join("old/program"), moved.path().join("new/program"));
        refused(&verdict(&old, &new));
        if version == "-gdwarf-5" {
            // The dwp of binutils 2.40 makes an empty package of these.
            continue;
        }
        for version in ["old", "new"] {
            let mut pack = Command::new("dwp");
            pack.args(["unit.dwo", "-o", "program.dwp"]).current_dir(moved.path().join(version));
            assert!(pack.status().expect("running dwp").success());
            std::fs::remove_file(moved.path().join(version).join("unit.dwo")).expect("removing");
        }
        refused(&verdict(&old, &new));
    }
}

#[test]
fn assembly_and_backtrace_only_units_are_said_to_be_unchecked() {
    for flags in [&["-g1"][..], &["-g1", "-flto"]] {
        let verdict = Builds::make("gcc", flags, &through("struct device *device;", "device")).verdict();
        assert!(!verdict.types_checked, "{flags:?} {verdict:#?}");
        assert!(verdict.warnings.iter().any(|warning| warning.contains("not checked for f")), "{verdict:?}");
    }
    let assembly = |section: &str| {
        format!(
            "{DEVICE} struct device *other; int f(int); int before(int n) {{ return n; }}
             __asm__(\".section {section}\\n.globl f\\n.type f, @function\\nf: leal \"
             #ifdef NEW
                     \"2\"
             #else
                     \"1\"
             #endif
                     \"(%rdi), %eax\\nnop\\nnop\\nnop\\nnop\\nret\\n.size f, . - f\\n.text\\n\");
             int behind(int n) {{ return n + 1; }}
             int main(int argc, char **argv) {{ return f(argc); }}"
        )
    };
    let verdict = Builds::make("gcc", &[], &assembly(".text.apart, \\\"ax\\\"")).verdict();
    assert!(!verdict.types_checked, "{verdict:#?}");
    assert!(verdict.warnings.iter().any(|warning| warning.contains("not checked for f")), "{verdict:?}");
    // In the range of a unit it may touch all types of it.
    let verdict = Builds::make("gcc", &["-fno-toplevel-reorder"], &assembly(".text")).verdict();
    assert_eq!(refused(&verdict).functions, ["f"]);
}

#[test]
fn what_clang_keeps_in_a_pointers_stead_has_the_pointers_type() {
    // Its symbol is `block.body` or `f.block.body`, and nothing says where `block` is.
    let source = |outside: &str, inside: &str| {
        format!(
            "
            #include <stdlib.h>
            #ifdef NEW
            typedef unsigned short number;
            #else
            typedef unsigned char number;
            #endif
            {outside}
            __attribute__((noinline)) int f(int n, int write) {{
                {inside}
                if (!block) block = (number *)malloc(64);
                if (write) block[n & 3] = n + 10;
                return block[n & 3];
            }}
            int main(int argc, char **argv) {{ return f(argc, argc > 1) + f(argc + 1, 0); }}"
        )
    };
    let declaration = "static number *block;";
    for compiler in ["gcc", "clang", "g++", "clang++"] {
        let sources = [(source(declaration, ""), "block"), (source("", declaration), "f::block")];
        for (source, subject) in sources {
            let verdict = Builds::make(compiler, &[], &source).verdict();
            let subjects: Vec<_> = verdict.refusals.iter().map(|refusal| refusal.subject.as_str()).collect();
            assert_eq!(subjects, [subject], "{compiler}: {verdict:#?}");
            assert_eq!(verdict.refusals[0].kind, RefusalKind::TypeLayout);
        }
    }
}
