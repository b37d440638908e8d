"""The emulated SVM took physical addresses that no processor takes."""
import time

from .base import NEW, OLD, Proof, ProofError


class Vmcb(Proof):
    shows = "the guest's write of a misaligned address to VM_HSAVE_PA faults, before: it is taken"
    function = "helper_wrmsr"

    def observe(self, vm):
        vm.wait_for_lines(2) # the last line was printed wholly after this call began
        state = vm.console.counters()[-1][2].get("hsave")
        try:
            return {"taken": OLD, "refused": NEW}[state]
        except KeyError:
            raise ProofError(f"the guest says hsave={state}") from None
