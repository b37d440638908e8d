needs=
configure() { :; }
# The program's makefile does not know that it depends on the libraries under deps.
compile() {
    nice make -C deps hiredis linenoise lua hdr_histogram &&
        rm -f src/redis-server &&
        nice make -C src -j "$jobs" redis-server MALLOC=libc OPTIMIZATION=-O2 V=1
}
