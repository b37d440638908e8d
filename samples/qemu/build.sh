#!/bin/sh
# Build what the QEMU tests need, into a cache outside the tree:
#
#   build.sh [pairs|guests]...      both without arguments
#
# pairs   Debian's QEMU with all fixes (pairs/new), and once without each fix (pairs/NAME.old)
# guests  a Debian kernel with a tiny initramfs for TCG, and a bare guest for KVM
#
# Every step is skipped when its result is there, so a stopped run continues where it stopped, and a
# filled cache needs no network. The cache is ${TARDIGRADE_CACHE:-$HOME/.cache/tardigrade}/qemu.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
cache=${TARDIGRADE_CACHE:-$HOME/.cache/tardigrade}/qemu
jobs=${TARDIGRADE_JOBS:-2}
fixes=$here/fixes.tsv

# Debian's own python, meson and compiler, whatever else stands first in the caller's PATH.
PATH=/usr/sbin:/usr/bin:/sbin:/bin
export PATH LC_ALL=C
unset CFLAGS CPPFLAGS CXXFLAGS LDFLAGS MAKEFLAGS PYTHONPATH

say() { echo "qemu: $*" >&2; }
die() { say "$*"; exit 1; }
sum() { sha256sum | cut -c1-32; }
. "$here/../source-apt.sh"

# --- packages ---------------------------------------------------------------------------------

BUILD_PACKAGES="gcc libc6-dev dpkg-dev make patch pkg-config python3 ninja-build meson libglib2.0-dev
 libpixman-1-dev zlib1g-dev libfdt-dev libaio-dev liburing-dev libgnutls28-dev libjpeg62-turbo-dev
 libpng-dev libseccomp-dev libzstd-dev libcap-ng-dev libattr1-dev"
GUEST_PACKAGES="gcc libc6-dev cpio seabios qemu-system-data"

# --- QEMU -------------------------------------------------------------------------------------

CONFIGURE="--target-list=x86_64-softmmu --without-default-features --with-default-devices
 --disable-tools --disable-docs --disable-user --disable-install-blobs --disable-werror
 --with-git-submodules=ignore --with-pkgversion=tardigrade-sample
 --firmwarepath=/usr/share/qemu:/usr/share/seabios --extra-cflags=-fcf-protection
 --enable-system --enable-tcg --enable-kvm --enable-pie --enable-stack-protector --enable-fdt=system
 --enable-virtfs --enable-attr --enable-cap-ng --enable-vnc --enable-vnc-jpeg --enable-png
 --enable-gnutls --enable-zstd --enable-linux-aio --enable-linux-io-uring --enable-seccomp
 --enable-vhost-net --enable-vhost-kernel --enable-vhost-user --enable-vhost-vdpa
 --enable-coroutine-pool --enable-membarrier --enable-replication --enable-live-block-migration
 --enable-tpm --enable-qcow1 --enable-vdi --enable-vvfat --enable-dmg --enable-cloop
 --enable-parallels --enable-bochs --enable-qed"

get_source() {
    [ -e "$cache/src/.complete" ] && return
    if ! ls "$cache"/dl/qemu_7.2*.dsc >/dev/null 2>&1; then
        say "fetching Debian's QEMU source"
        mkdir -p "$cache/dl"
        source_apt -qq update 2>"$cache/logs/apt.log" || true
        (cd "$cache/dl" && source_apt -qq source --download-only qemu) >>"$cache/logs/apt.log" 2>&1 ||
            die "cannot fetch the source package, see $cache/logs/apt.log"
    fi
    set -- "$cache"/dl/qemu_7.2*.dsc
    [ -e "$1" ] || die "the configured Debian archives have no QEMU 7.2: bookworm is needed"
    say "unpacking $(basename "$1")"
    rm -rf "$cache/src" "$cache/build"
    dpkg-source --no-check -x "$1" "$cache/src" >"$cache/logs/unpack.log" 2>&1 ||
        die "cannot unpack, see $cache/logs/unpack.log"
    sha256sum <"$1" >"$cache/src/.complete"
}

configure_qemu() {
    wanted=$( (cat "$cache/src/.complete"; echo "$CONFIGURE"; gcc --version) | sum)
    [ "$(cat "$cache/build/.configured" 2>/dev/null)" = "$wanted" ] && return
    say "configuring"
    rm -rf "$cache/build"
    mkdir -p "$cache/build"
    # shellcheck disable=SC2086 # a list of options
    (cd "$cache/build" && nice -n 10 ../src/configure $CONFIGURE) >"$cache/logs/configure.log" 2>&1 ||
        die "configure failed, see $cache/logs/configure.log"
    echo "$wanted" >"$cache/build/.configured"
}

# compile DESTINATION: build what changed and keep the binary.
compile() {
    start=$(date +%s)
    nice -n 10 ninja -C "$cache/build" -j "$jobs" qemu-system-x86_64 >"$cache/logs/ninja.log" 2>&1 ||
        die "the build failed, see $cache/logs/ninja.log"
    cp "$cache/build/qemu-system-x86_64" "$1.tmp"
    mv "$1.tmp" "$1"
    say "$(basename "$1") built in $(($(date +%s) - start)) s"
}

# While a fix is taken out, the files it touches are kept in toggled.tar: a run that was stopped
# in between is undone before anything else happens.
restore_source() {
    [ -e "$cache/toggled.tar" ] || return 0
    tar -C "$cache/src" -xmf "$cache/toggled.tar" # -m: newer than any object made without the fix
    rm "$cache/toggled.tar"
}

remove_fix() {
    files=$(awk -F '\t' -v name="$1" '$1 == name { print $3 }' "$fixes")
    # shellcheck disable=SC2086 # a list of files
    tar -C "$cache/src" -cf "$cache/toggled.tar.tmp" $files
    mv "$cache/toggled.tar.tmp" "$cache/toggled.tar"
    patch -s -R -p1 --no-backup-if-mismatch -d "$cache/src" <"$2" >"$cache/logs/patch.log" ||
        die "fix $1 does not come off cleanly, see $cache/logs/patch.log"
}

build_pairs() {
    if [ -n "${TARDIGRADE_QEMU_PAIRS:-}" ]; then
        say "using the pairs in $TARDIGRADE_QEMU_PAIRS"
        return
    fi
    mkdir -p "$cache/pairs" "$cache/fixes"
    need_state=
    for name in $(python3 -B "$here/cut_fix.py" --list); do
        [ -e "$cache/pairs/$name.old" ] || need_state=1
    done
    stamp=$( (cat "$fixes"; echo "$CONFIGURE") | sum)
    if [ -z "$need_state" ] && [ -e "$cache/pairs/new" ] &&
        [ "$(cat "$cache/pairs/.stamp" 2>/dev/null)" = "$stamp" ]; then
        return
    fi
    # shellcheck disable=SC2086 # a list of packages
    need_packages "$cache/logs/packages.log" $BUILD_PACKAGES
    get_source
    restore_source
    configure_qemu
    key=$(cat "$cache/build/.configured")
    if [ "$(cat "$cache/pairs/new.key" 2>/dev/null)" != "$key" ]; then
        say "compiling QEMU: some 1500 files, 7 CPU-minutes or more"
        compile "$cache/pairs/new"
        echo "$key" >"$cache/pairs/new.key"
    fi
    for name in $(python3 -B "$here/cut_fix.py" --list); do
        python3 -B "$here/cut_fix.py" "$cache/src/debian/patches" "$name" >"$cache/fixes/$name.patch"
        fix_key=$( (echo "$key"; cat "$cache/fixes/$name.patch") | sum)
        [ "$(cat "$cache/pairs/$name.key" 2>/dev/null)" = "$fix_key" ] && continue
        remove_fix "$name" "$cache/fixes/$name.patch"
        compile "$cache/pairs/$name.old"
        restore_source
        echo "$fix_key" >"$cache/pairs/$name.key"
    done
    echo "$stamp" >"$cache/pairs/.stamp"
}

# --- guests -----------------------------------------------------------------------------------

GUEST_MODULES="virtio virtio_ring virtio_pci_legacy_dev virtio_pci_modern_dev virtio_pci virtio_blk msr"

get_kernel() {
    [ -e "$cache/guest/kernel/.complete" ] && return
    if ! ls "$cache"/dl/linux-image-*.deb >/dev/null 2>&1; then
        package=$(apt-cache depends linux-image-cloud-amd64 |
            sed -n 's/.*Depends: \(linux-image-[0-9].*\)/\1/p' | head -n 1)
        [ -n "$package" ] || die "apt knows no linux-image-cloud-amd64"
        say "fetching $package"
        mkdir -p "$cache/dl"
        (cd "$cache/dl" && apt-get -qq download "$package") >"$cache/logs/kernel.log" 2>&1 ||
            die "cannot fetch the kernel, see $cache/logs/kernel.log"
    fi
    set -- "$cache"/dl/linux-image-*.deb
    rm -rf "$cache/guest/kernel"
    mkdir -p "$cache/guest/kernel"
    dpkg-deb -x "$1" "$cache/guest/kernel"
    : >"$cache/guest/kernel/.complete"
}

build_guests() {
    mkdir -p "$cache/guest"
    stamp=$(cat "$0" "$here"/guest/* | sum)
    [ "$(cat "$cache/guest/.stamp" 2>/dev/null)" = "$stamp" ] && return
    # shellcheck disable=SC2086 # a list of packages
    need_packages "$cache/logs/packages.log" $GUEST_PACKAGES
    get_kernel
    say "building the guests"
    cp "$cache"/guest/kernel/boot/vmlinuz-* "$cache/guest/vmlinuz"

    root=$cache/guest/root
    rm -rf "$root"
    mkdir -p "$root/modules" "$root/dev" "$root/proc" "$root/sys"
    gcc -std=gnu11 -O2 -Wall -Wextra -Werror -static -s -o "$root/init" "$here/guest/init.c"
    for module in $GUEST_MODULES; do
        file=$(find "$cache/guest/kernel/lib/modules" -name "$module.ko")
        [ -n "$file" ] && cp "$file" "$root/modules/" # else built in
    done
    (cd "$root" && find . | cpio -o -H newc --quiet | gzip -9n) >"$cache/guest/initramfs.gz"

    # No instruction set beyond i386 and no call into a library: it runs on bare hardware.
    gcc -m32 -march=i386 -O2 -Wall -Wextra -Werror -ffreestanding -fno-pic -fno-stack-protector \
        -fno-asynchronous-unwind-tables -fcf-protection=none -nostdlib -static \
        -Wl,--build-id=none,--no-warn-rwx-segments,-N,-Ttext=0x100000 \
        -o "$cache/guest/bare.elf" "$here/guest/bare-start.S" "$here/guest/bare.c"

    gcc -O2 -Wall -Wextra -Werror -shared -fPIC -o "$cache/guest/fake-vdpa.so" "$here/guest/fake-vdpa.c"
    echo "$stamp" >"$cache/guest/.stamp"
}

mkdir -p "$cache/logs"
[ $# -gt 0 ] || set -- pairs guests
for what; do
    case $what in
    pairs | guests) ;;
    *) die "usage: build.sh [pairs|guests]..." ;;
    esac
    exec 9>"$cache/.lock-$what"
    flock 9 # one build of a kind at a time
    "build_$what"
done
