#!/bin/bash
# SPDX-License-Identifier: MIT
# The library's map names every symbol by itself, and exactly those that public headers declare:
# stable ones in the version of the soname, those of stoker/unstable.h in STOKER_UNSTABLE.
set -eu
status=0
declared() {
	cat "$@" | tr '\n' ' ' | grep -oE 'STOKER_API [^;#]*;' | sed 's/(.*//; s/.*[ *]//' | sort
}
mapped() {
	sed -n "/^$1 {/,/^}/s/^\t\t\(stoker_[a-z0-9_]*\);/\1/p" runtime/stoker-rt.map
}
compare() {
	local names
	names=$(mapped "$1")
	if [ "$names" != "$(sort -u <<<"$names")" ]; then
		echo "runtime/stoker-rt.map: $1's symbols aren't in the order of sort" >&2
		status=1
	fi
	if ! diff <(declared "${@:2}") <(sort <<<"$names") >&2; then
		echo "runtime/stoker-rt.map: $1 isn't what the headers declare (<: only they)" >&2
		status=1
	fi
}
export LC_ALL=C
shopt -s extglob
soversion=$(sed -n 's/^SOVERSION := //p' Makefile)
compare "STOKER_$soversion" runtime/include/stoker/!(unstable).h
if [ -e runtime/include/stoker/unstable.h ]; then
	compare STOKER_UNSTABLE runtime/include/stoker/unstable.h
fi
if grep -n 'stoker_.*\*' runtime/stoker-rt.map; then
	echo "runtime/stoker-rt.map: no wildcards" >&2
	status=1
fi
exit $status
