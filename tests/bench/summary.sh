#!/bin/bash
# SPDX-License-Identifier: MIT
# docs/SPEED.md's tables of figures are the first ones of files in tests/bench/results: what stands between
#	<!-- tests/bench/results/FILE -->  and  <!-- end -->
# is written anew.  usage: summary.sh [--check], which only says whether it would change
set -eu
cd "$(dirname "$0")/../.."
page=docs/SPEED.md
new=$(mktemp)
trap 'rm -f "$new"' EXIT
awk '
	/^<!-- tests\/bench\/results\// {
		print $0 "\n"
		file = $2
		table = 0
		while ((getline line < file) > 0) {
			if (line ~ /^(file|format|memory|family|load) /)
				table = 1
			else if (table && line == "")
				break
			if (table)
				print "    " line
		}
		if (!table) {
			print "summary: no table in " file > "/dev/stderr"
			exit 1
		}
		close(file)
		print ""
		inside = 1
	}
	/^<!-- end -->/ { inside = 0 }
	!inside' "$page" >"$new"
if [ "${1:-}" = --check ]; then
	diff -u "$page" "$new" || { echo "$page: run tests/bench/summary.sh" >&2; exit 1; }
else
	cat "$new" >"$page"
fi
