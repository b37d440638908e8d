needs="libssl-dev"
configure() { :; }
compile() {
    # Its makefiles do not know which headers a file includes.
    if [ -e src/mosquitto ] && [ -n "$(find lib src include -name '*.h' -newer src/mosquitto)" ]; then
        nice make -C src clean
    fi
    nice make -C src -j "$jobs" mosquitto WITH_CJSON=no WITH_SYSTEMD=no WITH_STRIP=no
}
