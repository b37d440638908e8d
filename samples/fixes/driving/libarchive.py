"""What the driver does with libarchive."""
import binascii
import ctypes
import os
import resource
from pathlib import Path

SAMPLES = Path(os.environ["FIXES_SOURCES"]) / "libarchive" / "test"
# What the samples of libarchive's own tests are called that come with the fixes or go through their code.
ORDINARY = ("test_read_format_rar_filter.rar", "test_read_format_rar_compress_best.rar",
            "test_read_format_rar5_arm.rar", "test_read_format_rar5_compressed.rar", "test_read_format_warc.warc",
            "test_read_format_iso_zisofs.iso.Z", "test_compat_zip_1.zip")


def sample(name):
    """A sample of libarchive's own tests, uudecoded."""
    lines = iter((SAMPLES / f"{name}.uu").read_bytes().splitlines())
    while not next(lines).startswith(b"begin "):
        pass
    content = b""
    for line in lines:
        if line.rstrip() in (b"end", b"`", b""):
            break
        characters = (((line[0] - 32) & 63) + 2) // 3 * 4
        content += binascii.a2b_uu(line[:1 + characters]) # some lines have more
    return content


def functions(library):
    for name in ("archive_read_new", "archive_write_new", "archive_entry_new"):
        getattr(library, name).restype = ctypes.c_void_p
    library.archive_read_data.restype = ctypes.c_ssize_t


def read(library, content):
    """Read a whole archive: how many entries, how many bytes, and what ended it (1 is the end, -30 fatal)."""
    functions(library)
    archive = ctypes.c_void_p(library.archive_read_new())
    library.archive_read_support_filter_all(archive)
    library.archive_read_support_format_all(archive)
    library.archive_read_open_memory(archive, content, ctypes.c_size_t(len(content)))
    entry, buffer = ctypes.c_void_p(), ctypes.create_string_buffer(65536)
    entries = size = 0
    while (status := library.archive_read_next_header(archive, ctypes.byref(entry))) in (0, -20):
        entries += 1
        while entries % 2 and (got := library.archive_read_data(archive, buffer, ctypes.c_size_t(65536))) > 0:
            size += got # the data of every other entry is skipped
        if entries % 2 and got < 0:
            status = got
            break
    library.archive_read_free(archive)
    return [entries, size, status]


def read_sample(library, name):
    return read(library, sample(name))


def read_endless(library):
    """Read an archive in which old code goes round for ever; a child that does so gets SIGXCPU."""
    resource.setrlimit(resource.RLIMIT_CPU, (2, 3))
    return read_sample(library, "test_read_format_rar5_loop_bug.rar")


def write(library, name_of_format):
    """Write an archive with a long name."""
    functions(library)
    archive = ctypes.c_void_p(library.archive_write_new())
    getattr(library, f"archive_write_set_format_{name_of_format}")(archive)
    buffer, used = ctypes.create_string_buffer(65536), ctypes.c_size_t()
    library.archive_write_open_memory(archive, buffer, ctypes.c_size_t(65536), ctypes.byref(used))
    for length in (5, 240):
        entry = ctypes.c_void_p(library.archive_entry_new())
        library.archive_entry_set_pathname(entry, b"directory/" * (length // 10) + b"name" * 20)
        library.archive_entry_set_filetype(entry, 0o100000)
        library.archive_entry_set_size(entry, ctypes.c_int64(1500))
        library.archive_write_header(archive, entry)
        library.archive_write_data(archive, buffer, ctypes.c_size_t(1500))
        library.archive_entry_free(entry)
    library.archive_write_free(archive)
    return buffer.raw[:used.value]


def work(library):
    """Write two archives, read them, and read samples of all formats that the fixes are about."""
    results = [read(library, write(library, name)) for name in ("pax", "zip")]
    return results + [read_sample(library, name) for name in ORDINARY]
