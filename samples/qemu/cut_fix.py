#!/usr/bin/env python3
"""Cut one fix out of Debian's stable-update patches.

Debian carries each upstream stable update as one combined diff; fixes.tsv says which files and
hunks of it belong to one fix. The fix is written as a patch to standard output.
"""
import re
import sys
from pathlib import Path


def rows(table: Path):
    for line in table.read_text().splitlines():
        if line and not line.startswith("#"):
            yield line.split("\t")


def names(table: Path):
    return list(dict.fromkeys(row[0] for row in rows(table)))


def file_diff(update: str, path: str):
    """The header and the hunks that `update` has for `path`."""
    start = re.search(rf"^diff --git a/{re.escape(path)} .*$", update, re.M)
    if not start:
        raise SystemExit(f"cut_fix: no change of {path} in that update")
    end = update.find("\ndiff --git ", start.end())
    body = update[start.start():end + 1 if end >= 0 else len(update)]
    header, *hunks = re.split(r"(?m)^(?=@@ )", body)
    return header, hunks


def cut(table: Path, patches: Path, name: str):
    out = []
    for row_name, update, path, wanted in rows(table):
        if row_name != name:
            continue
        header, hunks = file_diff((patches / f"v7.2.{update}.diff").read_text(), path)
        if wanted != "all":
            hunks = [hunk for hunk in hunks if re.search(wanted, hunk)]
        if not hunks:
            raise SystemExit(f"cut_fix: {name}: no hunk of {path} contains {wanted!r}")
        out.append(header + "".join(hunks))
    if not out:
        raise SystemExit(f"cut_fix: unknown fix {name}")
    return "".join(out)


def main():
    table = Path(__file__).with_name("fixes.tsv")
    if sys.argv[1:] == ["--list"]:
        print("\n".join(names(table)))
    elif len(sys.argv) == 3:
        sys.stdout.write(cut(table, Path(sys.argv[1]), sys.argv[2]))
    else:
        raise SystemExit("usage: cut_fix.py --list | cut_fix.py PATCHES_DIR NAME")


if __name__ == "__main__":
    main()
