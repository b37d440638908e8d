"""How the campaigns of fixes begin: options, cache, tools."""
import argparse
import os
from pathlib import Path

from .tools import Tools

REPOSITORY = Path(__file__).resolve().parents[3]


def begin(description, kind):
    """The parser with the options of the command line, the part KIND of the cache, and the tools, which must be there."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--fix", action="append", default=[], metavar="NAME",
                        help="only fixes whose name contains NAME")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the table for the manual")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="keep patches and logs in DIR")
    options = parser.parse_args()

    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    cache = Path(os.environ.get("TARDIGRADE_CACHE") or Path(base) / "tardigrade") / kind
    tools = Tools(REPOSITORY)
    if tools.missing():
        parser.error(f"not found: {', '.join(tools.missing())} (build them, or set PATCHGEN and TARDIGRADE)")
    return parser, options, cache, tools
