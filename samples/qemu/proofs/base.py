"""What a proof is.

A proof drives the fixed code of a running QEMU from outside and reports from QEMU's own behaviour
which version of it answered. It must be able to do so before the patch is applied, while it is
applied and after it was reverted, in one process.
"""
OLD, NEW = "old", "new"


class Proof:
    """Behaviour differs: `observe` says which code acted."""

    #: One phrase for the report: what the new code does that the old one does not.
    shows = ""
    #: The function that the driven path must enter. None if a behaviour is enough.
    function = None
    #: False if shutting down after old code has run is itself what the fix is about.
    quits_cleanly = True

    def arguments(self, directory, guests):
        """Arguments of QEMU. `directory` is the machine's own and exists."""
        return []

    def environment(self, guests):
        return {}

    def prepare(self, vm):
        """Once, on the running machine, before anything is patched."""

    def observe(self, vm):
        """Drive the code and say OLD or NEW; any other behaviour is an error."""
        raise NotImplementedError

    def attack(self, vm):
        """What kills the old code. Only run where the new code is in place. Gives a phrase or None."""
        return None


class ProofError(Exception):
    """The machine behaved like neither version."""
