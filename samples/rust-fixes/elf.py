"""Relocatable ELF64 objects, alone and in archives: only what objects.py compares."""
import struct
from collections import defaultdict

SHT_SYMTAB, SHT_RELA, SHT_NOBITS = 2, 4, 8
SHF_WRITE, SHF_EXECINSTR, SHF_MERGE, SHF_STRINGS = 1, 4, 0x10, 0x20
STT_OBJECT, STT_FUNC, STT_SECTION = 1, 2, 3
SHN_UNDEF, SHN_LORESERVE, SHN_XINDEX = 0, 0xff00, 0xffff
SHT_SYMTAB_SHNDX = 18


class Section:
    def __init__(self, name, kind, flags, data, size, entsize):
        self.name, self.kind, self.flags, self.data, self.size, self.entsize = name, kind, flags, data, size, entsize
        self.relocations = [] # (offset, type, symbol index, addend), by offset


class Symbol:
    def __init__(self, name, kind, section, value, size):
        self.name, self.kind, self.section, self.value, self.size = name, kind, section, value, size


class Object:
    """`name` is for people; `sections` and `symbols` have the numbers of the file."""

    def __init__(self, name, data):
        self.name = name
        headers_at, = struct.unpack_from("<Q", data, 40)
        count, names_at = struct.unpack_from("<HH", data, 60)
        headers = [struct.unpack_from("<IIQQQQIIQQ", data, headers_at + 64 * number) for number in range(max(count, 1))]
        if count == 0: # more sections than the field holds
            headers = [struct.unpack_from("<IIQQQQIIQQ", data, headers_at + 64 * number)
                       for number in range(headers[0][5])]
        if names_at == SHN_XINDEX:
            names_at = headers[0][6]
        names = self._bytes(data, headers[names_at])
        self.sections = [Section(self._text(names, header[0]), header[1], header[2], self._bytes(data, header),
                                 header[5], header[9]) for header in headers]
        self.symbols = []
        extended = next((self._bytes(data, header) for header in headers if header[1] == SHT_SYMTAB_SHNDX), b"")
        for header in headers:
            if header[1] == SHT_SYMTAB:
                strings = self._bytes(data, headers[header[6]])
                for number, entry in enumerate(struct.iter_unpack("<IBBHQQ", self._bytes(data, header))):
                    at = entry[3]
                    if at == SHN_XINDEX:
                        at, = struct.unpack_from("<I", extended, 4 * number)
                    elif at >= SHN_LORESERVE:
                        at = SHN_UNDEF
                    self.symbols.append(Symbol(self._text(strings, entry[0]), entry[1] & 15, at, entry[4], entry[5]))
        for header in headers:
            if header[1] == SHT_RELA:
                target = self.sections[header[7]]
                target.relocations = sorted((offset, info & 0xffffffff, info >> 32, addend)
                                            for offset, info, addend in
                                            struct.iter_unpack("<QQq", self._bytes(data, header)))
        self.defined = defaultdict(list) # section number: symbols in it that have a name
        for symbol in self.symbols:
            if symbol.section != SHN_UNDEF and symbol.kind in (STT_OBJECT, STT_FUNC) and symbol.name:
                self.defined[symbol.section].append(symbol)

    @staticmethod
    def _bytes(data, header):
        return b"" if header[1] == SHT_NOBITS else data[header[4]:header[4] + header[5]]

    @staticmethod
    def _text(strings, at):
        return strings[at:strings.index(b"\0", at)].decode("utf-8", "replace") if strings else ""


def members(path):
    """(name, bytes) of each object in a file that is an object or an archive."""
    data = path.read_bytes()
    if not data.startswith(b"!<arch>\n"):
        return [(path.name, data)] if data.startswith(b"\x7fELF") else []
    found, at, long_names = [], 8, b""
    while at + 60 <= len(data):
        name, size = data[at:at + 16].decode().strip(), int(data[at + 48:at + 58])
        content = data[at + 60:at + 60 + size]
        at += 60 + size + size % 2
        if name == "//":
            long_names = content
        elif content.startswith(b"\x7fELF"):
            if name[1:].isdigit():
                start = int(name[1:])
                name = long_names[start:long_names.index(b"\n", start)].decode()
            found.append((f"{path.name}({name.rstrip('/')})", content))
    return found
