#!/usr/bin/env python3
"""The main job on a sample VMM: a running guest, a bug, a hot patch, the bug gone, and back again.

usage: demo.py BIN_DIR BUILD_DIR [PROGRAM]     directories of patchgen and tardigrade, and of v1, v2, v3, each with
                                               PROGRAM in it: minivmm (the default) or minivmm-rs
"""

import json
import os
import socket
import subprocess
import sys
import tempfile
import time


# The type whose layout v3 changes.
CHANGED_TYPE = {"minivmm": "struct block_device", "minivmm-rs": "minivmm_rs::devices::block::BlockDevice"}


def say(text):
    print(f"\n\033[1m== {text}\033[0m" if sys.stdout.isatty() else f"\n== {text}", flush=True)


def run(arguments, expect=0):
    """Runs a command, shows it with its output, and insists on its exit status."""
    print("$ " + " ".join(os.path.basename(a) if i == 0 else a for i, a in enumerate(arguments)), flush=True)
    done = subprocess.run(arguments, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    print(done.stdout.rstrip(), flush=True)
    if done.returncode != expect:
        sys.exit(f"demo: expected exit status {expect}, got {done.returncode}")
    return done.stdout


class Vmm:
    """A running sample VMM."""

    def __init__(self, binary, folder):
        self.serial = os.path.join(folder, "serial.log")
        self.control = os.path.join(folder, "control.sock")
        disk = os.path.join(folder, "disk.img")
        with open(disk, "wb") as file:
            file.truncate(1 << 20)
        arguments = [binary, "--cpus", "2", "--disk", disk, "--serial", self.serial, "--control", self.control]
        self.process = subprocess.Popen(arguments, stderr=subprocess.PIPE, text=True)
        for line in self.process.stderr:
            print(line.rstrip())
            if "ready" in line:
                return
        sys.exit("demo: the VMM did not start")

    def show_threads(self):
        """Which threads there are, and which of them a seccomp filter confines."""
        shown = []
        for tid in sorted(os.listdir(f"/proc/{self.process.pid}/task"), key=int):
            with open(f"/proc/{self.process.pid}/task/{tid}/status") as file:
                fields = dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)
            shown.append(fields["Name"] + (" (seccomp)" if fields["Seccomp"] == "2" else ""))
        print("  threads: " + ", ".join(shown), flush=True)

    def ask(self, command):
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(self.control)
            client.sendall(command.encode() + b"\n")
            return client.makefile().readline()

    def status(self):
        return json.loads(self.ask("status"))

    def guest_lines(self):
        """What the guest has printed, whole lines only."""
        with open(self.serial, errors="replace") as file:
            return file.read().split("\n")[:-1]

    def watch(self, until, probe):
        """Waits until the guest has gone on and shown `probe`, then shows its state."""
        before = self.status()
        seen = len(self.guest_lines())
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            now = self.status()
            lines = self.guest_lines()[seen:]
            if until(before, now) and any(f"probe: {probe}" in line for line in lines):
                break
            time.sleep(0.05)
        else:
            sys.exit(f"demo: the guest did not show within 60 s: {probe}")
        for kind in ("count", "probe"):
            matching = [line for line in lines if kind in line]
            if matching:
                print("  guest says: " + matching[-1])
        counts = ", ".join(str(cpu["count"]) for cpu in now["cpus"])
        print(f"  guest counters: {counts}; leaks seen: {now['probe_leaks']}, refusals seen: {now['probe_refused']}")
        return now


def advanced(before, now):
    return all(b["count"] > a["count"] for a, b in zip(before["cpus"], now["cpus"]))


def leaked(before, now):
    return now["probe_leaks"] > before["probe_leaks"] and advanced(before, now)


def refused(before, now):
    return now["probe_refused"] > before["probe_refused"] + 1 and advanced(before, now)


def main():
    bin_dir, build, program = (sys.argv + ["minivmm"])[1:4]
    patchgen, tardigrade = (os.path.join(bin_dir, name) for name in ("patchgen", "tardigrade"))
    v1, v2, v3 = (os.path.join(build, version, program) for version in ("v1", "v2", "v3"))
    with tempfile.TemporaryDirectory(prefix="tardigrade-demo-") as folder:
        say("1. The build pipeline: two builds become a patch")
        fix = os.path.join(folder, "fix.tgp")
        run([patchgen, "diff", v1, v2, "-o", fix])

        say("2. A VM runs on the old build; its guest can read host memory through a device bug")
        vmm = Vmm(v1, folder)
        try:
            vmm.watch(leaked, "leaked")
            vmm.show_threads()
            pid = str(vmm.process.pid)

            say("3. The host operator applies the patch to the running process")
            run([tardigrade, "apply", fix, "--pid", pid])
            fixed = vmm.watch(refused, "refused")
            later = vmm.watch(refused, "refused")
            if later["probe_leaks"] != fixed["probe_leaks"]:
                sys.exit("demo: the guest still sees the bug")

            say("4. What is applied is read from the process itself")
            listing = run([tardigrade, "list", "--pid", pid, "--json"])
            patch_id = json.loads(listing)["processes"][0]["patches"][0]["id"]

            say("5. The change is taken back: the bug is there again")
            run([tardigrade, "revert", patch_id, "--pid", pid])
            end = vmm.watch(leaked, "leaked")
            errors = {key: end[key] for key in ("blk_errors", "disk_mismatch", "timer_backwards", "identity_changed")}
            print(f"  the guest's own checks all along: {errors}")
            if any(errors.values()):
                sys.exit("demo: the guest was disturbed")
        finally:
            if vmm.process.poll() is None:
                vmm.ask("quit")
                vmm.process.wait(10)

        say("6. A build that changes a live structure is refused, with reasons")
        refusal = run([patchgen, "diff", v1, v3, "-o", os.path.join(folder, "v3.tgp")], expect=4)
        if not all(name in refusal for name in ("type-layout", CHANGED_TYPE[program], "config_refused")):
            sys.exit("demo: the refusal does not name the type and its new member")
        say("Done")


if __name__ == "__main__":
    main()
