"""CVE-2024-3446: bottom halves of virtio devices were guarded by the wrong device.

The fix works when a device is made. The effect of the guard is a race, so the proof is that making
a device enters the new function.
"""
from .base import Proof


class VirtioBh(Proof):
    shows = "a port that is plugged in runs the new realize function"
    function = "virtser_port_device_realize"

    def arguments(self, directory, guests):
        self.ports = 0
        return ["-device", "virtio-serial-pci,id=vser,max_ports=31,addr=0x1a"]

    def observe(self, vm):
        self.ports += 1
        name = f"port{self.ports}"
        vm.qmp("chardev-add", id=name, backend={"type": "null", "data": {}})
        vm.qmp("device_add", driver="virtserialport", id=name, bus="vser.0", chardev=name)
        return None # only the counter of function entries tells
