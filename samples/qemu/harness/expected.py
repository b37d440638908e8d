"""What a right tool says of each fix: expected.tsv."""
import re
from pathlib import Path

from .tools import Failure

EXIT_STATUS = {"patchable": 0, "unchanged": 3, "unpatchable": 4}
_COMPILER_SUFFIX = re.compile(r"\.(?:part|isra|constprop|cold|localalias)(?:\.\d+)?")


def plain(name):
    """A function's name as it stands in the source."""
    return _COMPILER_SUFFIX.sub("", name)


class Expected:
    def __init__(self, line):
        (self.name, self.verdict, changed, new, line_only, mentions, warning) = line.split("\t")
        self.changed = set(filter(None, changed.split(",")))
        self.new = set(filter(None, new.split(",")))
        self.line_only = None if line_only == "any" else int(line_only)
        self.mentions = None if mentions == "-" else re.compile(mentions)
        self.warning = warning == "yes"

    def differences(self, answer):
        """How a verdict of patchgen differs from the expectation; an empty list is as expected."""
        found = []
        document = answer.document
        if document["verdict"] != self.verdict:
            found.append(f"verdict {document['verdict']}, not {self.verdict}")
        if answer.status != EXIT_STATUS[self.verdict]:
            found.append(f"exit status {answer.status}, not {EXIT_STATUS[self.verdict]}")
        refusals = document.get("refusals", [])
        if self.verdict == "unpatchable":
            reasons = " ".join(f"{refusal.get('subject', '')} {refusal.get('detail', '')}" for refusal in refusals)
            if not refusals:
                found.append("no reason is given")
            elif self.mentions and not self.mentions.search(reasons):
                found.append(f"no reason mentions {self.mentions.pattern}")
            return found
        found += [f"refused: {refusal['kind']} {refusal['subject']}: {refusal.get('detail', '')}"
                  for refusal in refusals]
        for change, wanted in (("changed", self.changed), ("new", self.new)):
            names = {plain(function["name"]) for function in document["functions"]
                     if function["change"] == change}
            if names - wanted:
                found.append(f"{change} beyond expectation: {', '.join(sorted(names - wanted))}")
            if wanted - names:
                found.append(f"not {change}: {', '.join(sorted(wanted - names))}")
        line_only = document["coverage"]["line_only"]
        if self.line_only is not None and line_only != self.line_only:
            found.append(f"{line_only} line-only functions, not {self.line_only}")
        if self.warning and not document.get("warnings"):
            found.append("no warning is given")
        return found


def load(path: Path):
    rows = [Expected(line) for line in path.read_text().splitlines() if line and not line.startswith("#")]
    return {row.name: row for row in rows}


def choose(names, wanted):
    """The names that the parts in `wanted` select; all of them without any."""
    chosen = [name for name in names if not wanted or any(part in name for part in wanted)]
    for part in wanted:
        if not any(part in name for name in names):
            raise Failure(f"no fix is called {part}; there are: {', '.join(names)}")
    return chosen
