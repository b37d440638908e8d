needs="pkg-config nettle-dev libgmp-dev"
configure() { :; }
compile() { nice make -j "$jobs" CFLAGS="$CFLAGS $CPPFLAGS" LDFLAGS="$LDFLAGS" COPTS="-DHAVE_DNSSEC"; }
