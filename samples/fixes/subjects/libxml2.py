"""libxml2."""
from .base import Library


class Target(Library):
    def cve_2025_24928(self):
        """A name that a message has no room for is left out, before: written."""
        return self.compare(5056, 2568, "long_names")

    def cve_2025_27113(self):
        """The pattern child::a matches <a/>, before: it does not."""
        return self.compare(0, 1, "step_pattern")

    def cve_2025_49794(self):
        """The old code looks at memory that it has freed, with no effect that could be seen."""
        self.drive("namespace_report", forked=True)

    def cve_2026_0990(self):
        self.drive("catalog", forked=True)
