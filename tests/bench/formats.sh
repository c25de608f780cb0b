#!/bin/bash
# SPDX-License-Identifier: MIT
# Speed beside llama.cpp in every tensor format, with each instruction set that this machine has.
# usage: formats.sh BUILD [FOLDER-WITH-llama-bench]
# PEER_AVX512, PEER_AVXVNNI, PEER_AVX2, PEER_DOTPROD, PEER_SCALAR: folders with llama-bench built for
# these; the one that is an operand stands for the best set that the machine has. A set without a
# peer is left out.  PEER_IK: a folder with ik_llama.cpp's, which is compared with the best set, by the
# name "ik" among the ISAS; its figures are the better ones of with repacking and without.
# Narrowed by FORMATS="Q4_0 Q4_K", ISAS="avx512 avx2", THREADS_LIST="1 2", ROUNDS (3), TESTS
# (128:32, PROMPT:DECODE), MODEL (options of "stoker synth"). What was measured is kept in
# BUILD/bench-formats, and a later run adds to it or takes its place, so that the table may be made
# piece by piece; TABLE=only writes it and measures nothing.
# A table for each set goes into RESULTS (tests/bench/results), in files named after NAME (the
# processor), with NOTE, a line about the machine; docs/SPEED.md shows those that it names.
set -eu -o pipefail
cd "$(dirname "$0")/../.."
build=$1 stoker=$1/stoker
best=${2:-}
results=${RESULTS:-tests/bench/results}
tests=${TESTS:-128:32}
export ROUNDS=${ROUNDS:-3}
read -ra model <<<"${MODEL:---arch llama --experts 0 --used 0 --layers 6 --width 1024 --heads 16 --head-size 64 --ff 3072 --vocab 49152}"
cpus=$(nproc)
threads_list=${THREADS_LIST:-1 $([ "$cpus" = 1 ] || echo "$cpus")}
known="avx512 avxvnni avx2 dotprod scalar"
kept=$build/bench-formats
figures=$kept/figures # ISA THREADS FORMAT TEST STOKER PEER
mkdir -p "$kept" "$results"
touch "$figures"
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# the formats that there are, in the order of the table of them
formats=$(sed -n 's/^\(FLOAT\|FORMAT\)(\([A-Z0-9_]*\),.*/\2/p' runtime/quant/formats.def | tr '\n' ' ')
for format in ${FORMATS:-}; do
	[[ " $formats" == *" $format "* ]] || { echo "no format \"$format\"; there are $formats" >&2; exit 2; }
done
# the instruction set of a row: "ik" has the best
isa_of() { [ "$1" = ik ] && echo "$best_isa" || echo "$1"; }
# "avx512 with BF16": what the program makes of a set
described() { STOKER_ISA=$(isa_of "$1") "$stoker" info | sed -n 's/^cpu  *[0-9]* threads*, \([^(]* \)(.*/\1/p'; }
peer_of() {
	local name=PEER_${1^^}
	if [ -n "${!name:-}" ]; then
		echo "${!name}"
	elif [ "$1" = "$best_isa" ]; then
		echo "$best"
	fi
}
best_isa=
sets=()
for isa in $known; do
	[[ $(described "$isa") == "$isa "* ]] || continue
	best_isa=${best_isa:-$isa}
	[ -z "${ISAS:-}" ] || [[ " $ISAS " == *" $isa "* ]] || continue
	peer=$(peer_of "$isa")
	if [ -z "$peer" ]; then
		echo "$isa: left out, there is no PEER_${isa^^}=FOLDER"
	elif [ ! -x "$peer/llama-bench" ]; then
		echo "no llama-bench at $peer: make bench-peer PEER=FOLDER" >&2
		exit 2
	else
		sets+=("$isa")
	fi
done
if [ -n "${PEER_IK:-}" ] && { [ -z "${ISAS:-}" ] || [[ " $ISAS " == *" ik "* ]]; }; then
	[ -x "$PEER_IK/llama-bench" ] || { echo "no llama-bench at $PEER_IK" >&2; exit 2; }
	sets+=(ik)
fi
for isa in ${ISAS:-}; do
	[[ " ${sets[*]} " == *" $isa "* ]] || { echo "no figures of \"$isa\": this machine has it not, or it has no peer" >&2; exit 2; }
done
[ ${#sets[@]} -gt 0 ] || { echo "nothing to measure: make bench-peer PEER=FOLDER" >&2; exit 2; }

peer_name() { [ "$1" = ik ] && echo ik_llama.cpp || echo llama.cpp; }

# Prints and keeps what both do with one file: one line for all tests.
measure() {
	local isa=$1 threads=$2 format=$3
	STOKER_ISA=$(isa_of "$isa") PEER_REPACKS=$([ "$isa" = ik ] && echo 1 || echo 0) THREADS=$threads TESTS=$tests tests/bench/peer.sh "$build" "$(peer_of "$isa")" "$4" |
		awk -v isa="$isa" -v threads="$threads" -v format="$format" '$2 ~ /^(prompt|decode)\(/ {
			print isa, threads, format, $2, $3, $4 }' >"$scratch/new"
	[ -s "$scratch/new" ] || { echo "$format: no figures" >&2; return 1; }
	# figures of the same take their place
	awk 'NR == FNR { new[$1, $2, $3, $4]; next } !(($1, $2, $3, $4) in new)' "$scratch/new" "$figures" >"$scratch/all"
	cat "$scratch/new" >>"$scratch/all"
	mv "$scratch/all" "$figures"
	awk -v threads="$threads" -v peer="$(peer_name "$isa")" 'BEGIN { line = "" } {
		line = line sprintf("  %s %s, %s %s%s", $4, $5, peer, $6, $6 + 0 ? sprintf(", %.2f", $5 / $6) : "")
	} END { printf "%-8s %-8s %d thread%s%s\n", $3, $1, threads, (threads > 1 ? "s" : " "), line }' "$scratch/new"
}

# The table of one set: a line a format, prompt and decode for each number of threads.
table_of() {
	awk -v isa="$1" -v formats="$formats" -v threads="$threads_list" '
	$1 == isa {
		ours[$3, $2, $4] = $5
		theirs[$3, $2, $4] = $6
		seen[$3]
		if (!(($4) in test)) {
			test[$4]
			tests[++count] = $4
		}
	}
	END {
		each = split(threads, t, " ")
		line = "format  "
		for (i = 1; i <= each; i++)
			line = line sprintf("   %-*s", 19 * count - 3, t[i] (t[i] > 1 ? " threads" : " thread"))
		sub(/ +$/, "", line)
		print line
		printf "%-8s", ""
		for (i = 1; i <= each; i++)
			for (k = 1; k <= count; k++)
				printf "%12s  ratio", tests[k]
		print ""
		n = split(formats, f, " ")
		for (j = 1; j <= n; j++) {
			if (!(f[j] in seen))
				continue
			printf "%-8s", f[j]
			for (i = 1; i <= each; i++)
				for (k = 1; k <= count; k++) {
					a = ours[f[j], t[i], tests[k]]
					b = theirs[f[j], t[i], tests[k]]
					printf "%12s %6s", a == "" ? "-" : a, a + 0 && b + 0 ? sprintf("%.2f", a / b) : "-"
				}
			print ""
		}
	}' "$figures"
}

# The file for one set, with the machine above the table.
write_results() {
	local isa=$1 name file processor
	processor=$(sed -n '/^model name/ { s/[^:]*: //p; q; }' /proc/cpuinfo)
	name=${NAME:-$(tr 'A-Z ' 'a-z-' <<<"${processor:-$(uname -m)}" | tr -cd 'a-z0-9-' | sed 's/-processor$//')}
	file=$results/cpu-$name-${cpus}cpu-formats-$isa.txt
	{
		echo "Every tensor format beside $(peer_name "$isa"): $(described "$isa")on $cpus CPUs of \"${processor:-$(uname -m)}\"; $(peer_name "$isa") $(grep . "$kept/peer-$isa" 2>/dev/null || echo "of an unknown version"), built for $([ "$isa" = ik ] && echo "this machine, the better of -rtr 0 and 1" || echo "$isa")."
		[ -z "${NOTE:-}" ] || echo "$NOTE"
		echo "stoker synth ${model[*]} --type FORMAT; tests/bench/formats.sh, tokens a second, medians of $ROUNDS, ratios to $(peer_name "$isa")."
		table_of "$isa"
	} >"$file"
	grep -qF "<!-- $file -->" docs/SPEED.md || echo "$file: docs/SPEED.md shows it when it has the lines <!-- $file --> and <!-- end -->"
}

if [ "${TABLE:-}" != only ]; then
	for format in ${FORMATS:-$formats}; do
		file=$scratch/$format.gguf
		"$stoker" synth "${model[@]}" --type "$format" "$file"
		for isa in "${sets[@]}"; do
			# what can't load this format doesn't say which version it is
			commit=$(LD_LIBRARY_PATH=$(peer_of "$isa") "$(peer_of "$isa")/llama-bench" -m "$file" -ngl 0 -p 1 -n 0 -r 1 -o json 2>/dev/null |
				sed -n 's/.*"build_commit": *"\([^"]*\)".*/commit \1/p') || true
			[ -z "$commit" ] || echo "$commit" >"$kept/peer-$isa"
			for threads in $threads_list; do
				measure "$isa" "$threads" "$format" "$file"
			done
		done
		rm "$file"
	done
fi
for isa in "${sets[@]}"; do
	write_results "$isa"
done
[ "$results" != tests/bench/results ] || tests/bench/summary.sh
