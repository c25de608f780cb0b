#!/bin/bash
# SPDX-License-Identifier: MIT
# The library's map names every symbol by itself, and exactly those that the headers declare which
# are installed.  What stoker/unstable/ has isn't exported.
set -eu
status=0
declared() {
	cat "$@" | tr '\n' ' ' | grep -oE 'STOKER_API [^;#]*;' | sed 's/(.*//; s/.*[ *]//' | sort
}
mapped() {
	sed -n "/^$1 {/,/^}/s/^\t\t\(stoker_[a-z0-9_]*\);/\1/p" runtime/stoker-rt.map
}
export LC_ALL=C
soversion=$(sed -n 's/^SOVERSION := //p' Makefile)
names=$(mapped "STOKER_$soversion")
if [ "$names" != "$(sort -u <<<"$names")" ]; then
	echo "runtime/stoker-rt.map: symbols aren't in the order of sort" >&2
	status=1
fi
if ! diff <(declared runtime/include/stoker/*.h) <(sort <<<"$names") >&2; then
	echo "runtime/stoker-rt.map: isn't what the headers declare (<: only they)" >&2
	status=1
fi
if grep -l STOKER_API runtime/include/stoker/unstable/*.h; then
	echo "runtime/include/stoker/unstable/: nothing there is exported" >&2
	status=1
fi
if grep -n 'stoker_.*\*' runtime/stoker-rt.map; then
	echo "runtime/stoker-rt.map: no wildcards" >&2
	status=1
fi
exit $status
