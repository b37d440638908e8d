needs="cmake zlib1g-dev"
configure() {
    cmake -B build -DCMAKE_BUILD_TYPE=None -Dtiff-tests=OFF -Dtiff-docs=OFF -Djbig=OFF -Dlzma=OFF -Dwebp=OFF \
        -Dzstd=OFF -Dlibdeflate=OFF -Djpeg=OFF -Dlerc=OFF
}
compile() { nice make -C build -j "$jobs" tiff; }
