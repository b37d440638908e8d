"""CVE-2025-12464: a short frame that a NIC sends to itself was not padded to the Ethernet minimum.

The rtl8139 pads what it receives by itself, but computes the checksum that it stores behind the
frame over the length that the network layer handed to it: 60 bytes when that layer padded the frame.
"""
import zlib

from harness.vm import SCRATCH

from .base import NEW, OLD, Proof, ProofError

SLOT = 0x12
TX_RING, CHIP_COMMAND, TX_CONFIG, RX_CONFIG, TX_POLL, CPLUS_COMMAND, RX_RING = 0x20, 0x37, 0x40, 0x44, 0xD9, 0xE0, 0xE4
RESET, RX_ENABLE, TX_ENABLE = 0x10, 0x08, 0x04
TX_LOOPBACK = 3 << 17
RX_ACCEPT_ALL = 1
CPLUS_RX_ENABLE, CPLUS_TX_ENABLE = 2, 1
POLL_NORMAL_RING = 0x40
OWNED_BY_NIC, END_OF_RING, FIRST_SEGMENT, LAST_SEGMENT = 1 << 31, 1 << 30, 1 << 29, 1 << 28

RECEIVING, SENDING = SCRATCH, SCRATCH + 0x100
RECEIVED, SENT = SCRATCH + 0x1000, SCRATCH + 0x2000
MINIMUM = 60
FRAME = b"\xff" * 6 + b"\x52\x54\x00\x12\x34\x56" + b"\x88\xb5" + b"tardigrade"


class NetPad(Proof):
    shows = "a looped-back frame of 24 bytes reaches the NIC with 60 bytes, before: with 24"
    function = "qemu_receive_packet"

    def arguments(self, directory, guests):
        return ["-netdev", "hubport,id=net0,hubid=0", "-device", f"rtl8139,netdev=net0,romfile=,addr={SLOT:#x}"]

    def prepare(self, vm):
        self.registers = vm.qtest.pci(SLOT).bar(1)

    def observe(self, vm):
        qtest, base = vm.qtest, self.registers
        qtest.store_words(RECEIVING, OWNED_BY_NIC | END_OF_RING | 0x600, 0, RECEIVED, 0)
        qtest.store_words(SENDING, OWNED_BY_NIC | END_OF_RING | FIRST_SEGMENT | LAST_SEGMENT | len(FRAME), 0, SENT, 0)
        qtest.write(SENT, FRAME)
        qtest.store("b", base + CHIP_COMMAND, RESET)
        qtest.store("w", base + CPLUS_COMMAND, CPLUS_RX_ENABLE | CPLUS_TX_ENABLE)
        for register, ring in ((RX_RING, RECEIVING), (TX_RING, SENDING)):
            qtest.store("l", base + register, ring)
            qtest.store("l", base + register + 4, 0)
        qtest.store("b", base + CHIP_COMMAND, RX_ENABLE | TX_ENABLE)
        qtest.store("l", base + RX_CONFIG, RX_ACCEPT_ALL)
        qtest.store("l", base + TX_CONFIG, TX_LOOPBACK)
        qtest.store("b", base + TX_POLL, POLL_NORMAL_RING)
        status, _, _, _ = qtest.load_words(RECEIVING, 4)
        if status & OWNED_BY_NIC:
            raise ProofError("the frame did not come back")
        received = qtest.read(RECEIVED, MINIMUM + 4)
        padded = FRAME.ljust(MINIMUM, b"\0")
        if received[:MINIMUM] != padded:
            raise ProofError("the frame came back changed")
        checksum = int.from_bytes(received[MINIMUM:], "little")
        try:
            return {zlib.crc32(FRAME): OLD, zlib.crc32(padded): NEW}[checksum]
        except KeyError:
            raise ProofError(f"the checksum {checksum:#x} fits no length") from None
