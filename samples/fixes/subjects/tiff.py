"""libtiff."""
from .base import Library

CRASH = "signal 11"


class Target(Library):
    def cve_2023_52356(self):
        """A row that the image does not have is refused for that, before: read."""
        return self.compare(False, True, "strip_beyond")

    def cve_2023_26966(self):
        """A colour that is not a number is encoded, before: SIGSEGV."""
        return self.compare(CRASH, 1, "not_a_number")

    def cve_2025_9900(self):
        """A raster smaller than the image is filled, before: SIGSEGV."""
        return self.compare(CRASH, 1, "small_raster")

    def cve_2026_4775(self):
        self.drive("ycbcr")
