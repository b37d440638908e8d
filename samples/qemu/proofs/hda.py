"""Every setup of an HDA stream allocated a timer and forgot the one before."""
from .base import NEW, OLD, Proof

SLOT = 0x15
GLOBAL_CONTROL, IMMEDIATE_COMMAND, IMMEDIATE_STATUS = 0x08, 0x60, 0x68
BUSY = 1
DAC = 2
SET_STREAM_FORMAT = 0x2
STEREO_16_BIT_48_KHZ = 0x0011
SETUPS = 40000
LEAK = 1 << 20


class Hda(Proof):
    shows = f"{SETUPS} stream setups leave the heap as it was, before: it grows by more than 1 MiB"
    function = "hda_audio_setup"

    def arguments(self, directory, guests):
        return ["-audiodev", "none,id=audio0", "-device", f"intel-hda,addr={SLOT:#x}",
                "-device", "hda-output,audiodev=audio0"]

    def prepare(self, vm):
        self.registers = vm.qtest.pci(SLOT).bar(0)
        vm.qtest.store("l", self.registers + GLOBAL_CONTROL, 0)
        vm.qtest.store("l", self.registers + GLOBAL_CONTROL, 1)

    def _set_up(self, vm, times):
        verb = DAC << 20 | SET_STREAM_FORMAT << 16 | STEREO_16_BIT_48_KHZ
        once = [f"writel {self.registers + IMMEDIATE_COMMAND:#x} {verb:#x}",
                f"writew {self.registers + IMMEDIATE_STATUS:#x} {BUSY:#x}"]
        while times:
            count = min(times, 500)
            vm.qtest.batch(once * count)
            times -= count

    @staticmethod
    def _heap(vm):
        with open(f"/proc/{vm.pid}/smaps") as smaps:
            for line in smaps:
                if line.rstrip().endswith("[heap]"):
                    for detail in smaps:
                        if detail.startswith("Rss:"):
                            return int(detail.split()[1]) << 10
        return 0

    def observe(self, vm):
        self._set_up(vm, 1000) # what the first requests allocate
        before = self._heap(vm)
        self._set_up(vm, SETUPS)
        return OLD if self._heap(vm) - before > LEAK else NEW
