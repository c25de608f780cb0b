#!/bin/bash
# SPDX-License-Identifier: MIT
# Speed beside llama.cpp on the same files, the two engines in turn.
# usage: peer.sh BUILD FOLDER-WITH-llama-bench [FILE.gguf...]
# DEVICE=cpu or vulkan, for which FOLDER has to hold a build with Vulkan; RUN: a command that both run
# under, as build/next/bin/on-lavapipe-25; TESTS, each PROMPT:DECODE or PROMPT:DECODE:DEPTH; ROUNDS, THREADS.
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
median() { sort -g | sed -n "$(((rounds + 1) / 2))p"; }
ours() { "${run[@]}" "$stoker" bench model --device "$device" -m "$1" -t "$threads" -p "$2" -n "$3" -d "$4" -r 1 --json | sed -n 's/.*"median": *\([0-9.]*\).*/\1/p'; }
theirs() { "${run[@]}" "$peer" -m "$1" -ngl $layers -t "$threads" -p "$2" -n "$3" -d "$4" -r 1 -o json 2>/dev/null | sed -n 's/.*"avg_ts": *\([0-9.]*\).*/\1/p'; }
"${run[@]}" "$stoker" info | grep "^$device"
printf '%-28s %-16s %10s %10s %7s\n' file test stoker llama.cpp ratio
for file in "$@"; do
	for test in $tests; do
		IFS=: read -r prompt decode depth <<<"$test"
		depth=${depth:-0}
		if [ "$prompt" = 0 ]; then name="decode($decode)"; else name="prompt($prompt)"; fi
		[ "$depth" = 0 ] || name="$name@$depth"
		for _ in $(seq "$rounds"); do
			ours "$file" "$prompt" "$decode" "$depth" >>"$scratch/ours.$name"
			theirs "$file" "$prompt" "$decode" "$depth" >>"$scratch/theirs.$name"
		done
		a=$(median <"$scratch/ours.$name") b=$(median <"$scratch/theirs.$name")
		rm "$scratch"/*."$name"
		printf '%-28s %-16s %10.1f %10.1f %7.2f\n' "$(basename "$file")" "$name" "$a" "$b" \
			"$(awk "BEGIN { print $a / $b }")"
	done
done
