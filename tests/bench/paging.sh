#!/bin/bash
# SPDX-License-Identifier: MIT
# A mixture of experts larger than its memory: a 4 GB file in a memory cgroup (which counts the page
# cache) of half and a quarter of that, each run from dropped caches; llama.cpp beside it when its
# folder is given (built without repacking, which needs a second copy of the weights).
# usage: paging.sh BUILD [FOLDER-WITH-llama-bench]; FILE=, ROUNDS=, THREADS= may be set.  Needs root.
set -u
stoker=$1/stoker
peer=${2:-}
rounds=${ROUNDS:-3} threads=${THREADS:-2} file=${FILE:-}
group=stoker-bench-$$
scratch=$(mktemp -d)

skip() {
	echo "0 passed, 0 failed, 1 skipped: $1"
	exit 0
}
[ "$(id -u)" = 0 ] || skip "only root can limit memory and drop caches"
if [ -f /sys/fs/cgroup/cgroup.controllers ]; then
	folder=/sys/fs/cgroup/$group limit=memory.max peak=memory.peak
elif [ -d /sys/fs/cgroup/memory ]; then
	folder=/sys/fs/cgroup/memory/$group limit=memory.limit_in_bytes peak=memory.max_usage_in_bytes
else
	skip "no memory cgroup here"
fi
cleanup() {
	rmdir "$folder" 2>/dev/null
	rm -rf "$scratch"
}
trap cleanup EXIT

if [ -z "$file" ]; then
	file=$scratch/qwen3moe-7B-Q4_0.gguf
	"$stoker" synth --layers 12 --width 2048 --experts 128 --expert-ff 768 --used 8 "$file" || exit 1
fi
size=$(stat -c %s "$file")

# limited BYTES COMMAND...: runs it in a new cgroup from dropped caches; its peak goes to $scratch/peak
limited() {
	local bytes=$1
	shift
	mkdir "$folder" || exit 1
	echo "$bytes" >"$folder/$limit"
	sync
	echo 3 >/proc/sys/vm/drop_caches
	(
		echo "$BASHPID" >"$folder/cgroup.procs"
		exec "$@"
	)
	cat "$folder/$peak" >"$scratch/peak" 2>/dev/null
	rmdir "$folder"
}
number() { sed -n "s/.*\"$1\": *\([0-9.]*\).*/\1/p" "$scratch/out" | head -n 1; }
median() { sort -g | sed -n "$(((rounds + 1) / 2))p"; }

echo "$("$stoker" info | sed -n 2p); file of $((size >> 20)) MiB, read-ahead $(cat /sys/block/*/queue/read_ahead_kb | sort -n | tail -n 1) KiB"
printf '%-14s %-12s %10s %10s %7s %9s %12s\n' memory test stoker llama.cpp ratio hits peak/limit
for share in 50 25; do
	bytes=$((size * share / 100))
	for test in "0 64 decode(64)" "512 0 prompt(512)"; do
		read -r prompt decode name <<<"$test"
		: >"$scratch/ours"
		: >"$scratch/theirs"
		for _ in $(seq "$rounds"); do
			limited $bytes "$stoker" bench model -m "$file" -t "$threads" -p "$prompt" -n "$decode" -r 2 \
				--memory $((bytes * 97 / 100)) --json >"$scratch/out"
			number median >>"$scratch/ours"
			hits=$(number hits) misses=$(number misses) used=$(cat "$scratch/peak")
			if [ -n "$peer" ]; then
				limited $bytes "$peer/llama-bench" -m "$file" -t "$threads" -p "$prompt" -n "$decode" -r 2 \
					-o json >"$scratch/out" 2>/dev/null
				number avg_ts >>"$scratch/theirs"
			fi
		done
		ours=$(median <"$scratch/ours") theirs=$(median <"$scratch/theirs")
		awk -v m="$((bytes >> 20)) MiB" -v n="$name" -v a="${ours:-0}" -v b="${theirs:-0}" -v h="${hits:-0}" \
			-v i="${misses:-1}" -v u="$used" -v l="$bytes" 'BEGIN {
			ratio = (b > 0) ? sprintf("%.2f", a / b) : "-"
			printf "%-14s %-12s %10.2f %10.2f %7s %8.1f%% %11.1f%%\n", m, n, a, b, ratio,
				100 * h / (h + i), 100 * u / l }'
	done
done
