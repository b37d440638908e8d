needs=
configure() { ./configure --disable-static --disable-flac --disable-docs CXXFLAGS="$CXXFLAGS -Wno-narrowing"; }
# Its list of exported symbols (-retain-symbols-file) would leave no names of other functions in the library.
compile() {
    nice make -j "$jobs" -C libaudiofile AUTOMAKE=: AUTOCONF=: ACLOCAL=: AUTOHEADER=: \
        libaudiofile_la_LDFLAGS="-version-info 1:0:0 -no-undefined -lm"
}
