#!/usr/bin/env python3
"""Patch running programs with fixes from Debian's history and prove that the new code runs. See test-fixes.sh."""
import importlib
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path += [str(HERE), str(HERE.parent / "qemu")] # the harness of the QEMU tests: tools, expectations, counters

from harness import expected, report # noqa: E402 (found through the line above)
from harness.campaign import begin # noqa: E402
from harness.tools import Failure # noqa: E402
from subjects.base import ProofError # noqa: E402
from trial import Trial # noqa: E402

COLUMNS = ("name", "package", "version", "patches", "program", "proof")


def say(message):
    print(f"fixes: {message}", file=sys.stderr, flush=True)


def load_fixes():
    lines = (HERE / "fixes.tsv").read_text().splitlines()
    return [dict(zip(COLUMNS, line.split("\t"), strict=True)) for line in lines if line and not line.startswith("#")]


def verdict_row(answer):
    document = answer.document
    changes = [function["change"] for function in document.get("functions", [])]
    return {
        "verdict": document["verdict"],
        "changed": changes.count("changed"),
        "new": changes.count("new"),
        "line_only": document["coverage"]["line_only"],
        "patch_bytes": (document.get("patch") or {}).get("bytes"),
    }


def reasons(document):
    refusals = document.get("refusals", [])
    more = f"; {len(refusals) - 3} more" if len(refusals) > 3 else ""
    return "; ".join(f"{refusal['kind']} {refusal['subject']}" for refusal in refusals[:3]) + more


def describe(findings, shows):
    entered = ", ".join(f"{function} {count}x" for function, count in findings["hits"].items() if count)
    parts = {"behaviour": shows, "entry": "", "applied": "applied and reverted, not driven"}
    return "; ".join(filter(None, (parts[findings["proof_kind"]], findings["attack"],
                                   f"entered: {entered}" if entered else "")))


def try_fix(tools, fix, wanted, pairs, directory):
    name, row = fix["name"], {"fix": fix["name"]}
    say(name)
    try:
        program = Path(fix["program"]).name
        old, new = (pairs / name / which / program for which in ("old", "new"))
        patch = directory / f"{name}.tgp"
        answer = tools.diff(old, new, patch)
        row.update(verdict_row(answer))
        differences = wanted.differences(answer)
        # More functions than the fix needs are safe: the table shows them.
        beyond = [text for text in differences if text.startswith("changed beyond expectation: ")]
        differences = [text for text in differences if text not in beyond]
        if answer.document["verdict"] == "patchable":
            place = directory / name
            place.mkdir()
            target = importlib.import_module(f"subjects.{fix['package']}").Target
            subject = target(fix["package"], name, old, place)
            trial = Trial(tools, patch, answer.document["patch"]["id"], subject)
            try:
                trial.run()
            finally:
                row.update(trial.findings)
            row["proof"] = "; ".join([describe(trial.findings, subject.shows), *beyond])
            if trial.findings["proof_kind"] != fix["proof"]:
                differences.append(f"proved by {trial.findings['proof_kind']}, not by {fix['proof']}")
        else:
            row["proof"] = reasons(answer.document)
        if differences:
            raise Failure("; ".join(differences))
    except (Failure, ProofError, OSError) as error:
        row["failure"] = str(error)
        say(f"{name}: FAILED: {error}")
    return row


def main():
    parser, options, cache, tools = begin(__doc__, "fixes")
    fixes = {fix["name"]: fix for fix in load_fixes()}
    wanted = expected.load(HERE / "expected.tsv")
    if set(fixes) != set(wanted):
        parser.error(f"fixes.tsv and expected.tsv differ in {', '.join(set(fixes) ^ set(wanted))}")
    try:
        names = expected.choose(list(fixes), options.fix)
    except Failure as error:
        parser.error(str(error))

    with tempfile.TemporaryDirectory(prefix="tgfixes-") as temporary:
        directory = options.keep or Path(temporary)
        directory.mkdir(parents=True, exist_ok=True)
        if any(directory.iterdir()):
            parser.error(f"{directory} is not empty")
        rows = [try_fix(tools, fixes[name], wanted[name], cache / "pairs", directory.resolve()) for name in names]

    print(report.text(rows))
    if options.markdown:
        options.markdown.write_text(report.markdown(rows))
    return 1 if any(row.get("failure") for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
