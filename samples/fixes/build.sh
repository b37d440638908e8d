#!/bin/sh
# Build what the table of fixes needs, into a cache outside the tree:
#
#   build.sh [PACKAGE]...      without arguments all packages of fixes.tsv
#
# A Debian source package is unpacked without its patches. Then debian/patches/series is applied patch by
# patch; before and after each fix of fixes.tsv the program is built, in the same directory and with Debian's
# flags, and kept as pairs/FIX/old and pairs/FIX/new (directories with the one file in them).
#
# recipes/PACKAGE.sh says which Debian packages the build needs and has two functions that run in the source
# tree: configure, once, and compile, after each patch.
#
# A package whose pairs are there is left alone, and a filled cache needs no network. The cache is
# ${TARDIGRADE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/tardigrade}/fixes.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
cache=${TARDIGRADE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/tardigrade}/fixes
jobs=${TARDIGRADE_JOBS:-2}
fixes=$here/fixes.tsv

# Debian's own tools and flags, whatever else stands first in the caller's environment.
PATH=/usr/sbin:/usr/bin:/sbin:/bin
export PATH LC_ALL=C
unset CFLAGS CPPFLAGS CXXFLAGS LDFLAGS MAKEFLAGS

say() { echo "fixes: $*" >&2; }
die() { say "$*"; exit 1; }
sum() { sha256sum | cut -c1-32; }
. "$here/../source-apt.sh"
# field NUMBER: that column of each fix of $package
field() { awk -F '\t' -v package="$package" -v number="$1" '$2 == package { print $number }' "$fixes"; }

# --- packages ---------------------------------------------------------------------------------

get_source() {
    dsc=$cache/dl/${package}_${version#*:}.dsc
    if [ ! -e "$dsc" ]; then
        say "fetching $package $version"
        mkdir -p "$cache/dl"
        source_apt -qq update >>"$log" 2>&1 || true
        (cd "$cache/dl" && source_apt -qq source --download-only "$package=$version") >>"$log" 2>&1 ||
            die "cannot fetch $package $version (the archive may have a later one by now), see $log"
    fi
    rm -rf "$tree"
    mkdir -p "$(dirname "$tree")"
    dpkg-source --no-check --skip-patches -x "$dsc" "$tree" >>"$log" 2>&1 || die "cannot unpack $dsc, see $log"
}

# --- pairs ------------------------------------------------------------------------------------

# keep DESTINATION: build what changed since the last time and keep the program.
keep() {
    if [ -n "$stale" ]; then
        start=$(date +%s)
        if [ -z "$configured" ]; then
            (cd "$tree" && configure) >>"$log" 2>&1 || die "$package: configure failed, see $log"
            configured=1
        fi
        (cd "$tree" && compile) >>"$log" 2>&1 || die "$package: the build failed, see $log"
        stale=
        say "$package: built in $(($(date +%s) - start)) s"
    fi
    rm -rf "$1"
    mkdir -p "$1"
    cp -L "$tree/$program" "$1/" || die "$package: no $program"
}

# fix_with WHICH PATCH: the fix whose patches begin (first) or end (last) with this one
fix_with() {
    awk -F '\t' -v package="$package" -v which="$1" -v patch="$2" \
        '$2 == package { count = split($4, part, ","); if (part[which == "first" ? 1 : count] == patch) print $1 }' \
        "$fixes"
}

build_package() {
    log=$cache/logs/$package.log
    tree=$cache/src/$package
    version=$(field 3 | sort -u)
    program=$(field 5 | sort -u)
    [ -n "$version" ] || die "fixes.tsv has no package $package"
    # shellcheck source=/dev/null
    . "$here/recipes/$package.sh"
    stamp=$( (field 1; field 3; field 4; field 5; cat "$here/recipes/$package.sh"; gcc --version) | sum)
    [ "$(cat "$cache/pairs/.$package" 2>/dev/null)" = "$stamp" ] && return
    : >"$log"
    # shellcheck disable=SC2086 # a list of packages
    need_packages "$log" gcc g++ libc6-dev dpkg-dev make patch $needs
    get_source
    eval "$(cd "$tree" && DEB_BUILD_MAINT_OPTIONS=hardening=+all dpkg-buildflags --export=sh)"
    LDFLAGS="$LDFLAGS -Wl,--build-id=sha1"
    configured=
    stale=1
    for patch in $(grep -v '^#' "$tree/debian/patches/series"); do
        fix=$(fix_with first "$patch")
        [ -z "$fix" ] || keep "$cache/pairs/$fix/old"
        patch -s -p1 --no-backup-if-mismatch -d "$tree" <"$tree/debian/patches/$patch" >>"$log" 2>&1 ||
            die "$package: $patch does not apply, see $log"
        stale=1
        fix=$(fix_with last "$patch")
        [ -z "$fix" ] || keep "$cache/pairs/$fix/new"
    done
    for fix in $(field 1); do
        [ -e "$cache/pairs/$fix/new" ] || die "the patches of $fix are not in the series of $package"
    done
    echo "$stamp" >"$cache/pairs/.$package"
}

mkdir -p "$cache/logs" "$cache/pairs"
exec 9>"$cache/.lock"
flock 9 # one build at a time
# shellcheck disable=SC2046 # package names are words
[ $# -gt 0 ] || set -- $(grep -v '^#' "$fixes" | cut -f 2 | sort -u)
for package; do
    (build_package) # a recipe's settings end with it
done
