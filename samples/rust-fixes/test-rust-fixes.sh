#!/bin/sh
# Patch running Rust programs with fixes from their later releases, and compare what patchgen says with the objects:
#
#   test-rust-fixes.sh [--fix NAME]... [--markdown FILE] [--keep DIR]
#
# Builds what is missing first (see build.sh). PATCHGEN and TARDIGRADE name the programs under test;
# without them target/release is used.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
case " $* " in
*" --help "* | *" -h "*) ;;
*) "$here/build.sh" ;;
esac
exec /usr/bin/python3 -B "$here/run.py" "$@" # -B: no files in the tree
