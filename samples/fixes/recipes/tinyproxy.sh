needs=
configure() { ./configure --disable-manpage_support; }
compile() { nice make -j "$jobs" -C src; }
