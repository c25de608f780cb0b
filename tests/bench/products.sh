#!/bin/bash
# SPDX-License-Identifier: MIT
# How fast products of one row are in every tensor format, and how many times as long 4 and 8 rows take.
# usage: products.sh BUILD
# A table goes into RESULTS (tests/bench/results), in a file named after NAME (the processor), with NOTE, a
# line about the machine; docs/SPEED.md shows it if it names it.  COLUMNS_LIST: what is measured, each
# ISA:THREADS.  SECONDS_EACH (0.15) of each product.
set -eu -o pipefail
cd "$(dirname "$0")/../.."
stoker=$1/stoker
results=${RESULTS:-tests/bench/results}
each=${SECONDS_EACH:-0.15}
cpus=$(nproc)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# the best set that the machine has, then the next one but one
described() { STOKER_ISA=$1 "$stoker" info | sed -n 's/^cpu  *[0-9]* threads*, \([^(]* \)(.*/\1/p'; }
sets=()
for isa in avx512 avx2 dotprod scalar; do
	[[ $(described "$isa") != "$isa "* ]] || sets+=("$isa")
done
columns=${COLUMNS_LIST:-"${sets[0]}:1 $([ "$cpus" = 1 ] || echo "${sets[0]}:$cpus") ${sets[1]:+${sets[1]}:1}"}

for column in $columns; do
	STOKER_ISA=${column%:*} "$stoker" bench formats -t "${column#*:}" -p 0 --seconds "$each" |
		awk -v column="$column" '$6 == "us" { print column, $1, $7, $8, $12, $15 }' >"$scratch/new"
	[ -s "$scratch/new" ] || { echo "$column: no figures" >&2; exit 1; }
	cat "$scratch/new" >>"$scratch/figures" # COLUMN FORMAT GB/s PERCENT FOUR EIGHT
	echo "$column: measured" >&2
done

processor=$(sed -n '/^model name/ { s/[^:]*: //p; q; }' /proc/cpuinfo)
name=${NAME:-$(tr 'A-Z ' 'a-z-' <<<"${processor:-$(uname -m)}" | tr -cd 'a-z0-9-' | sed 's/-processor$//')}
file=$results/cpu-$name-${cpus}cpu-products.txt
{
	echo "Products of every format: tests/bench/products.sh, stoker bench formats -p 0 --seconds $each, matrices of 4096 x 4096, in turn"
	echo "256 MiB or more, with $cpus CPUs of \"${processor:-$(uname -m)}\"; Stoker at $(git rev-parse --short HEAD 2>/dev/null || echo "an unknown version")."
	[ -z "${NOTE:-}" ] || echo "$NOTE"
	echo "GB/s and part of reading: one row.  4 and 8 rows: how many times as long as one."
	awk -v columns="$columns" '
	{
		if (!($2 in seen)) {
			seen[$2]
			formats[++count] = $2
		}
		figures[$1, $2] = sprintf("%6s %5s %8s %7s", sprintf("%.1f", $3), $4 "%", $5, $6)
	}
	END {
		n = split(columns, c, " ")
		line = "format  "
		for (i = 1; i <= n; i++) {
			split(c[i], is, ":")
			line = line sprintf("  %-29s", is[1] ", " is[2] (is[2] > 1 ? " threads" : " thread"))
		}
		sub(/ +$/, "", line)
		print line
		printf "%-8s", ""
		for (i = 1; i <= n; i++)
			printf "    GB/s  part   4 rows  8 rows"
		print ""
		for (j = 1; j <= count; j++) {
			printf "%-8s", formats[j]
			for (i = 1; i <= n; i++)
				printf "  %s", figures[c[i], formats[j]]
			print ""
		}
	}' "$scratch/figures"
} >"$file"
grep -qF "<!-- $file -->" docs/SPEED.md || echo "$file: docs/SPEED.md shows it when it has the lines <!-- $file --> and <!-- end -->"
[ "$results" != tests/bench/results ] || tests/bench/summary.sh
