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
