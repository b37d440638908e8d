#!/usr/bin/env python3
"""Patch running QEMU processes with real fixes and prove that the new code runs. See test-qemu.sh."""
import argparse
import os
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

from harness import expected, report # noqa: E402 (found through the line above)
from harness.tools import Failure, Tools # noqa: E402
from harness.trial import Trial # noqa: E402
from harness.vm import BARE, LINUX, Vm # noqa: E402
from proofs import PROOFS # noqa: E402
from proofs.base import NEW, OLD, ProofError # noqa: E402

# The fix that is also tried under KVM; its proof needs nothing from the guest.
KVM_FIX = "cve-2024-8354-uhci"


def say(message):
    print(f"qemu: {message}", file=sys.stderr, flush=True)


def paths():
    cache = Path(os.environ.get("TARDIGRADE_CACHE") or Path.home() / ".cache" / "tardigrade") / "qemu"
    return Path(os.environ.get("TARDIGRADE_QEMU_PAIRS") or cache / "pairs"), cache / "guest"


def verdict_row(name, answer):
    document = answer.document
    changes = [function["change"] for function in document.get("functions", [])]
    return {
        "fix": name,
        "verdict": document["verdict"],
        "changed": changes.count("changed"),
        "new": changes.count("new"),
        "line_only": document["coverage"]["line_only"],
        "patch_bytes": (document.get("patch") or {}).get("bytes"),
        "patchgen_seconds": round(answer.seconds, 1),
        "refusals": document.get("refusals", []),
        "warnings": document.get("warnings", []),
    }


def try_fix(tools, wanted, pairs, guests, directory, guests_to_try):
    """One row for the verdict and the first guest, one more for each further guest."""
    name = wanted.name
    old, patch = pairs / f"{name}.old", directory / f"{name}.tgp"
    say(f"{name}: patchgen diff")
    row = {"fix": name}
    rows = [row]
    try:
        answer = tools.diff(old, pairs / "new", patch)
        row.update(verdict_row(name, answer))
        differences = wanted.differences(answer)
        if answer.document["verdict"] != "patchable":
            row["proof"] = "; ".join(f"{refusal['kind']} {refusal['subject']}" for refusal in row["refusals"][:3])
        elif wanted.verdict == "patchable": # an unexpected function does not keep it from being tried
            for number, guest in enumerate(guests_to_try):
                if number:
                    rows.append(dict(row, fix=f"{name} ({guest})", failure=None))
                say(f"{name}: apply, prove and revert under the {guest} guest")
                proof = PROOFS[name]()
                trial = Trial(tools, old, patch, answer.document["patch"]["id"], proof)
                try:
                    trial.run(guests, directory / f"{name}-{guest}", guest)
                finally:
                    rows[-1].update(trial.findings)
                rows[-1]["proof"] = describe(proof, rows[-1])
        if differences:
            raise Failure("; ".join(differences))
    except Failure as error:
        (row if "proof" in rows[-1] else rows[-1])["failure"] = str(error)
        say(f"{name}: FAILED: {error}")
    return rows


def describe(proof, row):
    entered = ", ".join(f"{function} {count}x" for function, count in row["hits"].items() if count)
    attack = f"; survived: {row['attack']}" if row["attack"] else ""
    return f"{proof.shows}{attack}; entered: {entered}"


def self_test(name, pairs, guests, directory):
    """Without the tools: does the proof tell the two builds apart?"""
    for binary, wanted in ((f"{name}.old", OLD), ("new", NEW)):
        proof, place = PROOFS[name](), directory / binary / name
        place.mkdir(parents=True)
        vm = Vm(pairs / binary, guests, place, arguments=proof.arguments(place, guests),
                environment=proof.environment(guests))
        try:
            proof.prepare(vm)
            seen = [proof.observe(vm) for _ in range(2)]
            attack = proof.attack(vm) if wanted == NEW else None
            if any(one not in (None, wanted) for one in seen) or vm.guest_faults():
                raise Failure(f"{binary}: {seen}, guest: {vm.guest_faults()}")
        except ProofError as error:
            raise Failure(f"{binary}: {error}") from error
        finally:
            vm.kill()
        say(f"{name}: {binary} behaves as {seen[0] or 'neither can tell'}{': ' + attack if attack else ''}")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fix", action="append", default=[], metavar="NAME", help="only fixes whose name contains NAME")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results as a JSON document")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the table for the manual")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="keep patches, logs and disks in DIR")
    parser.add_argument("--no-kvm", action="store_true", help="leave the KVM guest out")
    parser.add_argument("--self-test", action="store_true",
                        help="without the tools: check that each proof tells old from new builds")
    options = parser.parse_args()

    pairs, guests = paths()
    tools = Tools(HERE.parent.parent)
    wanted = expected.load(HERE / "expected.tsv")
    try:
        names = expected.choose(list(wanted), options.fix)
    except Failure as error:
        parser.error(str(error))
    if not options.self_test and tools.missing():
        parser.error(f"not found: {', '.join(tools.missing())} (build them, or set PATCHGEN and TARDIGRADE)")
    kvm = not options.no_kvm and os.access("/dev/kvm", os.R_OK | os.W_OK)
    if not kvm and KVM_FIX in names:
        say("the KVM guest is left out" + ("" if options.no_kvm else ": no access to /dev/kvm"))

    with tempfile.TemporaryDirectory(prefix="tgqemu-") as temporary:
        directory = options.keep or Path(temporary)
        directory.mkdir(parents=True, exist_ok=True)
        if any(directory.iterdir()):
            parser.error(f"{directory} is not empty")
        if options.self_test:
            failed = False
            for name in filter(PROOFS.get, names):
                try:
                    self_test(name, pairs, guests, directory)
                except (Failure, RuntimeError, OSError) as error:
                    say(f"{name}: FAILED: {error}")
                    failed = True
            return 1 if failed else 0
        rows = []
        for name in names:
            guests_to_try = [LINUX, BARE] if kvm and name == KVM_FIX else [LINUX]
            rows += try_fix(tools, wanted[name], pairs, guests, directory, guests_to_try)

    print(report.text(rows))
    if options.json:
        options.json.write_text(report.document(rows))
    if options.markdown:
        options.markdown.write_text(report.markdown(rows))
    return 1 if any(row.get("failure") for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
