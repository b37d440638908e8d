"""One QEMU process with a guest whose progress can be watched from outside."""
import json
import os
import re
import socket
import subprocess
import threading
import time
from pathlib import Path

from .qtest import QTest

# Guest-physical memory that the Linux guest is told to leave alone and the bare guest never uses:
# device descriptors and buffers of the proofs lie here.
SCRATCH = 0x6000000
SCRATCH_SIZE = 4 << 20
MEMORY = "192M"

LINUX, BARE = "linux", "bare"


class Console:
    """Collects the guest's serial lines with the time at which each one came."""

    COUNTER = re.compile(r"^C (\d+)((?: \w+=\w+)*)\s*$")

    def __init__(self, path):
        self.lines = []
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen(1)
        threading.Thread(target=self._collect, daemon=True).start()

    def _collect(self):
        connection, _ = self._listener.accept()
        for line in connection.makefile("r", encoding="ascii", errors="replace"):
            self.lines.append((time.monotonic(), line.rstrip()))

    def counters(self):
        """(time, number, {key: value}) of each counter line."""
        found = []
        for when, line in list(self.lines):
            match = self.COUNTER.match(line)
            if match:
                fields = dict(field.split("=") for field in match[2].split())
                found.append((when, int(match[1]), fields))
        return found


class Vm:
    """A QEMU process, booted to the first counter line."""

    def __init__(self, binary, guests, directory, guest=LINUX, arguments=(), environment=None):
        self.directory = Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        self.console = Console(self.directory / "console.sock")
        self.log = self.directory / "qemu.log"
        command = [str(binary), *self._machine(guest, Path(guests)), *arguments]
        (self.directory / "command").write_text(" ".join(command) + "\n")
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            env={**os.environ, **(environment or {})})
        try:
            self._qmp = self._connect("qmp.sock").makefile("rw", encoding="utf-8")
            self._read_qmp("QMP")
            self.qmp("qmp_capabilities")
            self.qtest = QTest(self._connect("qtest.sock"))
            self.wait_for_lines(3, timeout=180)
        except OSError as error: # a connection broke
            self.kill()
            raise RuntimeError(f"QEMU did not start: {self.tail()}") from error
        except BaseException:
            self.kill()
            raise

    def _machine(self, guest, guests):
        accelerator = {
            LINUX: ["-accel", "tcg,thread=multi", "-cpu", "max", "-kernel", str(guests / "vmlinuz"),
                    "-initrd", str(guests / "initramfs.gz"), "-append",
                    "console=ttyS0 loglevel=1 nokaslr mitigations=off rdinit=/init panic=-1 "
                    f"memmap={SCRATCH_SIZE >> 20}M${SCRATCH:#x}"],
            BARE: ["-accel", "kvm", "-cpu", "host,arch-capabilities=off",
                   "-kernel", str(guests / "bare.elf")],
        }[guest]
        disk = self.directory / "disk.img"
        with disk.open("wb") as file:
            file.truncate(16 << 20)
        return ["-L", "/usr/share/qemu", "-L", "/usr/share/seabios", "-no-user-config", "-nodefaults",
                "-machine", "q35", "-m", MEMORY, "-display", "none", "-no-reboot", *accelerator,
                "-chardev", f"socket,id=console,path={self.directory}/console.sock",
                "-serial", "chardev:console",
                "-qmp", f"unix:{self.directory}/qmp.sock,server=on,wait=off",
                "-qtest", f"unix:{self.directory}/qtest.sock,server=on,wait=off",
                "-qtest-log", "none",
                "-drive", f"if=none,id=disk,format=raw,file={disk}",
                "-device", "virtio-blk-pci,drive=disk,addr=3"]

    @property
    def pid(self):
        return self.process.pid

    def _connect(self, name, timeout=20):
        deadline = time.monotonic() + timeout
        while True:
            try:
                connection = socket.socket(socket.AF_UNIX)
                connection.settimeout(60)
                connection.connect(str(self.directory / name))
                return connection
            except OSError:
                self.check_alive()
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.02)

    def _read_qmp(self, *keys):
        while True:
            line = self._qmp.readline()
            if not line:
                self.check_alive()
                raise RuntimeError("QMP connection closed")
            reply = json.loads(line)
            for key in keys:
                if key in reply:
                    return reply
            # anything else is an event

    def qmp(self, command, **arguments):
        self._qmp.write(json.dumps({"execute": command, "arguments": arguments}) + "\n")
        self._qmp.flush()
        reply = self._read_qmp("return", "error")
        if "error" in reply:
            raise RuntimeError(f"{command}: {reply['error']['desc']}")
        return reply["return"]

    def check_alive(self):
        if self.process.poll() is not None:
            raise RuntimeError(f"QEMU ended with status {self.process.returncode}: {self.tail()}")

    def tail(self):
        return self.log.read_text(errors="replace")[-600:].strip()

    def wait_for_lines(self, count, timeout=20):
        """Wait until the guest has printed `count` more lines, and give the last of them."""
        goal = len(self.console.counters()) + count
        deadline = time.monotonic() + timeout
        while len(self.console.counters()) < goal:
            self.check_alive()
            if time.monotonic() > deadline:
                raise RuntimeError(f"the guest is silent since {timeout} s; last lines: "
                                   f"{[line for _, line in self.console.lines[-3:]]}")
            time.sleep(0.02)
        return self.console.counters()[-1]

    def guest_faults(self):
        """What is wrong with the guest's counter lines: an empty list is a healthy guest."""
        faults, expected = [], None
        for _, number, fields in self.console.counters():
            if expected is not None and number != expected:
                faults.append(f"line {expected} is missing, {number} came")
            expected = number + 1
            faults += [f"{key} is bad in line {number}" for key, value in fields.items() if value == "bad"]
        return faults

    def longest_gap(self):
        """Longest time between two counter lines, in seconds."""
        times = [when for when, _, _ in self.console.counters()]
        return max((later - earlier for earlier, later in zip(times, times[1:])), default=0.0)

    def text(self):
        """The bytes of the executable's text as they are in the process now."""
        executable = os.readlink(f"/proc/{self.pid}/exe")
        with open(f"/proc/{self.pid}/maps") as maps, open(f"/proc/{self.pid}/mem", "rb") as memory:
            found = []
            for line in maps:
                fields = line.split(maxsplit=5)
                if "x" in fields[1] and fields[5:] and fields[5].rstrip("\n") == executable:
                    start, end = (int(part, 16) for part in fields[0].split("-"))
                    memory.seek(start)
                    found.append((start, memory.read(end - start)))
        return found

    def load_bias(self):
        executable = os.readlink(f"/proc/{self.pid}/exe")
        with open(f"/proc/{self.pid}/maps") as maps:
            for line in maps:
                fields = line.split(maxsplit=5)
                if fields[5:] and fields[5].rstrip("\n") == executable and int(fields[2], 16) == 0:
                    return int(fields[0].split("-")[0], 16)
        raise RuntimeError("the executable is not mapped")

    def quit(self, timeout=20):
        """Let QEMU shut down by itself and give its exit status."""
        try:
            self.qmp("quit")
        except (RuntimeError, OSError):
            pass # the connection may close before the reply
        try:
            return self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            raise RuntimeError("QEMU did not quit") from None

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
