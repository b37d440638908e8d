#!/usr/bin/env python3
"""Patch running Rust programs with real fixes and compare the verdicts with the objects. See test-rust-fixes.sh."""
import importlib
import re
import sys
import tempfile
from collections import Counter
from pathlib import Path

HERE = Path(__file__).resolve().parent
# The harness of the QEMU tests (tools, counters) and the trial in a running process of the other fixes.
sys.path += [str(HERE), str(HERE.parent / "fixes"), str(HERE.parent / "qemu")]

import objects # noqa: E402 (found through the line above)
from harness import expected # noqa: E402
from harness.expected import EXIT_STATUS # noqa: E402
from harness.campaign import begin # noqa: E402
from harness.tools import Failure # noqa: E402
from subjects.base import ProofError # noqa: E402
from trial import Trial # noqa: E402

FIXES = ("name", "program", "profiles", "proof")
EXPECTED = ("name", "verdict", "mentions", "too_many")
COLUMNS = ("fix", "profile", "verdict", "functions changed", "line-only", "as the objects", "pause µs", "patch bytes",
           "proof")


def say(message):
    print(f"rust-fixes: {message}", file=sys.stderr, flush=True)


def table(name, columns):
    lines = (HERE / name).read_text().splitlines()
    return [dict(zip(columns, line.split("\t"), strict=True)) for line in lines if line and not line.startswith("#")]


def disagreement(document, truth):
    """How patchgen's lists of functions differ from those of the objects: what it has too many, what it missed."""
    too_many, missed = [], []
    for change in ("changed", "new", "removed"):
        said = Counter(objects.path_of(function["name"]) for function in document.get("functions", [])
                       if function["change"] == change)
        true = Counter(map(objects.path_of, truth[change]))
        too_many += [f"{change}, not so in the objects: {name}" for name in (said - true).elements()]
        missed += [f"{change} in the objects only: {name}" for name in (true - said).elements()]
    return too_many, missed


class Case:
    def __init__(self, tools, fix, profile, wanted, cache, directory):
        self.tools, self.fix, self.profile, self.wanted = tools, fix, profile, wanted
        builds = cache / "builds" / f"{fix['program']}-{profile}"
        self.old, self.new = builds / "base", builds / fix["name"]
        self.directory = directory / f"{fix['name']}-{profile}"
        self.row = {"fix": fix["name"], "profile": profile}

    def run(self):
        say(f"{self.fix['name']} {self.profile}")
        self.directory.mkdir()
        try:
            self._run()
        except (Failure, ProofError, OSError) as error:
            self.row["failure"] = str(error)
            say(f"{self.fix['name']} {self.profile}: FAILED: {error}")
        return self.row

    def _run(self):
        binary = next(self.old.glob("*.debug")).stem
        patch = self.directory / "fix.tgp"
        answer = self.tools.diff(self.old / binary, self.new / binary, patch)
        document = answer.document
        truth = objects.compare(self.old, self.new)
        changes = Counter(function["change"] for function in document.get("functions", []))
        self.row.update(verdict=document["verdict"], changed=changes["changed"], new=changes["new"],
                        line_only=document["coverage"]["line_only"],
                        patch_bytes=(document.get("patch") or {}).get("bytes"))
        too_many, missed = disagreement(document, truth)
        self.row["objects"] = ", ".join(f"{len(names)} {what}" for names, what in
                                        ((missed, "missed"), (too_many, "too many")) if names) or "yes"
        if document["verdict"] == "patchable":
            self._apply(patch, document["patch"]["id"], self.old / binary)
        else:
            self.row["proof"] = reasons(document, self.wanted["mentions"])
        known = self.wanted["too_many"]
        self._expect(answer, [*missed, *(name for name in too_many if known == "-" or not re.search(known, name))])

    def _apply(self, patch, identifier, program):
        module = importlib.import_module(f"programs.{self.fix['program'].replace('-', '_')}")
        subject = module.Target(self.fix["program"], self.fix["name"], program, self.directory)
        trial = Trial(self.tools, patch, identifier, subject)
        try:
            trial.run()
        finally:
            self.row.update(trial.findings)
        self.row["proof"] = describe(trial.findings, subject.shows)
        if trial.findings["proof_kind"] != self.fix["proof"]:
            raise Failure(f"proved by {trial.findings['proof_kind']}, not by {self.fix['proof']}")

    def _expect(self, answer, differs):
        document, wanted = answer.document, self.wanted
        found = list(differs)
        if document["verdict"] != wanted["verdict"] or answer.status != EXIT_STATUS[wanted["verdict"]]:
            found.insert(0, f"verdict {document['verdict']}, status {answer.status}, not {wanted['verdict']}: "
                            f"{reasons(document)}")
        elif wanted["mentions"] != "-" and not re.search(wanted["mentions"], reasons(document, wanted["mentions"])):
            found.append(f"no reason mentions {wanted['mentions']}")
        if found:
            more = [f"{len(found) - 4} more"] if len(found) > 4 else []
            raise Failure("; ".join([*found[:4], *more]))


def reasons(document, first="-"):
    """The first reasons for a refusal, those that mention `first` before others."""
    named = [f"{refusal['kind']} {refusal['subject']}" for refusal in document.get("refusals", [])]
    named.sort(key=lambda reason: not re.search(first, reason))
    more = f"; {len(named) - 3} more" if len(named) > 3 else ""
    return "; ".join(named[:3]) + more


def describe(findings, shows):
    entered = sum(map(bool, findings["hits"].values()))
    parts = {"behaviour": shows, "entry": "", "applied": "applied and reverted, not driven"}
    return "; ".join(filter(None, (parts[findings["proof_kind"]], findings["attack"],
                                   f"{entered} of {len(findings['hits'])} new functions entered" if entered else "")))


def cells(row):
    def shown(key):
        value = row.get(key)
        return "-" if value is None else str(value)
    functions = shown("changed") + (f" + {row['new']} new" if row.get("new") else "")
    return (row["fix"], row["profile"], shown("verdict"), functions, shown("line_only"), shown("objects"),
            shown("stop_us"), shown("patch_bytes"), f"FAILED: {row['failure']}" if row.get("failure") else shown("proof"))


def markdown(rows):
    lines = [COLUMNS, ["---"] * len(COLUMNS), *map(cells, rows)]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines) + "\n"


def main():
    parser, options, cache, tools = begin(__doc__, "rust")
    fixes = {fix["name"]: fix for fix in table("fixes.tsv", FIXES)}
    wanted = {row["name"]: row for row in table("expected.tsv", EXPECTED)}
    try:
        names = expected.choose(list(fixes), options.fix)
    except Failure as error:
        parser.error(str(error))
    with tempfile.TemporaryDirectory(prefix="tgrust-") as temporary:
        directory = (options.keep or Path(temporary)).resolve()
        directory.mkdir(parents=True, exist_ok=True)
        if any(directory.iterdir()):
            parser.error(f"{directory} is not empty")
        rows = [Case(tools, fixes[name], profile, wanted[f"{name}-{profile}"], cache, directory).run()
                for name in names for profile in fixes[name]["profiles"].split(",")]
    print(markdown(rows))
    if options.markdown:
        options.markdown.write_text(markdown(rows))
    return 1 if any(row.get("failure") for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
