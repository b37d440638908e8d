#!/usr/bin/env python3
"""Time and memory of `patchgen diff` on a pair of builds, beside `objdump -d` of both files in the same run, and its time
on copies without debugging information, where types are not checked.

usage: bench-gen.py PATCHGEN [OLD NEW]     without OLD and NEW: a pair that build.sh has built
"""

import os
import pathlib
import resource
import statistics
import subprocess
import sys
import tempfile
import time

ROUNDS = 5
GOAL = 0.2


def timed(arguments, accepted=(0,)):
    """Wall seconds and peak memory in MiB of one run."""
    start = time.monotonic()
    process = subprocess.Popen(arguments, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.monotonic() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode not in accepted:
        sys.exit(f"bench-gen: {arguments[0]} ended with status {process.returncode}")
    return wall, usage.ru_maxrss / 1024


def default_pair():
    cache = pathlib.Path(os.environ.get("TARDIGRADE_CACHE", pathlib.Path.home() / ".cache/tardigrade"))
    pairs = pathlib.Path(os.environ.get("TARDIGRADE_QEMU_PAIRS", cache / "qemu/pairs"))
    olds = sorted(pairs.glob("*.old"))
    if not olds or not (pairs / "new").exists():
        sys.exit("bench-gen: no pair: run `make test-qemu` once, or name one with PAIR=\"OLD NEW\"")
    chosen = next((old for old in olds if "uhci" in old.name), olds[0])
    return [str(chosen), str(pairs / "new")]


def main():
    patchgen = sys.argv[1]
    old, new = sys.argv[2:4] if len(sys.argv) >= 4 else default_pair()
    rows = {"patchgen diff": [], "objdump -d, both": [], "diff without -g": []}
    memory = []
    with tempfile.TemporaryDirectory() as folder:
        patch = os.path.join(folder, "fix.tgp")
        bare = [os.path.join(folder, name) for name in ("old", "new")]
        for file, copy in zip((old, new), bare):
            subprocess.run(["objcopy", "--strip-debug", file, copy], check=True)
        for _ in range(ROUNDS):
            wall, peak = timed([patchgen, "diff", old, new, "-o", patch], accepted=(0, 3, 4))
            rows["patchgen diff"].append(wall)
            memory.append(peak)
            rows["diff without -g"].append(timed([patchgen, "diff", *bare, "-o", patch], accepted=(0, 3, 4))[0])
            rows["objdump -d, both"].append(timed(["objdump", "-d", old])[0] + timed(["objdump", "-d", new])[0])
    print(f"{os.path.basename(old)} and {os.path.basename(new)}, {ROUNDS} interleaved rounds, seconds of wall time")
    for name, values in rows.items():
        print(f"  {name:18} min {min(values):6.2f}  median {statistics.median(values):6.2f}  max {max(values):6.2f}")
    ratios = [a / b for a, b in zip(rows["patchgen diff"], rows["objdump -d, both"])]
    print(f"  ratio              median {statistics.median(ratios):.3f} (goal: at most {GOAL})")
    print(f"  patchgen's peak memory {max(memory):.0f} MiB (goal: less than 1024)")


if __name__ == "__main__":
    main()
