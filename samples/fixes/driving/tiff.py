"""What the driver does with libtiff."""
import ctypes
import os
import struct
import tempfile

SIDE = 16
# tiff.h
WIDTH, LENGTH, BITS, COMPRESSION, PHOTOMETRIC, OFFSETS, SAMPLES, ROWS, COUNTS, CONFIG = (
    256, 257, 258, 259, 262, 273, 277, 278, 279, 284)
INK_NAMES, SUBSAMPLING, LUV_DATA = 333, 530, 65560
NONE, LZW, LUV24 = 1, 5, 34677
RGB, YCBCR, LUV = 2, 6, 32845


def file(pixels, *more):
    """A TIFF file of one strip with 8 bits in each of 3 samples; `more` are entries (tag, type, count, value)."""
    entries = sorted([(WIDTH, 3, 1, SIDE), (LENGTH, 3, 1, SIDE), (BITS, 3, 1, 8), (COMPRESSION, 3, 1, NONE),
                      (OFFSETS, 4, 1, 8), (SAMPLES, 3, 1, 3), (ROWS, 3, 1, SIDE), (COUNTS, 4, 1, len(pixels)), *more])
    directory = struct.pack("<H", len(entries)) + b"".join(struct.pack("<HHII", *entry) for entry in entries)
    return b"II*\0" + struct.pack("<I", 8 + len(pixels)) + pixels + directory + b"\0" * 4


class Image:
    """with Image(library, content) as tif: an open TIFF; without a content a new one to write."""

    def __init__(self, library, content=None):
        library.TIFFOpen.restype = ctypes.c_void_p
        self.library, self.content = library, content

    def __enter__(self):
        handle, self.path = tempfile.mkstemp()
        os.write(handle, self.content or b"")
        os.close(handle)
        pointer = self.library.TIFFOpen(self.path.encode(), b"r" if self.content else b"w")
        self.tif = ctypes.c_void_p(pointer)
        return self.tif

    def __exit__(self, *_):
        self.library.TIFFClose(self.tif)
        os.unlink(self.path)


def rgb():
    return file(bytes(SIDE * SIDE * 3), (PHOTOMETRIC, 3, 1, RGB), (60000, 3, 1, 7))


def fields(library, tif, values):
    for tag, value in values.items():
        library.TIFFSetField(tif, tag, *(value if isinstance(value, tuple) else (value,)))


def work(library):
    """Read an image with an unknown tag; write one with ink names, compressed, and read it back."""
    library.TIFFSetWarningHandler(None)
    library.TIFFSetErrorHandler(None)
    raster = (ctypes.c_uint32 * SIDE * SIDE)()
    with Image(library, rgb()) as tif:
        library.TIFFReadRGBAImageOriented(tif, SIDE, SIDE, raster, 1, 0)
        library.TIFFReadRGBAStripExt(tif, 0, raster, 0)
    line = (ctypes.c_uint8 * (SIDE * 3))()
    writing = Image(library)
    with writing as tif:
        fields(library, tif, {WIDTH: SIDE, LENGTH: SIDE, BITS: 8, SAMPLES: 3, PHOTOMETRIC: RGB, CONFIG: 1,
                              COMPRESSION: LZW, ROWS: SIDE, INK_NAMES: (8, b"one\0two\0")})
        for row in range(SIDE):
            library.TIFFWriteScanline(tif, line, row, 0)
        library.TIFFFlush(tif)
        with open(writing.path, "rb") as written:
            content = written.read()
    with Image(library, content) as tif:
        return [library.TIFFReadScanline(tif, line, row, 0) for row in range(SIDE)]


def ycbcr(library):
    """Uncompressed YCbCr in four subsamplings."""
    for across, down in ((4, 4), (4, 2), (2, 2), (1, 2)):
        units = SIDE // across * (SIDE // down)
        pixels = bytes(units * (across * down + 2))
        with Image(library, file(pixels, (PHOTOMETRIC, 3, 1, YCBCR), (SUBSAMPLING, 3, 2, across | down << 16))) as tif:
            library.TIFFReadRGBAImageOriented(tif, SIDE, SIDE, (ctypes.c_uint32 * SIDE * SIDE)(), 1, 0)


def not_a_number(library):
    """Encode a colour that is not a number."""
    with Image(library) as tif:
        fields(library, tif, {WIDTH: 1, LENGTH: 1, BITS: 32, SAMPLES: 3, PHOTOMETRIC: LUV, CONFIG: 1,
                              COMPRESSION: LUV24, ROWS: 1, 339: 3, LUV_DATA: 0})
        return library.TIFFWriteScanline(tif, (ctypes.c_float * 3)(float("nan"), 0.5, 0.5), 0, 0)


def strip_beyond(library):
    """Is the strip of a row that the image does not have refused for its row?"""
    messages = []
    handler = ctypes.CFUNCTYPE(None, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_void_p)(
        lambda module, message, arguments: messages.append(message.decode()))
    library.TIFFSetErrorHandler(handler)
    with Image(library, rgb()) as tif:
        library.TIFFReadRGBAStripExt(tif, 64 * SIDE, (ctypes.c_uint32 * SIDE * SIDE)(), 0)
    library.TIFFSetErrorHandler(None)
    return any("Invalid row" in message for message in messages)


def small_raster(library):
    """Read into a raster with fewer rows than the image."""
    with Image(library, rgb()) as tif:
        return library.TIFFReadRGBAImageOriented(tif, SIDE, SIDE // 4, (ctypes.c_uint32 * SIDE * SIDE)(), 1, 0)
