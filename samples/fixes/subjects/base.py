"""A program or a library that is patched while it runs, and what tells its old code from the new.

Each package has a module here with a subclass of `Subject` called `Target`. A method of it that is named
after a fix (`cve_2025_32023` for `redis-cve-2025-32023`) drives the fixed code of the running process and
says OLD or NEW, or None if both behave alike. A fix without such a method gets `work`, the package's
ordinary work, and only the entries into new functions count.
"""
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

OLD, NEW = "old", "new"
HERE = Path(__file__).resolve().parent


class ProofError(Exception):
    """The process behaved like neither version."""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_until(condition, what, seconds=10):
    """Wait for a condition that the process brings about; slow machines get their time."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise ProofError(f"{what}: not within {seconds} s")
        time.sleep(0.01)


class Subject:
    """One running process. `image` is the file that is patched in it."""

    def __init__(self, package, fix, program, directory):
        self.package, self.fix, self.directory = package, fix, directory
        # A copy of its own: the name in /proc/PID/maps is this process's alone.
        self.image = Path(shutil.copy(program, directory))
        self.sources = program.parents[3] / "src" / package
        self.log = directory / "log"
        self.process = None

    def launch(self, *command, environment=None, **streams):
        """Start the process in its directory; without `streams` it reads nothing and writes into the log."""
        with open(self.log, "ab") as log:
            streams = {"stdin": subprocess.DEVNULL, "stdout": log, "stderr": log, **streams}
            self.process = subprocess.Popen([str(part) for part in command], cwd=self.directory, text=True,
                                            env={**os.environ, **(environment or {})}, **streams)

    @property
    def pid(self):
        return self.process.pid

    def start(self):
        raise NotImplementedError

    def work(self):
        """Ordinary work that runs through as much of the program as is easy to reach."""

    @property
    def method(self):
        return self.fix.removeprefix(f"{self.package}-").replace("-", "_")

    def observe(self):
        """Drive what the fix changes: OLD, NEW or None."""
        return getattr(self, self.method, self.work)()

    @property
    def shows(self):
        """One phrase for the report: what was driven in which old and new code behave differently."""
        return (getattr(self, self.method, self.work).__doc__ or "").strip().rstrip(".")

    def attack(self):
        """What the old code does not survive; only called where the new code is in place. A phrase or None."""
        return getattr(self, f"attack_{self.method}", lambda: None)()

    def alive(self):
        return self.process.poll() is None

    def text(self):
        """The bytes of the image's text as they are in the process now."""
        with open(f"/proc/{self.pid}/maps") as maps, open(f"/proc/{self.pid}/mem", "rb") as memory:
            found = []
            for line in maps:
                fields = line.split(maxsplit=5)
                if "x" in fields[1] and fields[5:] and fields[5].rstrip("\n") == str(self.image):
                    start, end = (int(part, 16) for part in fields[0].split("-"))
                    memory.seek(start)
                    found.append((start, memory.read(end - start)))
        return found

    def stop(self):
        self.process.kill()
        self.process.communicate()


class Server(Subject):
    """A program that listens on `port`."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.port = free_port()

    def connect(self, timeout=5, port=None):
        return socket.create_connection(("127.0.0.1", port or self.port), timeout=timeout)

    def wait_for_port(self, port=None):
        def listens():
            if not self.alive():
                raise ProofError(f"{self.image.name} ended with status {self.process.returncode}")
            try:
                self.connect(port=port).close()
                return True
            except OSError:
                return False
        wait_until(listens, f"{self.image.name} listens on port {port or self.port}")

    def survives(self):
        time.sleep(0.2)
        self.wait_for_port()


class Library(Subject):
    """A shared library in a process that does what it is told on its standard input: driver.py."""

    def start(self):
        self.launch(sys.executable, "-B", HERE.parent / "driver.py", self.package, self.image,
                    environment={"FIXES_SOURCES": str(self.sources)}, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def drive(self, function, *arguments, forked=False):
        """Call a function of the package's `driving` module in the process, or in a child that it forks."""
        self.process.stdin.write(json.dumps([function, forked, *arguments]) + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            raise ProofError(f"the driver ended in {function}")
        return json.loads(answer)

    def compare(self, old, new, function, *arguments):
        """OLD or NEW by what a function returns, driven in a child because old code may crash."""
        answer = self.drive(function, *arguments, forked=True)
        if answer not in (old, new):
            raise ProofError(f"{function} gives {answer}, neither {old} nor {new}")
        return NEW if answer == new else OLD

    def work(self):
        self.drive("work")
