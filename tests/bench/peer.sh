#!/bin/bash
# SPDX-License-Identifier: MIT
# Speed beside llama.cpp on the same files, the two engines in turn, on the CPU with 2 threads.
# usage: peer.sh BUILD FOLDER-WITH-llama-bench [FILE.gguf...]
set -eu
stoker=$1/stoker
peer=$2/llama-bench
shift 2
[ -x "$peer" ] || { echo "no llama-bench at $peer: make bench-peer PEER=FOLDER" >&2; exit 2; }
rounds=${ROUNDS:-3} threads=${THREADS:-2}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
if [ $# = 0 ]; then
	for type in Q4_0 Q4_K; do
		"$stoker" synth --type $type "$scratch/qwen3moe-0.9B-$type.gguf"
		set -- "$@" "$scratch/qwen3moe-0.9B-$type.gguf"
	done
fi
median() { sort -g | sed -n "$(((rounds + 1) / 2))p"; }
ours() { "$stoker" bench model -m "$1" -t "$threads" -p "$2" -n "$3" -r 1 --json | sed -n 's/.*"median": *\([0-9.]*\).*/\1/p'; }
theirs() { "$peer" -m "$1" -t "$threads" -p "$2" -n "$3" -r 1 -o json 2>/dev/null | sed -n 's/.*"avg_ts": *\([0-9.]*\).*/\1/p'; }
"$stoker" info | sed -n 2p
printf '%-28s %-12s %10s %10s %7s\n' file test stoker llama.cpp ratio
for file in "$@"; do
	for test in "512 0 prompt(512)" "0 128 decode(128)"; do
		read -r prompt decode name <<<"$test"
		for _ in $(seq "$rounds"); do
			ours "$file" "$prompt" "$decode" >>"$scratch/ours.$name"
			theirs "$file" "$prompt" "$decode" >>"$scratch/theirs.$name"
		done
		a=$(median <"$scratch/ours.$name") b=$(median <"$scratch/theirs.$name")
		rm "$scratch"/*."$name"
		printf '%-28s %-12s %10.1f %10.1f %7.2f\n' "$(basename "$file")" "$name" "$a" "$b" \
			"$(awk "BEGIN { print $a / $b }")"
	done
done
