"""CVE-2024-26328: the number of virtual functions was taken from a register that the guest writes."""
import struct
import time

from harness.vm import SCRATCH

from .base import NEW, OLD, Proof, ProofError

SLOT = 0x14
CONFIGURATION, STATUS, QUEUE_SIZES, SUBMISSION_BASE, COMPLETION_BASE = 0x14, 0x1C, 0x24, 0x28, 0x30
SUBMISSION_DOORBELL, COMPLETION_DOORBELL = 0x1000, 0x1004
ENABLE = 6 << 16 | 4 << 20 | 1 # entries of 64 and 16 bytes
READY = 1
SRIOV, SRIOV_CONTROL, SRIOV_NUMBER = 0x10, 0x08, 0x10
IDENTIFY, VIRTUALIZATION = 0x06, 0x1C
SECONDARY_CONTROLLERS = 0x15
ASSIGN_TO_SECONDARY = 8
ENTRIES = 32

SUBMISSION, COMPLETION, DATA = SCRATCH, SCRATCH + 0x1000, SCRATCH + 0x2000


class NvmeSriov(Proof):
    shows = "queues of a virtual function that never was enabled stay assigned, before: lost"
    function = "nvme_pci_write_config"

    def arguments(self, directory, guests):
        return ["-device", "nvme-subsys,id=subsys0",
                "-device", "nvme,serial=tardigrade,subsys=subsys0,max_ioqpairs=6,msix_qsize=4,sriov_max_vfs=2,"
                           f"sriov_vq_flexible=4,sriov_vi_flexible=2,addr={SLOT:#x}"]

    def prepare(self, vm):
        pci = vm.qtest.pci(SLOT)
        self.registers, self.sriov = pci.bar(0), pci.extended_capability(SRIOV)
        self.qtest, self.sent = vm.qtest, 0
        self.qtest.write(SUBMISSION, bytes(0x3000))
        store, base = self.qtest.store, self.registers
        store("l", base + CONFIGURATION, 0)
        store("l", base + QUEUE_SIZES, (ENTRIES - 1) << 16 | ENTRIES - 1)
        store("q", base + SUBMISSION_BASE, SUBMISSION)
        store("q", base + COMPLETION_BASE, COMPLETION)
        store("l", base + CONFIGURATION, ENABLE)
        for _ in range(100):
            if self.qtest.load("l", base + STATUS) & READY:
                return
            time.sleep(0.02)
        raise ProofError("the NVMe controller does not become ready")

    def _admin(self, opcode, word10, word11=0):
        command = struct.pack("<BBHIQQQQ6I", opcode, 0, self.sent & 0xFFFF, 0, 0, 0, DATA, 0,
                              word10, word11, 0, 0, 0, 0)
        slot = self.sent % ENTRIES
        phase = 1 - self.sent // ENTRIES % 2
        self.qtest.write(SUBMISSION + 64 * slot, command)
        self.sent += 1
        self.qtest.store("l", self.registers + SUBMISSION_DOORBELL, self.sent % ENTRIES)
        for _ in range(500):
            status = self.qtest.load("w", COMPLETION + 16 * slot + 14)
            if status & 1 == phase:
                break
            time.sleep(0.01)
        else:
            raise ProofError(f"NVMe command {opcode:#x} does not complete")
        self.qtest.store("l", self.registers + COMPLETION_DOORBELL, self.sent % ENTRIES)
        if status >> 1:
            raise ProofError(f"NVMe command {opcode:#x} fails with status {status >> 1:#x}")

    def _first_secondary(self):
        """Identifier and number of queues of the first secondary controller."""
        self._admin(IDENTIFY, SECONDARY_CONTROLLERS)
        identifier, _, _, _, queues = struct.unpack_from("<HHB3xHH", self.qtest.read(DATA, 64), 32)
        return identifier, queues

    def observe(self, vm):
        identifier, _ = self._first_secondary()
        self._admin(VIRTUALIZATION, identifier << 16 | ASSIGN_TO_SECONDARY, 2)
        if self._first_secondary() != (identifier, 2):
            raise ProofError("the queues were not assigned")
        self.qtest.store("w", self.sriov + SRIOV_NUMBER, 1)
        self.qtest.store("w", self.sriov + SRIOV_CONTROL, 0) # not enabled, as before
        _, queues = self._first_secondary()
        self.qtest.store("w", self.sriov + SRIOV_NUMBER, 0)
        try:
            return {0: OLD, 2: NEW}[queues]
        except KeyError:
            raise ProofError(f"{queues} queues are assigned") from None
