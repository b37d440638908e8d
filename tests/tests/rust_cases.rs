//! The behaviour cases of `rust_cases/`, each as cargo's release profile builds it. `make matrix` runs them in other
//! configurations.

use tardigrade_tests::{Ending, RustCase, RustConfiguration};

/// Runs one case: the verdict must be what its directives say, and each step must do what it must.
#[track_caller]
fn run(name: &str) {
    let case = RustCase::named(name);
    let ending = case.run(&RustConfiguration::USUAL, true);
    let directives = &case.directives;
    let wanted = if !directives.refused.is_empty() {
        Ending::Refused(directives.refused.iter().map(|(kind, _)| kind.clone()).collect())
    } else if directives.changed.is_empty() {
        Ending::Unchanged
    } else {
        Ending::Right
    };
    assert_eq!(ending, wanted);
}

/// One test for each case, and one that there is none beside them.
macro_rules! cases {
    ($($name:ident)*) => {
        $(
            #[test]
            fn $name() {
                run(stringify!($name));
            }
        )*

        #[test]
        fn every_case_is_run() {
            let found: Vec<String> = RustCase::all().into_iter().map(|case| case.name).collect();
            let mut listed = vec![$(stringify!($name)),*];
            listed.sort_unstable();
            assert_eq!(found, listed);
        }
    };
}

cases! {
    bounds_check
    boxed_closures
    catch_unwind
    changed_str
    closure_changed
    closure_inserted
    collections
    column_shift
    comment_only
    const_generics
    const_table
    duplicate_functions
    enum_variant_added
    errors
    floats
    futures
    generic_instances
    generic_one_instance
    impl_inserted
    inlined
    iterators
    line_shift
    moved_and_changed
    new_format
    new_implementation
    new_panic
    new_static
    recursion
    static_initial_value
    statics_kept
    struct_field_added
    table_of_strings
    tail_of_table
    thread_local_kept
    threads
    trait_objects
    walk_to_end
    wide_match
}
