#!/bin/sh
# Build what the table of fixes needs, into a cache outside the tree:
#
#   build.sh [PROGRAM-PROFILE]...      without arguments all of fixes.tsv
#
# A released version is fetched with cargo and built with the lock file that it came with. Each fix is one patch
# onto it (PROGRAM/NAME.patch), built in the same directory and with the same flags, and taken back afterwards.
#
#   builds/PROGRAM-PROFILE/base    the release; NAME: with one fix
#       PROGRAM, PROGRAM.debug     stripped as it is shipped, and its debugging information
#       objects/                   what went into the link: objects.py compares these, not the linked program
#
# Profiles: vmm (fat LTO, one codegen unit, opt-level s, panic=abort: what Rust VMMs ship) and release (cargo's
# default: 16 codegen units, no fat LTO, opt-level 3, panic=unwind), both with full debugging information.
#
# A build that is there is left alone, and a filled cache needs no network. The cache is
# ${TARDIGRADE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/tardigrade}/rust.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
cache=${TARDIGRADE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/tardigrade}/rust
jobs=${TARDIGRADE_JOBS:-2}
export LC_ALL=C
unset RUSTFLAGS CARGO_TARGET_DIR CARGO_BUILD_TARGET RUSTC_WRAPPER

say() { echo "rust-fixes: $*" >&2; }
die() { say "$*"; exit 1; }
sum() { sha256sum | cut -c1-32; }
. "$here/../source-apt.sh"
# column PROGRAM NUMBER: a cell of programs.tsv; "-" is empty
column() { awk -F '\t' -v name="$1" -v number="$2" '$1 == name && $number != "-" { print $number }' "$here/programs.tsv"; }

get_source() {
    [ ! -e "$tree/.complete" ] || return 0
    say "fetching $program $version"
    # `cargo info` unpacks the release among the registry's sources.
    cargo info -q "$program@$version" >>"$log" 2>&1 || die "cannot fetch $program $version, see $log"
    rm -rf "$tree"
    mkdir -p "${tree%/*}"
    for unpacked in "${CARGO_HOME:-$HOME/.cargo}"/registry/src/*/"$program-$version"; do
        cp -r "$unpacked" "$tree"
    done
    touch "$tree/.complete"
}

settings() {
    export CARGO_INCREMENTAL=0 CARGO_PROFILE_RELEASE_DEBUG=2 CARGO_PROFILE_RELEASE_STRIP=none
    case $profile in
    vmm)
        export CARGO_PROFILE_RELEASE_LTO=fat CARGO_PROFILE_RELEASE_CODEGEN_UNITS=1 \
            CARGO_PROFILE_RELEASE_OPT_LEVEL=s CARGO_PROFILE_RELEASE_PANIC=abort
        ;;
    release)
        export CARGO_PROFILE_RELEASE_LTO=false CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 \
            CARGO_PROFILE_RELEASE_OPT_LEVEL=3 CARGO_PROFILE_RELEASE_PANIC=unwind
        ;;
    *) die "there is no profile $profile" ;;
    esac
    export CARGO_TARGET_DIR="$cache/target/$program-$profile"
    export RUSTFLAGS="-C linker=$here/keep-inputs -C link-arg=-Wl,--build-id=sha1 --remap-path-prefix=$tree=/src"
}

# keep NAME: build what is in the tree and keep the program, its debugging information and the objects
keep() {
    start=$(date +%s)
    into=$kept/$1
    rm -rf "$into"
    mkdir -p "$into"
    # Patched or taken back within a second, a file may look unchanged; and each build is to be linked.
    find "$tree/src" -name '*.rs' -exec touch {} +
    # shellcheck disable=SC2046 # cargo arguments
    (cd "$tree" && KEEP_INPUTS="$into/objects" KEEP_BINARY=$(echo "$binary" | tr - _) \
        cargo build --locked --release -j "$jobs" --bin "$binary" $(column "$program" 4)) >>"$log" 2>&1 ||
        die "$program with $1: the build failed, see $log"
    built=$CARGO_TARGET_DIR/release/$binary
    [ -d "$into/objects" ] || die "$program with $1: nothing was linked"
    objcopy --only-keep-debug "$built" "$into/$binary.debug"
    strip -o "$into/$binary" "$built"
    (cd "$into" && objcopy --add-gnu-debuglink="$binary.debug" "$binary")
    for object in "$into/objects"/*; do
        strip --strip-debug "$object" 2>/dev/null || true # compared are code and data
    done
    touch "$into/.complete"
    say "$program-$profile $1: built in $(($(date +%s) - start)) s"
}

build_all() {
    subject=$1
    program=${subject%-*}
    profile=${subject##*-}
    log=$cache/logs/$subject.log
    tree=$cache/src/$program
    kept=$cache/builds/$subject
    version=$(column "$program" 2)
    binary=$(column "$program" 3)
    [ -n "$version" ] || die "programs.tsv has no program $program"
    stamp=$( (echo "$version"; column "$program" 4; cat "$here/keep-inputs"; rustc --version) | sum)
    if [ "$(cat "$kept/.stamp" 2>/dev/null)" != "$stamp" ]; then
        rm -rf "$kept"
        mkdir -p "$kept"
        echo "$stamp" >"$kept/.stamp"
    fi
    settings
    for name in base $(awk -F '\t' -v program="$program" '$2 == program { print $1 }' "$here/fixes.tsv"); do
        patch=$here/$program/${name#"$program-"}.patch
        mark=base
        [ "$name" = base ] || mark=$(sum <"$patch")
        [ -e "$kept/$name/.complete" ] && [ "$(cat "$kept/$name/.patch" 2>/dev/null)" = "$mark" ] && continue
        # shellcheck disable=SC2046 # a list of packages
        need_packages "$log" gcc libc6-dev binutils patch $(column "$program" 5)
        get_source
        [ "$name" = base ] || patch -s -p1 --no-backup-if-mismatch -d "$tree" <"$patch" >>"$log" 2>&1 ||
            die "$patch does not apply, see $log"
        (keep "$name") && done=1 || done=
        [ "$name" = base ] || patch -s -R -p1 --no-backup-if-mismatch -d "$tree" <"$patch" >>"$log" 2>&1 ||
            die "$patch cannot be taken back, see $log"
        [ -n "$done" ] || exit 1
        echo "$mark" >"$kept/$name/.patch"
    done
}

mkdir -p "$cache/logs" "$cache/builds"
# shellcheck disable=SC2046 # names are words
[ $# -gt 0 ] || set -- $(awk -F '\t' '!/^#/ { count = split($3, profile, ","); for (i = 1; i <= count; i++) print $2 "-" profile[i] }' \
    "$here/fixes.tsv" | sort -u)
for subject; do
    exec 9>"$cache/.lock-${subject%-*}"
    flock 9 # one build of a program at a time: they share its source
    (build_all "$subject")
done
