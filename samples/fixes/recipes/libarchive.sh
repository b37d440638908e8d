needs="cmake zlib1g-dev libbz2-dev liblzma-dev"
configure() {
    cmake -B build -DCMAKE_BUILD_TYPE=RelWithDebInfo -DCMAKE_C_FLAGS_RELWITHDEBINFO= -DENABLE_TEST=OFF \
        -DENABLE_WERROR=OFF -DENABLE_OPENSSL=OFF -DENABLE_ACL=OFF -DENABLE_LIBXML2=OFF -DENABLE_ZSTD=OFF \
        -DENABLE_LZ4=OFF
}
compile() { nice make -C build -j "$jobs" archive; }
