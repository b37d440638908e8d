//! The behaviour cases of `rust_cases/`, each as cargo's release profile builds it. `make matrix` runs them in other
//! configurations.

use tardigrade_tests::{RustCase, RustConfiguration, cases};

/// Runs one case: the verdict must be what its directives say, and each step must do what it must.
#[track_caller]
fn run(name: &str) {
    let case = RustCase::named(name);
    assert_eq!(case.run(&RustConfiguration::USUAL, true), case.directives.wanted());
}

cases! {
    RustCase, run:
    aligned_static
    bounds_check
    boxed_closures
    catch_unwind
    changed_str
    closure_changed
    closure_inserted
    closures_exchanged
    collections
    column_shift
    comment_only
    const_generics
    const_table
    default_method_overridden
    drop_gained
    drop_lost
    duplicate_functions
    enum_variant_added
    errors
    event_changed
    event_lines
    floats
    futures
    generic_captures
    generic_instances
    generic_one_instance
    impl_inserted
    inlined
    instances_exchanged
    iterators
    jump_through_data
    line_shift
    local_namesakes
    moved_and_changed
    new_float_format
    new_format
    new_implementation
    new_panic
    new_static
    recursion
    static_between
    static_initial_value
    static_namesakes
    statics_kept
    struct_field_added
    sub_slices
    table_of_strings
    tables_that_meet
    tail_of_table
    thread_local_kept
    thread_local_namesakes
    threads
    trait_objects
    walk_to_end
    wide_match
}
