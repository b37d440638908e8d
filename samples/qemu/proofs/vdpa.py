"""CVE-2023-3301: removing a vhost-vdpa backend freed what its NIC still used."""
import os

from .base import NEW, OLD, Proof

BACKENDS = 4
FIRST_SLOT = 0x16


class Vdpa(Proof):
    shows = "netdev_del of a backend in use leaves its device open, before: closed under the NIC"
    function = "vhost_vdpa_cleanup"
    quits_cleanly = False

    def arguments(self, directory, guests):
        arguments = []
        for number in range(BACKENDS):
            device = directory / f"vdpa{number}"
            device.touch()
            arguments += ["-netdev", f"vhost-vdpa,id=vdpa{number},vhostdev={device}",
                          "-device", f"virtio-net-pci,netdev=vdpa{number},romfile=,addr={FIRST_SLOT + number:#x}"]
        self.next = 0
        return arguments

    def environment(self, guests):
        return {"LD_PRELOAD": str(guests / "fake-vdpa.so")}

    def observe(self, vm):
        name = f"vdpa{self.next}"
        self.next += 1
        vm.qmp("netdev_del", id=name)
        descriptors = f"/proc/{vm.pid}/fd"
        links = [os.readlink(f"{descriptors}/{number}") for number in os.listdir(descriptors)]
        return NEW if str(vm.directory / name) in links else OLD
