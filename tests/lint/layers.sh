#!/bin/sh
# SPDX-License-Identifier: MIT
# A file of runtime/ includes only from its own folder and from folders above it in this list; device/
# and store/ do not know each other; tools include nothing but the public headers.  Only tools/bench/,
# which measures single ops, kernels and stores, looks inside the library.
set -eu
order="base quant gguf device store pager model text session"
status=0
rank() {
	n=0
	for folder in $order; do
		n=$((n + 1))
		[ "$folder" = "$1" ] && echo "$n" && return
	done
	echo 99
}
for file in $(git ls-files 'runtime/*.c' 'runtime/*.h' | grep -v '^runtime/include/'); do
	own=$(echo "$file" | cut -d/ -f2)
	# shellcheck disable=SC2013 # folders have no spaces
	for other in $(sed -n 's|^#include "\([a-z]*\)/.*|\1|p' "$file" | sort -u); do
		[ "$other" = stoker ] && continue
		bad=
		[ "$(rank "$other")" -gt "$(rank "$own")" ] && bad=1
		case "$own $other" in "device store" | "store device") bad=1 ;; esac
		if [ -n "$bad" ]; then
			echo "$file: $own/ may not include from $other/" >&2
			status=1
		fi
	done
done
for file in $(git ls-files 'tools/*.c' 'tools/*.h' | grep -v '^tools/bench/'); do
	if grep -En '^#include "' "$file" | grep -Ev '"(bench/measure|tool|trace).h"'; then
		echo "$file: tools include nothing but the public headers and their own" >&2
		status=1
	fi
done
if git grep -nE '\b(printf|puts|exit|abort)\(' -- 'runtime/*.c' | grep -vE 'v?s?n?printf\('; then
	echo "runtime/: the library never prints, exits or aborts" >&2
	status=1
fi
exit $status
