"""CVE-2024-3447: the transfer mode could be rewritten while a transfer was in progress."""
from .base import NEW, OLD, Proof, ProofError

SLOT = 0x11
BLOCK_SIZE, TRANSFER_MODE, COMMAND, PRESENT, CLOCK, SOFTWARE_RESET = 0x04, 0x0C, 0x0E, 0x24, 0x2C, 0x2F
CLOCK_ON = 0x5
DATA_INHIBIT = 1 << 1
MULTI_BLOCK_WRITE, SINGLE_BLOCK_WRITE = 0x22, 0x00
WRITE_MULTIPLE_WITH_DATA = 25 << 8 | 0x20


class Sdhci(Proof):
    shows = "a write of the transfer mode during a transfer is ignored, before: taken"
    function = "sdhci_write"

    def arguments(self, directory, guests):
        return ["-device", f"sdhci-pci,addr={SLOT:#x}"]

    def prepare(self, vm):
        self.registers = vm.qtest.pci(SLOT).bar(0)

    def observe(self, vm):
        qtest, base = vm.qtest, self.registers
        qtest.store("b", base + SOFTWARE_RESET, 1)
        qtest.store("w", base + CLOCK, CLOCK_ON)
        qtest.store("l", base + BLOCK_SIZE, 2 << 16 | 512)
        qtest.store("w", base + TRANSFER_MODE, MULTI_BLOCK_WRITE)
        qtest.store("w", base + COMMAND, WRITE_MULTIPLE_WITH_DATA)
        if not qtest.load("l", base + PRESENT) & DATA_INHIBIT:
            raise ProofError("no SD transfer is in progress")
        qtest.store("w", base + TRANSFER_MODE, SINGLE_BLOCK_WRITE)
        mode = qtest.load("w", base + TRANSFER_MODE)
        qtest.store("b", base + SOFTWARE_RESET, 1)
        try:
            return {SINGLE_BLOCK_WRITE: OLD, MULTI_BLOCK_WRITE: NEW}[mode]
        except KeyError:
            raise ProofError(f"SD transfer mode is {mode:#x}") from None
