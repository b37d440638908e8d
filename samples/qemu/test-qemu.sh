#!/bin/sh
# Patch real QEMU processes with real fixes while their guests work, and prove that the new code runs:
#
#   test-qemu.sh [--fix NAME]... [--json FILE] [--markdown FILE] [--keep DIR] [--no-kvm] [--self-test]
#
# Builds what is missing first (see build.sh). PATCHGEN and TARDIGRADE name the programs under test;
# without them target/release is used. TARDIGRADE_QEMU_PAIRS names a directory of ready builds.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
case " $* " in
*" --help "* | *" -h "*) ;;
*) "$here/build.sh" ;;
esac
exec /usr/bin/python3 -B "$here/run.py" "$@" # -B: no files in the tree
