"""The two programs under test, called the way an operator calls them."""
import json
import os
import subprocess
import time
from pathlib import Path


class Failure(Exception):
    """An expectation that was not met; the text says which."""


class Answer:
    """What one call gave."""

    def __init__(self, command, status, document, errors, seconds):
        self.command, self.status, self.document = command, status, document
        self.errors, self.seconds = errors, seconds

    def __str__(self):
        last = self.errors.strip().splitlines()[-1:] or [""]
        return f"`{' '.join(self.command)}` gave status {self.status}: {last[0]}"

    def expect(self, status):
        if self.status != status:
            raise Failure(f"{self}, not {status}")
        return self.document


class Tools:
    def __init__(self, repository: Path):
        release = repository / "target" / "release"
        self.patchgen = os.environ.get("PATCHGEN", str(release / "patchgen"))
        self.tardigrade = os.environ.get("TARDIGRADE", str(release / "tardigrade"))

    def missing(self):
        return [path for path in (self.patchgen, self.tardigrade) if not os.access(path, os.X_OK)]

    @staticmethod
    def _call(*command, timeout):
        command = [str(part) for part in command]
        start = time.monotonic()
        try:
            done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                                  timeout=timeout, check=False)
        except subprocess.TimeoutExpired:
            raise Failure(f"`{' '.join(command)}` does not end in {timeout} s") from None
        try:
            document = json.loads(done.stdout)
        except ValueError:
            raise Failure(f"{Answer(command, done.returncode, None, done.stderr, 0)}; "
                          "its output is no JSON document") from None
        return Answer(command, done.returncode, document, done.stderr, time.monotonic() - start)

    def diff(self, old, new, patch):
        return self._call(self.patchgen, "diff", old, new, "-o", patch, "--json", timeout=900)

    def apply(self, patch, pid):
        return self._call(self.tardigrade, "apply", patch, "--pid", pid, "--json", timeout=120)

    def revert(self, identifier, pid):
        return self._call(self.tardigrade, "revert", identifier, "--pid", pid, "--json", timeout=120)

    def patches(self, pid):
        """What `list` says about one process: {patch id: entry}."""
        document = self._call(self.tardigrade, "list", "--pid", pid, "--json", timeout=60).expect(0)
        return {patch["id"]: patch for process in document["processes"] if process["pid"] == pid
                for patch in process["patches"]}


def outcome(answer, pid, wanted):
    """The result for `pid` of an apply or revert that must have ended as `wanted`."""
    document = answer.expect(0)
    for result in document["results"]:
        if result["pid"] == pid:
            if result["outcome"] != wanted:
                raise Failure(f"{answer}: {result['outcome']}, not {wanted}: {result.get('reason')}")
            return result
    raise Failure(f"{answer}: process {pid} is not in the results")
