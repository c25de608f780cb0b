#!/bin/bash
# SPDX-License-Identifier: MIT
# A mixture of experts larger than its memory: a 4 GB file in a memory cgroup (which counts the page
# cache) of half and a quarter of that, each run from dropped caches; llama.cpp beside it when its
# folder is given (built without repacking, which needs a second copy of the weights), both with the
# drive's read-ahead at 128 KiB, which suits llama.cpp best; then as this machine has it.  Then how much
# of the drive's speed is used, and how right "stoker plan" is.
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
# read_ahead KIB: of every drive; the first call remembers what it was
read_ahead() {
	local queue
	for queue in /sys/block/*/queue/read_ahead_kb; do
		[ -f "$scratch/ahead" ] || : >"$scratch/ahead"
		grep -qs "^$queue " "$scratch/ahead" || echo "$queue $(cat "$queue")" >>"$scratch/ahead"
		echo "$1" >"$queue" 2>/dev/null
	done
}
restore_read_ahead() {
	local queue kib
	[ -f "$scratch/ahead" ] && while read -r queue kib; do echo "$kib" >"$queue"; done <"$scratch/ahead"
}
cleanup() {
	restore_read_ahead 2>/dev/null
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

# ours BYTES PROMPT DECODE: to $scratch/out
ours() {
	limited "$1" "$stoker" bench model -m "$file" -t "$threads" -p "$2" -n "$3" -r 2 \
		--memory $(($1 * 97 / 100)) --json >"$scratch/out"
}
theirs() {
	limited "$1" "$peer/llama-bench" -m "$file" -t "$threads" -p "$2" -n "$3" -r "${4:-2}" -o json \
		>"$scratch/out" 2>/dev/null
}

default_ahead=$(cat /sys/block/*/queue/read_ahead_kb | sort -n | tail -n 1)
read_ahead 128
echo "$("$stoker" info | sed -n 2p); file of $((size >> 20)) MiB, read-ahead 128 KiB"
printf '%-10s %-12s %10s %10s %7s %9s %11s %11s\n' memory test stoker llama.cpp ratio hits peak/limit peer/limit
for share in 50 25; do
	bytes=$((size * share / 100))
	for test in "0 64 decode(64)" "512 0 prompt(512)"; do
		read -r prompt decode name <<<"$test"
		: >"$scratch/ours"
		: >"$scratch/theirs"
		for _ in $(seq "$rounds"); do
			ours $bytes "$prompt" "$decode"
			number median >>"$scratch/ours"
			hits=$(number hits) misses=$(number misses) used=$(cat "$scratch/peak") peer_used=0
			if [ -n "$peer" ]; then
				theirs $bytes "$prompt" "$decode"
				number avg_ts >>"$scratch/theirs"
				peer_used=$(cat "$scratch/peak")
			fi
		done
		a=$(median <"$scratch/ours") b=$(median <"$scratch/theirs")
		[ "$prompt" = 0 ] && eval "decode_$share=$a"
		awk -v m="$((bytes >> 20)) MiB" -v n="$name" -v a="${a:-0}" -v b="${b:-0}" -v h="${hits:-0}" \
			-v i="${misses:-1}" -v u="$used" -v v="$peer_used" -v l="$bytes" 'BEGIN {
			ratio = (b > 0) ? sprintf("%.2f", a / b) : "-"
			printf "%-10s %-12s %10.2f %10.2f %7s %8.1f%% %10.1f%% %10.1f%%\n", m, n, a, b, ratio,
				100 * h / (h + i), 100 * u / l, 100 * v / l }'
	done
done
restore_read_ahead
if [ -n "$peer" ] && [ "$default_ahead" != 128 ]; then
	echo "read-ahead $default_ahead KiB, this machine's own"
	for share in 50 25; do
		bytes=$((size * share / 100)) name=decode_$share
		theirs $bytes 0 8 1
		awk -v m="$((bytes >> 20)) MiB" -v a="${!name}" -v b="$(number avg_ts)" 'BEGIN {
			printf "%-10s %-12s %10.2f %10.2f %7.2f\n", m, "decode(8)", a, b, a / b }'
	done
fi

# A quarter of the file: the drive is what everything waits for.
bytes=$((size / 4))
echo "while the drive is waited for (prefetch off), beside single reads of the same size before and after:"
for store in uring threads; do
	rate() { "$stoker" bench store -m "$file" --store $store --json | tr -d ' ,' |
		sed -n 's/"bytes_per_second"://p' | sort -g | tail -n 1; }
	before=$(rate)
	"$stoker" bench model -m "$file" -t "$threads" -p 0 -n 64 -r 3 --memory $bytes --store $store --prefetch off \
		--json >"$scratch/out"
	after=$(rate)
	awk -v s=$store -v t="$(number median)" -v b="$(number bytes_read)" -v x="$before" -v y="$after" 'BEGIN {
		best = (x + y) / 2; used = b / 256 * t
		printf "%-8s %.2f tokens/s x %.1f MB missed = %.2f GB/s; the drive %.2f; ratio %.2f\n", s, t,
			b / 256 / 1e6, used / 1e9, best / 1e9, used / best }'
done

echo "stoker plan, and decode(128) as it turned out:"
budgets=
for share in 20 30 45 60 80; do budgets="$budgets -b $((size * share / 100))"; done
# shellcheck disable=SC2086 # a list of options
"$stoker" plan -c 128 -t "$threads" $budgets --json "$file" | tr -d ' ,' | sed -n \
	-e 's/"memory_bytes"://p' -e 's/"tokens_per_second"://p' | paste - - | while read -r memory planned; do
	"$stoker" bench model -m "$file" -t "$threads" -p 0 -n 128 -r 1 --memory "$memory" --json >"$scratch/out"
	awk -v m="$memory" -v p="$planned" -v t="$(number median)" 'BEGIN {
		printf "%-10s planned %6.1f, measured %6.1f, %+.0f %%\n", int(m / 1048576) " MiB", p, t, 100 * (t / p - 1) }'
done
