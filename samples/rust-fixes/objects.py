#!/usr/bin/env python3
"""Which functions two builds of a Rust program do not have in common, by the objects that went into their links.

    objects.py OLD NEW        (directories that build.sh made: PROGRAM.debug and objects/)

Nothing of patchgen is used: the objects still have a section for each function and a relocation for each reference,
so no disassembly is needed. A function is its bytes without the relocated fields, and what each relocation leads to:

- a function or a variable by its name, without the hash of its symbol where only one build has it;
- a constant (a string, a table of jumps, a vtable) by its bytes and, again, what its relocations lead to.

A place in the source (of a panic, or of a message of crate log) is recognised by its shape. A function whose places
have other lines or columns, and that is the same otherwise, is line-only. Only functions that the linked program has
count.
"""
import hashlib
import json
import re
import struct
import sys
from collections import Counter, defaultdict
from pathlib import Path

from elf import (SHF_EXECINSTR, SHF_MERGE, SHF_STRINGS, SHF_WRITE, STT_FUNC, STT_OBJECT, STT_SECTION, Object, members)

_HASH = re.compile(r"17h[0-9a-f]{16}E")
_LLVM = re.compile(r"\.llvm\.[0-9]+")
_NUMBER = re.compile(r"\.[0-9]+$") # what LLVM tells namesakes apart with
_ABSOLUTE = {1, 10, 11} # R_X86_64_64, 32, 32S
_FIELD = {1: 8, 24: 8, 25: 8, 29: 8} # R_X86_64_64, PC64, GOTOFF64, ...; the others here have 4 bytes


def path_of(symbol):
    """A symbol's name without what moves from build to build."""
    return _HASH.sub("E", _NUMBER.sub("", _LLVM.sub("", symbol)))


class Function:
    def __init__(self, build, unit, section, names):
        self.build, self.unit, self.section, self.names = build, unit, section, names

    @property
    def name(self):
        return min(self.names)

    def bare(self):
        return blank(self.unit.sections[self.section])

    def bare_with_calls(self):
        """These bytes and those of the functions that they lead to: instances of a generic function may differ in nothing
        else than in which instance of the next one they call."""
        found = [self.bare()]
        for offset, _, number, _ in self.unit.sections[self.section].relocations:
            symbol = self.unit.symbols[number]
            names = [one.name for one in self.unit.defined[symbol.section]] if symbol.kind == STT_SECTION else [symbol.name]
            called = next(filter(None, (self.build.by_name.get(_LLVM.sub("", name)) for name in names)), None)
            if called:
                found.append((offset, called.bare()))
        return found


def blank(section):
    """The bytes of a section with zeros where relocations are."""
    data = bytearray(section.data)
    for offset, kind, _, _ in section.relocations:
        width = _FIELD.get(kind, 4)
        data[offset:offset + width] = bytes(width)
    return bytes(data)


class Build:
    def __init__(self, directory):
        self.directory = directory
        self.units = {}
        for path in sorted((directory / "objects").iterdir()):
            for name, data in members(path):
                self.units[name] = data
        self.functions, self.by_name = [], {}
        self.calls = {} # symbol: what it is called in comparisons
        self.constants = {}
        self.shared = {} # constants that other objects may use: symbol: (object, symbol)

    def load(self, names):
        """Parse these objects and list their functions."""
        for name in sorted(names):
            unit = self.share(name)
            for number, section in enumerate(unit.sections):
                if section.flags & SHF_EXECINSTR and section.size:
                    called = frozenset(_LLVM.sub("", symbol.name) for symbol in unit.defined[number]
                                       if symbol.kind == STT_FUNC and symbol.value == 0)
                    if called:
                        function = Function(self, unit, number, called)
                        self.functions.append(function)
                        for one in called:
                            self.by_name.setdefault(one, function)

    def share(self, name):
        """Parse an object and note the constants in it that others may use."""
        unit = Object(name, self.units[name])
        for symbol in unit.symbols:
            if symbol.kind == STT_OBJECT and symbol.section:
                section = unit.sections[symbol.section]
                if not section.flags & SHF_WRITE or symbol.name.startswith("anon.") and section.name.startswith(".data.rel.ro"):
                    self.shared[symbol.name] = unit, symbol
        return unit

    def linked(self):
        """The functions of the linked program, as its debug file lists them."""
        program = Object("program", next(self.directory.glob("*.debug")).read_bytes())
        return {_LLVM.sub("", symbol.name) for symbol in program.symbols if symbol.kind == STT_FUNC and symbol.section}

    # --- what a reference leads to -----------------------------------------------------------------------

    def describe(self, function, lines):
        """A digest of the function; `lines` says whether lines and columns of places in the source count."""
        section = function.unit.sections[function.section]
        return digest(blank(section), self._references(function.unit, section, lines, ()))

    def _references(self, unit, section, lines, above):
        return [(offset, kind, self._target(unit, symbol, addend, past(section, offset, kind), lines, above))
                for offset, kind, symbol, addend in section.relocations]

    def _target(self, unit, number, addend, beyond, lines, above):
        symbol = unit.symbols[number]
        if symbol.section == 0:
            if symbol.name not in self.shared:
                return ("name", self.call(symbol.name), addend)
            unit, symbol = self.shared[symbol.name] # numbered per unit, and used by others after their optimisation
        section = unit.sections[symbol.section]
        if section.flags & SHF_EXECINSTR:
            if symbol.kind == STT_SECTION:
                named = [one.name for one in unit.defined[symbol.section] if one.kind == STT_FUNC and one.value == 0]
                return ("name", self.call(min(named)) if named else section.name, addend)
            return ("name", self.call(symbol.name), addend)
        if section.flags & SHF_WRITE and not section.name.startswith(".data.rel.ro"):
            named = [one.name for one in unit.defined[symbol.section] if one.value == 0]
            name = symbol.name if symbol.kind != STT_SECTION else min(named) if named else section.name
            return ("name", self.call(name), addend)
        start = symbol.value if symbol.kind != STT_SECTION else 0
        if section.flags & SHF_MERGE:
            return ("merged", merged(section, start + addend + beyond, beyond == 4))
        return ("constant", self._constant(unit, symbol.section, lines, above), start + addend)

    def _constant(self, unit, number, lines, above):
        """A digest of a section that holds one constant."""
        if number in above:
            return f"itself, {len(above) - above.index(number)} up"
        key = (unit.name, number, lines)
        if key not in self.constants:
            section = unit.sections[number]
            located = self._location(unit, section)
            if located:
                content = ("location", located[0], *(located[1:] if lines else ()))
            else:
                content = (blank(section), self._references(unit, section, lines, (*above, number)))
            if above: # may hold a way back that depends on where it began
                return digest(*content)
            self.constants[key] = digest(*content)
        return self.constants[key]

    @staticmethod
    def _location(unit, section):
        """(strings, number, ...) if the section is a place in the source that a panic or a log message names: a
        core::panic::Location (file, line, column), or what the macros of log up to 0.4.19 make (target, module, file,
        line)."""
        shape = {24: ("<II", 1), 56: ("<I4x", 3)}.get(section.size)
        if shape is None or [entry[:2] for entry in section.relocations] != [(16 * n, 1) for n in range(shape[1])]:
            return None
        texts = []
        for offset, _, number, addend in section.relocations:
            symbol = unit.symbols[number]
            length, = struct.unpack_from("<Q", section.data, offset + 8)
            start = symbol.value + addend
            text = unit.sections[symbol.section].data[start:start + length] if symbol.section else b""
            if len(text) != length:
                return None
            texts.append(text)
        numbers = struct.unpack_from(shape[0], section.data, 16 * shape[1])
        return (texts, *numbers) if texts[-1].rstrip(b"\0").endswith(b".rs") and numbers[0] else None

    def call(self, name):
        name = _LLVM.sub("", name)
        return self.calls.get(name, name)


def past(section, offset, kind):
    """How far what a relocation leads to lies past its symbol and addend."""
    if kind in _ABSOLUTE:
        return 0
    # In code: from the end of the instruction. In a table: from the table's beginning.
    return 4 if section.flags & SHF_EXECINSTR else -offset


def merged(section, at, rough):
    """What lies at `at` in a section of equal pieces or of strings. `rough`: or up to four bytes further, if a number
    follows in the instruction."""
    if section.flags & SHF_STRINGS:
        return section.data[at:section.data.find(b"\0", at)]
    size = section.entsize or 1
    piece = at // size
    if rough and at % size and at % size >= size - 4:
        piece += 1
    return section.data[piece * size:(piece + 1) * size]


def digest(*parts):
    return hashlib.sha256(repr(parts).encode()).hexdigest()


# --- the comparison ------------------------------------------------------------------------------------------

def pair_leftovers(old, new):
    """Pair what has no namesake by path: by the bytes of what it calls, too, first, then by its bytes, then in order.
    {old symbol: new symbol}"""
    pairs = {}
    olds, news = defaultdict(list), defaultdict(list)
    for functions, groups, others in ((old.functions, olds, new.by_name), (new.functions, news, old.by_name)):
        for function in functions:
            if not any(name in others for name in function.names):
                groups[path_of(function.name)].append(function)
    for path, left in olds.items():
        right = news.get(path, [])
        for alike in (Function.bare_with_calls, Function.bare, lambda _: None):
            for function in list(left):
                match = next((one for one in right if alike(one) == alike(function)), None)
                if match:
                    pairs[function.name] = match.name
                    left.remove(function)
                    right.remove(match)
    return pairs


def pair_copies(old, new):
    """Pair the copies of a function that several objects have under one name: those that are the same first, then those
    in the same object, then in order. {id of old function: new function}"""
    pairs = {}
    olds, news = defaultdict(list), defaultdict(list)
    for functions, groups in ((old.functions, olds), (new.functions, news)):
        for function in functions:
            groups[function.name].append(function)
    whole = lambda function: function.build.describe(function, True)
    but_lines = lambda function: function.build.describe(function, False)
    place = lambda function: function.unit.name
    for name, left in olds.items():
        right = news.get(name, [])
        if len(left) == len(right) == 1:
            pairs[id(left[0])] = right[0]
            continue
        for key in (lambda one: (place(one), whole(one)), whole, but_lines, place, lambda _: None):
            for function in list(left) if right else ():
                match = next((one for one in right if key(one) == key(function)), None)
                if match:
                    pairs[id(function)] = match
                    left.remove(function)
                    right.remove(match)
    return pairs


def compare(old_directory, new_directory):
    old, new = Build(old_directory), Build(new_directory)
    same = {name for name, data in old.units.items() if new.units.get(name) == data}
    for build in (old, new):
        for name in same: # what other objects use of these has a number in its name that moves
            if ".rcgu.o" in name:
                build.share(name)
        build.load(set(build.units) - same)
    pairs = pair_leftovers(old, new)
    new.calls = {after: before for before, after in pairs.items()}
    copies = pair_copies(old, new)
    in_old, in_new = old.linked(), new.linked()
    found = {"changed": [], "line_only": [], "new": [], "removed": [], "same": 0}
    matched = set()
    for function in old.functions:
        partner = copies.get(id(function))
        if partner is None and function.name not in new.by_name:
            partner = next((new.by_name[name] for name in sorted(function.names) if name in new.by_name), None)
        if partner is None:
            partner = new.by_name.get(pairs.get(function.name))
        if not any(name in in_old for name in function.names):
            if partner:
                matched.add(id(partner))
            continue
        if partner is None:
            found["removed"].append(function.name)
            continue
        matched.add(id(partner))
        if not any(name in in_new for name in partner.names):
            found["removed"].append(function.name)
        elif old.describe(function, True) == new.describe(partner, True):
            found["same"] += 1
        elif old.describe(function, False) == new.describe(partner, False):
            found["line_only"].append(function.name)
        else:
            found["changed"].append(function.name)
    found["new"] = [function.name for function in new.functions
                    if id(function) not in matched and any(name in in_new for name in function.names)]
    # Objects that are the same in both builds give the program more functions, or fewer, when others begin or stop to call.
    for change, build, there, elsewhere in (("new", new, in_new, in_old), ("removed", old, in_old, in_new)):
        if there - elsewhere - {name for function in build.functions for name in function.names}:
            known = len(build.functions)
            build.load(same)
            found[change] += [function.name for function in build.functions[known:]
                              if not function.names.isdisjoint(there) and function.names.isdisjoint(elsewhere)]
    found["functions"] = len(in_old)
    return found


def main():
    if len(sys.argv) != 3:
        raise SystemExit(__doc__)
    found = compare(*map(Path, sys.argv[1:]))
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
