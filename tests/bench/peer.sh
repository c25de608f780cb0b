#!/bin/bash
# SPDX-License-Identifier: MIT
# Speed beside llama.cpp on the same files, the two engines in turn.
# usage: peer.sh BUILD FOLDER-WITH-llama-bench [FILE.gguf...]
# DEVICE=cpu or vulkan, for which FOLDER has to hold a build with Vulkan; RUN: a command that both run
# under, as build/next/bin/on-lavapipe-25; TESTS, each PROMPT:DECODE or PROMPT:DECODE:DEPTH, where the
# same process does both if neither is 0; ROUNDS, THREADS.  PEER_REPACKS=1: the peer's figures are the
# better ones of "-rtr 0" and "-rtr 1", which ik_llama.cpp has.
set -eu
stoker=$1/stoker
peer=$2/llama-bench
shift 2
[ -x "$peer" ] || { echo "no llama-bench at $peer: make bench-peer PEER=FOLDER" >&2; exit 2; }
rounds=${ROUNDS:-3} threads=${THREADS:-2} device=${DEVICE:-cpu}
tests=${TESTS:-512:0 0:128}
read -ra run <<<"${RUN:-env}"
layers=0
# llama.cpp passes over processors that emulate a GPU unless told not to
[ "$device" = cpu ] || { layers=99; export GGML_VK_VISIBLE_DEVICES=0; }
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
if [ $# = 0 ]; then
	for type in Q4_0 Q4_K; do
		"$stoker" synth --type $type "$scratch/qwen3moe-0.9B-$type.gguf"
		set -- "$@" "$scratch/qwen3moe-0.9B-$type.gguf"
	done
fi
ours() { "${run[@]}" "$stoker" bench model --device "$device" -m "$1" -t "$threads" -p "$2" -n "$3" -d "$4" -r 1 --json | sed -n 's/.*"median": *\([0-9.]*\).*/\1/p'; }
bench_peer() {
	local file=$1 prompt=$2 decode=$3 depth=()
	[ "$4" = 0 ] || depth=(-d "$4")
	shift 4
	LD_LIBRARY_PATH=$(dirname "$peer") "${run[@]}" "$peer" -m "$file" -ngl $layers -t "$threads" -p "$prompt" -n "$decode" "${depth[@]}" -r 1 -o json "$@" 2>"$scratch/complaint" | sed -n 's/.*"avg_ts": *\([0-9.]*\).*/\1/p'
}
theirs() {
	if [ "${PEER_REPACKS:-0}" = 0 ]; then
		bench_peer "$@"
	else
		paste -d ' ' <(bench_peer "$@" -rtr 0) <(bench_peer "$@" -rtr 1) | awk '{ print ($1 > $2 ? $1 : $2) }'
	fi
}
# each figure of a round is a line; the median of every @2-th one, from line @1 on, or "-"
median() { awk -v first="$1" -v each="$2" 'NR % each == first % each' "$3" | sort -g | awk '{ a[NR] = $1 } END { print NR ? a[int((NR + 1) / 2)] : "-" }'; }
"${run[@]}" "$stoker" info | grep "^$device"
printf '%-28s %-16s %10s %10s %7s\n' file test stoker llama.cpp ratio
for file in "$@"; do
	for test in $tests; do
		IFS=: read -r prompt decode depth <<<"$test"
		depth=${depth:-0} names=()
		[ "$prompt" = 0 ] || names+=("prompt($prompt)")
		[ "$decode" = 0 ] || names+=("decode($decode)")
		rm -f "$scratch/ours" "$scratch/theirs"
		for round in $(seq "$rounds"); do
			ours "$file" "$prompt" "$decode" "$depth" >>"$scratch/ours"
			# what it can't load once it can't load again
			if [ "$round" = 1 ] || [ -s "$scratch/theirs" ]; then
				theirs "$file" "$prompt" "$decode" "$depth" >>"$scratch/theirs"
			fi
		done
		[ -s "$scratch/theirs" ] ||
			echo "$(basename "$file"): llama.cpp: $(grep -i -m 1 -e error -e failed "$scratch/complaint" || echo "no figures")" >&2
		for i in "${!names[@]}"; do
			awk -v file="$(basename "$file")" -v test="${names[i]}$([ "$depth" = 0 ] || echo "@$depth")" \
				-v a="$(median $((i + 1)) ${#names[@]} "$scratch/ours")" \
				-v b="$(median $((i + 1)) ${#names[@]} "$scratch/theirs")" 'BEGIN {
				printf "%-28s %-16s %10s %10s %7s\n", file, test, a == "-" ? a : sprintf("%.1f", a),
					b == "-" ? b : sprintf("%.1f", b),
					a == "-" || b == "-" ? "-" : sprintf("%.2f", a / b)
			}'
		done
	done
done
