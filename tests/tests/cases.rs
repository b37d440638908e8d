//! The behaviour cases of `cases/`, each in gcc's usual configuration. `make matrix` runs them in all others.

use tardigrade_tests::{Case, Configuration, Ending};

/// Runs one case: the verdict must be what its directives say, and each step must do what it must.
#[track_caller]
fn run(name: &str) {
    let case = Case::named(name);
    let ending = case.run(&Configuration::USUAL, true);
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
            let found: Vec<String> = Case::all().into_iter().map(|case| case.name).collect();
            let mut listed = vec![$(stringify!($name)),*];
            listed.sort_unstable();
            assert_eq!(found, listed);
        }
    };
}

cases! {
    address_of_import
    alias
    alloca
    alignment_grows
    array_grows
    asm_section
    assembly_calls
    assembly_changed
    assembly_without_size
    bit_fields
    call_enters_try
    byte_order
    callbacks
    cast_layout
    catch_cold
    catch_order
    catch_type
    changed_string
    class_base
    class_base_fixed
    class_layout
    cold_part
    comdat_inline
    computed_goto
    computed_goto_calls
    computed_goto_chosen
    computed_goto_distances
    computed_goto_moved
    computed_goto_new
    computed_goto_resumed
    computed_goto_same_table
    computed_goto_stored
    constant_unnamed_enum
    constant_unnamed_enum_added
    constprop
    constructor
    end_before_changed_constant
    end_before_constant
    end_before_new_table
    end_before_new_variable
    end_before_switch
    end_counted_down
    entries_padded
    entries_tight
    entry_loop
    entry_too_short
    enumeration
    enumerator_added
    error_number
    exception_catches
    exception_cold
    exception_nested
    exception_new_type
    exception_specification
    exception_static_guard
    exception_terminates
    exception_throws
    exceptions
    exceptions_of_library
    exceptions_static
    exceptions_static_libgcc
    exceptions_static_pie
    file_moved
    floating_constants
    folded_by_linker
    folded_constant
    function_pointers
    header_function
    identical_code
    identical_code_appears
    identical_static
    identical_static_appears
    ifunc
    ifunc_target
    initial_value
    initial_value_bss
    inlining_appears
    inlining_vanishes
    ipa_ra
    ipa_ra_callee
    isra
    isra_changed
    kept_across_call
    kept_as_text
    kept_by_conditional_tail_call
    kept_by_library_tail_call
    kept_by_strtol
    kept_by_tail_call
    lambda
    lambda_stored
    lazy_import
    libc_data
    libc_data_new
    line_and_code
    line_only
    line_returned
    lines_passed
    linkage
    local_pointer_array
    local_pointer_array_new
    many_arguments
    member_in_padding
    member_in_padding_cast
    member_in_padding_passed
    member_in_zeroed_padding
    members
    members_swapped
    members_swapped_compressed
    members_swapped_dwarf4
    namesakes
    new_function
    new_functions_calling
    new_import
    new_import_pointer
    new_import_variant
    new_import_version
    new_pointer_table
    new_static_local
    new_table
    new_variables
    new_writable_pointers
    no_plt
    noexcept_added
    noreturn
    numbered_functions
    number_counting
    number_dividing
    number_in_struct
    number_named_otherwise
    number_of_another_call
    number_on_another_path
    number_shifting
    object_ends
    one_segment
    operations_table
    packed_relocations
    packed_relocations_table
    partial_inlining
    pointer_pair
    patchable_entries
    prototype
    recursion
    relative_names
    relative_strings
    relative_strings_new
    relative_strings_same_length
    relative_variables
    removed_function
    removed_import
    removed_variable
    retpolines
    self_in_table
    sentinel
    setjmp
    shared_strings
    shared_tail
    signal_handler
    sorting
    stack_protector
    static_constructor
    static_constructor_new
    static_executable
    static_guard
    static_guard_new
    static_local_kept
    static_locals_bss
    static_locals_bss_cpp
    static_locals_cpp
    static_locals_renumbered
    static_locals_same_function
    struct_layout
    struct_on_stack
    struct_return
    swapped_functions
    swapped_variables
    switch_absolute
    switch_relative
    switch_values
    table_biased_far
    table_end
    table_end_stored
    table_biased
    table_in_pieces
    table_indexed_by_address
    table_like_text
    table_passed
    table_at_fixed_address
    tail_calls
    target_clones
    templates
    thread_local
    tls_descriptors
    tls_descriptors_moved
    tls_executable
    tls_general_dynamic
    tls_general_dynamic_moved
    tls_initial_exec
    tls_initial_exec_moved
    tls_initial_pointer
    tls_initial_value
    tls_library_moved
    tls_library_new
    tls_local_dynamic_moved
    tls_local_dynamic_relocations
    tls_moved
    tls_moved_fixed
    tls_moved_local_dynamic
    tls_moved_relaxed
    tls_moved_relaxed_relocations
    tls_moved_threads
    tls_new_variable
    tls_of_library
    tls_resized
    tls_static_locals
    tls_threads
    unchanged
    unchanged_library
    variable_type
    variadic
    vector_constants
    virtual_calls
    visibility
    vtable
    vtable_grows
    weak_symbols
    wide_strings
}
