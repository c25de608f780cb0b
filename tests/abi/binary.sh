#!/bin/bash
# SPDX-License-Identifier: MIT
# Compares the built library with the last candidate of its interface, as its debugging information
# has it, by abidiff.  Additions are fine; what programs that were built before would trip over isn't.
# usage: binary.sh [--update] LIBRARY
set -eu
update=
[ "$1" != --update ] || { update=1 && shift; }
library=$1
candidate=tests/abi/stoker-1.abi.xz
describe=(--headers-dir runtime/include --drop-private-types --exported-interfaces-only --no-show-locs
	--no-comp-dir-path --no-corpus-path --no-parameter-names)

command -v abidiff >/dev/null || { echo "skipped: no abidiff here (abigail-tools)" && exit 0; }
[ "$(uname -m)" = x86_64 ] || { echo "skipped: the candidate was built for x86_64" && exit 0; }
readelf -S "$library" | grep -q '\.debug_info' || { echo "skipped: $library has no debugging information" && exit 0; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
abidw "${describe[@]}" "$library" >"$work/new.abi"
if [ -n "$update" ]; then
	xz -9 -c "$work/new.abi" >"$candidate"
	exit
fi
xz -dc "$candidate" >"$work/old.abi"
status=0
abidiff --no-added-syms "$work/old.abi" "$work/new.abi" >"$work/report" || status=$?
# bits: 1 an error, 2 wrong use, 4 a change, 8 one that breaks programs
if [ $((status & 11)) != 0 ]; then
	cat "$work/report" >&2
	exit 1
fi
echo "abidiff: programs that were built with the last candidate go on$([ $status = 0 ] || echo ", sizes grew")"
