"""Runs real QEMU processes, patches them, and checks from outside which code they execute."""
