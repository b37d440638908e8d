#!/usr/bin/env python3
"""driver.py PACKAGE LIBRARY: a process that has the library loaded and calls it when told to.

Each line of standard input is a JSON list: a function of driving/PACKAGE.py, whether a forked child is to
call it, and arguments. Each answer is one line: what the function returned, or how the child ended.
"""
import ctypes
import importlib
import json
import os
import sys
import traceback


def in_child(function, *arguments):
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(writing, json.dumps(function(*arguments)).encode())
        except BaseException: # it must not go on as a second driver
            traceback.print_exc()
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as answer:
        text = answer.read()
    _, status = os.waitpid(child, 0)
    return f"signal {os.WTERMSIG(status)}" if os.WIFSIGNALED(status) else json.loads(text or '"failed"')


def main():
    package, path = sys.argv[1:]
    driving = importlib.import_module(f"driving.{package}")
    library = ctypes.CDLL(path)
    for line in sys.stdin:
        name, forked, *arguments = json.loads(line)
        function = getattr(driving, name)
        answer = in_child(function, library, *arguments) if forked else function(library, *arguments)
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
