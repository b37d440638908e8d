"""QEMU's qtest protocol: port and memory accesses from outside, while the guest runs.

The accesses take the same way as those of the guest's first processor, so a device model cannot
tell them apart. Devices are found at fixed places on the root bus of a q35 machine, and configured
through its memory-mapped configuration space, which no guest access can disturb.
"""
import socket
import struct

ECAM = 0xB0000000

PCI_COMMAND = 0x04
PCI_BAR0 = 0x10
PCI_COMMAND_IO_MEMORY_MASTER = 0x7
PCI_EXTENDED = 0x100


class QTest:
    def __init__(self, connection: socket.socket):
        self._file = connection.makefile("rw", encoding="ascii", newline="\n")

    def _replies(self, lines):
        self._file.write("".join(line + "\n" for line in lines))
        self._file.flush()
        for line in lines:
            reply = self._file.readline().split()
            if not reply or reply[0] != "OK":
                raise RuntimeError(f"qtest: {line!r} gave {reply}")
            yield reply[1] if len(reply) > 1 else ""

    def batch(self, lines):
        """Many accesses in one go; their values are not of interest."""
        for _ in self._replies(list(lines)):
            pass

    def _one(self, line):
        (value,) = self._replies([line])
        return value

    def write(self, address, data: bytes):
        self._one(f"write {address:#x} {len(data):#x} 0x{data.hex()}")

    def read(self, address, size):
        return bytes.fromhex(self._one(f"read {address:#x} {size:#x}")[2:])

    def store(self, width, address, value):
        """`width` is one of b, w, l, q."""
        self._one(f"write{width} {address:#x} {value:#x}")

    def load(self, width, address):
        return int(self._one(f"read{width} {address:#x}"), 16)

    def out(self, width, port, value):
        self._one(f"out{width} {port:#x} {value:#x}")

    def in_(self, width, port):
        return int(self._one(f"in{width} {port:#x}"), 16)

    def store_words(self, address, *words):
        """Little-endian 32-bit words, as descriptors are made of."""
        self.write(address, struct.pack(f"<{len(words)}I", *words))

    def load_words(self, address, count):
        return struct.unpack(f"<{count}I", self.read(address, 4 * count))

    def pci(self, slot):
        return PciDevice(self, ECAM + (slot << 15))


class PciDevice:
    """A function of the root bus, enabled for I/O, memory and DMA."""

    def __init__(self, qtest: QTest, config):
        self.qtest, self.config = qtest, config
        if qtest.load("w", config) == 0xFFFF:
            raise RuntimeError(f"no PCI device at {config:#x}")
        qtest.store("w", config + PCI_COMMAND, PCI_COMMAND_IO_MEMORY_MASTER)

    def bar(self, index):
        """The address that the firmware gave to a BAR, without its flag bits."""
        value = self.qtest.load("l", self.config + PCI_BAR0 + 4 * index)
        address = value & (~0x3 if value & 1 else ~0xF) & 0xFFFFFFFF
        if not value & 1 and value & 0x6 == 0x4:
            address |= self.qtest.load("l", self.config + PCI_BAR0 + 4 * index + 4) << 32
        if not address:
            raise RuntimeError(f"the firmware gave BAR {index} of {self.config:#x} no address")
        return address

    def extended_capability(self, wanted):
        offset = PCI_EXTENDED
        while offset:
            header = self.qtest.load("l", self.config + offset)
            if header & 0xFFFF == wanted:
                return self.config + offset
            offset = header >> 20
        raise RuntimeError(f"no extended capability {wanted:#x}")
