"""One fix tried on one running machine: before, with the patch, without it, and with it again."""
from proofs.base import NEW, OLD, ProofError

from .expected import plain
from .hitcount import MAX_ADDRESSES, EntryCounter
from .tools import Failure, outcome
from .vm import Vm

LINES_BETWEEN_STEPS = 2


class Trial:
    """`findings` holds what was measured, also when a later step fails."""

    def __init__(self, tools, binary, patch, patch_id, proof):
        self.tools, self.binary, self.patch, self.patch_id, self.proof = tools, binary, patch, patch_id, proof
        self.findings = {}

    def run(self, guests, directory, guest):
        directory.mkdir(parents=True)
        arguments = self.proof.arguments(directory, guests)
        try:
            vm = Vm(self.binary, guests, directory, guest, arguments, self.proof.environment(guests))
        except (RuntimeError, OSError) as error:
            raise Failure(str(error)) from error
        try:
            self._steps(vm)
            self._check_guest(vm)
            self._finish(vm)
        except ProofError as error:
            raise Failure(f"{error}; QEMU's last words: {vm.tail()}") from error
        except (RuntimeError, OSError) as error: # the machine or a connection to it broke
            vm.kill()
            raise Failure(f"{error}; QEMU's status {vm.process.returncode}, its last words: {vm.tail()}") from error
        finally:
            vm.kill()

    def _steps(self, vm):
        self.proof.prepare(vm)
        self._must_act(vm, OLD, "before the patch", {})
        text = vm.text()

        applied = self._apply(vm)
        self.findings["stop_us"] = applied["stop_us_total"]
        self.findings["threads"] = applied["threads"]
        entries = self._entries(vm)
        hits = self._must_act(vm, NEW, "with the patch", entries)
        if self.proof.function and not hits.get(self.proof.function):
            raise Failure(f"the new {self.proof.function} was never entered; entries: {hits}")
        self.findings["hits"] = hits
        self.findings["attack"] = self.proof.attack(vm)

        outcome(self.tools.revert(self.patch_id, vm.pid), vm.pid, "reverted")
        if vm.text() != text:
            raise Failure("the text of the process is not as it was before the patch")
        state = self.tools.patches(vm.pid).get(self.patch_id, {}).get("state", "absent")
        if state not in ("absent", "inert"):
            raise Failure(f"after the revert, `list` calls the patch {state}")
        hits = self._must_act(vm, OLD, "after the revert", entries)
        if any(hits.values()):
            raise Failure(f"new code was entered after the revert: {hits}")

        self._apply(vm)
        self._must_act(vm, NEW, "with the patch applied again", {})

    def _apply(self, vm):
        applied = outcome(self.tools.apply(self.patch, vm.pid), vm.pid, "applied")
        vm.wait_for_lines(LINES_BETWEEN_STEPS)
        return applied

    def _entries(self, vm):
        """Where the new functions are, by their names in the source: the proof's own comes first."""
        patch = self.tools.patches(vm.pid).get(self.patch_id)
        if patch is None or patch["state"] != "applied":
            raise Failure(f"`list` does not call the patch {self.patch_id} applied: {patch}")
        entries = {plain(function["name"]): int(function["new_address"], 16)
                   for function in patch["functions"] if function.get("new_address")}
        if self.proof.function and self.proof.function not in entries:
            raise Failure(f"`list` has no {self.proof.function} among {sorted(entries)}")
        return dict(sorted(entries.items(), key=lambda item: item[0] != self.proof.function))

    def _must_act(self, vm, wanted, when, entries):
        """Drive the fixed code and give how often each of up to four new functions was entered."""
        watched = dict(list(entries.items())[:MAX_ADDRESSES])
        with EntryCounter(vm.pid, watched) as counter:
            seen = self.proof.observe(vm)
            counts = counter.counts()
        if seen is not None and seen != wanted:
            raise Failure(f"{when}, the {seen} code acts")
        vm.wait_for_lines(LINES_BETWEEN_STEPS)
        return counts

    def _check_guest(self, vm):
        faults = vm.guest_faults()
        if faults:
            raise Failure(f"the guest was disturbed: {'; '.join(faults[:3])}")
        self.findings["guest_lines"] = vm.console.counters()[-1][1] + 1
        self.findings["longest_gap_ms"] = round(vm.longest_gap() * 1000)

    def _finish(self, vm):
        if not self.proof.quits_cleanly:
            return
        status = vm.quit()
        if status != 0:
            raise Failure(f"QEMU ended with status {status} after `quit`: {vm.tail()}")
