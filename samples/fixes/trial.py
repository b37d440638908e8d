"""One fix tried in one running process: before, with the patch, without it, and with it again."""
from harness.expected import plain
from harness.hitcount import MAX_ADDRESSES, EntryCounter
from harness.tools import Failure, outcome
from subjects.base import NEW, OLD


class Trial:
    """`findings` holds what was measured, also when a later step fails."""

    def __init__(self, tools, patch, patch_id, subject):
        self.tools, self.patch, self.patch_id, self.subject = tools, patch, patch_id, subject
        self.findings = {}

    def run(self):
        subject = self.subject
        subject.start()
        try:
            self._steps(subject)
        finally:
            subject.stop()

    def _steps(self, subject):
        told = self._must_act(OLD, "before the patch", {})[0]
        text = subject.text()
        if not text:
            raise Failure(f"process {subject.pid} does not have {subject.image.name} mapped")

        applied = self._apply()
        self.findings.update(stop_us=applied["stop_us_total"], threads=applied["threads"])
        entries = self._entries()
        hits = {}
        for group in range(0, len(entries), MAX_ADDRESSES):
            watched = dict(list(entries.items())[group:group + MAX_ADDRESSES])
            hits.update(self._must_act(NEW, "with the patch", watched)[1])
        self.findings["hits"] = hits
        self.findings["attack"] = subject.attack()
        self.findings["proof_kind"] = "behaviour" if told else "entry" if any(hits.values()) else "applied"

        outcome(self.tools.revert(self.patch_id, subject.pid), subject.pid, "reverted")
        if subject.text() != text:
            raise Failure("the text of the process is not as it was before the patch")
        state = self.tools.patches(subject.pid).get(self.patch_id, {}).get("state", "absent")
        if state not in ("absent", "inert"):
            raise Failure(f"after the revert, `list` calls the patch {state}")
        hits = self._must_act(OLD, "after the revert", dict(list(entries.items())[:MAX_ADDRESSES]))[1]
        if any(hits.values()):
            raise Failure(f"new code was entered after the revert: {hits}")

        self._apply()
        self._must_act(NEW, "with the patch applied again", {})

    def _apply(self):
        return outcome(self.tools.apply(self.patch, self.subject.pid), self.subject.pid, "applied")

    def _entries(self):
        """Where the new functions are, by their names in the source."""
        patch = self.tools.patches(self.subject.pid).get(self.patch_id)
        if patch is None or patch["state"] != "applied":
            raise Failure(f"`list` does not call the patch {self.patch_id} applied: {patch}")
        return {plain(function["name"]): int(function["new_address"], 16)
                for function in patch["functions"] if function.get("new_address")}

    def _must_act(self, wanted, when, watched):
        """Drive the fixed code: what it was told to be, and how often each new function was entered."""
        with EntryCounter(self.subject.pid, watched) as counter:
            seen = self.subject.observe()
            counts = counter.counts()
        if seen is not None and seen != wanted:
            raise Failure(f"{when}, the {seen} code acts")
        if not self.subject.alive():
            raise Failure(f"{when}, the process ended with status {self.subject.process.returncode}")
        return seen, counts
