"""What the driver does with the Audio File Library (C++)."""
import ctypes
import struct
import tempfile

TRACK, TWOS_COMPLEMENT = 1001, 401
PCM, MS_ADPCM, IMA_ADPCM = 1, 2, 17


def wave(kind, channels, block, bits, extra, data):
    form = struct.pack("<HHIIHH", kind, channels, 8000, 8000, block, bits) + extra
    chunks = b"fmt " + struct.pack("<I", len(form)) + form
    if kind != PCM:
        chunks += b"fact" + struct.pack("<II", 4, 1000)
    chunks += b"data" + struct.pack("<I", len(data)) + data
    return b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WAVE" + chunks


def ima(index=0, bits=4):
    """Two blocks of 36 bytes, 65 frames each."""
    block = struct.pack("<hBB", 0, index, 0) + bytes(range(16)) * 2
    return wave(IMA_ADPCM, 1, 36, bits, struct.pack("<HH", 2, 65), block * 2)


def ms_adpcm(pairs=7):
    """Two blocks of 32 bytes, 52 frames each, with so many pairs of coefficients."""
    coefficients = ((256, 0), (512, -256), (0, 0), (192, 64), (240, 0), (460, -208), (392, -232))[:pairs]
    extra = struct.pack("<HHH", 32, 52, pairs) + b"".join(struct.pack("<hh", *pair) for pair in coefficients)
    block = struct.pack("<Bhhh", 0, 16, 0, 0) + bytes(range(25))
    return wave(MS_ADPCM, 1, 32, 4, extra, block * 2)


def stereo():
    return wave(PCM, 2, 4, 16, b"", struct.pack("<6h", 14298, 392, 3923, -683, 958, -1921))


def next_file(channels):
    return struct.pack(">4sIIIII", b".snd", 24, 8, 3, 8000, channels) + bytes(8)


def samples(library, content, frames, width=16, channels=None):
    """The frames of a file as numbers, or None if it does not open."""
    library.afSetErrorHandler(None)
    library.afOpenFile.restype = ctypes.c_void_p
    with tempfile.NamedTemporaryFile() as file:
        file.write(content)
        file.flush()
        handle = library.afOpenFile(file.name.encode(), b"r", None)
    if not handle:
        return None
    handle = ctypes.c_void_p(handle)
    if channels:
        library.afSetVirtualSampleFormat(handle, TRACK, TWOS_COMPLEMENT, width)
        library.afSetVirtualChannels(handle, TRACK, channels)
    buffer = ((ctypes.c_int8 if width == 8 else ctypes.c_int16) * 4096)()
    got = library.afReadFrames(handle, TRACK, buffer, frames)
    library.afCloseFile(handle)
    return buffer[:max(got, 0)]


def mono(library):
    return samples(library, stereo(), 3, 8, 1)


def work(library):
    """Read files in all the formats that the fixes are about."""
    return [samples(library, ima(), 100), samples(library, ms_adpcm(), 100), mono(library),
            samples(library, next_file(1), 4)]


def index_is_clamped(library):
    return samples(library, ima(index=200), 60) == samples(library, ima(index=88), 60)


def coefficients(library):
    return samples(library, ms_adpcm(2), 1) is not None


def bits(library):
    return samples(library, ima(bits=5), 1) is not None


def channels(library):
    return samples(library, next_file(2**29), 0) is not None
