# shellcheck shell=sh
# An apt that knows the source packages of the host's Debian archives, with lists of its own below $cache.
# For scripts to read in; only the type of each entry of the host's is changed.
source_apt() {
    mkdir -p "$cache/apt/lists/partial" "$cache/apt/sources.d"
    for list in /etc/apt/sources.list /etc/apt/sources.list.d/*.list; do
        [ -f "$list" ] && sed -n 's/^deb \(.*debian.*\)/deb-src \1/p' "$list"
    done >"$cache/apt/sources.d/host.list"
    for list in /etc/apt/sources.list.d/*.sources; do
        [ -f "$list" ] && grep -q '^URIs:.*debian' "$list" || continue
        sed 's/^Types:.*/Types: deb-src/' "$list" >"$cache/apt/sources.d/$(basename "$list")"
    done
    apt-get -o "Dir::Etc::sourcelist=/dev/null" -o "Dir::Etc::sourceparts=$cache/apt/sources.d" \
        -o "Dir::State::lists=$cache/apt/lists" -o "APT::Sandbox::User=root" "$@"
}

# need_packages LOG PACKAGE...: installs what is missing, or says so. `say` and `die` are the script's own.
need_packages() {
    packages_log=$1
    shift
    missing=
    for needed; do
        dpkg-query -W -f '${db:Status-Abbrev}' "$needed" 2>/dev/null | grep -q '^ii' || missing="$missing $needed"
    done
    [ -n "$missing" ] || return 0
    [ "$(id -u)" = 0 ] || die "these Debian packages are missing, install them first:$missing"
    say "installing$missing"
    # shellcheck disable=SC2086 # a list of packages
    DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends $missing >>"$packages_log" 2>&1 ||
        die "apt-get failed, see $packages_log"
}
