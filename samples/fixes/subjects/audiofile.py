"""The Audio File Library, a C++ library."""
from .base import Library


class Target(Library):
    def cve_2015_7747(self):
        """16-bit stereo read as 8-bit mono gives 28, 6, -2, before: 35, -1, 2."""
        return self.compare([35, -1, 2], [28, 6, -2], "mono")

    def ima_index(self):
        """A step index of 200 decodes like the largest, 88, before: from beyond the table."""
        return self.compare(False, True, "index_is_clamped")

    def coefficients(self):
        """A file with two coefficients is refused, before: opened."""
        return self.compare(True, False, "coefficients")

    def parse_format(self):
        """IMA ADPCM with 5 bits for each sample is refused, before: opened."""
        return self.compare(True, False, "bits")

    def cve_2019_13147(self):
        """A file with 2^29 channels is refused, before: opened."""
        return self.compare(True, False, "channels")
