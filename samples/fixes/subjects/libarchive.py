"""libarchive."""
from .base import Library


class Target(Library):
    def cve_2025_5916(self):
        """A WARC record of nearly 2^63 bytes is a fatal error, before: its size wraps and it is skipped."""
        return self.compare([1, 41, 1], [0, 0, -30], "read_sample", "test_read_format_warc_incomplete.warc")

    def cve_2026_4111_2(self):
        """A filter larger than half the window ends the archive, before: an endless loop."""
        return self.compare("signal 24", [1, 0, -30], "read_endless")

    def cve_2026_4426(self):
        """Block sizes that zisofs does not have; both builds read on."""
        self.drive("read_sample", "test_read_format_iso_zisofs_overflow.iso", forked=True)
