"""Counts how often a running process enters given addresses, without stopping it.

Uses hardware breakpoints through perf_event_open(2), one event for each thread and address. The
processor has four breakpoint registers, so at most four addresses can be watched at a time.

Also a command:  python3 -m harness.hitcount PID SECONDS ADDRESS...
"""
import ctypes
import os
import struct
import sys
import time

MAX_ADDRESSES = 4

# include/uapi/linux/perf_event.h and hw_breakpoint.h
_PERF_EVENT_OPEN = 298 # x86-64
_TYPE_BREAKPOINT = 5
_ATTRIBUTE_SIZE = 112
_BREAKPOINT_EXECUTE = 4
_LENGTH = 8 # of the address itself: what the kernel wants for an execute breakpoint
_INHERIT = 1 << 1
_CLOSE_ON_EXEC = 8

_libc = ctypes.CDLL(None, use_errno=True)


def _open(tid, address):
    attribute = struct.pack("<IIQQQQQIIQQ", _TYPE_BREAKPOINT, _ATTRIBUTE_SIZE, 0, 0, 0, 0, _INHERIT,
                            0, _BREAKPOINT_EXECUTE, address, _LENGTH).ljust(_ATTRIBUTE_SIZE, b"\0")
    descriptor = _libc.syscall(_PERF_EVENT_OPEN, attribute, tid, -1, -1, _CLOSE_ON_EXEC)
    if descriptor < 0:
        error = ctypes.get_errno()
        raise OSError(error, f"perf_event_open of {address:#x} in thread {tid}: {os.strerror(error)}")
    return descriptor


class EntryCounter:
    """with EntryCounter(pid, {name: address}) as counter: ...; counter.counts() -> {name: entries}"""

    def __init__(self, pid, addresses):
        if len(addresses) > MAX_ADDRESSES:
            raise ValueError(f"at most {MAX_ADDRESSES} addresses can be watched")
        self._pid, self._addresses, self._events = pid, addresses, {}

    def __enter__(self):
        try:
            for name, address in self._addresses.items():
                self._events[name] = []
                for tid in os.listdir(f"/proc/{self._pid}/task"):
                    try:
                        self._events[name].append(_open(int(tid), address))
                    except ProcessLookupError:
                        pass # the thread has ended
        except BaseException:
            self.__exit__()
            raise
        return self

    def counts(self):
        return {name: sum(struct.unpack("<Q", os.read(event, 8))[0] for event in events)
                for name, events in self._events.items()}

    def __exit__(self, *_):
        for events in self._events.values():
            for event in events:
                os.close(event)
        self._events = {}


def main():
    if len(sys.argv) < 4:
        raise SystemExit("usage: python3 -m harness.hitcount PID SECONDS ADDRESS...")
    addresses = {text: int(text, 16) for text in sys.argv[3:]}
    with EntryCounter(int(sys.argv[1]), addresses) as counter:
        time.sleep(float(sys.argv[2]))
        for name, count in counter.counts().items():
            print(name, count)


if __name__ == "__main__":
    main()
